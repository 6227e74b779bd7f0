//! A chain from a CAR: verified from genesis, and taken only where it goes on from what is here.

use super::{ImportError, ImportStep, ImportedChain};
use crate::create::follower;
use crate::files::Spool;
use crate::ledger::Ledger;
use crate::system::{Threads, os_rng};
use medledger_core::block::{self, Block};
use medledger_core::chain::{BlockError, Rules, block_at, tip};
use medledger_core::checkpoint::{Evidence, SignedNote};
use medledger_core::cid::{Cid, Codec};
use medledger_core::clock::{Clock, Timestamp};
use medledger_core::finality::{self, AcceptError, CompareError, Compared};
use medledger_core::follow;
use medledger_core::follow::FollowError;
use medledger_core::fork::{self, Deferral, Fault, Received};
use medledger_core::ids::ChainId;
use medledger_core::log_tree::{LogTree, MemoryNodes};
use medledger_core::pow::Header;
use medledger_core::registry::Kind;
use medledger_core::state::{BatchedSignatures, Signatures, State};
use medledger_core::store::{RecordQuery, Unit, View};
use medledger_ipfs::BlockRead;
use medledger_ipfs::car::{IndexedCar, Limits, ReadOptions, copy};
use std::io::Read;
use std::path::Path;

impl Ledger {
    /// Takes the blocks of a chain's CAR, as [`export_chain`](Self::export_chain) writes it, that go on
    /// from this ledger's newest block, or from a block below that is not final, if their branch is the
    /// better one: all of them or none. Each is judged by this ledger's own rules, with every signature.
    /// Records that lose their place by it wait again. Reports in the file whose records are on the chain come along.
    ///
    /// The file is kept in the folder meanwhile, for blocks stand in it newest first.
    ///
    /// # Errors
    /// See [`ImportError`]; a chain that parts from this ledger's is refused.
    pub fn import_chain(
        &self,
        input: impl Read,
        progress: &mut dyn FnMut(ImportStep),
    ) -> Result<ImportedChain, ImportError> {
        let file = ChainFile::open(input, self.folder(), progress)?;
        if file.rules.chain != self.chain() {
            let (found, expected) = (file.rules.chain, self.chain());
            return Err(ImportError::OtherChain { found, expected });
        }
        let mut unit = self.store().unit()?;
        let done = match file.append(unit.as_mut(), self.now(), progress) {
            Ok(done) => done,
            Err(error) => {
                drop(unit);
                self.keep_evidence_in(&file, &error)?;
                return Err(error);
            }
        };
        let reports = file.reports(unit.as_ref())?;
        // Ciphertext first, as with an upload: a record without its report would be worse than a
        // report without its record.
        for envelope in &reports {
            copy(&file.car, envelope, self.blocks(), Limits::FILES)?;
        }
        unit.commit()?;
        self.vote()?;
        Ok(done)
    }

    /// A file that was refused for its other history may prove that a hospital signed both: kept here.
    fn keep_evidence_in(&self, file: &ChainFile, error: &ImportError) -> Result<(), ImportError> {
        let other = matches!(
            error,
            ImportError::Forked { .. } | ImportError::Checkpoint(AcceptError::Root { .. })
        );
        if other && let Some(evidence) = file.evidence(self)? {
            self.keep_evidence(&evidence)?;
        }
        Ok(())
    }

    /// Makes a ledger in `folder`, which must not exist or be empty, that follows a chain: it holds
    /// the chain of a CAR, verified from genesis, and takes no records of its own. Later exports of
    /// that chain bring it up to date by [`import_chain`](Self::import_chain).
    ///
    /// `chain` is the chain's id, from someone you trust: it is what all else is checked against.
    ///
    /// # Errors
    /// See [`ImportError`]; then `folder` is as it was.
    #[cfg(feature = "sqlite")]
    pub fn follow(
        folder: impl AsRef<Path>,
        chain: &ChainId,
        input: impl Read,
        progress: &mut dyn FnMut(ImportStep),
    ) -> Result<(Self, ImportedChain), ImportError> {
        let folder = folder.as_ref();
        let make = |building: &Path| {
            let file = ChainFile::open(input, building, progress)?;
            if file.rules.chain != *chain {
                let (found, expected) = (file.rules.chain, *chain);
                return Err(ImportError::OtherChain { found, expected });
            }
            follower::make(building, |unit, blocks| {
                follow::found(unit, &file.rules, &file.genesis)?;
                follower::note(unit, &file.rules)?;
                let done = file.append(unit, crate::SystemClock.now(), progress)?;
                for envelope in file.reports(unit)? {
                    copy(&file.car, &envelope, blocks, Limits::FILES)?;
                }
                Ok(done)
            })
        };
        crate::create::in_new_folder(folder, make, |done| Ok((Self::open(folder)?, done)))
    }
}

/// A CAR whose first root is a block of a chain, down to its genesis.
pub(crate) struct ChainFile {
    pub(crate) car: IndexedCar<Spool>,
    /// Nodes from genesis to the newest block.
    nodes: Vec<Cid>,
    pub(crate) genesis: Header,
    pub(crate) rules: Rules,
}

impl ChainFile {
    /// Reads and verifies the file, and goes down from its first root to genesis. Judges no block but
    /// that one.
    pub(crate) fn open(
        input: impl Read,
        folder: &Path,
        progress: &mut dyn FnMut(ImportStep),
    ) -> Result<Self, ImportError> {
        let spool = Spool::of(input, folder)
            .map_err(|(path, source)| ImportError::Spool { path, source })?;
        let mut options = ReadOptions::default();
        options.limits = Limits::CHAIN;
        let mut read = |bytes| progress(ImportStep::Read { bytes });
        let car = IndexedCar::open(spool, options, &mut read)?;
        let mut nodes = Vec::new();
        let mut next = car.roots().first().copied();
        while let Some(node) = next {
            let bytes = get(&car, &node)?;
            next =
                block::parent_of(&bytes).map_err(|error| ImportError::NotABlock { node, error })?;
            nodes.push(node);
        }
        nodes.reverse();
        // A reader of the default kind demands a root.
        let node = nodes[0];
        let (genesis, configuration) = block::read_genesis_node(&get(&car, &node)?)
            .map_err(|error| ImportError::NotABlock { node, error })?;
        let rules = Rules::new(&genesis, configuration).map_err(ImportError::Genesis)?;
        let expected = rules.stored_genesis(&genesis).node;
        if expected != node {
            let error = follow::FollowError::Node { height: 0, expected, found: node };
            return Err(error.into());
        }
        Ok(Self { car, nodes, genesis, rules })
    }

    /// Puts what goes on from the newest block of `unit` on top of it, and keeps the checkpoint.
    pub(crate) fn append(
        &self,
        unit: &mut dyn Unit,
        now: Timestamp,
        progress: &mut dyn FnMut(ImportStep),
    ) -> Result<ImportedChain, ImportError> {
        let here = tip(unit)?.height;
        let newest = self.nodes.len() as u64 - 1;
        let common = self.common(unit, here.min(newest))?;
        let parts = common < here.min(newest);
        if parts && common < fork::final_height(unit, &self.rules)? {
            return Err(ImportError::Forked { height: common + 1 });
        }
        let mut records = 0;
        let (workers, mut rng) = (Threads::default(), os_rng());
        let mut signatures = BatchedSignatures::new(&workers, &mut rng);
        for height in common + 1..=newest {
            let node = self.nodes[height as usize];
            let block = self.block(&node)?;
            records += block.records.len() as u64;
            if parts {
                self.offer(unit, &block, &node, now, &mut signatures)?;
            } else if height > here {
                follow::append(unit, &self.rules, &block, &node, now, &mut signatures)?;
            }
            progress(ImportStep::Block { height, of: newest });
        }
        let tip = tip(unit)?;
        // The unit goes with the error: of a branch that is not the better one nothing stays.
        if parts && tip.node != self.nodes[newest as usize] {
            return Err(ImportError::Forked { height: common + 1 });
        }
        let removed = if parts { here - common } else { 0 };
        let finalized = self.checkpoint(unit)?;
        let blocks = tip.height + 1;
        // Alone, a hospital signs a checkpoint with each block: without it the end may be cut off.
        if finalized < blocks && finality::alone(unit, &self.rules)? {
            return Err(ImportError::NotFinal { finalized, blocks });
        }
        let reports = self.reports(unit)?.len() as u64;
        Ok(ImportedChain {
            chain: self.rules.chain,
            height: tip.height,
            head: tip.id,
            added: tip.height - (here - removed),
            removed,
            records,
            finalized,
            reports,
        })
    }

    /// Height of the last block up to `height` that is the same here.
    fn common(&self, view: &dyn View, height: u64) -> Result<u64, ImportError> {
        let same = |height: u64| -> Result<bool, ImportError> {
            Ok(block_at(view, height)?.node == self.nodes[height as usize])
        };
        if same(height)? {
            return Ok(height);
        }
        // A node links its parent, so where one differs all above do: halve the distance.
        let (mut alike, mut differs) = (0, height);
        while alike + 1 < differs {
            let middle = alike + (differs - alike) / 2;
            if same(middle)? { alike = middle } else { differs = middle }
        }
        Ok(alike)
    }

    /// Takes a block of a branch that parts from the chain here.
    fn offer(
        &self,
        unit: &mut dyn Unit,
        block: &Block,
        node: &Cid,
        now: Timestamp,
        signatures: &mut dyn Signatures,
    ) -> Result<(), ImportError> {
        let height = block.descriptor.height;
        let rule = |error: BlockError| ImportError::Follow(FollowError::Rule { height, error });
        match fork::receive(unit, &self.rules, block, node, now, signatures)? {
            Received::Refused(Fault::Rule(error)) => Err(rule(error)),
            Received::Refused(Fault::Node { expected, found }) => {
                Err(FollowError::Node { height, expected, found }.into())
            }
            Received::Deferred(Deferral::TooEarly(error)) => Err(rule(error.into())),
            Received::Deferred(Deferral::UnknownMiner(miner)) => {
                Err(rule(BlockError::NotAHospital(miner)))
            }
            Received::Known | Received::Best(_) | Received::Beside => Ok(()),
            _ => Err(ImportError::Forked { height }),
        }
    }

    fn block(&self, node: &Cid) -> Result<Block, ImportError> {
        let bytes = get(&self.car, node)?;
        let mut failed = None;
        let page = |cid: &Cid| match self.car.get(cid) {
            Ok(page) => page.map(|page| page.to_vec()),
            Err(error) => {
                failed = Some(error);
                None
            }
        };
        let block = Block::from_nodes(&bytes, page);
        if let Some(error) = failed {
            return Err(error.into());
        }
        block.map_err(|error| ImportError::NotABlock { node: *node, error })
    }

    /// Keeps the checkpoints in the file, if there are any; blocks that are final then. Those that end a set of hospitals
    /// come before those by the hospitals after it.
    fn checkpoint(&self, unit: &mut dyn Unit) -> Result<u64, ImportError> {
        for root in &self.car.roots()[1..] {
            if root.codec() == Codec::Raw {
                finality::accept(unit, &self.rules, &get(&self.car, root)?)?;
            }
        }
        Ok(finality::final_size(unit, &self.rules)?)
    }

    /// What the checkpoint in the file proves together with the newest one of `ledger`.
    fn evidence(&self, ledger: &Ledger) -> Result<Option<Evidence>, ImportError> {
        let notes = self.car.roots()[1..].iter().filter(|root| root.codec() == Codec::Raw);
        let Some(own) = ledger.checkpoint()? else { return Ok(None) };
        for root in notes {
            let bytes = get(&self.car, root)?;
            match ledger.compare_checkpoint(&bytes) {
                Ok(Compared::Conflict { evidence: Some(evidence), .. }) => {
                    return Ok(Some(evidence));
                }
                Ok(Compared::Consistent { .. }) | Err(CompareError::Checkpoint(_)) => continue,
                Err(CompareError::Store(error)) => return Err(error.into()),
                // Theirs is the longer one: what it has at our size stands in their blocks.
                _ => {}
            }
            let Ok(note) = SignedNote::from_bytes(&bytes) else { continue };
            let mut nodes = MemoryNodes::default();
            for (height, node) in (0..).zip(&self.nodes) {
                let id =
                    if height == 0 { self.genesis.id() } else { self.block(node)?.header.id() };
                // Every node below is there: they were appended one by one.
                if let Ok(new) = LogTree::new(&nodes).append(height, &id) {
                    nodes.extend(new);
                }
            }
            let keys = finality::all_cosigners(ledger.view()?.as_ref(), &self.rules)?;
            let tree = LogTree::new(&nodes);
            let found = Evidence::between(&note, &own, tree, &self.rules.chain, &keys);
            if let Ok(Some(evidence)) = found {
                return Ok(Some(evidence));
            }
        }
        Ok(None)
    }

    /// The further roots: each is the envelope of a report on the chain, or refused.
    pub(crate) fn reports(&self, view: &dyn View) -> Result<Vec<Cid>, ImportError> {
        let roots = &self.car.roots()[1..];
        let roots: Vec<Cid> = roots.iter().filter(|r| r.codec() != Codec::Raw).copied().collect();
        if roots.is_empty() {
            return Ok(roots);
        }
        let query = RecordQuery { kind: Some(Kind::AddReport), ..RecordQuery::default() };
        let state = State::new(view);
        let mut envelopes = std::collections::BTreeSet::new();
        for record in view.find(&query)? {
            if let Some(report) = record.report
                && let Some(entry) = state.report(&report)?
            {
                envelopes.insert(entry.envelope);
            }
        }
        match roots.iter().find(|root| !envelopes.contains(root)) {
            Some(root) => Err(ImportError::UnknownReport { root: *root }),
            None => Ok(roots),
        }
    }
}

/// A block of a CAR that is known to be complete.
fn get(car: &IndexedCar<Spool>, cid: &Cid) -> Result<Vec<u8>, ImportError> {
    let block = car.get(cid)?;
    let missing = || medledger_ipfs::car::DagFault::Missing { cid: *cid };
    Ok(block.ok_or_else(|| ImportError::Car(missing().into()))?.to_vec())
}
