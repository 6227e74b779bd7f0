//! What a ledger keeps in a store that others use as well.

use medledger_core::Cid;
use medledger_ipfs::links::links_of;
use medledger_ipfs::store::{BlockRead, BlockStore, Pin, Reason, Session, StoreError, Sweep};
use medledger_ipfs::{Block, cid::Codec};
use std::collections::HashSet;

/// A store as far as it lies below some pins: what else is there belongs to others, and is neither looked at nor
/// counted. The pins are those that should be there, whether the store has them or not.
pub(crate) struct Part<'a> {
    pub(crate) store: &'a dyn BlockStore,
    pub(crate) pins: Vec<Pin>,
}

type Cids<'a> = Box<dyn Iterator<Item = Result<Cid, StoreError>> + 'a>;

impl BlockRead for Part<'_> {
    fn get(&self, cid: &Cid) -> Result<Option<Block>, StoreError> {
        self.store.get(cid)
    }

    fn get_many(&self, cids: &[Cid]) -> Result<Vec<Option<Block>>, StoreError> {
        self.store.get_many(cids)
    }

    fn has(&self, cid: &Cid) -> Result<bool, StoreError> {
        self.store.has(cid)
    }

    fn size(&self, cid: &Cid) -> Result<Option<u64>, StoreError> {
        self.store.size(cid)
    }
}

impl BlockStore for Part<'_> {
    fn begin(&self) -> Result<Box<dyn Session + '_>, StoreError> {
        self.store.begin()
    }

    fn delete(&self, cid: &Cid) -> Result<bool, StoreError> {
        self.store.delete(cid)
    }

    /// What lies below the pins and is there. Below what is damaged or missing nobody can see.
    fn list(&self) -> Result<Cids<'_>, StoreError> {
        let mut due: Vec<Cid> = self.pins.iter().map(|pin| pin.root).collect();
        let mut met: HashSet<[u8; 32]> = due.iter().map(|cid| *cid.digest()).collect();
        let mut there = Vec::new();
        while let Some(cid) = due.pop() {
            let node = cid.codec() != Codec::Raw;
            let links = match node.then(|| self.store.get(&cid)).transpose() {
                Ok(Some(Some(block))) => links_of(cid.codec(), &block).unwrap_or_default(),
                Ok(Some(None)) => continue,
                Ok(None) if !self.store.has(&cid)? => continue,
                Ok(None) | Err(StoreError::Damaged { .. }) => Vec::new(),
                Err(error) => return Err(error),
            };
            there.push(Ok(Cid::from_digest(Codec::Raw, *cid.digest())));
            due.extend(links.into_iter().filter(|cid| met.insert(*cid.digest())));
        }
        Ok(Box::new(there.into_iter()))
    }

    fn pinned(&self) -> Result<Vec<Pin>, StoreError> {
        Ok(self.pins.clone())
    }

    fn release(&self, root: &Cid, reason: &Reason) -> Result<bool, StoreError> {
        self.store.release(root, reason)
    }

    fn unpin(&self, root: &Cid) -> Result<bool, StoreError> {
        self.store.unpin(root)
    }

    fn sweep(&self) -> Result<Box<dyn Sweep + '_>, StoreError> {
        self.store.sweep()
    }
}
