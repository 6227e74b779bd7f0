//! A [Kubo](https://github.com/ipfs/kubo) node, by its RPC.
//!
//! [`Kubo`] has the calls: blocks, pins, CAR files in and out, keys and names, the node itself. It believes nothing
//! it can check: blocks are hashed, roots compared, and an answer counts only when it came to its end
//! without the trailer by which a node tells that it failed. [`KuboStore`] is a [`BlockStore`](crate::BlockStore)
//! on top of it, for reports and chains; it refuses to store on a node that would tell the world, see
//! [`Exposure`]. [`check`](Kubo::check) says what is wrong with a node and how to mend it.
//!
//! Everything is synchronous and may be called from plain threads and from inside an asynchronous
//! runtime alike.
//!
//! Not here: MFS, filestore, FUSE, pubsub and whatever else a node can do.

mod answer;
mod block;
mod car;
mod check;
mod error;
mod exposure;
mod names;
mod node;
mod pin;
mod session;
mod store;
mod stream;
#[cfg(test)]
mod tests;

pub use crate::pin_list::{
    MAX_LIST_BYTES, MAX_LISTED_ROOTS, MAX_PIN_NAME_BYTES, Owner, OwnerError, PinList, PinListError,
};
pub use car::{CarImport, Imported, KuboCar};
pub use check::{Finding, Report, Severity};
pub use error::KuboError;
pub use exposure::{Announces, Exposure, Privacy};
pub use names::{Key, Published};
pub use node::{Id, LEAST_VERSION, Stat, Version};
pub use pin::{NodePin, PinHealth};
pub use store::{KuboStore, KuboStoreOptions};
pub use stream::KuboStream;

use crate::http::{Call, Endpoint, EndpointError, EndpointOptions, Reply};
use answer::Failure;
use reqwest::Method;
use std::time::Duration;

/// The address of a node's RPC unless it was configured otherwise.
pub const DEFAULT_ADDRESS: &str = "http://127.0.0.1:5001";

/// How far a node may go to answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// What it has itself.
    Local,
    /// It may ask its peers, for as long as this.
    Peers(Duration),
}

/// A Kubo node.
///
/// ```no_run
/// use medledger_ipfs::kubo::{DEFAULT_ADDRESS, Kubo};
/// let kubo = Kubo::connect(DEFAULT_ADDRESS)?;
/// println!("Kubo {}", kubo.version()?);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct Kubo {
    endpoint: Endpoint,
}

impl Kubo {
    /// Takes the address of a node's RPC, with default options. Nothing is sent yet.
    ///
    /// # Errors
    /// When that is no address.
    pub fn connect(address: &str) -> Result<Self, EndpointError> {
        Self::with(address, EndpointOptions::default())
    }

    /// Takes the address of a node's RPC. Nothing is sent yet.
    ///
    /// # Errors
    /// When that is no address, or the options cannot be used.
    pub fn with(address: &str, options: EndpointOptions) -> Result<Self, EndpointError> {
        // As addresses of calls are written: every call has it anyway.
        let address = address.trim_end_matches('/');
        let address = address.strip_suffix("/api/v0").unwrap_or(address);
        Ok(Self { endpoint: Endpoint::new(address, options)? })
    }

    /// Where it is and how it is spoken to.
    #[must_use]
    pub const fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Every call of the RPC is a POST.
    fn call(&self, command: &str, query: &[(&str, &str)]) -> Call {
        self.endpoint.call(Method::POST, &format!("api/v0/{command}"), query)
    }

    /// Asks once; a refusal is an error.
    fn ask(&self, command: &str, query: &[(&str, &str)]) -> Result<Reply, KuboError> {
        self.accepted(command, self.call(command, query).reply()?)
    }

    /// Asks, and again where that makes sense: only for calls that may arrive twice.
    fn ask_again<T>(&self, ask: impl FnMut() -> Result<T, KuboError>) -> Result<T, KuboError> {
        self.endpoint.retry().run(ask)
    }

    fn accepted(&self, command: &str, reply: Reply) -> Result<Reply, KuboError> {
        if reply.status == 200 { Ok(reply) } else { Err(Failure::read(reply).of(command)) }
    }
}

/// A duration as Go reads it.
fn go_duration(duration: Duration) -> String {
    format!("{}ms", duration.as_millis())
}
