//! A branch beside the best chain, and who its hospitals are.

use super::branches::{self, Kept};
use super::view::BranchView;
use super::{final_height, on_best};
use crate::Cid;
use crate::block::{self, Block};
use crate::chain::{BlockError, Rules, tip};
use crate::clock::Timestamp;
use crate::hospital::HospitalSet;
use crate::identity::PublicIdentity;
use crate::ids::MemberId;
use crate::record::{Body, HospitalChange};
use crate::state::{ApplyError, State};
use crate::store::{StoreError, StoredBlock, View};
use std::collections::BTreeMap;

/// Blocks that part from the best chain, up to one that is known.
pub(super) struct Branch {
    /// Height of the last block on the best chain.
    pub(super) fork: u64,
    /// The blocks above it, in order.
    pub(super) blocks: Vec<Kept>,
}

impl Branch {
    /// The branch that ends in `node`; `None` when it hangs together nowhere, or only below a final block.
    pub(super) fn to(
        view: &dyn View,
        rules: &Rules,
        height: u64,
        node: &Cid,
    ) -> Result<Option<Self>, StoreError> {
        let finalized = final_height(view, rules)?;
        let (mut height, mut node) = (height, *node);
        let mut blocks = Vec::new();
        while on_best(view, height, &node)?.is_none() {
            match branches::get(view, &node)? {
                Some(kept) if !kept.orphan && height > finalized => {
                    (height, node) = (height - 1, kept.parent());
                    blocks.push(kept);
                }
                _ => return Ok(None),
            }
        }
        blocks.reverse();
        Ok((height >= finalized).then_some(Self { fork: height, blocks }))
    }

    fn view<'a>(&self, base: &'a dyn View) -> BranchView<'a> {
        let blocks = self.blocks.iter().map(|kept| kept.stored.clone()).collect();
        BranchView::of_headers(base, self.fork, blocks)
    }

    /// The hospitals after this branch. Of its records only those that change the hospitals are looked at: a block with
    /// another that takes no effect is found out when the branch is judged whole.
    fn hospitals(&self, view: &dyn View, rules: &Rules) -> Result<HospitalSet, StoreError> {
        let state = State::new(view);
        let mut set = state.hospitals_at(&rules.genesis, self.fork)?;
        let mut admitted: BTreeMap<MemberId, PublicIdentity> = BTreeMap::new();
        for kept in self.blocks.iter().filter(|kept| kept.changes_set) {
            let block = branches::body(view, &kept.stored.node)?;
            for record in &block.records {
                let (author, Body::Admit(admit)) = (&record.record().author, &record.record().body)
                else {
                    continue;
                };
                let identity = |id: &MemberId| match admitted.get(id) {
                    Some(identity) => Ok(Some(identity.clone())),
                    None => Ok(state.member(id)?.map(|entry| entry.identity)),
                };
                let height = kept.stored.height;
                let change = (author, admit);
                let next = set.changed(&rules.genesis, &rules.chain, change, height, identity);
                match next {
                    Ok(next) => set = next,
                    Err(ApplyError::Void(_)) => continue,
                    Err(ApplyError::Store(error)) => return Err(error),
                }
                if let HospitalChange::Admit(application) = &admit.change {
                    admitted.insert(application.id(), application.hospital().identity);
                }
            }
        }
        Ok(set)
    }

    /// Judges the header and the place of the block after this branch.
    pub(super) fn judge_header(
        &self,
        base: &dyn View,
        rules: &Rules,
        block: &Block,
        node: &Cid,
        now: Timestamp,
    ) -> Result<StoredBlock, BlockError> {
        let view = self.view(base);
        let parent = tip(&view)?;
        rules.check_header(&view, &parent, &block.header, now)?;
        rules.check_place(&parent, block)?;
        rules.check_turn(&view, &parent, &block.descriptor.miner)?;
        Ok(rules.stored(&view, &parent, block, *node)?)
    }
}

/// Whether a hospital signed a block that does not stand on the best chain's newest.
pub(super) enum Signer {
    /// One did, as far as it is known who they are.
    Known,
    /// Nobody who was ever known; perhaps it is a hospital on its branch.
    Unknown(MemberId),
    /// Nobody who may.
    Wrong(BlockError),
}

/// Looks for the miner among the hospitals of the branch below. Where that is not here, whoever was a hospital at any
/// time will do until it is.
pub(super) fn check_signer(
    view: &dyn View,
    rules: &Rules,
    block: &Block,
    below: Option<&Branch>,
) -> Result<Signer, StoreError> {
    let miner = block.descriptor.miner;
    let id = block.id();
    let signed = |set: &HospitalSet| {
        let key = set.mining_key(&miner);
        key.is_some_and(|key| {
            block::verify_header(key, &rules.chain, &id, &block.signature).is_ok()
        })
    };
    if let Some(below) = below {
        let set = below.hospitals(view, rules)?;
        return Ok(match signed(&set) {
            true => Signer::Known,
            false if set.contains(&miner) => Signer::Wrong(BlockError::Signature(miner)),
            false => Signer::Wrong(BlockError::NotAHospital(miner)),
        });
    }
    let mut sets = State::new(view).hospital_changes()?;
    sets.push(HospitalSet::founders(&rules.genesis));
    Ok(if sets.iter().any(signed) { Signer::Known } else { Signer::Unknown(miner) })
}
