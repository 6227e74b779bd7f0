//! What can go wrong between here and those who keep replicas.

use super::{BackendName, Goal};
use medledger_core::Cid;

/// Why a back end did not do, or did not say, what it was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BackendError {
    /// It could not be asked, or gave no whole answer. Whether what was asked happened is not known.
    #[error("{backend} could not be asked: {source}")]
    Unreachable {
        /// The back end.
        backend: BackendName,
        /// Whether the same may well do better in a moment.
        passing: bool,
        /// What happened.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
    /// The credentials are wrong, have run out, or do not cover this.
    #[error(
        "{backend} does not accept the credentials (status {status}): renew its token or password, or have its rights extended{}",
        after_colon(.said)
    )]
    Unauthorized {
        /// The back end.
        backend: BackendName,
        /// 401 or 403.
        status: u16,
        /// What it said.
        said: String,
    },
    /// What answers at this address is not what it was taken for.
    #[error("{backend}: there is no {expected} at {server}: check the address and its path")]
    WrongAddress {
        /// The back end.
        backend: BackendName,
        /// What was expected there.
        expected: &'static str,
        /// The address.
        server: String,
    },
    /// It understood and refused.
    #[error("{backend} refused (status {status}){}", after_colon(.said))]
    Refused {
        /// The back end.
        backend: BackendName,
        /// The status; 200 where an error came with it.
        status: u16,
        /// What it said: the kind of error and its details.
        said: String,
    },
    /// It answered, but not as its protocol says.
    #[error("{backend} gave no proper {what}: {detail}")]
    Malformed {
        /// The back end.
        backend: BackendName,
        /// What was expected.
        what: &'static str,
        /// What is wrong with it.
        detail: String,
    },
    /// It answered for something that was not asked.
    #[error("{backend} was asked about {asked} and answered about {found:?}")]
    OtherRoot {
        /// The back end.
        backend: BackendName,
        /// What was asked.
        asked: Cid,
        /// What it named.
        found: String,
    },
    /// Its pages do not make up a list.
    #[error("{backend} gave no whole list of pins: {fault}")]
    Listing {
        /// The back end.
        backend: BackendName,
        /// What is wrong with the pages.
        fault: ListingFault,
    },
    /// It has more pins than were asked for.
    #[error("{backend} has more than {limit} pins")]
    TooMany {
        /// The back end.
        backend: BackendName,
        /// Pins allowed.
        limit: usize,
    },
    /// The pin there is of somebody else, who asked for less; it is neither changed nor removed.
    #[error(
        "{backend} has {root} pinned under the name {found:?}, which is not ours: change or remove that pin there"
    )]
    Foreign {
        /// The back end.
        backend: BackendName,
        /// The root.
        root: Cid,
        /// The name of the pin.
        found: String,
    },
}

/// What is wrong with the pages of a listing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ListingFault {
    /// A page brought nothing that was not there before.
    #[error("its pages repeat")]
    Repeats,
    /// The newest do not come first, so that the next page cannot be asked for.
    #[error("its pages are not sorted by time")]
    Disorder,
    /// Fewer came than it said there were.
    #[error("it told of {told} and gave {given}")]
    Incomplete {
        /// As it said.
        told: u64,
        /// As came.
        given: u64,
    },
    /// More pages than any list has.
    #[error("there is no end after {0} pages")]
    Endless(u32),
}

impl BackendError {
    /// Whether it was out of reach or out of order, as opposed to having answered wrongly.
    #[must_use]
    pub const fn is_outage(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Refused { status, .. } => *status == 429 || *status >= 500,
            _ => false,
        }
    }

    /// Whether the same may well do better in a moment.
    #[must_use]
    pub const fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable { passing, .. } => *passing,
            // Not implemented, and not supported, stay so.
            Self::Refused { status, .. } => {
                *status == 429 || (*status >= 500 && !matches!(*status, 501 | 505))
            }
            // Something may have been removed while the pages were turned.
            Self::Listing { fault: ListingFault::Incomplete { .. }, .. } => true,
            _ => false,
        }
    }
}

/// Why back ends cannot be put together, or a root not be replicated.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReplicationError {
    /// The back end tells the world what it keeps, and no one has allowed that.
    #[error(
        "{0} tells the public which CIDs it keeps; allow that expressly, or use a private cluster"
    )]
    Public(BackendName),
    /// Two back ends of one name.
    #[error("there are two back ends with the name {0}")]
    SameName(BackendName),
    /// More back ends than a record has room for.
    #[error("at most {limit} back ends are possible")]
    TooManyBackends {
        /// Back ends allowed.
        limit: usize,
    },
    /// Fewer replicas were promised than asked for. What was promised is in the record.
    #[error("{root}: {} asked for, {replicas} replicas on {backends} back ends promised{}", .goal, failures_text(.failures))]
    Short {
        /// The root.
        root: Cid,
        /// What was asked for.
        goal: Goal,
        /// Replicas promised or there.
        replicas: u32,
        /// On so many back ends.
        backends: u32,
        /// Who could not, and why.
        failures: Vec<(BackendName, BackendError)>,
    },
}

pub(super) fn failures_text(failures: &[(BackendName, BackendError)]) -> String {
    failures.iter().map(|(_, error)| format!("; {error}")).collect()
}

fn after_colon(said: &str) -> String {
    if said.is_empty() { String::new() } else { format!(": {said}") }
}
