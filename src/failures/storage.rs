//! Failures of stores elsewhere, and of moving there.

use super::{Bug, Damaged, Environment, NotFound, Usage, block_store, file, settings, store};
use crate::exit::Failure;
use medledger::StorageError;
#[cfg(feature = "kubo")]
use medledger::ipfs::http::EndpointError;
#[cfg(feature = "kubo")]
use medledger::ipfs::kubo::KuboError;
use medledger::ipfs::store::CatchUpError;

pub(super) fn storage(error: &StorageError) -> Failure {
    match error {
        StorageError::NotBuilt => Failure::of(Usage, "not_built", error),
        #[cfg(feature = "kubo")]
        StorageError::Endpoint(error) => endpoint(error),
        #[cfg(feature = "kubo")]
        StorageError::Kubo(error) => kubo(error),
        StorageError::Blocks(error) => block_store(error),
        StorageError::CatchUp(error) => catch_up(error),
        StorageError::NotWhole { .. } => Failure::of(Damaged, "damaged", error),
        StorageError::Check(error) => Failure::of(Environment, "backend", error),
        StorageError::Store(error) => store(error),
        StorageError::Settings(error) => settings(error),
        StorageError::Free { path, source } => file(path, source).doing("the switch is done, but"),
        StorageError::ReadOnly => Failure::of(Environment, "read_only", error),
        StorageError::Name(_) => Failure::of(Usage, "name", error)
            .hint("1 to 64 of a to z, 0 to 9, -, _ and . make a name"),
        StorageError::NameTaken(_) => Failure::of(Usage, "name_taken", error),
        StorageError::NoSuchName(_) => Failure::of(NotFound, "no_such_name", error).hint(
            "`medledger storage sources list` and `medledger storage replicas list` show names",
        ),
        StorageError::NoSources => Failure::of(Usage, "no_sources", error)
            .hint("`medledger storage sources add NAME URL` adds one"),
        StorageError::NoNode => Failure::of(Usage, "no_node", error)
            .hint("give the folder of its repository, or the URL of its gateway"),
        StorageError::NoKeepers => Failure::of(Usage, "no_keepers", error).hint(
            "`medledger storage replicas add NAME --cluster URL`, or --service URL, adds one",
        ),
        StorageError::Owed(fault) => super::findings::owed(fault),
        StorageError::Replication(_) => Failure::of(Environment, "replicas", error),
        #[cfg(feature = "kubo")]
        StorageError::Spread(_) => Failure::of(Usage, "peers", error),
        StorageError::Record { .. } => Failure::of(Damaged, "damaged", error)
            .hint("remove the file: who was asked is found out anew by a repair"),
        StorageError::Io { path, source } => file(path, source),
        _ => Failure::of(Bug, "unknown", error),
    }
}

fn catch_up(error: &CatchUpError) -> Failure {
    match error {
        CatchUpError::First(_) => Failure::of(Damaged, "damaged", error)
            .hint("`medledger blocks check` says what is damaged here"),
        CatchUpError::Second(error) => block_store(error),
        _ => Failure::of(Bug, "unknown", error),
    }
}

/// A store elsewhere that failed, told by what the node said where it is one.
pub(super) fn backend(error: &medledger::ipfs::store::StoreError) -> Failure {
    #[cfg(feature = "kubo")]
    if let medledger::ipfs::store::StoreError::Backend { source, .. } = error
        && let Some(error) = source.downcast_ref::<KuboError>()
    {
        return kubo(error);
    }
    Failure::of(Environment, "backend", error)
}

#[cfg(feature = "kubo")]
fn endpoint(error: &EndpointError) -> Failure {
    let failure = Failure::of(Usage, "address", error);
    match error {
        EndpointError::Auth(_) => failure.hint(CREDENTIALS),
        EndpointError::Superfluous => failure.hint(CREDENTIALS),
        _ => failure,
    }
}

#[cfg(feature = "kubo")]
const CREDENTIALS: &str = "set MEDLEDGER_KUBO_AUTH to bearer:TOKEN or basic:USER:PASSWORD; that of others is MEDLEDGER_AUTH_NAME";

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
        KuboError::Denied { .. } => failure.hint(CREDENTIALS),
        KuboError::Public { .. } => failure.hint(
            "`medledger ipfs check` says how to mend the node; `medledger storage use PLACE --public` lets it announce",
        ),
        KuboError::NoSuchCall { .. } => failure.hint(
            "give the address that Addresses.API names, such as http://127.0.0.1:5001: not that of a gateway",
        ),
        _ => failure,
    }
}
