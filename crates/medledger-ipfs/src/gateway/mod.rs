//! Blocks from gateways that nobody has to trust (<https://specs.ipfs.tech/http-gateways/trustless-gateway/>).
//!
//! [`Gateway`] asks for blocks one by one (`format=raw`, as a [`BlockRead`](crate::BlockRead)), for a whole DAG or part of
//! it ([`Gateway::car`]), and for a range of a file in one request ([`Gateway::read_range`]). Every block is hashed
//! against its CID before it comes out; what was not asked for, what is missing, and what never ends is a
//! [`GatewayError`] that names the gateway and its fault.
//!
//! What a gateway *learns* is which CIDs are asked for: of reports, those of ciphertext. Several gateways, and which
//! is asked first, are the business of [`Sources`](crate::sources::Sources).
//!
//! ```
//! use medledger_ipfs::{BlockRead, Cid, cid::Codec, gateway::Gateway};
//!
//! // Nobody listens there: an error that says so, and nothing is waited for.
//! let gateway = Gateway::connect("http://127.0.0.1:9")?;
//! let error = gateway.get(&Cid::of(Codec::Raw, b"hello world")).unwrap_err();
//! assert_eq!(error.to_string(), "gateway http://127.0.0.1:9 failed");
//! # Ok::<(), medledger_ipfs::gateway::GatewayError>(())
//! ```

mod answer;
mod block;
mod car;
mod error;
mod range;
#[cfg(test)]
mod tests;

pub use car::CarStream;
pub use error::GatewayError;
pub use range::MAX_RANGE_BYTES;

use crate::car::SelectedOptions;
use crate::http::{Call, Endpoint, EndpointOptions};
use medledger_core::Cid;
use reqwest::Method;
use std::time::Duration;

/// How a gateway is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GatewayOptions {
    /// Requests at the same time when several blocks are asked for.
    pub parallel: usize,
    /// How long 2 MiB, the largest block, may take, and what remains of an answer. Silence is bounded apart, by
    /// [`Patience`](crate::http::Patience).
    pub within: Duration,
    /// Whether only what the gateway has at hand is asked for (`Cache-Control: only-if-cached`): it then does not
    /// look for it on the network, where others would see the CID.
    pub only_cached: bool,
    /// Bounds on CARs.
    pub car: SelectedOptions,
}

impl Default for GatewayOptions {
    /// Six requests at once, two minutes, looked for on the network, the usual bounds on CARs.
    fn default() -> Self {
        let (within, car) = (Duration::from_secs(120), SelectedOptions::default());
        Self { parallel: 6, within, only_cached: false, car }
    }
}

/// A trustless gateway. Cloning shares its connections.
#[derive(Clone, Debug)]
pub struct Gateway {
    endpoint: Endpoint,
    options: GatewayOptions,
}

impl Gateway {
    /// A gateway at this address, such as `http://127.0.0.1:8080`, with everything as usual. Nothing is sent yet.
    ///
    /// # Errors
    /// When the address cannot be used.
    pub fn connect(address: &str) -> Result<Self, GatewayError> {
        Ok(Self::new(Endpoint::new(address, EndpointOptions::default())?))
    }

    /// A gateway behind this endpoint.
    #[must_use]
    pub fn new(endpoint: Endpoint) -> Self {
        Self::with_options(endpoint, GatewayOptions::default())
    }

    /// A gateway behind this endpoint, asked in this way.
    #[must_use]
    pub const fn with_options(endpoint: Endpoint, options: GatewayOptions) -> Self {
        Self { endpoint, options }
    }

    /// Its address.
    #[must_use]
    pub fn name(&self) -> &str {
        self.endpoint.name()
    }

    /// A request for what lies at or below a CID, as this media type.
    fn call(&self, method: Method, cid: &Cid, accept: &str, query: &[(&str, &str)]) -> Call {
        let path = format!("ipfs/{cid}");
        let call = self.endpoint.call(method, &path, query).header("accept", accept);
        if self.options.only_cached { call.header("cache-control", "only-if-cached") } else { call }
    }

    fn absent(&self, cid: &Cid) -> GatewayError {
        GatewayError::Absent { gateway: self.name().to_owned(), cid: *cid }
    }
}
