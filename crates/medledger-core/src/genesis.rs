//! The genesis configuration: what the founders agreed on, fixed for ever by the chain's id.

use crate::cbor::{self, DecodeError};
use crate::identity::PublicIdentity;
use crate::ids::{BlockRoot, MemberId};
use crate::keys::{KeyError, VerifyingKey};
use crate::merkle;
use crate::pow::{Bits, Schedule, ScheduleError};
use crate::registry::{Custody, FORMAT_VERSION, Role, domain, limit};
use crate::state::{Change, MemberEntry, key};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// How the order of blocks is decided.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum Consensus {
    /// Proof of work: the chain with the most work, difficulty by this schedule.
    Work(Schedule),
    /// One writer signs blocks without work: the baseline that proof of work is compared with.
    Log,
}

/// A hospital that is there from the start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Founder {
    /// Its public identity.
    pub identity: PublicIdentity,
    /// The key it signs blocks and checkpoints with.
    pub mining: VerifyingKey,
}

/// Limits the founders chose, within those of the registry.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Limits {
    /// Records a block may have.
    pub block_records: u32,
    /// Bytes all records of a block may have together.
    pub block_bytes: u32,
    /// How far in the future a grant may end, in seconds.
    pub grant_seconds: u64,
}

impl Default for Limits {
    /// 4,096 records, 4 MiB, ten years.
    fn default() -> Self {
        Self {
            block_records: 4096,
            block_bytes: 4 * 1024 * 1024,
            grant_seconds: 10 * 366 * 24 * 60 * 60,
        }
    }
}

/// The configuration in the genesis block: leaf 0, and only leaf, of its tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Genesis {
    /// Format version.
    pub v: u16,
    /// How the order of blocks is decided.
    pub consensus: Consensus,
    /// Hospitals that are members from the start, at least one.
    pub founders: Vec<Founder>,
    /// Limits on blocks and grants.
    pub limits: Limits,
    /// How many blocks must lie between two of the same miner; 0 below four hospitals.
    pub diversity: u32,
}

/// A configuration no chain can start from.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum GenesisError {
    /// Not the canonical DAG-CBOR of a configuration.
    #[error("not a genesis configuration: {0}")]
    Malformed(#[from] DecodeError),
    /// Written by a later version of the format.
    #[error(
        "genesis has format version {found}; this version reads {FORMAT_VERSION}: update needed"
    )]
    UnknownVersion {
        /// The version found.
        found: u16,
    },
    /// No founder, or the same one or the same mining key twice.
    #[error(
        "founders must be at least one, each only once and with a key of its own; found {found}"
    )]
    Founders {
        /// How many stand there.
        found: usize,
    },
    /// A single-writer log with several writers.
    #[error("a single-writer log has one founder; found {found}")]
    LogFounders {
        /// How many stand there.
        found: usize,
    },
    /// A mining key with which anyone could sign, or that has a second spelling.
    #[error("mining key of founder {index}: {error}")]
    MiningKey {
        /// Which founder, from 0.
        index: usize,
        /// What is wrong with the key.
        error: KeyError,
    },
    /// A limit of zero or beyond the registry's.
    #[error("limit {name} must be from 1 to {max}, found {found}")]
    Limit {
        /// Which one.
        name: &'static str,
        /// What was found.
        found: u64,
        /// The largest allowed.
        max: u64,
    },
    /// A diversity that would stop the chain.
    #[error(
        "diversity must be 0 with fewer than four hospitals and less than their number; found {found} with {hospitals}"
    )]
    Diversity {
        /// What was found.
        found: u32,
        /// How many founders there are.
        hospitals: usize,
    },
    /// A schedule that no chain can run by.
    #[error(transparent)]
    Schedule(#[from] ScheduleError),
}

impl Genesis {
    /// A chain of one hospital.
    #[must_use]
    pub fn single(founder: Founder, consensus: Consensus) -> Self {
        Self {
            v: FORMAT_VERSION,
            consensus,
            founders: vec![founder],
            limits: Limits::default(),
            diversity: 0,
        }
    }

    /// The canonical bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        cbor::encode(self)
    }

    /// Reads and checks a configuration.
    ///
    /// # Errors
    /// See [`GenesisError`].
    pub fn decode(bytes: &[u8]) -> Result<Self, GenesisError> {
        if let Some(found) = cbor::check_version(bytes, limit::GENESIS_BYTES)? {
            return Err(GenesisError::UnknownVersion { found });
        }
        let genesis: Self = cbor::decode(bytes, limit::GENESIS_BYTES)?;
        genesis.check()?;
        Ok(genesis)
    }

    /// Checks what the types cannot.
    ///
    /// # Errors
    /// See [`GenesisError`].
    pub fn check(&self) -> Result<(), GenesisError> {
        if self.v != FORMAT_VERSION {
            return Err(GenesisError::UnknownVersion { found: self.v });
        }
        let hospitals = self.founders.len();
        let ids: BTreeSet<_> = self.founder_ids().collect();
        let keys: BTreeSet<_> = self.founders.iter().map(|f| *f.mining.as_bytes()).collect();
        if hospitals == 0 || ids.len() != hospitals || keys.len() != hospitals {
            return Err(GenesisError::Founders { found: hospitals });
        }
        for (index, founder) in self.founders.iter().enumerate() {
            let judged = founder.mining.check_for_member();
            judged.map_err(|error| GenesisError::MiningKey { index, error })?;
        }
        match &self.consensus {
            Consensus::Log if hospitals != 1 => {
                return Err(GenesisError::LogFounders { found: hospitals });
            }
            Consensus::Log => {}
            Consensus::Work(schedule) => schedule.check()?,
        }
        let Limits { block_records, block_bytes, grant_seconds } = self.limits;
        let limits = [
            ("block_records", u64::from(block_records), limit::BLOCK_RECORDS as u64),
            // May be less than a record: an engine does not accept what no block of its chain takes.
            ("block_bytes", u64::from(block_bytes), limit::BLOCK_BYTES as u64),
            ("grant_seconds", grant_seconds, u64::from(u32::MAX)),
        ];
        for (name, found, max) in limits {
            if found == 0 || found > max {
                return Err(GenesisError::Limit { name, found, max });
            }
        }
        let diverse = self.diversity as usize;
        if diverse != 0 && (hospitals < 4 || diverse >= hospitals) {
            return Err(GenesisError::Diversity { found: self.diversity, hospitals });
        }
        Ok(())
    }

    /// What the genesis block's header must have as root.
    #[must_use]
    pub fn root(&self) -> BlockRoot {
        let mut leaf = domain::GENESIS.to_vec();
        leaf.extend_from_slice(&self.encode());
        merkle::leaf_hash(&leaf).into()
    }

    /// The `bits` of the genesis header; zero where no work is done.
    #[must_use]
    pub fn first_bits(&self) -> Bits {
        match &self.consensus {
            Consensus::Work(schedule) => schedule.genesis_bits(),
            Consensus::Log => Bits::NO_WORK,
        }
    }

    /// Ids of the founders, in their order.
    pub fn founder_ids(&self) -> impl Iterator<Item = MemberId> {
        self.founders.iter().map(|founder| founder.identity.member_id())
    }

    /// The state the chain starts from.
    #[must_use]
    pub fn state(&self) -> Vec<Change> {
        let founders = self.founders.iter().map(|founder| {
            let id = founder.identity.member_id();
            let entry = MemberEntry {
                identity: founder.identity.clone(),
                role: Role::Hospital,
                hospital: id,
                custody: Custody::Own,
                mining: vec![founder.mining],
                height: 0,
                suspended: None,
                succession: None,
            };
            Change { key: key::member(&id), value: Some(cbor::encode(&entry)) }
        });
        let config = Change { key: key::GENESIS.into(), value: Some(self.encode()) };
        std::iter::once(config).chain(founders).collect()
    }
}

#[cfg(test)]
mod tests;
