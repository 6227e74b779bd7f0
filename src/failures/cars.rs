//! Errors of exports and imports, and of folders.

use super::{FETCH_AGAIN, OTHER_CHAIN, UPDATE, block_store, create, file, hinted, io, open, store};
use crate::exit::Failure;
use crate::exit::Fault::{Bug, Damaged, NotFound, Refused, Usage};
use medledger::core::block::BlockDecodeError;
use medledger::core::chain::{BlockError, HeaderError};
use medledger::core::follow::FollowError;
use medledger::ipfs::car::{CarError, CopyError, WriteError};
use medledger::ipfs::unixfs::FolderError;
use medledger::{ExportError, ImportError};

pub(super) fn export(error: &ExportError) -> Failure {
    match error {
        ExportError::UnknownReport(_) => Failure::of(NotFound, "no_report", error),
        ExportError::Report { source: WriteError::Store(inner), .. } => {
            let failure = block_store(inner);
            if failure.fault() == Damaged {
                Failure::of(Damaged, "damaged", error)
            } else {
                failure
            }
        }
        ExportError::Report { .. } => Failure::of(Damaged, "damaged", error)
            .hint("`medledger import report` brings back blocks from a CAR file of the report"),
        ExportError::Write(error) => write(error),
        ExportError::Store(error) => store(error),
        _ => Failure::of(Bug, "unknown", error),
    }
}

fn write(error: &WriteError) -> Failure {
    match error {
        WriteError::Io(error) => io(error),
        WriteError::Store(error) => block_store(error),
        WriteError::TooManyRoots { .. } | WriteError::Dag(_) => {
            Failure::of(Refused, "car_too_large", error)
        }
        _ => Failure::of(Bug, "car", error),
    }
}

pub(super) fn import(error: &ImportError) -> Failure {
    match error {
        ImportError::Car(error) => car(error),
        ImportError::UnknownReport { .. } => Failure::of(Refused, "unknown_report", error)
            .hint("only reports whose record is on this ledger are taken"),
        ImportError::NotABlock { error: BlockDecodeError::UnknownVersion { .. }, .. } => {
            hinted(Failure::of(crate::exit::Fault::Environment, "update_needed", error))
        }
        ImportError::NotABlock { .. } => Failure::of(Usage, "not_a_chain", error).hint(
            "`medledger export chain` writes the file that is needed; one of a report goes to `medledger import report`",
        ),
        ImportError::Genesis(_) => Failure::of(Refused, "genesis", error).hint(
            "whoever made this file founded no chain: ask for one that `medledger export chain` wrote",
        ),
        ImportError::OtherChain { .. } => {
            Failure::of(Refused, "other_chain", error).hint(OTHER_CHAIN)
        }
        ImportError::JoinedBefore(_) => Failure::of(Usage, "joined_before", error)
            .hint("`medledger import chain` takes what came later"),
        ImportError::NotAHospital { .. } => Failure::of(Refused, "not_a_hospital", error)
            .hint("the chain must be founded with this hospital's card"),
        ImportError::Forked { .. } => Failure::of(Refused, "forked", error).hint(
            "nothing is lost where this ledger's is the better one: give it to them. Where votes have decided for theirs, \
             `medledger import news FILE` of theirs tells; then import the chain again",
        ),
        ImportError::Follow(error) => follow(error),
        ImportError::Checkpoint(_) => Failure::of(Refused, "checkpoint", error),
        ImportError::NotFinal { .. } => Failure::of(Refused, "not_final", error)
            .hint("ask for a new file: this one is not what the hospital exports"),
        ImportError::Copy(CopyError::Store(error)) => block_store(error),
        ImportError::Copy(_) => Failure::of(Damaged, "car", error).hint(FETCH_AGAIN),
        ImportError::Spool { source, .. } => io(source),
        ImportError::Create(error) => create(error),
        ImportError::Open(error) => open(error),
        ImportError::Blocks(error) => block_store(error),
        ImportError::Store(error) => store(error),
        _ => Failure::of(Bug, "unknown", error),
    }
}

fn car(error: &CarError) -> Failure {
    match error {
        CarError::Io(error) => io(error),
        CarError::Header | CarError::HeaderTooLong { .. } | CarError::NoRoots => {
            Failure::of(Usage, "not_a_car", error).hint(
                "`medledger export report` and `medledger export chain` write the files that are needed",
            )
        }
        CarError::Version { .. } => Failure::of(Usage, "not_a_car", error).hint(UPDATE),
        CarError::Cid { .. } => Failure::of(Refused, "cid", error),
        _ => Failure::of(Damaged, "car", error)
            .hint(FETCH_AGAIN),
    }
}

fn follow(error: &FollowError) -> Failure {
    match error {
        FollowError::Rule { error: BlockError::Header(HeaderError::TooEarly { .. }), .. } => {
            Failure::of(Refused, "too_early", error).hint("set this machine's clock")
        }
        FollowError::Rule { .. } | FollowError::Node { .. } => {
            Failure::of(Refused, "invalid_block", error)
        }
        FollowError::Store(error) => store(error),
        _ => Failure::of(Bug, "unknown", error),
    }
}

pub(super) fn folder(error: &FolderError) -> Failure {
    match error {
        FolderError::Io { path, source } => file(path, source),
        FolderError::Link(_) | FolderError::Special(_) | FolderError::Name(_) => {
            Failure::of(Usage, "not_a_file", error)
        }
        FolderError::Directory { .. } | FolderError::TooDeep { .. } => {
            Failure::of(Refused, "folder_too_large", error)
        }
        _ => Failure::of(Bug, "unknown", error),
    }
}
