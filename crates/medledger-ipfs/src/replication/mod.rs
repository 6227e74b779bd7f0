//! Replicas with others: IPFS Cluster, pinning services, and whoever else implements [`PinBackend`].
//!
//! A *back end* is asked to keep a root and all that lies below it. [`Replication`] asks as many as a
//! [`Goal`] needs, writes down in a [`Record`] what was asked of whom, checks later who still keeps what
//! ([`Audit`]), and repairs what is short. A provider that forgot what it had confirmed is noticed and named.
//!
//! # What a check proves
//! A back end that says `pinned` proves nothing. Where blocks can be read from the back end itself (its gateway, its RPC),
//! give that source with [`Replication::with_proof`]: each check then fetches randomly chosen blocks and
//! compares their hashes. Without, a check is the word of the back end.
//!
//! # What a back end learns
//! The CIDs, the sizes and times of what it keeps, and the bytes, which are sealed. Pins are named by a
//! label that says nothing unless the caller chooses another. A back end whose [`Audience`] is public may announce to
//! the world which CIDs it has: [`Replication`] takes one only when told [`PublicPins::Allowed`].
//!
//! ```no_run
//! # #[cfg(feature = "http")]
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! use medledger_core::{Cid, clock::Timestamp};
//! use medledger_ipfs::http::{Auth, Endpoint, EndpointOptions};
//! use medledger_ipfs::replication::*;
//!
//! let options = EndpointOptions { auth: Some("basic:hospital:s3cret".parse()?), ..Default::default() };
//! let cluster = Cluster::new(
//!     "own-cluster".parse()?,
//!     Endpoint::new("https://cluster.hospital.example:9094", options)?,
//!     ClusterOptions::new(Audience::Closed, Spread::between(2, 3)?),
//! );
//! let options = EndpointOptions { auth: Some("bearer:s3cret".parse()?), ..Default::default() };
//! let service = PinningService::new(
//!     "partner".parse()?,
//!     Endpoint::new("https://pins.partner.example", options)?,
//!     ServiceOptions::new(Audience::Closed),
//! );
//! let replication = Replication::new(Goal { replicas: 3, backends: 2 }, PublicPins::Refused)
//!     .with(Box::new(cluster))?
//!     .with(Box::new(service))?;
//!
//! let root: Cid = "bafkreihdwdcefgh4dqkjv67uzcmw7ojee6xedzdetojuzjevtenxquvyku".parse()?;
//! let now = Timestamp::from_secs(1_800_000_000);
//! let mut record = Record::new(root);
//! replication.add(&mut record, now)?;
//! std::fs::write("replicas.txt", record.encode())?;
//!
//! // Every night:
//! let mut records = [record];
//! let mut rng = medledger_core::rand_core::UnwrapErr(getrandom::SysRng);
//! let audit = replication.check(&mut records, now.plus(86_400), &mut rng);
//! for finding in audit.findings().filter(|finding| finding.verdict.is_forgotten()) {
//!     eprintln!("{} forgot something", finding.backend);
//! }
//! let repair = replication.repair(&mut records, &audit, now.plus(86_400));
//! for short in repair.short() {
//!     eprintln!("{short}");
//! }
//! # Ok(()) }
//! # #[cfg(not(feature = "http"))]
//! # fn main() {}
//! ```

mod audit;
#[cfg(feature = "http")]
mod cluster;
#[cfg(feature = "http")]
mod cluster_answers;
mod error;
mod names;
mod proof;
mod record;
mod repair;
#[cfg(feature = "http")]
mod service;
#[cfg(feature = "http")]
mod service_answers;
#[cfg(all(test, feature = "http"))]
mod tests;
#[cfg(feature = "http")]
mod wire;

pub use audit::{Audit, Finding, Replication, RootAudit, Verdict};
#[cfg(feature = "http")]
pub use cluster::{Cluster, ClusterOptions, Spread, SpreadError};
#[cfg(feature = "http")]
pub use cluster_answers::ClusterPeer;
pub use error::{BackendError, ListingFault, ReplicationError};
pub use names::{BackendName, Label, NameError};
pub use proof::ProofError;
pub use record::{Asked, Confirmed, MAX_BACKENDS, MAX_RECORD_BYTES, Record, RecordError};
pub use repair::{Removal, Repair, RootRepair};
#[cfg(feature = "http")]
pub use service::{PinningService, ServiceOptions};

use medledger_core::Cid;
use std::fmt;

/// Somebody who keeps roots, with all that lies below them, when asked.
///
/// Calls wait and may come from several threads. Each may be repeated without harm: adding what is there already
/// is no error and makes no second pin; removing what is not there says so. A back end that was asked under a
/// [`Label`] touches only pins under that label.
pub trait PinBackend: Send + Sync {
    /// How it is called in records and reports. Never changes.
    fn name(&self) -> &BackendName;

    /// Who learns what it keeps. There is no default: whoever writes or sets up a back end has to say it.
    fn audience(&self) -> Audience;

    /// Asks for a root to be kept, and tells how that stands. Fetching the blocks may take long after.
    ///
    /// # Errors
    /// When it could not be asked or refuses.
    fn add(&self, root: &Cid) -> Result<Standing, BackendError>;

    /// How the keeping of a root stands.
    ///
    /// # Errors
    /// When it could not be asked or gives no proper answer. A root that is not kept is no error.
    fn status(&self, root: &Cid) -> Result<Standing, BackendError>;

    /// Asks again for a root whose keeping failed.
    ///
    /// # Errors
    /// As [`add`](Self::add).
    fn recover(&self, root: &Cid) -> Result<Standing, BackendError> {
        self.add(root)
    }

    /// Gives a root up and says whether it was kept. The bytes go when the back end collects.
    ///
    /// # Errors
    /// When it could not be asked or refuses.
    fn remove(&self, root: &Cid) -> Result<bool, BackendError>;

    /// The roots it was asked to keep, sorted, each once, whatever became of them.
    ///
    /// # Errors
    /// When there are more than `limit`, it could not be asked or gives no proper answer.
    fn list(&self, limit: usize) -> Result<Vec<Cid>, BackendError>;
}

/// Who learns which CIDs a back end keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Audience {
    /// Its operators only: a cluster in a network of its own, a service that announces nothing. Without a
    /// private network key, nodes announce what they have: then it is [`Public`](Self::Public).
    Closed,
    /// Anybody: its nodes announce what they have, as public pinning services do.
    Public,
}

/// Whether reports may be kept where the public learns their CIDs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PublicPins {
    /// No.
    Refused,
    /// Yes: whoever says so knows that anybody can then see that these CIDs exist, and who has them, for
    /// ever, and can fetch the sealed bytes.
    Allowed,
}

/// How the keeping of one root stands with one back end, by its own word.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Standing {
    /// Whether it knows that it was asked. Nothing else counts otherwise.
    pub known: bool,
    /// Replicas it says it has.
    pub pinned: u32,
    /// Replicas it says it is getting.
    pub waiting: u32,
    /// Replicas it could not get, or cannot tell about.
    pub failed: u32,
    /// Replicas it had and lost.
    pub lost: u32,
    /// What it says about it.
    pub detail: Option<String>,
}

impl Standing {
    /// Not asked, or forgotten.
    #[must_use]
    pub fn absent() -> Self {
        Self::default()
    }

    /// Replicas that are there or may be expected.
    #[must_use]
    pub const fn expected(&self) -> u32 {
        self.pinned.saturating_add(self.waiting)
    }
}

/// How much replication is wanted of each root.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Goal {
    /// Replicas in all. Within a cluster each IPFS daemon that has the root counts.
    pub replicas: u32,
    /// On at least so many back ends: two survive the end of any provider.
    pub backends: u32,
}

impl Goal {
    /// Whether so much is enough.
    #[must_use]
    pub const fn is_met(&self, replicas: u32, backends: u32) -> bool {
        replicas >= self.replicas && backends >= self.backends
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} replicas on {} back ends", self.replicas, self.backends)
    }
}
