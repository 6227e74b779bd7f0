//! A group of blocks on its way into the first store, and then into the second.

use super::{Debt, Mirror};
use crate::store::{BlockStore, Keep, Session, StoreError};
use medledger_core::Cid;

pub(super) struct MirrorSession<'a, A, B> {
    mirror: &'a Mirror<A, B>,
    session: Box<dyn Session + 'a>,
}

impl<'a, A, B> MirrorSession<'a, A, B> {
    pub(super) fn new(mirror: &'a Mirror<A, B>, session: Box<dyn Session + 'a>) -> Self {
        Self { mirror, session }
    }
}

impl<A: BlockStore, B: BlockStore> Session for MirrorSession<'_, A, B> {
    fn put(&self, cid: &Cid, block: &[u8]) -> Result<(), StoreError> {
        self.session.put(cid, block)
    }

    fn hold(&self, cid: &Cid) -> Result<bool, StoreError> {
        self.session.hold(cid)
    }

    fn finish(self: Box<Self>, pins: &[(Cid, Keep)]) -> Result<(), StoreError> {
        let Self { mirror, session } = *self;
        let debts: Vec<Debt> = pins.iter().map(|(root, _)| Debt::Copy(*root)).collect();
        // Noted first: what is kept here is owed there, whatever happens between.
        mirror.owed.add(&debts)?;
        session.finish(pins)?;
        mirror.follow();
        Ok(())
    }
}
