//! A ledger in memory, and blocks for it made by hand.

use super::{HOSPITAL, NOW, World, id, mining_key};
use crate::block::{Block, Descriptor, sign_header};
use crate::chain::{Rules, tip};
use crate::clock::{FixedClock, Timestamp};
use crate::engine::{
    Engine, LogEngine, Mined, MiningKey, OrderError, OrderJob, PowEngine, SubmitError, Ticket,
};
use crate::finality;
use crate::fork::{self, Received};
use crate::genesis::{Consensus, Genesis};
use crate::ids::BlockRoot;
use crate::keys::{Signature, SigningKey};
use crate::memory::MemoryStore;
use crate::pow::{Header, Inline, Outcome, mine};
use crate::record::SignedRecord;
use crate::state::SignatureCheck;
use crate::store::{Store, StoredBlock, StoredRecord};
use std::sync::atomic::{AtomicBool, AtomicU64};

/// A hospital's ledger; the first one's, where nothing else is said.
pub(crate) struct Ledger {
    pub(crate) hospital: u8,
    pub(crate) store: MemoryStore,
    pub(crate) rules: Rules,
    pub(crate) engine: Box<dyn Engine>,
    pub(crate) clock: FixedClock,
}

impl Ledger {
    pub(crate) fn new(genesis: Genesis) -> Self {
        Self::of(genesis, HOSPITAL)
    }

    /// The ledger of the founder with this number.
    pub(crate) fn of(genesis: Genesis, hospital: u8) -> Self {
        let header = mined(Rules::genesis_header(&genesis, Timestamp::from_secs(NOW)));
        let rules = Rules::new(&header, genesis).unwrap();
        let store = MemoryStore::new();
        let key = || MiningKey { hospital: id(hospital), key: mining_key(hospital) };
        let mut unit = store.unit().unwrap();
        let stored = rules.stored_genesis(&header);
        unit.append_block(&stored).unwrap();
        for change in rules.genesis.state() {
            unit.set_state(&change.key, change.value.as_deref()).unwrap();
        }
        finality::extend_tree(unit.as_mut(), &stored).unwrap();
        unit.commit().unwrap();
        let engine: Box<dyn Engine> = match rules.genesis.consensus {
            Consensus::Log => Box::new(LogEngine::new(rules.clone(), Some(key()))),
            Consensus::Work(_) => Box::new(PowEngine::new(rules.clone(), Some(key()))),
        };
        Self {
            hospital,
            store,
            rules,
            engine,
            clock: FixedClock::new(Timestamp::from_secs(NOW + 1)),
        }
    }

    /// A world of this chain.
    pub(crate) fn world(&self) -> World {
        World::of(&self.rules.genesis, self.rules.chain)
    }

    pub(crate) fn submit(&self, records: &[SignedRecord]) -> Result<Vec<Ticket>, SubmitError> {
        let mut unit = self.store.unit()?;
        let tickets = self.engine.submit(unit.as_mut(), records)?;
        unit.commit()?;
        Ok(tickets)
    }

    /// Orders what waits into one block, and lets a second pass.
    pub(crate) fn order(&self) -> Mined {
        let mined = self.try_order().unwrap();
        self.clock.set(Timestamp::from_secs(u64::from(mined.block.header.time) + 1));
        mined
    }

    pub(crate) fn try_order(&self) -> Result<Mined, OrderError> {
        let (cancel, tried) = (AtomicBool::new(false), AtomicU64::new(0));
        let job = OrderJob {
            clock: &self.clock,
            workers: &Inline,
            cancel: &cancel,
            tried: &tried,
            empty: true,
        };
        self.engine.order(&self.store, &job).map(Option::unwrap)
    }

    /// Takes a block that came from another hospital.
    pub(crate) fn receive(&self, block: &Block) -> Received {
        let mut unit = self.store.unit().unwrap();
        let node = block.to_nodes().root.0;
        let now = Timestamp::from_secs(NOW + 100_000);
        let mut check = SignatureCheck::Now;
        let answer =
            fork::receive(unit.as_mut(), &self.rules, block, &node, now, &mut check).unwrap();
        unit.commit().unwrap();
        answer
    }

    /// Takes a checkpoint that came from another hospital.
    pub(crate) fn receive_checkpoint(
        &self,
        note: &str,
    ) -> Result<fork::Checkpointed, fork::CheckpointError> {
        let mut unit = self.store.unit().unwrap();
        let now = Timestamp::from_secs(NOW + 100_000);
        let mut check = SignatureCheck::Now;
        let answer =
            fork::receive_checkpoint(unit.as_mut(), &self.rules, note.as_bytes(), now, &mut check);
        unit.commit().unwrap();
        answer
    }

    /// Mines these records on top of the chain.
    pub(crate) fn mine(&self, records: Vec<SignedRecord>) -> Block {
        let block = self.draft(records).seal();
        assert!(matches!(self.receive(&block), Received::Best(_)));
        block
    }

    pub(crate) fn tip(&self) -> StoredBlock {
        tip(self.store.view().unwrap().as_ref()).unwrap()
    }

    pub(crate) fn stored(&self, record: &SignedRecord) -> StoredRecord {
        self.store.view().unwrap().record(&record.id()).unwrap().unwrap()
    }

    /// What the hospital would mine next, before the work.
    pub(crate) fn draft(&self, records: Vec<SignedRecord>) -> Draft {
        let tip = self.tip();
        Draft {
            header: Header {
                version: Header::VERSION,
                previous: tip.id,
                root: BlockRoot::from_bytes([0; 32]),
                time: tip.signed.header.time + 1,
                bits: self.rules.next_bits(self.store.view().unwrap().as_ref(), &tip).unwrap(),
                nonce: 0,
            },
            descriptor: Descriptor {
                chain: self.rules.chain,
                height: tip.height + 1,
                miner: id(self.hospital),
                parent: tip.node,
                extra_nonce: 0,
            },
            records,
            key: mining_key(self.hospital),
        }
    }
}

/// A block before its root, its work and its signature.
pub(crate) struct Draft {
    pub(crate) header: Header,
    pub(crate) descriptor: Descriptor,
    pub(crate) records: Vec<SignedRecord>,
    pub(crate) key: SigningKey,
}

impl Draft {
    /// Root, work and signature, all honest.
    pub(crate) fn seal(self) -> Block {
        let mut block = Block {
            header: self.header,
            signature: Signature::from_bytes([0; 64]),
            descriptor: self.descriptor,
            records: self.records,
        };
        block.header.root = block.root();
        block.header = mined(block.header);
        block.signature = sign_header(&self.key, &self.descriptor.chain, &block.id());
        block
    }
}

/// The header with work done, if its bits ask for any.
fn mined(header: Header) -> Header {
    if header.target().is_err() {
        return header;
    }
    let (cancel, tried) = (AtomicBool::new(false), AtomicU64::new(0));
    let Ok(Outcome::Found { header, .. }) =
        mine(&header, &mut |_| unreachable!("easy work"), &Inline, &cancel, &tried)
    else {
        unreachable!("easy work");
    };
    header
}
