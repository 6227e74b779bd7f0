//! A change of the hospitals on its way from one to the next, until a quorum has approved it.

use super::{ApplicationError, HospitalSet};
use crate::cbor::{self, DecodeError};
use crate::identity::{Identity, PublicIdentity};
use crate::ids::{ChainId, MemberId, SetHash};
use crate::record::{Admit, Approval, HospitalChange};
use crate::registry::{FORMAT_VERSION, limit};
use serde::{Deserialize, Serialize};

/// A proposal to admit or to expel a hospital, with the approvals it has so far: a file that hospitals hand on.
///
/// Who approves signs the change and the set of hospitals that is to change, not the name and not the others'
/// approvals.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Proposal {
    v: u16,
    /// The chain.
    pub chain: ChainId,
    /// The hospitals that decide.
    pub set: SetHash,
    /// What the hospital to be admitted calls itself. Nobody vouches for it; empty for an expulsion.
    pub name: String,
    /// What is to change.
    pub change: HospitalChange,
    /// Who has approved, in ascending order of ids.
    approvals: Vec<Approval>,
}

/// Why a proposal is none, or none for these hospitals.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ProposalError {
    /// Not the canonical DAG-CBOR of a proposal.
    #[error("not a proposal about hospitals: {0}")]
    Malformed(#[from] DecodeError),
    /// Written by another version of the format.
    #[error(
        "the proposal has format version {found}; this version reads {FORMAT_VERSION}: update needed"
    )]
    UnknownVersion {
        /// The version found.
        found: u16,
    },
    /// It is about the hospitals of another chain.
    #[error("the proposal is for chain {found}, not for {expected}")]
    OtherChain {
        /// The chain here.
        expected: ChainId,
        /// The chain of the proposal.
        found: ChainId,
    },
    /// The hospitals have changed since it was made.
    #[error("the hospitals have changed since the proposal was made: propose anew")]
    OtherSet,
    /// The hospital to be admitted has not shown that both its keys are its own.
    #[error(transparent)]
    Application(#[from] ApplicationError),
    /// The approval of this hospital is out of order, not signed by it, or not of these hospitals.
    #[error("the approval of {0} does not count")]
    Approval(MemberId),
    /// It is about something else than the one it is put together with.
    #[error("the two proposals are not about the same change")]
    Differs,
}

impl Proposal {
    /// A proposal that nobody has approved yet.
    ///
    /// # Errors
    /// [`ProposalError::Application`].
    pub fn new(
        chain: ChainId,
        set: &HospitalSet,
        name: String,
        change: HospitalChange,
    ) -> Result<Self, ProposalError> {
        if let HospitalChange::Admit(application) = &change {
            application.check(Some(&chain))?;
        }
        Ok(Self { v: FORMAT_VERSION, chain, set: set.hash, name, change, approvals: Vec::new() })
    }

    /// The canonical bytes.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        cbor::encode(self)
    }

    /// Reads the canonical bytes; checks no signature.
    ///
    /// # Errors
    /// [`ProposalError::Malformed`] and [`ProposalError::UnknownVersion`].
    pub fn decode(bytes: &[u8]) -> Result<Self, ProposalError> {
        if let Some(found) = cbor::check_version(bytes, limit::PROPOSAL_BYTES)? {
            return Err(ProposalError::UnknownVersion { found });
        }
        Ok(cbor::decode(bytes, limit::PROPOSAL_BYTES)?)
    }

    /// Who has approved.
    pub fn approved(&self) -> impl ExactSizeIterator<Item = MemberId> + '_ {
        self.approvals.iter().map(|approval| approval.hospital)
    }

    /// Whether it is about these hospitals, and every approval in it counts. Of one of them, `identity` finds the
    /// identity.
    ///
    /// # Errors
    /// See [`ProposalError`]: the first thing that does not hold.
    pub fn check<E: From<ProposalError>>(
        &self,
        chain: &ChainId,
        set: &HospitalSet,
        mut identity: impl FnMut(&MemberId) -> Result<Option<PublicIdentity>, E>,
    ) -> Result<(), E> {
        if self.chain != *chain {
            let (expected, found) = (*chain, self.chain);
            return Err(ProposalError::OtherChain { expected, found }.into());
        }
        if self.set != set.hash {
            return Err(ProposalError::OtherSet.into());
        }
        if let HospitalChange::Admit(application) = &self.change {
            application.check(Some(chain)).map_err(ProposalError::from)?;
        }
        let mut before = None;
        for approval in &self.approvals {
            let by = approval.hospital;
            let in_order = before.is_none_or(|before| before < by);
            before = Some(by);
            let signed = identity(&by)?
                .is_some_and(|key| set.is_approved(chain, &self.change, approval, &key));
            if !in_order || !signed {
                return Err(ProposalError::Approval(by).into());
            }
        }
        Ok(())
    }

    /// Adds the approval of a hospital, if it is not there yet. What it approves must have been
    /// [checked](Self::check).
    pub fn approve(&mut self, set: &HospitalSet, by: &Identity) {
        self.add(set.approve(&self.chain, &self.change, by));
    }

    /// Adds the approvals of another copy of the same proposal.
    ///
    /// # Errors
    /// [`ProposalError::Differs`].
    pub fn merge(&mut self, other: &Self) -> Result<(), ProposalError> {
        if (self.chain, self.set, &self.change) != (other.chain, other.set, &other.change) {
            return Err(ProposalError::Differs);
        }
        for approval in &other.approvals {
            self.add(*approval);
        }
        Ok(())
    }

    fn add(&mut self, approval: Approval) {
        let by = |known: &Approval| known.hospital;
        if let Err(at) = self.approvals.binary_search_by_key(&approval.hospital, by) {
            self.approvals.insert(at, approval);
        }
    }

    /// What a hospital states that submits it: its own approval is its signature under the record.
    #[must_use]
    pub fn into_record(self, author: &MemberId) -> Admit {
        let mut approvals = self.approvals;
        approvals.retain(|approval| approval.hospital != *author);
        Admit { set: self.set, change: self.change, approvals }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::genesis::Genesis;
    use crate::hospital::Application;
    use crate::testing::*;

    fn world() -> (ChainId, HospitalSet, HospitalChange) {
        let mut genesis = Genesis::single(founder(HOSPITAL), tiny_work());
        genesis.founders.push(founder(OTHER_HOSPITAL));
        let chain = ChainId::from_bytes([7; 32]);
        let new = Application::new(Some(chain), &member(11), &mining_key(11));
        (chain, HospitalSet::founders(&genesis), HospitalChange::from(new))
    }

    fn checked(
        proposal: &Proposal,
        chain: &ChainId,
        set: &HospitalSet,
    ) -> Result<(), ProposalError> {
        let founders = [HOSPITAL, OTHER_HOSPITAL].map(|number| member(number).public().clone());
        let identity =
            |id: &MemberId| Ok(founders.iter().find(|by| by.member_id() == *id).cloned());
        proposal.check::<ProposalError>(chain, set, identity)
    }

    #[test]
    fn copies_are_put_together_and_read_back() {
        let (chain, set, change) = world();
        let proposal = Proposal::new(chain, &set, "C".into(), change).unwrap();
        let (mut a, mut b) = (proposal.clone(), proposal);
        a.approve(&set, &member(HOSPITAL));
        a.approve(&set, &member(HOSPITAL));
        b.approve(&set, &member(OTHER_HOSPITAL));
        a.merge(&b).unwrap();
        assert_eq!(a.approved().len(), 2);
        assert_eq!(checked(&a, &chain, &set), Ok(()));
        assert_eq!(Proposal::decode(&a.encode()), Ok(a.clone()));
        let later = Proposal { v: 9, ..a.clone() };
        assert_eq!(
            Proposal::decode(&later.encode()),
            Err(ProposalError::UnknownVersion { found: 9 })
        );
        assert!(matches!(Proposal::decode(&a.encode()[..50]), Err(ProposalError::Malformed(_))));
        let other = Proposal { change: HospitalChange::Expel(id(HOSPITAL)), ..b };
        assert_eq!(a.merge(&other), Err(ProposalError::Differs));
        let record = a.into_record(&id(HOSPITAL));
        assert_eq!(record.approvals.len(), 1);
        assert_eq!(record.approvals[0].hospital, id(OTHER_HOSPITAL));
    }

    #[test]
    fn pitfall_30_a_proposal_is_for_one_set_on_one_chain_and_its_approvals_are_real() {
        let (chain, set, change) = world();
        let elsewhere = ChainId::from_bytes([8; 32]);
        let refused = Proposal::new(elsewhere, &set, String::new(), change.clone()).unwrap_err();
        assert!(matches!(refused, ProposalError::Application(_)), "{refused}");
        let mut good = Proposal::new(chain, &set, String::new(), change).unwrap();
        good.approve(&set, &member(HOSPITAL));
        good.approve(&set, &member(OTHER_HOSPITAL));
        let wrong = |edit: &dyn Fn(&mut Proposal)| {
            let mut proposal = good.clone();
            edit(&mut proposal);
            checked(&proposal, &chain, &set).unwrap_err()
        };
        let found = wrong(&|p| p.chain = elsewhere);
        assert_eq!(found, ProposalError::OtherChain { expected: chain, found: elsewhere });
        let found = wrong(&|p| p.set = SetHash::from_bytes([1; 32]));
        assert_eq!(found, ProposalError::OtherSet);
        for edit in [
            (&|p: &mut Proposal| p.approvals.reverse()) as &dyn Fn(&mut Proposal),
            &|p| p.approvals[1] = p.approvals[0],
            &|p| p.approvals[0].signature = p.approvals[1].signature,
            &|p| p.change = HospitalChange::Expel(id(HOSPITAL)),
            &|p| p.approve(&set, &member(DOCTOR)),
        ] {
            assert!(matches!(wrong(edit), ProposalError::Approval(_)));
        }
    }
}
