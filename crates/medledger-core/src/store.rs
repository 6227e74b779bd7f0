//! The seam to whatever keeps a ledger: one unit of work over blocks, records, state and the local
//! rows (slots, mail, idempotency keys) that must become durable together with a record.
//!
//! A memory store ships with this crate; the crate `medledger` has one
//! over SQLite. Both pass the suite in `conformance`.

use crate::Cid;
use crate::block::{Descriptor, SignedHeader};
use crate::clock::Timestamp;
use crate::ids::{BlockId, MemberId, RecordId, ReportId};
use crate::record::SignedRecord;
use crate::registry::{Kind, VoidCode};
use crate::state::StateRead;

/// A store that could not do what it was asked; nothing of the unit took effect.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// No room left on the disk.
    #[error("no space left while {0}")]
    NoSpace(String),
    /// The folder or the handle permits reading only.
    #[error("the ledger is open for reading only")]
    ReadOnly,
    /// The ledger only follows a chain.
    #[error("this ledger follows a chain that others write: it takes no records of its own")]
    Follower,
    /// Another process writes to this ledger.
    #[error("the ledger is being written to by another process")]
    Busy,
    /// What is stored contradicts itself or cannot be read.
    #[error("stored data is damaged: {0}")]
    Damaged(String),
    /// The file belongs to another program, or to none.
    #[error("{0} is not a medledger ledger")]
    NotALedger(String),
    /// The ledger was written by a later version of this program.
    #[error("the ledger has layout {found}, this version knows up to {newest}: update needed")]
    UnknownVersion {
        /// The layout found.
        found: i64,
        /// The newest one this version knows.
        newest: i64,
    },
    /// The ledger has an earlier layout, and is open for reading only.
    #[error(
        "the ledger has layout {found}, this version reads {newest}: any command \
         that writes, such as `medledger mine`, brings it up to date"
    )]
    OldVersion {
        /// The layout found.
        found: i64,
        /// The one it would be brought to.
        newest: i64,
    },
    /// The records of a final block were dropped here to save room.
    #[error(
        "the records of block {height} were pruned here: ask a copy that keeps the whole chain"
    )]
    Pruned {
        /// Its height.
        height: u64,
    },
    /// The store is older than it once was: a backup was put back.
    #[error(
        "an older database was put back: it ends with block {here}, but block {known} ({id}) was here \
         before, and writing now would sign a second history. Import the newer chain of another copy, \
         or accept the loss of the blocks between"
    )]
    Behind {
        /// Height of the newest block known before.
        known: u64,
        /// Its id.
        id: BlockId,
        /// Height of the newest block here.
        here: u64,
    },
    /// Any other failure of the machine.
    #[error("{doing}: {source}")]
    Io {
        /// What was being done.
        doing: String,
        /// What went wrong.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

/// Local rows that are on no ledger. Values are opaque here; what is secret in them comes encrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Drawer {
    /// Wrapped report keys.
    Slots,
    /// Mail waiting to be sent.
    Mail,
    /// Idempotency keys and what they were taken for.
    Idempotency,
    /// What people are called and where mail reaches them.
    Contacts,
    /// What people call a report.
    Labels,
    /// What this node keeps for itself: checkpoints, mining key, settings.
    Node,
    /// Nodes of the log tree over block headers.
    Tree,
    /// What each block that is not final changed, so that it can be taken back.
    Undo,
    /// Blocks beside the best chain.
    Branches,
    /// What is known of waiting records beside their place in the queue.
    Queue,
    /// What this hospital voted for on finality, and the votes it knows.
    Votes,
    /// Paths from this hospital's own records to the roots of blocks whose records were pruned.
    Paths,
    /// Access keys that wait to be picked up by their owners.
    Pickup,
    /// Failed attempts to use a key, by person and by what they tried.
    Attempts,
    /// The hash-chained log of what is told to nobody but this hospital.
    Audit,
}

impl Drawer {
    /// Every drawer.
    pub const ALL: &'static [Self] = &[
        Self::Slots,
        Self::Mail,
        Self::Idempotency,
        Self::Contacts,
        Self::Labels,
        Self::Node,
        Self::Tree,
        Self::Undo,
        Self::Branches,
        Self::Queue,
        Self::Votes,
        Self::Paths,
        Self::Pickup,
        Self::Attempts,
        Self::Audit,
    ];

    /// A stable number for storage.
    #[must_use]
    pub const fn code(self) -> u8 {
        match self {
            Self::Slots => 1,
            Self::Mail => 2,
            Self::Idempotency => 3,
            Self::Contacts => 4,
            Self::Labels => 5,
            Self::Node => 6,
            Self::Tree => 7,
            Self::Undo => 8,
            Self::Branches => 9,
            Self::Queue => 10,
            Self::Votes => 11,
            Self::Paths => 12,
            Self::Pickup => 13,
            Self::Attempts => 14,
            Self::Audit => 15,
        }
    }
}

/// How far a record has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// Durable here and waiting; `seq` is its place in the queue.
    Accepted {
        /// Place in the queue, ascending.
        seq: u64,
    },
    /// In a block of the chain.
    Mined {
        /// Height of the block.
        height: u64,
        /// Place within the block, from 0.
        index: u32,
    },
    /// It can no longer take effect.
    Refused {
        /// Why.
        code: VoidCode,
    },
}

/// A record as a store keeps it, with what it is looked up by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredRecord {
    /// Record id.
    pub id: RecordId,
    /// Kind.
    pub kind: Kind,
    /// Author.
    pub author: MemberId,
    /// The patient it concerns, if any.
    pub patient: Option<MemberId>,
    /// The report it concerns, if any.
    pub report: Option<ReportId>,
    /// The author's time.
    pub time: Timestamp,
    /// How far it has come.
    pub standing: Standing,
    /// The signed record, as in a block.
    pub bytes: Vec<u8>,
}

impl StoredRecord {
    /// Reads the signed record back.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when the bytes are no record or not the one with this id.
    pub fn signed(&self) -> Result<SignedRecord, StoreError> {
        read_signed(&self.id, &self.bytes)
    }
}

/// The signed record that is stored under an id, for stores that read nothing else of it.
///
/// # Errors
/// [`StoreError::Damaged`] when the bytes are no record or not the one with this id.
pub fn read_signed(id: &RecordId, bytes: &[u8]) -> Result<SignedRecord, StoreError> {
    match SignedRecord::decode(bytes) {
        Ok(signed) if signed.id() == *id => Ok(signed),
        Ok(other) => {
            Err(StoreError::Damaged(format!("record {} is stored under the id {id}", other.id(),)))
        }
        Err(error) => Err(StoreError::Damaged(format!("record {id}: {error}"))),
    }
}

/// Refuses a record of a block that was read as number `index` and is said to stand elsewhere.
///
/// # Errors
/// [`StoreError::Damaged`] unless `is_there`.
pub fn in_place(height: u64, index: usize, is_there: bool) -> Result<(), StoreError> {
    if is_there {
        Ok(())
    } else {
        let what = format!("block {height}: records are out of order at {index}");
        Err(StoreError::Damaged(what))
    }
}

/// A block as a store keeps it; its records are kept as [`StoredRecord`]s.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredBlock {
    /// Header and the miner's signature.
    pub signed: SignedHeader,
    /// Who mined it, where; none for the genesis block.
    pub descriptor: Option<Descriptor>,
    /// Height, from 0 for genesis.
    pub height: u64,
    /// Block id: the header's hash.
    pub id: BlockId,
    /// CID of the block's node in IPFS.
    pub node: Cid,
    /// How many records it has.
    pub records: u32,
    /// Median time of the last 11 blocks including this one: the time at which the records of the
    /// *next* block are judged.
    pub median_time: Timestamp,
    /// Work of the chain up to and including this block, 32 bytes big-endian.
    pub chain_work: crate::pow::Work,
}

/// What to look for among records; all that is set must match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RecordQuery {
    /// Only of this kind.
    pub kind: Option<Kind>,
    /// Only by this author.
    pub author: Option<MemberId>,
    /// Only concerning this patient.
    pub patient: Option<MemberId>,
    /// Only concerning this report.
    pub report: Option<ReportId>,
    /// Only those whose author's time is this or later.
    pub since: Option<Timestamp>,
    /// Only those whose author's time is before this.
    pub until: Option<Timestamp>,
    /// At most so many, oldest first; 0 stands for no limit.
    pub limit: usize,
    /// Leave out so many first.
    pub offset: usize,
}

impl RecordQuery {
    /// Whether a record is one that is looked for; limit and offset aside.
    #[must_use]
    pub fn matches(&self, record: &StoredRecord) -> bool {
        self.kind.is_none_or(|kind| record.kind == kind)
            && self.author.is_none_or(|author| record.author == author)
            && self.patient.is_none_or(|patient| record.patient == Some(patient))
            && self.report.is_none_or(|report| record.report == Some(report))
            && self.since.is_none_or(|since| record.time >= since)
            && self.until.is_none_or(|until| record.time < until)
    }
}

/// Key and value of a row.
pub type Row = (Vec<u8>, Vec<u8>);

/// A consistent look at a ledger.
pub trait View: StateRead {
    /// A local row.
    ///
    /// # Errors
    /// When the store fails; so for every method here.
    fn local(&self, drawer: Drawer, key: &[u8]) -> Result<Option<Vec<u8>>, StoreError>;

    /// Local rows whose key begins with `prefix` and is greater than `after`, in key order.
    ///
    /// # Errors
    /// When the store fails.
    fn local_scan(
        &self,
        drawer: Drawer,
        prefix: &[u8],
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<Row>, StoreError>;

    /// The newest block of the best chain; none before genesis is written.
    ///
    /// # Errors
    /// When the store fails.
    fn tip(&self) -> Result<Option<StoredBlock>, StoreError>;

    /// The id of the newest block.
    ///
    /// # Errors
    /// When the store fails.
    fn tip_id(&self) -> Result<Option<BlockId>, StoreError> {
        Ok(self.tip()?.map(|tip| tip.id))
    }

    /// The block at a height.
    ///
    /// # Errors
    /// When the store fails.
    fn block(&self, height: u64) -> Result<Option<StoredBlock>, StoreError>;

    /// The height of a block of the best chain.
    ///
    /// # Errors
    /// When the store fails.
    fn height_of(&self, id: &BlockId) -> Result<Option<u64>, StoreError>;

    /// A record, wherever it stands.
    ///
    /// # Errors
    /// When the store fails.
    fn record(&self, id: &RecordId) -> Result<Option<StoredRecord>, StoreError>;

    /// How far a record has come; `None` when it is not here.
    ///
    /// # Errors
    /// When the store fails.
    fn standing(&self, id: &RecordId) -> Result<Option<Standing>, StoreError> {
        Ok(self.record(id)?.map(|record| record.standing))
    }

    /// The records of a block, in their order.
    ///
    /// # Errors
    /// When the store fails.
    fn records_of(&self, height: u64) -> Result<Vec<StoredRecord>, StoreError>;

    /// The records of a block in their order, read back: as [`records_of`](Self::records_of), for whoever wants
    /// nothing else of them.
    ///
    /// # Errors
    /// When the store fails, and [`StoreError::Damaged`] when one is missing or cannot be read.
    fn signed_records_of(&self, height: u64) -> Result<Vec<SignedRecord>, StoreError> {
        let signed = |(index, record): (usize, StoredRecord)| {
            let place = u32::try_from(index).map(|index| Standing::Mined { height, index });
            in_place(height, index, place == Ok(record.standing))?;
            record.signed()
        };
        self.records_of(height)?.into_iter().enumerate().map(signed).collect()
    }

    /// Records that match: mined ones first in chain order, then those accepted in the order of the
    /// queue, then those refused in the order in which they first came here.
    ///
    /// # Errors
    /// When the store fails.
    fn find(&self, query: &RecordQuery) -> Result<Vec<StoredRecord>, StoreError>;

    /// Accepted records in the order of the queue, from the first.
    ///
    /// # Errors
    /// When the store fails.
    fn pending(&self, limit: usize) -> Result<Vec<StoredRecord>, StoreError>;

    /// Id and place of the last record of the queue.
    ///
    /// # Errors
    /// When the store fails.
    fn last_pending(&self) -> Result<Option<(u64, RecordId)>, StoreError>;

    /// How many records wait.
    ///
    /// # Errors
    /// When the store fails.
    fn count_pending(&self) -> Result<u64, StoreError>;
}

/// A unit of work: all of it becomes durable at [`Unit::commit`], or none of it. Reads within the
/// unit see its own writes. Dropping it without commit leaves the store as it was.
pub trait Unit: View {
    /// Sets or, with `None`, removes and overwrites a local row.
    ///
    /// # Errors
    /// When the store fails; so for every method here.
    fn set_local(
        &mut self,
        drawer: Drawer,
        key: &[u8],
        value: Option<&[u8]>,
    ) -> Result<(), StoreError>;

    /// Sets or removes an entry of the state.
    ///
    /// # Errors
    /// When the store fails.
    fn set_state(&mut self, key: &[u8], value: Option<&[u8]>) -> Result<(), StoreError>;

    /// Removes every entry of the state, before a replay.
    ///
    /// # Errors
    /// When the store fails.
    fn clear_state(&mut self) -> Result<(), StoreError>;

    /// Adds a record, or replaces the one with this id.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when another record stands in its place of queue or block.
    fn put_record(&mut self, record: &StoredRecord) -> Result<(), StoreError>;

    /// Changes how far a record has come.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when there is no such record, or another stands in that place.
    fn settle(&mut self, id: &RecordId, standing: Standing) -> Result<(), StoreError>;

    /// Removes a record and overwrites it, whatever its standing; nothing when it is not there.
    ///
    /// # Errors
    /// When the store fails.
    fn remove_record(&mut self, id: &RecordId) -> Result<(), StoreError>;

    /// Adds a block on top; its records are put separately.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when its height is not that of the tip plus one.
    fn append_block(&mut self, block: &StoredBlock) -> Result<(), StoreError>;

    /// Takes the newest block off; its records must have been settled otherwise before.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] when there is none, or a record is still said to be in it.
    fn remove_tip(&mut self) -> Result<(), StoreError>;

    /// Makes all of it durable: when this returns, it survives a power cut.
    ///
    /// # Errors
    /// When the store fails; then nothing of the unit took effect.
    fn commit(self: Box<Self>) -> Result<(), StoreError>;
}

/// A place that keeps one ledger. One unit of work at a time; views do not wait for it.
pub trait Store: Send + Sync {
    /// A look at what is committed now.
    ///
    /// # Errors
    /// When the store fails.
    fn view(&self) -> Result<Box<dyn View + '_>, StoreError>;

    /// Begins a unit of work, waiting for the one under way. A thread that has one must not begin
    /// another: it would wait for itself.
    ///
    /// # Errors
    /// [`StoreError::ReadOnly`], [`StoreError::Busy`], or when the store fails.
    fn unit(&self) -> Result<Box<dyn Unit + '_>, StoreError>;

    /// Units committed through this store since it was opened: as long as the number stays the same, so
    /// does what a new view shows, and it grows only once a new view shows the unit. Costs no more than
    /// reading a variable, so that a miner may ask at any time whether something came.
    fn commits(&self) -> u64;

    /// Looks for damage below what views show, such as broken pages of a file. May take as long as
    /// reading all of it.
    ///
    /// # Errors
    /// [`StoreError::Damaged`] with the first thing found, or when the store fails.
    fn check(&self) -> Result<(), StoreError> {
        Ok(())
    }
}
