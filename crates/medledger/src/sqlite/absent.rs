//! Which keys are surely not in the ledger.
//!
//! Before a record is taken, its id and what it brings are looked for, mostly to find that they are not there. Ids are
//! random, so each look reads other pages at every level of a tree that fits into no cache, and that would be most of
//! the time it takes to accept a record. A Bloom filter answers from one line of memory: what it does not have was
//! never written. What it may have is looked for.
//!
//! Filling it reads every id once. It is made only when looking in vain has cost about as much, so that a program that
//! takes one record never pays for it.

use rusqlite::{Connection, Rows, params};
use std::hash::{BuildHasher, Hasher, RandomState};

/// The table of records, beside those of the state, which are letters.
pub(super) const RECORDS: u8 = 0;

/// Tables of the state whose keys come with new records: records that took effect, and reports.
pub(super) const OF_STATE: [u8; 2] = [b'i', b'r'];

/// Keys to read for one look in vain: what each of the two costs.
const KEYS_FOR_A_LOOK: u64 = 8;

/// Looks in vain between two thoughts about whether a filter is worth it.
const LOOKS: u64 = 256;

/// Keys that there is room for at first: 210 KiB. From then on there is room for twice as many as there are.
const LEAST: usize = 1 << 17;

/// Keys that there is room for at most: 54 MiB. Who has more looks them up.
const MOST: usize = 1 << 25;

/// What is known not to be in a ledger, as the one who writes to it sees it.
#[derive(Debug, Default)]
pub(super) struct Absent {
    filter: Option<Filter>,
    /// Looks in vain since there is no filter.
    looks: u64,
    /// What SQLite counts up when another connection writes.
    version: i64,
}

impl Absent {
    /// Whether this key is surely not there.
    pub(super) fn lacks(&self, table: u8, key: &[u8]) -> bool {
        self.filter.as_ref().is_some_and(|filter| !filter.may_have(table, key))
    }

    /// This key is there from now on.
    pub(super) fn add(&mut self, table: u8, key: &[u8]) {
        let Some(filter) = &mut self.filter else { return };
        filter.add(table, key);
        if filter.is_full() {
            // It was worth it, so one with more room will be too.
            *self = Self { looks: filter.added as u64, ..Self::default() };
        }
    }

    /// A key was looked for in vain.
    pub(super) fn missed(&mut self, db: &Connection) {
        if self.filter.is_some() {
            return;
        }
        self.looks += 1;
        if self.looks.is_multiple_of(LOOKS) {
            // Whatever fails here fails where it matters too, and is told there.
            self.filter = self.worth_it(db).unwrap_or(None);
        }
    }

    /// Forgets all of it if another connection wrote since this was last asked. `db` is within a transaction.
    pub(super) fn check(&mut self, db: &Connection) {
        if self.filter.is_some() && version(db).ok() != Some(self.version) {
            *self = Self::default();
        }
    }

    fn worth_it(&mut self, db: &Connection) -> rusqlite::Result<Option<Filter>> {
        let of_records = "SELECT coalesce(max(number), 0) FROM records";
        let records: i64 = db.prepare_cached(of_records)?.query_row([], |row| row.get(0))?;
        let keys = records.unsigned_abs().saturating_mul(1 + OF_STATE.len() as u64);
        if keys > self.looks.saturating_mul(KEYS_FOR_A_LOOK) {
            return Ok(None);
        }
        let room = usize::try_from(keys).unwrap_or(usize::MAX).saturating_mul(2).max(LEAST);
        if room > MOST {
            return Ok(None);
        }
        self.version = version(db)?;
        let mut filter = Filter::new(room);
        let mut add = |table, rows: &mut Rows<'_>, skip| {
            while let Some(row) = rows.next()? {
                let id = row.get_ref(0)?.as_blob()?.get(skip..);
                filter.add(table, id.unwrap_or_default());
            }
            Ok::<(), rusqlite::Error>(())
        };
        // As the two indexes of ids have them.
        for which in ["seq IS NOT NULL", "seq IS NULL"] {
            let ids = format!("SELECT id FROM records WHERE {which}");
            add(RECORDS, &mut db.prepare(&ids)?.query([])?, 0)?;
        }
        for table in OF_STATE {
            let mut keys = db.prepare("SELECT key FROM state WHERE key >= ?1 AND key < ?2")?;
            add(table, &mut keys.query(params![[table], [table + 1]])?, 1)?;
        }
        if filter.is_full() {
            // There is more than was thought: not to be read again at the next thought.
            self.looks = 0;
            return Ok(None);
        }
        Ok(Some(filter))
    }
}

fn version(db: &Connection) -> rusqlite::Result<i64> {
    db.prepare_cached("PRAGMA data_version")?.query_row([], |row| row.get(0))
}

/// 256 bits, of which each key sets one in each word.
type Block = [u32; 8];

/// Keys for which there is a block: 12.8 bits for a key.
const KEYS_OF_BLOCK: usize = 20;

/// What tells the bit of a key in each word: odd numbers.
const SALTS: Block = [
    0x47b6_137b,
    0x4497_4d91,
    0x8824_ad5b,
    0xa2b7_289d,
    0x7054_95c7,
    0x2df1_424b,
    0x9efc_4947,
    0x5c6b_fb31,
];

/// A split block Bloom filter, as that of the file format Parquet, by another hash: what it does not have was never
/// added. Of two hundred other keys it takes about one for one that was.
#[derive(Debug)]
struct Filter {
    blocks: Vec<Block>,
    hash: RandomState,
    added: usize,
}

impl Filter {
    fn new(room: usize) -> Self {
        let blocks = vec![Block::default(); room.div_ceil(KEYS_OF_BLOCK).max(1)];
        Self { blocks, hash: RandomState::new(), added: 0 }
    }

    /// Where a key's block is, and its bits there.
    fn bits(&self, table: u8, key: &[u8]) -> (usize, Block) {
        let mut hasher = self.hash.build_hasher();
        hasher.write_u8(table);
        hasher.write(key);
        let hash = hasher.finish();
        // The upper half picks the block, the lower one its bits.
        let index = ((hash >> 32) * self.blocks.len() as u64) >> 32;
        let bits = SALTS.map(|salt| 1 << ((hash as u32).wrapping_mul(salt) >> 27));
        (index as usize, bits)
    }

    fn may_have(&self, table: u8, key: &[u8]) -> bool {
        let (index, bits) = self.bits(table, key);
        self.blocks[index].iter().zip(bits).all(|(word, bit)| word & bit != 0)
    }

    fn add(&mut self, table: u8, key: &[u8]) {
        let (index, bits) = self.bits(table, key);
        for (word, bit) in self.blocks[index].iter_mut().zip(bits) {
            *word |= bit;
        }
        self.added += 1;
    }

    /// Whether so many keys were added that it takes too many others for them.
    fn is_full(&self) -> bool {
        self.added > self.blocks.len() * KEYS_OF_BLOCK
    }
}

#[cfg(test)]
mod tests {
    use super::super::SqliteStore;
    use super::*;
    use medledger_core::conformance;
    use medledger_core::store::{Store, StoreError, Unit, View};
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use tempfile::TempDir;

    /// Makes a filter the next time a key is looked for in vain.
    fn due(store: &SqliteStore) {
        let writer = store.writer.as_ref().unwrap().lock().unwrap();
        *writer.absent.borrow_mut() = Absent { looks: LOOKS * 1_000_000 - 1, ..Absent::default() };
    }

    fn has_filter(store: &SqliteStore) -> bool {
        store.writer.as_ref().unwrap().lock().unwrap().absent.borrow().filter.is_some()
    }

    #[test]
    fn a_filter_has_what_was_added_and_little_else() {
        const KEYS: u32 = 50_000;
        let mut filter = Filter::new(KEYS as usize);
        for key in 0..KEYS {
            filter.add(7, &key.to_be_bytes());
        }
        assert!((0..KEYS).all(|key| filter.may_have(7, &key.to_be_bytes())));
        let others = |table, keys: std::ops::Range<u32>| {
            keys.filter(|key| filter.may_have(table, &key.to_be_bytes())).count()
        };
        for wrong in [others(7, KEYS..3 * KEYS), others(8, 0..2 * KEYS)] {
            assert!(wrong < KEYS as usize / 50, "{wrong} of {} others", 2 * KEYS);
        }
    }

    #[test]
    fn a_filter_that_is_full_makes_room_for_another() {
        let filter = Some(Filter::new(20));
        let mut absent = Absent { filter, ..Absent::default() };
        for key in 0..=20u8 {
            assert!(absent.filter.is_some());
            absent.add(RECORDS, &[key]);
        }
        assert!(absent.filter.is_none());
        assert!(!absent.lacks(RECORDS, &[99]), "nobody knows");
        assert!(absent.looks * KEYS_FOR_A_LOOK > 21, "the next one is soon worth it");
    }

    /// A store whose filter is made at the first look in vain.
    struct Filtering(SqliteStore, TempDir);

    impl Filtering {
        fn new() -> Self {
            let folder = tempfile::tempdir().unwrap();
            let store = SqliteStore::create(&folder.path().join("ledger.sqlite")).unwrap();
            due(&store);
            Self(store, folder)
        }
    }

    impl Store for Filtering {
        fn view(&self) -> Result<Box<dyn View + '_>, StoreError> {
            self.0.view()
        }

        fn unit(&self) -> Result<Box<dyn Unit + '_>, StoreError> {
            self.0.unit()
        }

        fn commits(&self) -> u64 {
            self.0.commits()
        }
    }

    #[test]
    fn a_store_with_a_filter_passes_the_suite_of_stores() {
        conformance::store::suite(&|| Box::new(Filtering::new()));
    }

    #[test]
    fn who_takes_one_record_makes_no_filter_and_who_takes_many_does() {
        let Filtering(store, _folder) = Filtering::new();
        *store.writer.as_ref().unwrap().lock().unwrap().absent.borrow_mut() = Absent::default();
        let look = |keys: std::ops::Range<u64>| {
            let mut unit = store.unit().unwrap();
            for key in keys {
                let key = [&b"i"[..], &key.to_be_bytes()].concat();
                assert_eq!(unit.state(&key).unwrap(), None);
                unit.set_state(&key, Some(b"1")).unwrap();
            }
            unit.commit().unwrap();
            has_filter(&store)
        };
        assert!(!look(0..LOOKS - 1));
        assert!(look(LOOKS..LOOKS + 1));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Set(Vec<u8>, u8),
        Remove(Vec<u8>),
        Clear,
        Commit,
        GiveUp,
        /// Another process writes.
        Other(Vec<u8>),
    }

    fn key() -> impl Strategy<Value = Vec<u8>> {
        let table = prop_oneof![Just(b'i'), Just(b'r'), Just(b'm')];
        (table, proptest::collection::vec(0u8..3, 0..3))
            .prop_map(|(table, rest)| [vec![table], rest].concat())
    }

    fn step() -> impl Strategy<Value = Step> {
        prop_oneof![
            6 => (key(), any::<u8>()).prop_map(|(key, value)| Step::Set(key, value)),
            2 => key().prop_map(Step::Remove),
            1 => Just(Step::Clear),
            2 => Just(Step::Commit),
            1 => Just(Step::GiveUp),
            2 => key().prop_map(Step::Other),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(48))]

        #[test]
        fn what_is_there_is_found_whoever_wrote_it(
            steps in proptest::collection::vec((step(), key()), 1..40)
        ) {
            let Filtering(store, folder) = Filtering::new();
            let other = SqliteStore::open(&folder.path().join("ledger.sqlite"), false).unwrap();
            let mut durable: BTreeMap<Vec<u8>, Vec<u8>> = BTreeMap::new();
            let mut map = durable.clone();
            let mut unit = store.unit().unwrap();
            for (step, look) in steps {
                match step {
                    Step::Set(key, value) => {
                        unit.set_state(&key, Some(&[value])).unwrap();
                        map.insert(key, vec![value]);
                    }
                    Step::Remove(key) => {
                        unit.set_state(&key, None).unwrap();
                        map.remove(&key);
                    }
                    Step::Clear => {
                        unit.clear_state().unwrap();
                        map.clear();
                    }
                    Step::Commit => {
                        unit.commit().unwrap();
                        durable = map.clone();
                        unit = store.unit().unwrap();
                    }
                    Step::GiveUp => {
                        drop(unit);
                        map = durable.clone();
                        unit = store.unit().unwrap();
                    }
                    Step::Other(key) => {
                        drop(unit);
                        let mut theirs = other.unit().unwrap();
                        theirs.set_state(&key, Some(b"theirs")).unwrap();
                        theirs.commit().unwrap();
                        durable.insert(key, b"theirs".to_vec());
                        map = durable.clone();
                        unit = store.unit().unwrap();
                    }
                }
                let found = unit.state(&look).unwrap();
                prop_assert_eq!(found.as_ref(), map.get(&look));
            }
        }
    }
}
