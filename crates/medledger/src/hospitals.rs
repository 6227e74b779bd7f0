//! The hospitals of the chain, and how they admit and expel one another.

use crate::ledger::Ledger;
use crate::people::{Contact, set_contact};
use medledger_core::engine::SubmitError;
use medledger_core::finality;
use medledger_core::hospital::{HospitalCard, HospitalSet, Proposal, ProposalError};
use medledger_core::identity::{Identity, PublicIdentity};
use medledger_core::ids::{MemberId, RecordId};
use medledger_core::record::HospitalChange;
use medledger_core::state::State;
use medledger_core::store::{StoreError, View};
use std::collections::BTreeMap;

/// The hospitals of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hospitals {
    /// Those after the newest block: they mine and register members.
    pub set: HospitalSet,
    /// Those who make that block final: the same, or those before a change that is not final yet.
    pub deciding: HospitalSet,
    /// Those that were expelled and did not come back, by their ids, with the height of the block that did it last.
    pub expelled: Vec<(MemberId, u64)>,
}

/// How far a proposal has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Approvals {
    /// Who has approved it.
    pub approved: Vec<MemberId>,
    /// How many have to, whoever submits it included.
    pub needed: usize,
}

/// Why a change of the hospitals was not proposed, approved or accepted.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HospitalChangeError {
    /// Only a hospital of the chain approves or submits.
    #[error("{0} is no hospital of this chain now")]
    NotAHospital(MemberId),
    /// The proposal is none, or none for these hospitals, or an approval in it does not count.
    #[error(transparent)]
    Proposal(#[from] ProposalError),
    /// Too few have approved.
    #[error("{found} of the hospitals approve, {needed} have to")]
    TooFew {
        /// Hospitals that have, with the one that submits.
        found: usize,
        /// Hospitals needed.
        needed: usize,
    },
    /// The chain refuses the record, or a store failed while it was judged.
    #[error(transparent)]
    Submit(#[from] SubmitError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl Ledger {
    /// The hospitals of the chain.
    ///
    /// # Errors
    /// When the store fails.
    pub fn hospitals(&self) -> Result<Hospitals, StoreError> {
        let view = self.view()?;
        let top = finality::final_size(view.as_ref(), self.rules())?.saturating_sub(1);
        let state = State::new(view.as_ref());
        let genesis = &self.rules().genesis;
        let (set, deciding) = (state.hospitals(genesis)?, state.hospitals_at(genesis, top)?);
        let mut before = HospitalSet::founders(genesis);
        let mut expelled = BTreeMap::new();
        for after in state.hospital_changes()? {
            let gone = before.ids().filter(|id| !after.contains(id));
            expelled.extend(gone.map(|id| (id, after.since)));
            before = after;
        }
        expelled.retain(|id, _| !set.contains(id));
        Ok(Hospitals { set, deciding, expelled: expelled.into_iter().collect() })
    }

    /// Proposes to admit the hospital of a card that was made for this chain, and approves it. Hand the proposal to the
    /// other hospitals; when a quorum has [approved](Self::approve_proposal), one of them
    /// [submits](Self::submit_proposal) it.
    ///
    /// # Errors
    /// See [`HospitalChangeError`].
    pub fn propose_admission(
        &self,
        hospital: &Identity,
        card: &HospitalCard,
    ) -> Result<Proposal, HospitalChangeError> {
        let change = HospitalChange::from(card.application.clone());
        self.propose(hospital, card.name.clone(), change)
    }

    /// Proposes to expel a hospital, and approves it. From the block on in which that takes effect its keys sign
    /// nothing, nobody enrols there, and no report is added there; what was granted on reports there stays granted.
    ///
    /// # Errors
    /// See [`HospitalChangeError`].
    pub fn propose_expulsion(
        &self,
        hospital: &Identity,
        expelled: &MemberId,
    ) -> Result<Proposal, HospitalChangeError> {
        self.propose(hospital, String::new(), HospitalChange::Expel(*expelled))
    }

    fn propose(
        &self,
        hospital: &Identity,
        name: String,
        change: HospitalChange,
    ) -> Result<Proposal, HospitalChangeError> {
        let proposal = Proposal::new(self.chain(), &self.hospitals()?.set, name, change)?;
        self.approve_proposal(hospital, &proposal)
    }

    /// Who has approved a proposal, once all of it is checked.
    ///
    /// # Errors
    /// See [`HospitalChangeError`].
    pub fn check_proposal(&self, proposal: &Proposal) -> Result<Approvals, HospitalChangeError> {
        let view = self.view()?;
        let set = State::new(view.as_ref()).hospitals(&self.rules().genesis)?;
        check(view.as_ref(), proposal, &self.chain(), &set)?;
        Ok(Approvals { approved: proposal.approved().collect(), needed: set.quorum() })
    }

    /// The proposal with the approval of this hospital too. Nothing is written: the file is what counts.
    ///
    /// # Errors
    /// See [`HospitalChangeError`].
    pub fn approve_proposal(
        &self,
        hospital: &Identity,
        proposal: &Proposal,
    ) -> Result<Proposal, HospitalChangeError> {
        let view = self.view()?;
        let set = State::new(view.as_ref()).hospitals(&self.rules().genesis)?;
        if !set.contains(&hospital.id()) {
            return Err(HospitalChangeError::NotAHospital(hospital.id()));
        }
        check(view.as_ref(), proposal, &self.chain(), &set)?;
        let mut approved = proposal.clone();
        approved.approve(&set, hospital);
        Ok(approved)
    }

    /// Puts a proposal that a quorum has approved on the ledger, as a hospital of the chain: to submit it is to approve
    /// it. The hospitals change with the block that has the record; they vote as the new set once that block is final.
    ///
    /// # Errors
    /// See [`HospitalChangeError`]; nothing is accepted then.
    pub fn submit_proposal(
        &self,
        hospital: &Identity,
        proposal: &Proposal,
    ) -> Result<RecordId, HospitalChangeError> {
        let proposal = self.approve_proposal(hospital, proposal)?;
        let Approvals { approved, needed } = self.check_proposal(&proposal)?;
        if approved.len() < needed {
            return Err(HospitalChangeError::TooFew { found: approved.len(), needed });
        }
        let (about, name) = (proposal.change.hospital(), proposal.name.clone());
        let record = self.sign(hospital, proposal.into_record(&hospital.id()));
        let id = record.id();
        self.accept(&[record], |unit| {
            if !name.is_empty() {
                set_contact(unit, self.node_key(), &about, &Contact::named(name))?;
            }
            Ok::<_, HospitalChangeError>(())
        })?;
        Ok(id)
    }
}

fn check(
    view: &dyn View,
    proposal: &Proposal,
    chain: &crate::ChainId,
    set: &HospitalSet,
) -> Result<(), HospitalChangeError> {
    proposal.check(chain, set, |id| -> Result<Option<PublicIdentity>, HospitalChangeError> {
        Ok(State::new(view).member(id)?.map(|entry| entry.identity))
    })
}
