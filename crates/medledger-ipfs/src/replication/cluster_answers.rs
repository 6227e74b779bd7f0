//! What a peer of an IPFS Cluster says (v1.1, `api/types.go` of its sources). Fields not needed here are not looked
//! at.

use super::Standing;
use crate::http::shown;
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// A pin in the state that the peers share.
#[derive(Debug, Deserialize)]
pub(super) struct Allocation {
    pub(super) cid: String,
    #[serde(default)]
    pub(super) name: String,
    #[serde(rename = "type")]
    kind: String,
    /// -1: all that lies below the root, too.
    max_depth: i64,
    pub(super) replication_factor_min: i32,
    pub(super) replication_factor_max: i32,
}

impl Allocation {
    /// Whether it keeps all that lies below the root.
    pub(super) fn is_whole(&self) -> bool {
        self.kind == "pin" && self.max_depth == -1
    }
}

/// How a pin stands with each peer.
#[derive(Debug, Deserialize)]
pub(super) struct GlobalPin {
    pub(super) cid: String,
    #[serde(default)]
    allocations: Option<Vec<String>>,
    #[serde(default)]
    peer_map: Option<BTreeMap<String, PeerPin>>,
}

#[derive(Debug, Deserialize)]
struct PeerPin {
    #[serde(default)]
    peername: String,
    /// The daemon behind the peer.
    #[serde(default)]
    ipfs_peer_id: String,
    status: Status,
    #[serde(default)]
    error: String,
}

/// The states of a pin with one peer (`TrackerStatus`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Status {
    Undefined,
    ClusterError,
    PinError,
    UnpinError,
    Pinned,
    Pinning,
    Unpinning,
    Unpinned,
    Remote,
    PinQueued,
    UnpinQueued,
    Sharded,
    UnexpectedlyUnpinned,
    /// Of a later version; confirms nothing.
    #[serde(other)]
    Unknown,
}

impl Status {
    const fn text(self) -> &'static str {
        match self {
            Self::ClusterError => "the peer does not answer the cluster",
            Self::PinError => "pinning failed",
            Self::UnexpectedlyUnpinned => "the pin is gone",
            Self::Unpinning | Self::UnpinQueued | Self::UnpinError => "being removed",
            _ => "in a state not expected",
        }
    }
}

/// How a root stands that the shared state has.
///
/// Replicas are counted by the IPFS daemons that have the root: two peers of one daemon keep it once.
pub(super) fn standing(pin: &GlobalPin) -> Standing {
    let mut standing = Standing { known: true, ..Standing::default() };
    let mut details = Vec::new();
    let (mut pinned, mut waiting) = (BTreeSet::new(), BTreeSet::new());
    let allocated = pin.allocations.as_deref().unwrap_or_default();
    for (id, peer) in pin.peer_map.iter().flatten() {
        let daemon = if peer.ipfs_peer_id.is_empty() { id } else { &peer.ipfs_peer_id };
        match peer.status {
            Status::Pinned => drop(pinned.insert(daemon)),
            Status::Pinning | Status::PinQueued => drop(waiting.insert(daemon)),
            // Has not heard of it yet, and is to have it.
            Status::Unpinned if allocated.is_empty() || allocated.contains(id) => {
                waiting.insert(daemon);
            }
            Status::Unpinned | Status::Remote => continue,
            Status::UnexpectedlyUnpinned => standing.lost += 1,
            _ => standing.failed += 1,
        }
        if !peer.error.is_empty() || !is_fine(peer.status) {
            let name = if peer.peername.is_empty() { id } else { &peer.peername };
            let why = if peer.error.is_empty() { peer.status.text() } else { &peer.error };
            details.push(format!("{name}: {why}"));
        }
    }
    let count = |daemons: usize| u32::try_from(daemons).unwrap_or(u32::MAX);
    standing.pinned = count(pinned.len());
    standing.waiting = count(waiting.difference(&pinned).count());
    standing.detail = (!details.is_empty()).then(|| shown(&details.join("; ")));
    standing
}

const fn is_fine(status: Status) -> bool {
    matches!(
        status,
        Status::Pinned | Status::Pinning | Status::PinQueued | Status::Unpinned | Status::Remote
    )
}

/// A peer of a cluster, as the one that was asked sees it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct ClusterPeer {
    /// Its id.
    pub id: String,
    /// Its name.
    #[serde(default)]
    pub peername: String,
    /// Its version; empty of a peer that cannot be reached.
    #[serde(default)]
    pub version: String,
    /// Why it cannot be reached; empty otherwise.
    #[serde(default)]
    pub error: String,
    /// The IPFS daemon behind it.
    #[serde(default)]
    pub ipfs: ClusterDaemon,
}

/// The IPFS daemon behind a peer of a cluster.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct ClusterDaemon {
    /// Its id; empty if it is not known.
    #[serde(default)]
    pub id: String,
    /// Why it cannot be used; empty otherwise.
    #[serde(default)]
    pub error: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    fn of(allocations: serde_json::Value, peers: serde_json::Value) -> Standing {
        let pin = json!({"cid": "Qm", "allocations": allocations, "peer_map": peers, "name": "x"});
        standing(&serde_json::from_value(pin).unwrap())
    }

    fn peer(status: &str, daemon: &str) -> serde_json::Value {
        json!({"peername": "n", "ipfs_peer_id": daemon, "status": status, "error": "", "timestamp": "t"})
    }

    #[test]
    fn peers_that_report_pinned_count_and_no_others() {
        let found = of(
            json!(["a", "b", "c", "d"]),
            json!({
                "a": peer("pinned", "1"), "b": peer("pin_queued", "2"), "c": peer("pin_error", "3"),
                "d": peer("unexpectedly_unpinned", "4"), "e": peer("remote", "5"),
                "f": peer("cluster_error", "6"), "g": peer("something_new", "7"),
                "h": peer("sharded", "8"), "i": peer("unpinned", "9"),
            }),
        );
        let counts = (found.pinned, found.waiting, found.failed, found.lost);
        assert_eq!(counts, (1, 1, 4, 1), "{found:?}");
        assert!(found.detail.unwrap().contains("the pin is gone"));
    }

    #[test]
    fn two_peers_of_one_daemon_are_one_replica() {
        let peers =
            json!({"a": peer("pinned", "1"), "b": peer("pinned", "1"), "c": peer("pinning", "1")});
        assert_eq!(of(json!(["a", "b", "c"]), peers).pinned, 1);
        let peers = json!({"a": peer("pinned", ""), "b": peer("pinned", "")});
        assert_eq!(of(json!(null), peers).pinned, 2, "daemons that are not named");
    }

    #[test]
    fn a_peer_that_has_not_heard_of_its_pin_yet_is_waited_for() {
        let peers = json!({"a": peer("unpinned", "1"), "b": peer("unpinned", "2")});
        assert_eq!(of(json!(["a"]), peers.clone()).waiting, 1);
        assert_eq!(of(json!([]), peers).waiting, 2, "pinned everywhere");
        assert_eq!(of(json!([]), json!(null)), Standing { known: true, ..Standing::default() });
    }

    proptest! {
        /// Counted again without types.
        #[test]
        fn replicas_are_the_distinct_daemons_that_have_it(
            peers in proptest::collection::btree_map("[a-f]", ("pinned|pinning|remote|pin_error", "[1-3]"), 0..6)
        ) {
            let map: serde_json::Map<_, _> =
                peers.iter().map(|(id, (status, daemon))| (id.clone(), peer(status, daemon))).collect();
            let daemons: BTreeSet<_> =
                peers.values().filter(|(s, _)| s == "pinned").map(|(_, daemon)| daemon).collect();
            prop_assert_eq!(of(json!(null), map.into()).pinned as usize, daemons.len());
        }
    }
}
