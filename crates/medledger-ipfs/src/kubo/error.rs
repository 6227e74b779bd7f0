//! What can go wrong with a node, and what to do.

use super::exposure::Announces;
use super::node::Version;
use crate::car::CarError;
use crate::http::{HttpError, MayRetry};
use crate::store::StoreError;
use medledger_core::Cid;

/// Why a node did not do what it was asked. Where there is something to be done, the message says what.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KuboError {
    /// The node was not reached, broke off, or failed in the middle of its answer.
    #[error(transparent)]
    Http(#[from] HttpError),
    /// The node does not know who asks, or does not let them.
    #[error(
        "{server} does not let us call {command}: give the credentials that its API.Authorizations names ({message})"
    )]
    Denied {
        /// The node.
        server: String,
        /// The call.
        command: String,
        /// What it said.
        message: String,
    },
    /// What answers there is no Kubo RPC, or one that lacks this call.
    #[error("{server} has no call {command}: is this the RPC address of a Kubo node (Addresses.API), at least {least}?", least = super::LEAST_VERSION)]
    NoSuchCall {
        /// The node.
        server: String,
        /// The call.
        command: String,
    },
    /// Older than what was ever tried.
    #[error("Kubo {found} is older than {least}, the oldest supported: update the node")]
    TooOld {
        /// The node's version.
        found: Version,
        /// The oldest supported.
        least: Version,
    },
    /// The node said no.
    #[error("{command} failed: {message}")]
    Refused {
        /// The call.
        command: String,
        /// What it said.
        message: String,
    },
    /// The node has no room left.
    #[error(
        "the node's disk or repository is full: free space, raise Datastore.StorageMax or collect with `ipfs repo gc` ({message})"
    )]
    Full {
        /// What it said.
        message: String,
    },
    /// The node has not got this block, or found it nowhere in time.
    #[error("the node has no block {cid}")]
    Missing {
        /// The block.
        cid: Cid,
    },
    /// The node's answer is not what such a call answers.
    #[error("the node's answer to {command} cannot be read: {reason}")]
    Malformed {
        /// The call.
        command: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The node took something else than was sent, or calls it otherwise.
    #[error("the node answered {found} where {expected} was sent: not stored as meant")]
    OtherCid {
        /// What it is.
        expected: Cid,
        /// What the node says.
        found: String,
    },
    /// The node did not pin a root: it would be collected.
    #[error("the node did not pin {root}: {message}")]
    NotPinned {
        /// The root.
        root: Cid,
        /// What it said.
        message: String,
    },
    /// The node's bytes are not those the CID names.
    #[error(
        "the node's block {cid} is damaged: have the node remove it (`ipfs repo verify --drop`), then store it again or repair it from another source"
    )]
    Damaged {
        /// The block.
        cid: Cid,
    },
    /// The CAR that the node sent is not whole or not right.
    #[error("the CAR that the node sent cannot be trusted")]
    Car(#[from] CarError),
    /// The node tells the world what it stores, and nobody said that it may.
    #[error("this node would announce reports to the public network ({reason}): {}; or say that they may be public", .reason.mend())]
    Public {
        /// How it would.
        reason: Announces,
    },
}

impl KuboError {
    /// Whether the same call may well do better in a moment.
    #[must_use]
    pub const fn may_pass(&self) -> bool {
        match self {
            Self::Http(error) => error.may_pass(),
            _ => false,
        }
    }

    /// As stores tell it; `server` is the name of the node.
    pub(super) fn of_store(self, server: &str) -> StoreError {
        match self {
            Self::Damaged { cid } => StoreError::Damaged { cid, path: None },
            other => {
                StoreError::Backend { store: format!("Kubo at {server}"), source: other.into() }
            }
        }
    }
}

impl MayRetry for KuboError {
    fn may_pass(&self) -> bool {
        Self::may_pass(self)
    }
}
