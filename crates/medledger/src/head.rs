//! The last known head: kept outside the database, so that an older database put back in its place is noticed.
//!
//! A hospital that restored an old backup and mined on would sign a second history: other blocks, and alone also
//! other checkpoints, at heights for which others hold its receipts. So the newest block of each commit is noted in
//! the file `head` of the ledger's folder, and in one beside the node key where that lies elsewhere. Where the
//! database does not know the noted block, nothing is committed that does not bring it back.
//!
//! The file is written after the commit and not synced: it costs no flush. A power cut may leave an older head, which
//! protects a little less; it never leaves one that the database does not know.
//!
//! With the head stands what the hospital has bound itself to by its votes on finality, which may be newer than its
//! newest block. A database that knows of fewer votes is bound to those that are noted, in the first unit of work.

mod note;

pub use note::Head;
pub(crate) use note::{FILE, Note, read, write};

use medledger_core::chain::Rules;
use medledger_core::finality::ballots;
use medledger_core::ids::{BlockId, RecordId};
use medledger_core::record::SignedRecord;
use medledger_core::state::{Known, StateRead};
use medledger_core::store::{
    Drawer, RecordQuery, Row, Standing, Store, StoreError, StoredBlock, StoredRecord, Unit, View,
};
use medledger_core::vote::Pledge;
use note::io;
use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

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
    /// Votes noted that the store does not know of, until a unit has bound it to them.
    pledge: Mutex<Option<Pledge>>,
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
        let notes = collect(paths, |path| read(path))?;
        let noted = latest_pledge(&notes);
        let compare = || -> Result<_, StoreError> {
            let view = store.view()?;
            Ok((highest_unknown(view.as_ref(), rules, &notes)?, Note::of(view.as_ref())?))
        };
        let (lost, here) = match compare() {
            Ok(compared) => compared,
            // Damage is for `verify` to find, and for each call that meets it to tell.
            Err(StoreError::Damaged(_)) => (None, None),
            Err(error) => return Err(error),
        };
        let known = here.as_ref().and_then(|here| here.pledge.as_ref());
        let pledge = noted.filter(|noted| known.is_none_or(|known| noted.is_later(known)));
        if let (None, Some(mut here)) = (lost, here) {
            here.pledge = pledge.clone().or(here.pledge);
            let here = Some(here);
            for (path, _) in paths.iter().zip(&notes).filter(|(_, noted)| **noted != here) {
                here.iter().try_for_each(|here| write(path, here))?;
            }
        }
        let open = |path: &PathBuf| {
            let file = OpenOptions::new().write(true).create(true).truncate(false).open(path);
            file.map_err(io(format!("opening {}", path.display())))
        };
        let open = collect(paths, open)?;
        Ok(Self {
            store,
            rules: rules.clone(),
            lost: Mutex::new(lost),
            pledge: Mutex::new(pledge),
            files: Mutex::new(Files { open, written: 0 }),
            order: AtomicU64::new(0),
            told: AtomicBool::new(false),
        })
    }

    pub(crate) fn lost(&self) -> Option<Head> {
        *self.lost.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn note(&self, order: u64, note: &Note) {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        // Another unit was committed later and has noted its head before.
        if files.written > order {
            return;
        }
        files.written = order;
        for file in &mut files.open {
            let written =
                file.seek(SeekFrom::Start(0)).and_then(|_| file.write_all(&note.to_text()));
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
    notes: &[Option<Note>],
) -> Result<Option<Head>, StoreError> {
    let mut lost: Option<Head> = None;
    for Note { head, .. } in notes.iter().flatten() {
        if lost.is_none_or(|lost| head.height > lost.height) && !head.is_known(view, rules)? {
            lost = Some(*head);
        }
    }
    Ok(lost)
}

fn latest_pledge(notes: &[Option<Note>]) -> Option<Pledge> {
    notes.iter().flatten().filter_map(|note| note.pledge.clone()).reduce(Pledge::later)
}

/// Binds a store to the votes that are noted in these files, and gives what is to be noted of it now.
pub(crate) fn bind(unit: &mut dyn Unit, paths: &[PathBuf]) -> Result<Option<Note>, StoreError> {
    if let Some(noted) = latest_pledge(&collect(paths, |path| read(path))?) {
        ballots::bind(unit, &noted)?;
    }
    Note::of(unit)
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
        let mut unit = self.store.unit()?;
        let noted = self.pledge.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(noted) = &noted {
            ballots::bind(unit.as_mut(), noted)?;
        }
        Ok(Box::new(GuardedUnit { guard: self, unit, moved: noted.is_some() }))
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
    /// Whether the newest block changed, or votes were cast.
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
        fn set_state(&mut self, key: &[u8], value: Option<&[u8]>);
        fn clear_state(&mut self);
        fn put_record(&mut self, record: &StoredRecord);
        fn settle(&mut self, id: &RecordId, standing: Standing);
        fn remove_record(&mut self, id: &RecordId);
    }

    fn set_local(
        &mut self,
        drawer: Drawer,
        key: &[u8],
        value: Option<&[u8]>,
    ) -> Result<(), StoreError> {
        self.moved |= drawer == Drawer::Votes;
        self.unit.set_local(drawer, key, value)
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
            let note = Note::of(unit.as_ref())?;
            // Within the unit: no other one is under way.
            let order = guard.order.fetch_add(1, Ordering::Relaxed) + 1;
            unit.commit()?;
            *guard.pledge.lock().unwrap_or_else(PoisonError::into_inner) = None;
            if let Some(note) = note {
                guard.note(order, &note);
            }
        }
        if lost.is_some() {
            *guard.lost.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        Ok(())
    }
}
