//! Import: a report's blocks, or a chain, from a CAR file that nobody vouches for.

mod chain;

#[cfg(feature = "sqlite")]
pub(crate) use chain::ChainFile;

use crate::create::CreateError;
use crate::ledger::{Ledger, OpenError};
use medledger_core::block::BlockDecodeError;
use medledger_core::chain::BlockError;
use medledger_core::cid::Cid;
use medledger_core::finality::AcceptError;
use medledger_core::follow::FollowError;
use medledger_core::ids::{BlockId, ChainId, ReportId};
use medledger_core::registry::Kind;
use medledger_core::state::State;
use medledger_core::store::{RecordQuery, StoreError};
use medledger_ipfs::car::{self, CarError, CarReader, CopyError};
use medledger_ipfs::store::StoreError as BlockStoreError;
use std::io::Read;

/// What importing a report brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportedReports {
    /// The reports whose blocks are now whole here.
    pub reports: Vec<ReportId>,
    /// IPFS blocks that came, new or not.
    pub blocks: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// What importing a chain brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportedChain {
    /// The chain.
    pub chain: ChainId,
    /// Height of the newest block, now.
    pub height: u64,
    /// Its id.
    pub head: BlockId,
    /// Blocks added; 0 when all were here.
    pub added: u64,
    /// Blocks of another branch that were taken off for them.
    pub removed: u64,
    /// Records in the blocks added.
    pub records: u64,
    /// Blocks that are final, now.
    pub finalized: u64,
    /// Reports whose ciphertext came along.
    pub reports: u64,
}

/// Why nothing was imported: the ledger is as it was.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The file is no CAR, or not a whole one.
    #[error(transparent)]
    Car(#[from] CarError),
    /// A root is not the envelope of a report on this ledger.
    #[error("{root} is no report of this ledger")]
    UnknownReport {
        /// The root.
        root: Cid,
    },
    /// The first root is no block of a chain, or a block below it is none.
    #[error("node {node} is no block of a chain: {error}")]
    NotABlock {
        /// The node.
        node: Cid,
        /// What is wrong with it.
        error: BlockDecodeError,
    },
    /// The genesis block does not found a chain.
    #[error("the genesis block is not valid: {0}")]
    Genesis(BlockError),
    /// The file holds another chain.
    #[error("the file holds chain {found}, not {expected}")]
    OtherChain {
        /// The chain found.
        found: ChainId,
        /// The chain wanted.
        expected: ChainId,
    },
    /// The folder is that of a ledger already.
    #[error("{0} is a ledger of a chain already")]
    JoinedBefore(std::path::PathBuf),
    /// The hospital of the folder is none of the chain's.
    #[error("{hospital} is no hospital of chain {chain}")]
    NotAHospital {
        /// The hospital.
        hospital: medledger_core::ids::MemberId,
        /// The chain.
        chain: ChainId,
    },
    /// The file's chain and this ledger's part ways, below a final block or without the file's having more
    /// work.
    #[error(
        "the chain in the file differs from this ledger's from block {height} on, and is not the better one"
    )]
    Forked {
        /// Height of the first block that differs.
        height: u64,
    },
    /// A block breaks a rule of the chain.
    #[error(transparent)]
    Follow(#[from] FollowError),
    /// The checkpoint in the file is not one of this chain.
    #[error(transparent)]
    Checkpoint(#[from] AcceptError),
    /// The only hospital of the chain has not signed its newest blocks: they are not final.
    #[error(
        "only {finalized} of {blocks} blocks are final, of a chain of one hospital: its checkpoint is missing or old"
    )]
    NotFinal {
        /// Blocks a checkpoint covers.
        finalized: u64,
        /// Blocks in the file.
        blocks: u64,
    },
    /// Reports could not be taken from the file.
    #[error(transparent)]
    Copy(#[from] CopyError),
    /// The file could not be kept for a second reading.
    #[error("the file cannot be kept in {path}: {source}")]
    Spool {
        /// Where it was to be kept.
        path: std::path::PathBuf,
        /// What went wrong.
        source: std::io::Error,
    },
    /// The new folder could not be made.
    #[error(transparent)]
    Create(#[from] CreateError),
    /// The new folder could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The store of blocks failed.
    #[error(transparent)]
    Blocks(#[from] BlockStoreError),
    /// The ledger's store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<car::ImportError> for ImportError {
    fn from(error: car::ImportError) -> Self {
        match error {
            car::ImportError::Car(error) => Self::Car(error),
            car::ImportError::Store(error) => Self::Blocks(error),
            other => Self::Blocks(BlockStoreError::Backend {
                store: "the CAR".into(),
                source: other.into(),
            }),
        }
    }
}

/// How far an import is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ImportStep {
    /// So many bytes of the file are read and verified.
    Read {
        /// Bytes.
        bytes: u64,
    },
    /// A block was judged and taken.
    Block {
        /// Its height.
        height: u64,
        /// That of the newest block in the file.
        of: u64,
    },
}

impl Ledger {
    /// Puts the blocks of a report's CAR, as [`export_report`](Self::export_report) writes it, into this
    /// ledger: those that are missing come back, damaged ones are healed. Every block is verified, and
    /// only what the ledger names is taken.
    ///
    /// # Errors
    /// See [`ImportError`].
    pub fn import_report(
        &self,
        input: impl Read,
        progress: &mut dyn FnMut(ImportStep),
    ) -> Result<ImportedReports, ImportError> {
        let reader = CarReader::new(input)?;
        // Before a block is read: what nobody asked for costs nothing.
        let reports = self.reports_at(reader.roots())?;
        let mut read = |bytes| progress(ImportStep::Read { bytes });
        let imported = car::import(reader, self.blocks(), &mut read)?;
        Ok(ImportedReports { reports, blocks: imported.blocks, bytes: imported.bytes })
    }

    /// The reports with these envelopes, accepted ones included.
    fn reports_at(&self, roots: &[Cid]) -> Result<Vec<ReportId>, ImportError> {
        let view = self.view()?;
        let query = RecordQuery { kind: Some(Kind::AddReport), ..RecordQuery::default() };
        let records = view.find(&query)?;
        let mut envelopes = std::collections::BTreeMap::new();
        self.engine().with_pending(view.as_ref(), &mut |state| {
            for report in records.iter().filter_map(|record| record.report) {
                if let Some(entry) = State::new(state).report(&report)? {
                    envelopes.insert(entry.envelope, report);
                }
            }
            Ok(())
        })?;
        roots
            .iter()
            .map(|root| {
                envelopes.get(root).copied().ok_or(ImportError::UnknownReport { root: *root })
            })
            .collect()
    }
}
