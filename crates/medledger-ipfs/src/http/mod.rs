//! What the adapters to other machines share: HTTP behind a synchronous face.
//!
//! [`Net`] is a thread with a runtime of its own. Whoever calls waits on a channel and nothing else, so calls
//! may come from plain threads and from inside an asynchronous runtime alike. [`Endpoint`] is a server with
//! its credentials and with how long to wait for it; bodies stream both ways in bounded memory, and
//! an answer that ends early, or tells of an error behind a status of 200, is an error.

mod auth;
mod body;
mod call;
mod endpoint;
mod error;
mod net;
mod retry;
#[cfg(any(test, feature = "conformance"))]
pub mod test_server;
#[cfg(test)]
mod tests;
mod tls;

pub use auth::{Auth, AuthError};
pub(crate) use body::{Download, Upload, fill, shown, take};
pub(crate) use call::{Begun, Call, Reply};
pub use endpoint::{Endpoint, EndpointError, EndpointOptions, Patience};
pub use error::{HttpError, Wait};
pub use net::Net;
pub(crate) use retry::MayRetry;
pub use retry::Retry;
