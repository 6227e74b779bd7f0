//! The hospitals that vote.

use crate::checkpoint::quorum;
use crate::genesis::Genesis;
use crate::ids::{BlockId, ChainId, MemberId};
use crate::keys::VerifyingKey;
use std::collections::BTreeMap;

/// A set of hospitals with their mining keys, and the block that brought it into force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Members {
    chain: ChainId,
    set: BlockId,
    keys: BTreeMap<MemberId, Vec<VerifyingKey>>,
}

impl Members {
    /// The hospitals of `chain` since the block `set`: those in the state after it.
    #[must_use]
    pub fn new(
        chain: ChainId,
        set: BlockId,
        hospitals: impl IntoIterator<Item = (MemberId, Vec<VerifyingKey>)>,
    ) -> Self {
        Self { chain, set, keys: hospitals.into_iter().collect() }
    }

    /// The founders, who vote until a block changes the set.
    #[must_use]
    pub fn founders(chain: ChainId, genesis: &Genesis) -> Self {
        let set = BlockId::from_bytes(*chain.as_bytes());
        let hospital = |f: &crate::genesis::Founder| (f.identity.member_id(), vec![f.mining]);
        Self::new(chain, set, genesis.founders.iter().map(hospital))
    }

    /// The chain.
    #[must_use]
    pub const fn chain(&self) -> ChainId {
        self.chain
    }

    /// The block that brought this set into force.
    #[must_use]
    pub const fn set(&self) -> BlockId {
        self.set
    }

    /// Votes of how many hospitals decide: floor(2n/3) + 1.
    #[must_use]
    pub fn quorum(&self) -> usize {
        quorum(self.keys.len())
    }

    /// How many they are.
    #[must_use]
    pub fn size(&self) -> usize {
        self.keys.len()
    }

    /// Whether this hospital is one of them.
    #[must_use]
    pub fn contains(&self, hospital: &MemberId) -> bool {
        self.keys.contains_key(hospital)
    }

    /// The mining keys of one of them.
    #[must_use]
    pub fn keys(&self, hospital: &MemberId) -> Option<&[VerifyingKey]> {
        self.keys.get(hospital).map(Vec::as_slice)
    }

    /// Their ids, in order.
    pub fn ids(&self) -> impl Iterator<Item = &MemberId> {
        self.keys.keys()
    }
}
