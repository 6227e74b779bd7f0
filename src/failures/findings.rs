//! What to do about what `verify` finds.

use super::{Bug, Damaged, Environment, block_store};
use crate::exit::Failure;
use medledger::ipfs::fsck::FsckError;
use medledger::{Finding, Unchecked};

/// For a folder whose database cannot be used at all.
pub(crate) const RESTORE: &str = "restore the folder from a backup; where there is none, take the chain anew from another copy \
                                  with `medledger import follow`: reports and names are then those of that copy";

const REBUILD: &str = "restore the folder from a backup, then `medledger import chain FILE` with what another copy has since";
const BEHIND: &str = "`medledger import chain FILE` takes the newer chain of another copy; only where nobody has it, \
                      `medledger restore --accept-loss ID` goes on without";
const LOCAL: &str =
    "no other copy has it: restore ledger.db from a backup, with the node key it was made with";
const NAME: &str = "no other copy has it: restore ledger.db from a backup, or go on under the id";
const MINING: &str = "no block can be signed here: restore ledger.db from a backup, with the node key it was made with";
const AUDIT: &str = "restore ledger.db from a backup and look at who had access to this machine";
/// Against a file of what a node is owed that cannot be read.
pub(crate) const OWED: &str =
    "remove that file, then `medledger storage use both` compares all there is with the node anew";
const SLOT: &str =
    "restore ledger.db from a backup; without it nobody opens this report: upload it again";
const BLOCKS: &str =
    "`medledger blocks repair --from PLACE` fetches it from another store, a gateway or the node";

/// What helps against a finding.
pub(crate) fn finding(finding: &Finding) -> &'static str {
    match finding {
        Finding::Behind { .. } => BEHIND,
        Finding::Local { .. } => LOCAL,
        Finding::NoContact { .. } | Finding::NoLabel { .. } | Finding::NoName { .. } => NAME,
        Finding::MiningKey { .. } => MINING,
        Finding::Audit(_) => AUDIT,
        Finding::Owed(_) => OWED,
        Finding::NoSlot { .. } => SLOT,
        Finding::Missing { .. } | Finding::Damaged { .. } => BLOCKS,
        _ => REBUILD,
    }
}

/// Nothing was found, and not everything looked at.
pub(crate) fn unchecked(what: &Unchecked) -> Failure {
    let Unchecked::Ciphertext { source, .. } = what else {
        return Failure::of(Bug, "unknown", what);
    };
    let why = match source {
        FsckError::Store(error) => block_store(error),
        error => Failure::of(Environment, "backend", error),
    };
    let message = crate::exit::with_sources(what);
    let failure = Failure::new(why.fault(), why.code().to_owned(), message);
    match why.what_next() {
        Some(hint) => failure.hint(format!("the chain was checked. {hint}")),
        None => failure.hint("the chain was checked; repeat the command when the store answers"),
    }
}

/// A file of debts that cannot be read.
pub(super) fn owed(fault: &medledger::OwedFault) -> Failure {
    Failure::of(Damaged, "owed", fault).hint(OWED)
}
