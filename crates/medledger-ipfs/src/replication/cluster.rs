//! IPFS Cluster, by the REST interface of its peers (v1.1, port 9094).

use super::cluster_answers::{Allocation, ClusterPeer, GlobalPin, standing};
use super::wire::{Found, Wire};
use super::{Audience, BackendError, BackendName, Label, PinBackend, Standing};
use crate::http::{Endpoint, shown};
use medledger_core::Cid;
use reqwest::Method;

/// Bytes of an answer about one root; a thousand peers with their addresses have far fewer.
const MAX_ANSWER_BYTES: u64 = 4 << 20;
/// Bytes of one pin or peer in a stream.
const MAX_LINE_BYTES: usize = 1 << 20;
/// Peers that are listed at most.
const MAX_PEERS: usize = 10_000;

/// On how many peers of a cluster a root is to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spread {
    min: i32,
    max: i32,
}

/// Numbers of peers that a cluster cannot use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "a root is kept by at least {min} and at most {max} peers: at least 1, and no fewer at most than at least"
)]
pub struct SpreadError {
    min: u16,
    max: u16,
}

impl Spread {
    /// All peers, those of the future too.
    pub const EVERYWHERE: Self = Self { min: -1, max: -1 };

    /// As many peers as `max`, and no pin when fewer than `min` are to be had.
    ///
    /// # Errors
    /// When `min` is 0 or larger than `max`.
    pub const fn between(min: u16, max: u16) -> Result<Self, SpreadError> {
        if min == 0 || min > max {
            return Err(SpreadError { min, max });
        }
        Ok(Self { min: min as i32, max: max as i32 })
    }

    /// Whether a pin that was made with other numbers is as good as one with these.
    const fn is_met_by(self, pin: &Allocation) -> bool {
        let everywhere = pin.replication_factor_min == -1 && pin.replication_factor_max == -1;
        everywhere
            || (self.min != -1
                && pin.replication_factor_min >= self.min
                && pin.replication_factor_max >= self.max)
    }
}

/// How a cluster is used.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct ClusterOptions {
    /// Who learns what it keeps.
    pub audience: Audience,
    /// What the pins are called.
    pub label: Label,
    /// On how many of its peers.
    pub spread: Spread,
}

impl ClusterOptions {
    /// The label `medledger`. Only a cluster whose IPFS daemons have a private network key, or announce nothing,
    /// is [`Audience::Closed`].
    #[must_use]
    pub fn new(audience: Audience, spread: Spread) -> Self {
        Self { audience, spread, label: Label::default() }
    }
}

/// An [IPFS Cluster](https://ipfscluster.io), through one of its peers.
///
/// A cluster has one pin for a root, which all its users share. One with another name is somebody else's: it is
/// counted where it keeps enough, but neither changed nor removed
/// ([`BackendError::Foreign`]). Replicas are the IPFS daemons whose peers report `pinned`.
///
/// See the [module](super) for an example.
#[derive(Clone, Debug)]
pub struct Cluster {
    wire: Wire,
    pub(super) options: ClusterOptions,
}

impl Cluster {
    /// Takes the address of a peer's REST interface, with a name and a password, or a token that the cluster gave out,
    /// as its credentials. Nothing is sent yet.
    #[must_use]
    pub fn new(name: BackendName, endpoint: Endpoint, options: ClusterOptions) -> Self {
        let kind = "IPFS Cluster interface";
        Self { wire: Wire { endpoint, backend: name, kind }, options }
    }

    /// The peer that is asked.
    ///
    /// # Errors
    /// When it cannot be asked or gives no proper answer.
    pub fn id(&self) -> Result<ClusterPeer, BackendError> {
        let ask = || self.wire.call(Method::GET, "id", &[]);
        self.wire.again(|| self.wire.must(ask(), MAX_ANSWER_BYTES, "peer"))
    }

    /// Whether the peer is there at all. Peers say so without credentials.
    ///
    /// # Errors
    /// When it cannot be asked or says no.
    pub fn health(&self) -> Result<(), BackendError> {
        self.wire.again(|| match self.wire.send(self.wire.call(Method::GET, "health", &[]))? {
            Found::Yes(_) => Ok(()),
            Found::No => Err(self.wire.wrong_address()),
        })
    }

    /// All peers, those out of reach with their errors. Two with the same daemon keep no more than one.
    ///
    /// # Errors
    /// When it cannot be asked or gives no proper answer.
    pub fn peers(&self) -> Result<Vec<ClusterPeer>, BackendError> {
        let ask = || self.wire.call(Method::GET, "peers", &[]);
        self.wire.again(|| {
            let Found::Yes(reply) = self.wire.send(ask())? else {
                return Err(self.wire.wrong_address());
            };
            let mut peers = Vec::new();
            self.wire.lines(reply, MAX_LINE_BYTES, "list of peers", |peer| {
                peers.push(peer);
                let (backend, limit) = (self.wire.backend.clone(), MAX_PEERS);
                let many = peers.len() > limit;
                if many { Err(BackendError::TooMany { backend, limit }) } else { Ok(()) }
            })?;
            Ok(peers)
        })
    }

    /// The pin in the shared state.
    fn allocation(&self, root: &Cid) -> Result<Option<Allocation>, BackendError> {
        let call = self.wire.call(Method::GET, &format!("allocations/{root}"), &[]);
        match self.wire.json::<Allocation>(call, MAX_ANSWER_BYTES, "allocation")? {
            Found::Yes(pin) => self.wire.same_root(root, &pin.cid).map(|()| Some(pin)),
            Found::No => Ok(None),
        }
    }

    /// What the peers say, of a root that the shared state has.
    fn peers_of(&self, root: &Cid, method: Method, path: &str) -> Result<Standing, BackendError> {
        let call = self.wire.call(method, path, &[]);
        let pin: GlobalPin = self.wire.must(call, MAX_ANSWER_BYTES, "status of a pin")?;
        self.wire.same_root(root, &pin.cid)?;
        Ok(standing(&pin))
    }

    fn is_ours(&self, pin: &Allocation) -> bool {
        pin.name == self.options.label.as_str()
    }

    fn foreign(&self, root: &Cid, pin: &Allocation) -> BackendError {
        let (backend, found) = (self.wire.backend.clone(), shown(&pin.name));
        BackendError::Foreign { backend, root: *root, found }
    }

    fn post(&self, root: &Cid) -> Result<(), BackendError> {
        let Spread { min, max } = self.options.spread;
        let (min, max) = (min.to_string(), max.to_string());
        let query = [
            ("replication-min", min.as_str()),
            ("replication-max", max.as_str()),
            ("name", self.options.label.as_str()),
            ("mode", "recursive"),
        ];
        let call = self.wire.call(Method::POST, &format!("pins/{root}"), &query);
        let pin: Allocation = self.wire.must(call, MAX_ANSWER_BYTES, "pin")?;
        self.wire.same_root(root, &pin.cid)?;
        if pin.is_whole() && self.options.spread.is_met_by(&pin) {
            return Ok(());
        }
        let (min, max) = (pin.replication_factor_min, pin.replication_factor_max);
        Err(self.wire.malformed("pin", format!("not as it was asked for: on {min} to {max} peers")))
    }

    /// Sees to it that the shared state has the pin, as large as wanted.
    fn ensure(&self, root: &Cid) -> Result<(), BackendError> {
        match self.allocation(root)? {
            Some(pin) if pin.is_whole() && self.options.spread.is_met_by(&pin) => Ok(()),
            Some(pin) if !self.is_ours(&pin) => Err(self.foreign(root, &pin)),
            // A pin that is made anew takes the place of the other: nothing is ever there twice.
            _ => self.post(root),
        }
    }
}

impl PinBackend for Cluster {
    fn name(&self) -> &BackendName {
        &self.wire.backend
    }

    fn audience(&self) -> Audience {
        self.options.audience
    }

    fn add(&self, root: &Cid) -> Result<Standing, BackendError> {
        self.wire.again(|| self.ensure(root))?;
        self.wire.again(|| self.peers_of(root, Method::GET, &format!("pins/{root}")))
    }

    fn status(&self, root: &Cid) -> Result<Standing, BackendError> {
        self.wire.again(|| match self.allocation(root)? {
            None => Ok(Standing::absent()),
            Some(pin) if pin.is_whole() => {
                self.peers_of(root, Method::GET, &format!("pins/{root}"))
            }
            Some(_) => Ok(Standing {
                known: true,
                failed: 1,
                detail: Some("the pin does not cover what lies below the root".to_owned()),
                ..Standing::default()
            }),
        })
    }

    fn recover(&self, root: &Cid) -> Result<Standing, BackendError> {
        self.wire.again(|| self.ensure(root))?;
        self.wire.again(|| self.peers_of(root, Method::POST, &format!("pins/{root}/recover")))
    }

    fn remove(&self, root: &Cid) -> Result<bool, BackendError> {
        // An answer that got lost may have been that it was removed.
        let mut there = false;
        self.wire.again(|| {
            let Some(pin) = self.allocation(root)? else { return Ok(there) };
            if !self.is_ours(&pin) {
                return Err(self.foreign(root, &pin));
            }
            there = true;
            let call = self.wire.call(Method::DELETE, &format!("pins/{root}"), &[]);
            self.wire.send(call).map(|_| true)
        })
    }

    fn list(&self, limit: usize) -> Result<Vec<Cid>, BackendError> {
        let (what, all) = ("list of pins", [("filter", "all")]);
        self.wire.again(|| {
            let call = self.wire.call(Method::GET, "allocations", &all);
            let Found::Yes(reply) = self.wire.send(call)? else {
                return Err(self.wire.wrong_address());
            };
            let mut roots = Vec::new();
            self.wire.lines(reply, MAX_LINE_BYTES, what, |pin: Allocation| {
                if !self.is_ours(&pin) {
                    return Ok(());
                }
                if roots.len() >= limit {
                    return Err(BackendError::TooMany {
                        backend: self.wire.backend.clone(),
                        limit,
                    });
                }
                let cid = pin.cid.parse::<Cid>();
                roots.push(cid.map_err(|e| self.wire.malformed(what, e.to_string()))?);
                Ok(())
            })?;
            roots.sort_unstable();
            roots.dedup();
            Ok(roots)
        })
    }
}
