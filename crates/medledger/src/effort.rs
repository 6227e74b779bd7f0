//! What a call costs, counted and not timed: look-ups in the store and work with keys.
//!
//! A call that is refused is topped up to a multiple of fixed numbers before it answers, so that what it
//! looked up on the way tells nothing about why it was refused. Times are not made equal: the disk and its
//! caches see to that they never are.

use crate::approve::Key;
use crate::ledger::Ledger;
use medledger_core::Cid;
use medledger_core::cid::Codec;
use medledger_core::identity::Identity;
use medledger_core::ids::{BlockId, GrantId, RecordId, ReportId};
use medledger_core::record::SignedRecord;
use medledger_core::slot::{Slot, SlotContext, SlotRole, SlotSuite};
use medledger_core::state::{Known, StateRead};
use medledger_core::store::{
    Drawer, RecordQuery, Row, Standing, Store, StoreError, StoredBlock, StoredRecord, Unit, View,
};
use medledger_core::token::Token;
use std::cell::Cell;

/// Work done on one thread.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Effort {
    /// Questions put to the store.
    pub lookups: u32,
    /// Local rows opened with the node key.
    pub unseals: u32,
    /// Tokens derived and compared.
    pub tokens: u32,
    /// Slots that were tried to be unwrapped.
    pub unwraps: u32,
    /// Records signed.
    pub signatures: u32,
    /// Signatures of who asks that were checked.
    pub checks: u32,
}

/// What a refused call is topped up to a multiple of.
const STEP: Effort =
    Effort { lookups: 64, unseals: 64, tokens: 8, unwraps: 4, signatures: 1, checks: 1 };

thread_local! {
    static SPENT: Cell<Effort> = const {
        Cell::new(Effort {
            lookups: 0,
            unseals: 0,
            tokens: 0,
            unwraps: 0,
            signatures: 0,
            checks: 0,
        })
    };
}

/// Runs `call` and counts what it did on this thread.
pub fn counted<T>(call: impl FnOnce() -> T) -> (T, Effort) {
    let before = spent();
    let value = call();
    (value, since(before))
}

pub(crate) fn spent() -> Effort {
    SPENT.get()
}

fn since(before: Effort) -> Effort {
    let now = spent();
    Effort {
        lookups: now.lookups.wrapping_sub(before.lookups),
        unseals: now.unseals.wrapping_sub(before.unseals),
        tokens: now.tokens.wrapping_sub(before.tokens),
        unwraps: now.unwraps.wrapping_sub(before.unwraps),
        signatures: now.signatures.wrapping_sub(before.signatures),
        checks: now.checks.wrapping_sub(before.checks),
    }
}

fn note(add: impl FnOnce(&mut Effort)) {
    let mut spent = SPENT.get();
    add(&mut spent);
    SPENT.set(spent);
}

fn look() {
    note(|spent| spent.lookups = spent.lookups.wrapping_add(1));
}

/// A local row is opened with the node key.
pub(crate) fn unseal() {
    note(|spent| spent.unseals = spent.unseals.wrapping_add(1));
}

/// A token is derived and compared.
pub(crate) fn token() {
    note(|spent| spent.tokens = spent.tokens.wrapping_add(1));
}

/// A slot is tried.
pub(crate) fn unwrap() {
    note(|spent| spent.unwraps = spent.unwraps.wrapping_add(1));
}

/// A record is signed.
pub(crate) fn sign() {
    note(|spent| spent.signatures = spent.signatures.wrapping_add(1));
}

/// A signature of who asks is checked.
pub(crate) fn check() {
    note(|spent| spent.checks = spent.checks.wrapping_add(1));
}

/// What was tried in a call, and is tried again where nothing can open.
#[derive(Clone, Copy)]
pub(crate) enum Tried<'a> {
    /// No key.
    Nothing,
    /// A member's key.
    Key(&'a Identity, &'a Key<'a>),
    /// A token.
    Token(&'a Token),
}

impl Ledger {
    /// Runs a call that no key is tried in; when it is refused, tops up its look-ups.
    pub(crate) fn evenly<T, E>(&self, call: impl FnOnce() -> Result<T, E>) -> Result<T, E>
    where
        E: From<StoreError>,
    {
        let before = spent();
        let result = call();
        if result.is_err() {
            self.top_up(before, Tried::Nothing)?;
        }
        result
    }

    /// Does as much again as is missing to the next multiple of [`STEP`]; keys are tried where nothing
    /// can open.
    pub(crate) fn top_up(&self, before: Effort, tried: Tried<'_>) -> Result<(), StoreError> {
        let done = since(before);
        let missing = |done: u32, step: u32| done.next_multiple_of(step).max(step) - done;
        let view = self.view()?;
        for _ in 0..missing(done.unseals, STEP.unseals) {
            // It opens under no key.
            let _ = self.node_key().unseal(Drawer::Attempts, &[], &[0; 96]);
        }
        let tokens = missing(done.tokens, STEP.tokens);
        match tried {
            Tried::Nothing => {}
            Tried::Token(shown) => (0..tokens).for_each(|_| self.compare_with_nothing(shown)),
            Tried::Key(identity, key) => {
                (0..tokens).for_each(|_| self.try_no_token(key));
                for _ in 0..missing(done.unwraps, STEP.unwraps) {
                    self.try_no_slot(identity, key);
                }
            }
        }
        for _ in 0..missing(done.lookups, STEP.lookups) {
            view.local(Drawer::Attempts, &[])?;
        }
        Ok(())
    }

    fn try_no_token(&self, key: &Key<'_>) {
        match key {
            Key::Access(key) => {
                self.compare_with_nothing(&Token::derive(key, &GrantId::from_bytes([0; 16])));
            }
            Key::Identity => token(),
        }
    }

    fn compare_with_nothing(&self, shown: &Token) {
        token();
        let grant = GrantId::from_bytes([0; 16]);
        let hash = medledger_core::ids::TokenHash::from_bytes([0; 32]);
        std::hint::black_box(shown.matches(&self.chain(), &grant, &hash));
    }

    fn try_no_slot(&self, identity: &Identity, key: &Key<'_>) {
        unwrap();
        let (suite, len) = match key {
            Key::Access(_) => (SlotSuite::AccessKey, 24),
            Key::Identity => (SlotSuite::HpkeX25519, 64),
        };
        let bytes = serde_bytes::ByteBuf::from(vec![9; len]);
        let slot = medledger_core::cbor::encode(&(suite.code(), bytes));
        let Ok(slot) = Slot::from_bytes(&slot) else { return };
        let context = SlotContext {
            chain: self.chain(),
            report: ReportId::from_bytes([0; 16]),
            version: 1,
            epoch: 1,
            role: SlotRole::Patient,
            grant: None,
            reader: identity.id(),
            envelope: Cid::from_digest(Codec::DagCbor, [0; 32]),
        };
        match key {
            Key::Access(key) => {
                let _ = slot.unwrap_with_access_key(key, &context);
            }
            Key::Identity => {
                let collection = identity.collection_key(&self.hospital(), 1);
                let _ = slot.unwrap_with(collection.secret_key(), &context);
            }
        }
    }
}

/// A store that counts what it is asked.
pub(crate) struct Counting(pub(crate) Box<dyn Store>);

impl Store for Counting {
    fn view(&self) -> Result<Box<dyn View + '_>, StoreError> {
        Ok(Box::new(Counted(self.0.view()?)))
    }

    fn unit(&self) -> Result<Box<dyn Unit + '_>, StoreError> {
        Ok(Box::new(Counted(self.0.unit()?)))
    }

    fn commits(&self) -> u64 {
        self.0.commits()
    }

    fn check(&self) -> Result<(), StoreError> {
        self.0.check()
    }
}

struct Counted<V: ?Sized>(Box<V>);

/// Methods that pass on what they are asked, and count it.
macro_rules! pass {
    ($(fn $name:ident(&self $(, $arg:ident: $type:ty)*) -> $result:ty;)*) => {
        $(fn $name(&self $(, $arg: $type)*) -> Result<$result, StoreError> {
            look();
            self.0.$name($($arg),*)
        })*
    };
    ($(fn $name:ident(&mut self $(, $arg:ident: $type:ty)*);)*) => {
        $(fn $name(&mut self $(, $arg: $type)*) -> Result<(), StoreError> {
            self.0.$name($($arg),*)
        })*
    };
}

impl<V: View + ?Sized> StateRead for Counted<V> {
    pass! {
        fn state(&self, key: &[u8]) -> Option<Vec<u8>>;
        fn state_scan(&self, prefix: &[u8], after: Option<&[u8]>, limit: usize) -> Vec<Row>;
    }

    fn known(&self) -> Option<&Known> {
        self.0.known()
    }
}

impl<V: View + ?Sized> View for Counted<V> {
    pass! {
        fn local(&self, drawer: Drawer, key: &[u8]) -> Option<Vec<u8>>;
        fn local_scan(&self, drawer: Drawer, prefix: &[u8], after: Option<&[u8]>, limit: usize)
            -> Vec<Row>;
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
}

impl Unit for Counted<dyn Unit + '_> {
    pass! {
        fn set_local(&mut self, drawer: Drawer, key: &[u8], value: Option<&[u8]>);
        fn set_state(&mut self, key: &[u8], value: Option<&[u8]>);
        fn clear_state(&mut self);
        fn put_record(&mut self, record: &StoredRecord);
        fn settle(&mut self, id: &RecordId, standing: Standing);
        fn remove_record(&mut self, id: &RecordId);
        fn append_block(&mut self, block: &StoredBlock);
        fn remove_tip(&mut self);
    }

    fn commit(self: Box<Self>) -> Result<(), StoreError> {
        self.0.commit()
    }
}
