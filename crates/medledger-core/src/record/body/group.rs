//! Groups of readers.

use crate::ids::{GroupId, LossHash, MemberId};
use crate::keys::HpkePublicKey;
use crate::registry::Role;
use serde::{Deserialize, Serialize};

/// A hospital makes a group of readers, or changes one. The author is the hospital; a new group's id is
/// [`GroupId::derive`](crate::ids::GroupId::derive) of author and nonce.
///
/// A group has a key for each epoch. Whoever joins is given the present one; when somebody leaves, the group
/// moves to the next epoch, and what is granted from then on is wrapped to that.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Group {
    /// The group that changes; none for a new one.
    pub group: Option<GroupId>,
    /// For a new group: everyone of this role at the author's hospital, now and later. Such a group has no
    /// list of members.
    pub role: Option<Role>,
    /// Epoch of the key: 1 for a new group, else the present one or the next.
    pub epoch: u32,
    /// Public half of the key of that epoch.
    pub key: HpkePublicKey,
    /// Who joins.
    pub add: Vec<MemberId>,
    /// Who leaves; this takes the next epoch.
    pub remove: Vec<MemberId>,
    /// For another key than before: the losses of keys among the members that the hospital had heard of when it wrapped
    /// this one, none if there were none. The state says whether there were others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub losses: Option<LossHash>,
}
