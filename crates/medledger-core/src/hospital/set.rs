//! The hospitals in force, and how they become others.

use crate::cbor;
use crate::checkpoint::{NoteKey, quorum};
use crate::genesis::{Consensus, Genesis};
use crate::identity::{Identity, PublicIdentity};
use crate::ids::{BlockId, ChainId, MemberId, SetHash, sha256};
use crate::keys::VerifyingKey;
use crate::record::{Admit, Approval, HospitalChange};
use crate::registry::{FORMAT_VERSION, VoidCode, domain, limit};
use crate::vote::Members;
use serde::{Deserialize, Serialize};

/// The hospitals from one block on: who mines, votes and cosigns.
///
/// The first set is that of the founders. Each later one is the set before it and one change that a quorum of
/// that set approved. Its hash covers all sets before it, so an approval given to one of them counts for no
/// other, however alike they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HospitalSet {
    /// How many sets there were before it.
    pub number: u32,
    /// Height of the block that brought it into force.
    pub since: u64,
    /// Names it.
    pub hash: SetHash,
    /// Its hospitals with the keys they sign blocks, votes and checkpoints with, in ascending order of ids.
    hospitals: Vec<(MemberId, VerifyingKey)>,
}

impl HospitalSet {
    /// The set a chain begins with.
    #[must_use]
    pub fn founders(genesis: &Genesis) -> Self {
        let founders = genesis.founders.iter();
        let hospitals = founders.map(|f| (f.identity.member_id(), f.mining)).collect();
        Self::make(0, 0, &SetHash::from_bytes([0; 32]), hospitals)
    }

    fn make(
        number: u32,
        since: u64,
        before: &SetHash,
        mut hospitals: Vec<(MemberId, VerifyingKey)>,
    ) -> Self {
        hospitals.sort_by_key(|(id, _)| *id);
        let digest = sha256(&[domain::HOSPITAL_SET, before.as_bytes(), &cbor::encode(&hospitals)]);
        Self { number, since, hash: SetHash::from_bytes(digest), hospitals }
    }

    /// How many hospitals it has; never none.
    #[must_use]
    #[expect(clippy::len_without_is_empty, reason = "no set is empty")]
    pub const fn len(&self) -> usize {
        self.hospitals.len()
    }

    /// How many of them decide together: floor(2n/3) + 1.
    #[must_use]
    pub const fn quorum(&self) -> usize {
        quorum(self.hospitals.len())
    }

    /// Their ids, ascending.
    pub fn ids(&self) -> impl ExactSizeIterator<Item = MemberId> + '_ {
        self.hospitals.iter().map(|(id, _)| *id)
    }

    /// The mining key of one of them.
    #[must_use]
    pub fn mining_key(&self, hospital: &MemberId) -> Option<&VerifyingKey> {
        let at = self.hospitals.binary_search_by_key(hospital, |(id, _)| *id).ok()?;
        Some(&self.hospitals[at].1)
    }

    /// Whether this hospital is one of them.
    #[must_use]
    pub fn contains(&self, hospital: &MemberId) -> bool {
        self.mining_key(hospital).is_some()
    }

    /// Their ids with their mining keys, ascending.
    #[must_use]
    pub fn hospitals(&self) -> &[(MemberId, VerifyingKey)] {
        &self.hospitals
    }

    /// The keys that count for a quorum of cosignatures, each under its hospital's id.
    #[must_use]
    pub fn cosigners(&self) -> Vec<NoteKey> {
        let key = |(id, key): &(MemberId, VerifyingKey)| {
            NoteKey::cosigner(id.to_string(), *key.as_bytes()).ok()
        };
        self.hospitals.iter().filter_map(key).collect()
    }

    /// The hospitals as voters; `block` is the one that brought the set into force.
    #[must_use]
    pub fn voters(&self, chain: ChainId, block: BlockId) -> Members {
        Members::new(chain, block, self.hospitals.iter().map(|(id, key)| (*id, vec![*key])))
    }

    /// Approves a change of this set, as one of its hospitals.
    #[must_use]
    pub fn approve(&self, chain: &ChainId, change: &HospitalChange, by: &Identity) -> Approval {
        let signature = by.sign(domain::HOSPITAL_CHANGE, &message(chain, &self.hash, change));
        Approval { hospital: by.id(), signature }
    }

    /// Whether an approval of a change of this set is that of one of its hospitals, whose identity this is.
    #[must_use]
    pub fn is_approved(
        &self,
        chain: &ChainId,
        change: &HospitalChange,
        approval: &Approval,
        identity: &PublicIdentity,
    ) -> bool {
        let message = message(chain, &self.hash, change);
        self.contains(&approval.hospital)
            && identity.verify(domain::HOSPITAL_CHANGE, &message, &approval.signature).is_ok()
    }

    /// The set that comes of a change in a block at this height. Of the hospitals that approved, `identity` finds
    /// the identity.
    ///
    /// # Errors
    /// Why the change takes no effect: what is void as a record.
    pub fn changed<E: From<VoidCode>>(
        &self,
        genesis: &Genesis,
        chain: &ChainId,
        (author, admit): (&MemberId, &Admit),
        height: u64,
        mut identity: impl FnMut(&MemberId) -> Result<Option<PublicIdentity>, E>,
    ) -> Result<Self, E> {
        if genesis.consensus == Consensus::Log {
            return Err(VoidCode::OneWriter.into());
        }
        if !self.contains(author) {
            return Err(VoidCode::RoleNotAllowed.into());
        }
        // A checkpoint ends with each change: two in one block could not be told apart.
        if self.since == height {
            return Err(VoidCode::ChangedInBlock.into());
        }
        if admit.set != self.hash {
            return Err(VoidCode::OtherSet.into());
        }
        let next = self.next(genesis, chain, &admit.change, height)?;
        let mut before = None;
        for approval in &admit.approvals {
            let in_order = before.is_none_or(|before| before < approval.hospital);
            before = Some(approval.hospital);
            let known =
                in_order && approval.hospital != *author && self.contains(&approval.hospital);
            let signer = if known { identity(&approval.hospital)? } else { None };
            let counts =
                signer.is_some_and(|by| self.is_approved(chain, &admit.change, approval, &by));
            if !counts {
                return Err(VoidCode::WrongApproval.into());
            }
        }
        if admit.approvals.len() + 1 < self.quorum() {
            return Err(VoidCode::TooFewApprovals.into());
        }
        Ok(next)
    }

    /// The set after a change, if there can be such a set.
    fn next(
        &self,
        genesis: &Genesis,
        chain: &ChainId,
        change: &HospitalChange,
        height: u64,
    ) -> Result<Self, VoidCode> {
        let mut hospitals = self.hospitals.clone();
        hospitals.retain(|(id, _)| *id != change.hospital());
        match change {
            HospitalChange::Admit(application) => {
                application.check(Some(chain)).map_err(|_| VoidCode::NoPossession)?;
                let (id, mining) = (application.id(), application.hospital().mining);
                if self.mining_key(&id) == Some(&mining) {
                    return Err(VoidCode::AlreadyRegistered);
                }
                if hospitals.iter().any(|(_, key)| *key == mining) {
                    return Err(VoidCode::MiningKeyTaken);
                }
                hospitals.push((id, mining));
            }
            HospitalChange::Expel(hospital) if self.contains(hospital) => {}
            HospitalChange::Expel(_) => return Err(VoidCode::UnknownMember),
        }
        let diversity = genesis.diversity as usize;
        let least = if diversity == 0 { 1 } else { 4.max(diversity + 1) };
        if hospitals.len() < least || hospitals.len() > limit::HOSPITALS {
            return Err(VoidCode::HospitalCount);
        }
        let number = self.number.saturating_add(1);
        Ok(Self::make(number, height, &self.hash, hospitals))
    }
}

/// What an approval signs.
fn message(chain: &ChainId, set: &SetHash, change: &HospitalChange) -> Vec<u8> {
    cbor::encode(&(FORMAT_VERSION, chain, set, change))
}
