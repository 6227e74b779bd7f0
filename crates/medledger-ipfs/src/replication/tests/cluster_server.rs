//! A peer of an IPFS Cluster for tests, written from the REST interface of v1.1. It has no daemons: pins go from
//! `pin_queued` to `pinning` to `pinned` as they are looked at.

use super::played::{Part, Played};
use crate::http::test_server::{Answer, Request};
use medledger_core::Cid;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// `hospital:s3cret`, as it is sent.
const BASIC: &str = "Basic aG9zcGl0YWw6czNjcmV0";

/// A peer and its server.
pub(super) type ClusterServer = Played<State>;

/// What the peers share.
pub(super) struct State {
    pub(super) pins: BTreeMap<String, Pin>,
    /// Ids of peers, and of their daemons.
    pub(super) peers: Vec<(String, String)>,
    pub(super) looks: u32,
}

#[derive(Clone, Debug)]
pub(super) struct Pin {
    pub(super) name: String,
    min: i64,
    max: i64,
    pub(super) max_depth: i64,
    /// State with each peer that is to have it.
    pub(super) peers: BTreeMap<String, (&'static str, u32)>,
}

impl Played<State> {
    pub(super) fn start(peers: usize) -> Self {
        let peers = (0..peers).map(|i| (format!("12D3Peer{i}"), format!("12D3Ipfs{i}")));
        Self::play(State { pins: BTreeMap::new(), peers: peers.collect(), looks: 2 })
    }

    pub(super) fn url(&self) -> String {
        self.address()
    }

    /// As if someone had removed it elsewhere, or the shared state had been lost.
    pub(super) fn forget(&self, root: &Cid) {
        self.state().pins.remove(&root.to_string());
    }

    /// Sets the state of a pin with one of the peers that are to have it.
    pub(super) fn set(&self, root: &Cid, which: usize, status: &'static str) {
        let mut state = self.state();
        let pin = state.pins.get_mut(&root.to_string()).expect("a pin");
        *pin.peers.values_mut().nth(which).expect("a peer") = (status, 0);
    }
}

fn error(code: u16, message: &str) -> Answer {
    let body = json!({"code": code, "message": message});
    Answer::Whole(code, vec![], format!("{body}\n").into_bytes())
}

fn ok(body: &Value) -> Answer {
    Answer::ok(format!("{body}\n"))
}

/// A stream as the peers send it: the trailer is there without an error, too.
fn stream(items: Vec<Value>) -> Answer {
    if items.is_empty() {
        return Answer::status(204, "");
    }
    let lines = items.iter().map(|item| format!("{item}\n").into_bytes()).collect();
    Answer::Chunks(lines, vec![("X-Stream-Error".to_owned(), String::new())])
}

impl Part for State {
    fn answer(&mut self, request: &Request) -> Answer {
        if request.path() == "/health" {
            return Answer::status(204, "");
        }
        if request.header("authorization") != Some(BASIC) {
            return error(401, "unauthorized: access denied");
        }
        let parts: Vec<&str> = request.path().trim_start_matches('/').split('/').collect();
        let absent = || error(404, "pin is not part of the pinset");
        match (request.method.as_str(), &parts[..]) {
            ("GET", ["id"]) => ok(&self.peer(0)),
            ("GET", ["peers"]) => stream((0..self.peers.len()).map(|i| self.peer(i)).collect()),
            ("GET", ["allocations"]) => {
                stream(self.pins.iter().map(|(cid, pin)| pin.json(cid)).collect())
            }
            ("GET", ["allocations", cid]) => {
                self.pins.get(*cid).map_or_else(absent, |pin| ok(&pin.json(cid)))
            }
            ("GET", ["pins", cid]) => self.status(cid),
            ("POST", ["pins", cid]) => self.pin(cid, request),
            ("DELETE", ["pins", cid]) => {
                self.pins.remove(*cid).map_or_else(absent, |pin| ok(&pin.json(cid)))
            }
            ("POST", ["pins", cid, "recover"]) => {
                for (status, looks) in
                    self.pins.get_mut(*cid).into_iter().flat_map(|pin| pin.peers.values_mut())
                {
                    if matches!(*status, "pin_error" | "unexpectedly_unpinned") {
                        (*status, *looks) = ("pin_queued", 0);
                    }
                }
                self.status(cid)
            }
            _ => error(404, "not found"),
        }
    }
}

impl State {
    fn peer(&self, which: usize) -> Value {
        let (id, daemon) = &self.peers[which];
        json!({
            "id": id, "addresses": [], "cluster_peers": [], "version": "1.1.6", "commit": "",
            "error": "", "ipfs": {"id": daemon, "addresses": [], "error": ""}, "peername": "peer",
        })
    }

    fn pin(&mut self, cid: &str, request: &Request) -> Answer {
        if cid.parse::<Cid>().is_err() {
            return error(400, "error decoding Cid");
        }
        let number = |name| request.query(name).and_then(|n| n.parse::<i64>().ok()).unwrap_or(0);
        let (min, max) = (number("replication-min"), number("replication-max"));
        let have = self.peers.len() as i64;
        if min > have {
            return error(500, "not enough peers to allocate CID");
        }
        let wanted = if min == -1 { have } else { max.min(have) };
        let mut peers = self.pins.get(cid).map(|pin| pin.peers.clone()).unwrap_or_default();
        for (peer, _) in &self.peers {
            if (peers.len() as i64) < wanted {
                peers.entry(peer.clone()).or_insert(("pin_queued", 0));
            }
        }
        let name = request.query("name").unwrap_or_default().replace('+', " ");
        let pin = Pin { name, min, max, max_depth: -1, peers };
        let answer = ok(&pin.json(cid));
        self.pins.insert(cid.to_owned(), pin);
        answer
    }

    fn status(&mut self, cid: &str) -> Answer {
        let mut map = serde_json::Map::new();
        let looks_needed = self.looks;
        let pin = self.pins.get_mut(cid);
        let outside = if pin.is_some() { "remote" } else { "unpinned" };
        let mut states = pin.map(|pin| &mut pin.peers);
        for (id, daemon) in &self.peers {
            let status = match states.as_mut().and_then(|states| states.get_mut(id)) {
                Some((status, looks)) => {
                    let told = *status;
                    *looks += 1;
                    if matches!(told, "pin_queued" | "pinning") {
                        *status = if *looks >= looks_needed { "pinned" } else { "pinning" };
                    }
                    told
                }
                None => outside,
            };
            let error = if status == "pin_error" { "context deadline exceeded" } else { "" };
            let peer = json!({
                "peername": "peer", "ipfs_peer_id": daemon, "ipfs_peer_addresses": [], "status": status,
                "timestamp": "2026-11-01T00:00:00Z", "error": error, "attempt_count": 0,
                "priority_pin": false,
            });
            map.insert(id.clone(), peer);
        }
        let allocations: Vec<_> = states.iter().flat_map(|states| states.keys()).collect();
        ok(&json!({
            "cid": cid, "name": "", "allocations": allocations, "origins": [],
            "created": "2026-11-01T00:00:00Z", "metadata": null, "peer_map": map,
        }))
    }
}

impl Pin {
    fn json(&self, cid: &str) -> Value {
        let allocations: Vec<_> = self.peers.keys().collect();
        json!({
            "replication_factor_min": self.min, "replication_factor_max": self.max,
            "name": self.name, "mode": "recursive", "shard_size": 0, "user_allocations": null,
            "expire_at": "0001-01-01T00:00:00Z", "metadata": {}, "pin_update": null, "origins": null,
            "cid": cid, "type": "pin", "allocations": allocations, "max_depth": self.max_depth,
            "reference": null, "timestamp": "2026-11-01T00:00:00Z",
        })
    }
}
