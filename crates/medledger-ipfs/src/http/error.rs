//! What can go wrong between here and a server.

use std::error::Error;
use std::io;
use std::time::Duration;

/// Why a request had no usable answer. The server is named by its address, never with credentials.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HttpError {
    /// No connection came about: the address is wrong, the server is not running, or the way is barred.
    #[error("cannot connect to {server}: {}", innermost(.cause))]
    Connect {
        /// The server.
        server: String,
        /// What happened.
        cause: reqwest::Error,
    },
    /// The server was silent for too long.
    #[error("{server} {} for {} s", .what.text(), .after.as_secs_f32())]
    TimedOut {
        /// The server.
        server: String,
        /// What was waited for.
        what: Wait,
        /// How long.
        after: Duration,
    },
    /// The connection broke, or what came over it was no HTTP.
    #[error("the connection to {server} broke: {}", innermost(.cause.as_ref()))]
    Broken {
        /// The server.
        server: String,
        /// What happened.
        cause: Box<dyn Error + Send + Sync>,
    },
    /// The answer began well and then the server said that it failed (trailer `X-Stream-Error`).
    #[error("{server} failed in the middle of its answer: {message}")]
    Failed {
        /// The server.
        server: String,
        /// What it said.
        message: String,
    },
    /// A status that means no.
    #[error("{server} answered {status}{}", after_colon(.message))]
    Status {
        /// The server.
        server: String,
        /// The status.
        status: u16,
        /// The beginning of what it said.
        message: String,
    },
    /// More bytes than such an answer has.
    #[error("{server} answered with more than {limit} bytes")]
    TooLong {
        /// The server.
        server: String,
        /// Bytes allowed.
        limit: u64,
    },
    /// What was to be sent could not be read.
    #[error("what was to be sent could not be read: {0}")]
    Source(io::Error),
}

/// What a server was waited for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Wait {
    /// The beginning of its answer.
    Answer,
    /// The next bytes of its answer.
    Bytes,
    /// That it takes more of what is sent.
    Room,
}

impl Wait {
    const fn text(self) -> &'static str {
        match self {
            Self::Answer => "did not answer",
            Self::Bytes => "stopped in the middle of its answer",
            Self::Room => "did not take what was sent",
        }
    }
}

impl HttpError {
    /// Whether the same request may well do better in a moment.
    #[must_use]
    pub const fn may_pass(&self) -> bool {
        match self {
            Self::Connect { .. } | Self::TimedOut { .. } | Self::Broken { .. } => true,
            Self::Status { status, .. } => matches!(*status, 429 | 502 | 503 | 504),
            Self::Failed { .. } | Self::TooLong { .. } | Self::Source(_) => false,
        }
    }

    pub(super) fn of(server: &str, error: reqwest::Error, wait: Wait, after: Duration) -> Self {
        let server = server.to_owned();
        // The address is told anyway, without what may stand in a query.
        let error = error.without_url();
        if error.is_timeout() && !error.is_connect() {
            Self::TimedOut { server, what: wait, after }
        } else if error.is_connect() {
            Self::Connect { server, cause: error }
        } else {
            Self::Broken { server, cause: error.into() }
        }
    }
}

/// The cause that says most: `error sending request` and the like say nothing.
fn innermost<'a>(error: &'a (dyn Error + 'static)) -> &'a (dyn Error + 'static) {
    let mut error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error
}

fn after_colon(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(": {message}") }
}
