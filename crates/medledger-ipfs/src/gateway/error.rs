//! What a gateway can do wrong, by name.

use crate::car::SelectedError;
use crate::http::{EndpointError, HttpError, MayRetry};
use crate::store::StoreError;
use crate::unixfs::ReadError;
use medledger_core::Cid;
use std::time::Duration;

/// Why a gateway had no usable answer. Nothing of a wrong answer ever comes out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum GatewayError {
    /// The address, or what belongs to it.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// The gateway has not got the block that was asked for, or the root of what was.
    #[error("gateway {gateway} has not got {cid}")]
    Absent {
        /// The gateway.
        gateway: String,
        /// The block.
        cid: Cid,
    },
    /// The gateway lies, or is damaged: other bytes than the CID names.
    #[error("gateway {gateway} gave other bytes than those of block {cid}")]
    WrongBytes {
        /// The gateway.
        gateway: String,
        /// The block asked for, or the one that a section of a CAR says it holds.
        cid: Cid,
    },
    /// A CAR that is malformed, incomplete, or holds what was not asked for.
    #[error("gateway {gateway} gave a CAR that cannot be used: {source}")]
    Car {
        /// The gateway.
        gateway: String,
        /// What is wrong with it.
        source: SelectedError,
    },
    /// More bytes than there can be.
    #[error("gateway {gateway} gave more than {limit} bytes")]
    TooMuch {
        /// The gateway.
        gateway: String,
        /// Bytes allowed.
        limit: u64,
    },
    /// Bytes that drip: each in time, and all together not.
    #[error("gateway {gateway} gave {bytes} bytes in {} s", .after.as_secs_f32())]
    Slow {
        /// The gateway.
        gateway: String,
        /// Bytes that came.
        bytes: u64,
        /// How long so many bytes as a block has at most may take.
        after: Duration,
    },
    /// An answer of another kind than was asked for, such as the page of a website or the file itself: no
    /// trustless gateway, or no gateway at all.
    #[error("{gateway} is no trustless gateway: asked for {asked} it gave {found:?}")]
    NotTrustless {
        /// The server.
        gateway: String,
        /// The media type asked for.
        asked: &'static str,
        /// The media type found; empty when none was told.
        found: String,
    },
    /// The server sends elsewhere, and is not followed there: use that address if you trust it to be the same.
    #[error("gateway {gateway} sends elsewhere ({status}): {location:?}")]
    Redirected {
        /// The gateway.
        gateway: String,
        /// The status.
        status: u16,
        /// Where to.
        location: String,
    },
    /// The gateway does not want to, or cannot.
    #[error("{source}")]
    Refused {
        /// What it said.
        source: HttpError,
        /// How long it wants to be left alone.
        retry_after: Option<Duration>,
    },
    /// The way to the gateway: no connection, silence, an answer cut off.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The blocks are right and make no file that can be read here.
    #[error(transparent)]
    File(#[from] ReadError),
}

impl GatewayError {
    /// Whether the gateway gave what it must know to be wrong, or is damaged: do not ask it again soon.
    #[must_use]
    pub fn is_lie(&self) -> bool {
        use crate::car::{CarError, SelectedError as E, SelectionError};
        match self {
            Self::WrongBytes { .. } => true,
            Self::Car { source, .. } => matches!(
                source,
                E::Car(CarError::Mismatch { .. })
                    | E::Selection(
                        SelectionError::NotAsked { .. } | SelectionError::Repeats { .. }
                    )
            ),
            _ => false,
        }
    }

    /// Whether the same request may well do better in a moment.
    #[must_use]
    pub const fn may_pass(&self) -> bool {
        match self {
            Self::Http(source) | Self::Refused { source, .. } => source.may_pass(),
            _ => false,
        }
    }

    /// What those see who know only stores. Wrong bytes are a damaged block there, as from any other store;
    /// who gave them is logged, as it does not fit in.
    pub(super) fn into_store(self, gateway: &str) -> StoreError {
        match self {
            Self::WrongBytes { cid, .. } => {
                tracing::warn!(gateway, %cid, "a gateway gave other bytes than those asked for");
                StoreError::Damaged { cid, path: None }
            }
            other => {
                let store = format!("gateway {gateway}");
                StoreError::Backend { store, source: Box::new(other) }
            }
        }
    }
}

impl MayRetry for GatewayError {
    fn may_pass(&self) -> bool {
        Self::may_pass(self)
    }

    fn wait(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            _ => None,
        }
    }
}
