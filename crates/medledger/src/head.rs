//! The last known head: kept outside the database, so that an older database put back in its place is noticed.
//!
//! A hospital that restored an old backup and mined on would sign a second history: other blocks, and alone also
//! other checkpoints, at heights for which others hold its receipts. So the newest block of each commit is noted in
//! the file `head` of the ledger's folder, and in one beside the node key where that lies elsewhere. Where the
//! database does not know the noted block, nothing is committed that does not bring it back.
//!
//! The file is written after the commit and not synced: it costs no flush. A power cut may leave an older head, which
//! protects a little less; it never leaves one that the database does not know.

use medledger_core::chain::Rules;
use medledger_core::cid::Cid;
use medledger_core::finality;
use medledger_core::ids::{BlockId, RecordId};
use medledger_core::record::SignedRecord;
use medledger_core::state::{Known, StateRead};
use medledger_core::store::{
    Drawer, RecordQuery, Row, Standing, Store, StoreError, StoredBlock, StoredRecord, Unit, View,
};
use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

/// Name of the file in a ledger's folder.
pub(crate) const FILE: &str = "head";

/// Bytes of the file, padded: each head overwrites the last one in a single write.
const LEN: usize = 192;

const FIRST: &str = "medledger head v1";

/// A block that was the newest one here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its height.
    pub height: u64,
    /// Its id.
    pub id: BlockId,
    /// Its node.
    pub node: Cid,
}

impl Head {
    pub(crate) fn of(block: &StoredBlock) -> Self {
        Self { height: block.height, id: block.id, node: block.node }
    }

    fn to_text(self) -> [u8; LEN] {
        let text = format!("{FIRST}\n{} {} {}\n", self.height, self.id, self.node);
        let mut bytes = [b' '; LEN];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        bytes[LEN - 1] = b'\n';
        bytes
    }

    fn from_text(text: &str) -> Option<Self> {
        let mut lines = text.trim_end().lines();
        if lines.next()? != FIRST {
            return None;
        }
        let mut words = lines.next()?.split(' ');
        let head = Self {
            height: words.next()?.parse().ok()?,
            id: words.next()?.parse().ok()?,
            node: words.next()?.parse().ok()?,
        };
        (words.next().is_none() && lines.next().is_none()).then_some(head)
    }

    /// Whether a ledger knows this block: on its chain, or beside it, or given up for a final one.
    pub(crate) fn is_known(&self, view: &dyn View, rules: &Rules) -> Result<bool, StoreError> {
        if view.block(self.height)?.is_some_and(|block| block.id == self.id) {
            return Ok(true);
        }
        if medledger_core::fork::is_kept(view, &self.node)? {
            return Ok(true);
        }
        // Alone, a hospital makes its own block final: that is the second history itself.
        Ok(!finality::alone(view, rules)? && self.height < finality::final_size(view, rules)?)
    }
}

/// Reads the head noted in a file; `None` when there is none, or a power cut left an empty one.
pub(crate) fn read(path: &Path) -> Result<Option<Head>, StoreError> {
    let doing = || format!("reading {}", path.display());
    let mut text = Vec::new();
    match File::open(path) {
        Ok(file) => file.take(LEN as u64 + 1).read_to_end(&mut text).map_err(io(doing()))?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io(doing())(error)),
    };
    if text.iter().all(|byte| *byte == 0) {
        return Ok(None);
    }
    let head = std::str::from_utf8(&text).ok().and_then(Head::from_text);
    let damaged = || StoreError::Damaged(format!("{} holds no head of a chain", path.display()));
    head.map(Some).ok_or_else(damaged)
}

/// Writes the head of a file that may not be there yet, and makes it last.
pub(crate) fn write(path: &Path, head: &Head) -> Result<(), StoreError> {
    let doing = format!("writing {}", path.display());
    crate::files::write_private(path, &head.to_text()).map_err(io(doing))
}

fn io(doing: String) -> impl FnOnce(std::io::Error) -> StoreError {
    move |source| match source.kind() {
        std::io::ErrorKind::StorageFull => StoreError::NoSpace(doing),
        _ => StoreError::Io { doing, source: source.into() },
    }
}

/// Where heads are noted: in the folder, and beside a node key that lies elsewhere.
pub(crate) fn paths(folder: &Path, node_key: &Path, rules: &Rules) -> Vec<PathBuf> {
    let mut paths = vec![folder.join(FILE)];
    let beside = crate::files::parent(node_key);
    let elsewhere = match (beside.canonicalize(), folder.canonicalize()) {
        (Ok(beside), Ok(folder)) => beside != folder,
        _ => false,
    };
    if elsewhere {
        // Several ledgers may keep their keys in one place.
        paths.push(beside.join(format!("{}.head", rules.chain)));
    }
    paths
}

/// A store whose head is noted outside of it.
pub(crate) struct Guarded {
    store: Box<dyn Store>,
    rules: Rules,
    /// The noted head that the store does not know, until a unit brings it.
    lost: Mutex<Option<Head>>,
    files: Mutex<Files>,
    /// Numbers the units that change the head, in their order.
    order: AtomicU64,
    told: AtomicBool,
}

struct Files {
    open: Vec<File>,
    written: u64,
}

impl Guarded {
    /// Compares the noted heads with what `store` has. The highest unknown one is kept as lost; with none, they are
    /// brought up to the store's.
    pub(crate) fn new(
        store: Box<dyn Store>,
        rules: &Rules,
        paths: &[PathBuf],
    ) -> Result<Self, StoreError> {
        let heads = collect(paths, |path| read(path))?;
        let compare = || -> Result<_, StoreError> {
            let view = store.view()?;
            Ok((highest_unknown(view.as_ref(), rules, &heads)?, view.tip()?))
        };
        let lost = match compare() {
            Ok((None, Some(tip))) => {
                let head = Head::of(&tip);
                for (path, noted) in paths.iter().zip(&heads) {
                    if *noted != Some(head) {
                        write(path, &head)?;
                    }
                }
                None
            }
            Ok((lost, _)) => lost,
            // Damage is for `verify` to find, and for each call that meets it to tell.
            Err(StoreError::Damaged(_)) => None,
            Err(error) => return Err(error),
        };
        let open = |path: &PathBuf| {
            let file = OpenOptions::new().write(true).create(true).truncate(false).open(path);
            file.map_err(io(format!("opening {}", path.display())))
        };
        let open = collect(paths, open)?;
        Ok(Self {
            store,
            rules: rules.clone(),
            lost: Mutex::new(lost),
            files: Mutex::new(Files { open, written: 0 }),
            order: AtomicU64::new(0),
            told: AtomicBool::new(false),
        })
    }

    pub(crate) fn lost(&self) -> Option<Head> {
        *self.lost.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, order: u64, head: &Head) {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        // Another unit was committed later and has noted its head before.
        if files.written > order {
            return;
        }
        files.written = order;
        for file in &mut files.open {
            let written =
                file.seek(SeekFrom::Start(0)).and_then(|_| file.write_all(&head.to_text()));
            // The unit is durable: what follows must not make it look otherwise.
            if let Err(error) = written
                && !self.told.swap(true, Ordering::Relaxed)
            {
                tracing::warn!(%error, "the last known head could not be noted");
            }
        }
    }
}

fn collect<T>(
    paths: &[PathBuf],
    open: impl Fn(&PathBuf) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    paths.iter().map(open).collect()
}

/// The highest noted head that the store does not know.
pub(crate) fn lost(
    view: &dyn View,
    rules: &Rules,
    paths: &[PathBuf],
) -> Result<Option<Head>, StoreError> {
    highest_unknown(view, rules, &collect(paths, |path| read(path))?)
}

fn highest_unknown(
    view: &dyn View,
    rules: &Rules,
    heads: &[Option<Head>],
) -> Result<Option<Head>, StoreError> {
    let mut lost: Option<Head> = None;
    for head in heads.iter().flatten() {
        if lost.is_none_or(|lost| head.height > lost.height) && !head.is_known(view, rules)? {
            lost = Some(*head);
        }
    }
    Ok(lost)
}

/// What a caller is told who would write on top of an older database.
pub(crate) fn behind(view: &dyn View, head: &Head) -> Result<StoreError, StoreError> {
    let here = view.tip()?.map_or(0, |tip| tip.height);
    Ok(StoreError::Behind { known: head.height, id: head.id, here })
}

impl Store for Guarded {
    fn view(&self) -> Result<Box<dyn View + '_>, StoreError> {
        self.store.view()
    }

    fn unit(&self) -> Result<Box<dyn Unit + '_>, StoreError> {
        Ok(Box::new(GuardedUnit { guard: self, unit: self.store.unit()?, moved: false }))
    }

    fn commits(&self) -> u64 {
        self.store.commits()
    }

    fn check(&self) -> Result<(), StoreError> {
        self.store.check()
    }
}

struct GuardedUnit<'a> {
    guard: &'a Guarded,
    unit: Box<dyn Unit + 'a>,
    /// Whether the newest block changed.
    moved: bool,
}

/// Methods that only pass on what they are asked.
macro_rules! pass {
    ($(fn $name:ident(&self $(, $arg:ident: $type:ty)*) -> $result:ty;)*) => {
        $(fn $name(&self $(, $arg: $type)*) -> Result<$result, StoreError> {
            self.unit.$name($($arg),*)
        })*
    };
    ($(fn $name:ident(&mut self $(, $arg:ident: $type:ty)*);)*) => {
        $(fn $name(&mut self $(, $arg: $type)*) -> Result<(), StoreError> {
            self.unit.$name($($arg),*)
        })*
    };
}

impl StateRead for GuardedUnit<'_> {
    fn known(&self) -> Option<&Known> {
        self.unit.known()
    }

    pass! {
        fn state(&self, key: &[u8]) -> Option<Vec<u8>>;
        fn state_scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Vec<Row>;
    }
}

impl View for GuardedUnit<'_> {
    pass! {
        fn local(&self, drawer: Drawer, key: &[u8]) -> Option<Vec<u8>>;
        fn tip(&self) -> Option<StoredBlock>;
        fn tip_id(&self) -> Option<BlockId>;
        fn block(&self, height: u64) -> Option<StoredBlock>;
        fn height_of(&self, id: &BlockId) -> Option<u64>;
        fn record(&self, id: &RecordId) -> Option<StoredRecord>;
        fn standing(&self, id: &RecordId) -> Option<Standing>;
        fn records_of(&self, height: u64) -> Vec<StoredRecord>;
        fn signed_records_of(&self, height: u64) -> Vec<SignedRecord>;
        fn find(&self, query: &RecordQuery) -> Vec<StoredRecord>;
        fn pending(&self, limit: usize) -> Vec<StoredRecord>;
        fn last_pending(&self) -> Option<(u64, RecordId)>;
        fn count_pending(&self) -> u64;
    }

    fn local_scan(
        &self,
        drawer: Drawer,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError> {
        self.unit.local_scan(drawer, prefix, after, limit)
    }
}

impl Unit for GuardedUnit<'_> {
    pass! {
        fn set_local(&mut self, drawer: Drawer, key: &[u8], value: Option<&[u8]>);
        fn set_state(&mut self, key: &[u8], value: Option<&[u8]>);
        fn clear_state(&mut self);
        fn put_record(&mut self, record: &StoredRecord);
        fn settle(&mut self, id: &RecordId, standing: Standing);
        fn remove_record(&mut self, id: &RecordId);
    }

    fn append_block(&mut self, block: &StoredBlock) -> Result<(), StoreError> {
        self.moved = true;
        self.unit.append_block(block)
    }

    fn remove_tip(&mut self) -> Result<(), StoreError> {
        self.moved = true;
        self.unit.remove_tip()
    }

    fn commit(self: Box<Self>) -> Result<(), StoreError> {
        let Self { guard, unit, moved } = *self;
        let lost = guard.lost();
        if let Some(head) = &lost
            && !head.is_known(unit.as_ref(), &guard.rules)?
        {
            return Err(behind(unit.as_ref(), head)?);
        }
        if !moved {
            unit.commit()?;
        } else {
            let head = unit.tip()?.map(|tip| Head::of(&tip));
            // Within the unit: no other one is under way.
            let order = guard.order.fetch_add(1, Ordering::Relaxed) + 1;
            unit.commit()?;
            if let Some(head) = head {
                guard.note(order, &head);
            }
        }
        if lost.is_some() {
            *guard.lost.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        Ok(())
    }
}
