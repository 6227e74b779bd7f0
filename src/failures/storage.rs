//! Failures of stores elsewhere, and of moving there.

use super::{Bug, Damaged, Environment, Usage, block_store, file, settings, store};
use crate::exit::Failure;
use medledger::StorageError;
#[cfg(feature = "kubo")]
use medledger::ipfs::kubo::KuboError;
use medledger::ipfs::store::CatchUpError;

pub(super) fn storage(error: &StorageError) -> Failure {
    match error {
        StorageError::NotBuilt => Failure::of(Usage, "not_built", error),
        #[cfg(feature = "kubo")]
        StorageError::Endpoint(error) => Failure::of(Usage, "address", error),
        #[cfg(feature = "kubo")]
        StorageError::Kubo(error) => kubo(error),
        StorageError::Blocks(error) => of_blocks(error),
        StorageError::CatchUp(error) => catch_up(error),
        StorageError::NotWhole { .. } => Failure::of(Damaged, "damaged", error),
        StorageError::Check(error) => Failure::of(Environment, "backend", error),
        StorageError::Store(error) => store(error),
        StorageError::Settings(error) => settings(error),
        StorageError::Free { path, source } => file(path, source).doing("the switch is done, but"),
        StorageError::ReadOnly => Failure::of(Environment, "read_only", error),
        _ => Failure::of(Bug, "unknown", error),
    }
}

fn catch_up(error: &CatchUpError) -> Failure {
    match error {
        CatchUpError::First(_) => Failure::of(Damaged, "damaged", error)
            .hint("`medledger blocks check` says what is damaged here"),
        CatchUpError::Second(error) => of_blocks(error),
        _ => Failure::of(Bug, "unknown", error),
    }
}

/// A store that failed, told by what the node said where it is one.
#[cfg_attr(not(feature = "kubo"), allow(clippy::unnecessary_wraps))]
fn of_blocks(error: &medledger::ipfs::store::StoreError) -> Failure {
    #[cfg(feature = "kubo")]
    if let medledger::ipfs::store::StoreError::Backend { source, .. } = error
        && let Some(error) = source.downcast_ref::<KuboError>()
    {
        return kubo(error);
    }
    block_store(error)
}

/// A node that says no, or says nothing.
#[cfg(feature = "kubo")]
pub(super) fn kubo(error: &KuboError) -> Failure {
    let (fault, code) = match error {
        KuboError::Public { .. } => (Environment, "node_is_public"),
        KuboError::Denied { .. } => (Environment, "no_permission"),
        KuboError::NoSuchCall { .. } => (Usage, "address"),
        KuboError::TooOld { .. } => (Environment, "update_needed"),
        KuboError::Full { .. } => (Environment, "no_space"),
        KuboError::Damaged { .. } => (Damaged, "damaged"),
        _ => (Environment, "backend"),
    };
    let failure = Failure::of(fault, code, error);
    match error {
        KuboError::Http(_) => {
            failure.hint("`medledger ipfs check` says what is wrong with the node")
        }
        _ => failure,
    }
}
