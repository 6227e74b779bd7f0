//! Every error of the service, given its fault, its code and, where known, what to do next.
//!
//! A test reads the service's sources and finds every variant named here.

mod cars;
mod findings;
mod grants;
mod hospitals;
mod keys;
mod receipts;
mod storage;
mod use_cases;
#[cfg(test)]
mod variants;
mod voids;

pub(crate) use findings::{OWED, RESTORE, finding, unchecked};
pub(crate) use receipts::RECEIPT_EXITS;
pub(crate) use use_cases::unseal;

use crate::exit::{Failure, Fault};
use cars::{export, folder, import};
use grants::{approve, group, release_slot, revoke, rotate};
use hospitals::{card, change, hospital, news, proposal};
use keys::{consent, identity_file, succession};
use medledger::core::access_key::AccessKeyError;
use medledger::core::cid::CidError;
use medledger::core::engine::{OrderError, SubmitError};
use medledger::core::finality::CompareError;
use medledger::core::genesis::GenesisError;
use medledger::core::hospital::{ApplicationError, ProposalError};
use medledger::core::ids::ParseIdError;
use medledger::core::pow::{BitsError, ParseBitsError, ParseHeaderError, ScheduleError};
use medledger::core::receipt::{CheckError, ReceiptError};
use medledger::core::seal::UnsealError;
use medledger::core::simulate::SimulateError;
use medledger::core::store::StoreError;
use medledger::ipfs::store::StoreError as BlockError;
use medledger::ipfs::unixfs::{FolderError, ReadError};
use medledger::mail::NotifyError;
use medledger::time::ParseTimeError;
use medledger::{
    ApproveError, AuditError, BackupError, BlocksError, CheckEvidenceError, ConsentError,
    CreateError, ExportError, GroupError, HospitalChangeError, HospitalError, IdempotencyError,
    IdentityError, IdentityFileError, ImportError, NewsError, NodeKeyError, OpenError,
    OpenReportError, PruneError, RefuseError, RegisterError, ReleaseSlotError, RequestError,
    RevokeError, RotateError, SettingsError, StorageError, SuccessionError, UploadError, WaitError,
};
use receipts::{check, compare, evidence};
use std::io;
use storage::storage;
use use_cases::{
    audit, idempotency, identity, open_report, opened_body, receipt, refuse, register, request,
    upload, wait,
};
use voids::void;

use Fault::{Bug, Damaged, Environment, NotFound, Refused, Usage};

/// A failure of the machine or of a file. Typed errors that came through [`io::Error`] keep their
/// own fault.
pub(crate) fn io(error: &io::Error) -> Failure {
    if let Some(inner) = error.get_ref() {
        if let Some(unseal) = inner.downcast_ref::<UnsealError>() {
            return opened_body(unseal);
        }
        if let Some(read) = inner.downcast_ref::<ReadError>() {
            return Failure::of(Damaged, "damaged", read).hint(VERIFY);
        }
        if let Some(blocks) = inner.downcast_ref::<BlockError>() {
            return block_store(blocks);
        }
    }
    let (fault, code) = match error.kind() {
        io::ErrorKind::NotFound => (NotFound, "no_file"),
        io::ErrorKind::IsADirectory | io::ErrorKind::NotADirectory => (Usage, "not_a_file"),
        io::ErrorKind::AlreadyExists => (Usage, "file_exists"),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => (Environment, "no_space"),
        io::ErrorKind::ReadOnlyFilesystem => (Environment, "read_only"),
        io::ErrorKind::PermissionDenied => (Environment, "no_permission"),
        io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => (Damaged, "damaged"),
        _ => (Environment, "io"),
    };
    let failure = Failure::of(fault, code, error);
    match code {
        "no_space" => failure.hint(FREE_SPACE),
        _ => failure,
    }
}

/// A file that could not be read or written.
pub(crate) fn file(path: &std::path::Path, error: &io::Error) -> Failure {
    io(error).doing(&path.display().to_string())
}

const VERIFY: &str = "`medledger verify` says what else is damaged; restore it from a backup";
const FREE_SPACE: &str = "free some space and repeat the command: nothing was accepted";
const FETCH_AGAIN: &str = "the file was cut or changed on its way: fetch it again";
const OTHER_CHAIN: &str = "compare the chain's id with that of someone you trust; `medledger status` shows that of this ledger";
const UPDATE: &str = "install a newer medledger";
const IN_USE: &str = "repeat the command when the other process has ended";

macro_rules! from_ref {
    ($($error:ty => $function:ident),* $(,)?) => {
        $(impl From<$error> for Failure {
            fn from(error: $error) -> Self {
                $function(&error)
            }
        })*
    };
}

from_ref! {
    StoreError => store,
    BlockError => block_store,
    SubmitError => submit,
    OrderError => order,
    OpenError => open,
    BlocksError => blocks,
    BackupError => backup,
    PruneError => prune,
    StorageError => storage,
    SettingsError => settings,
    NodeKeyError => node_key,
    NotifyError => notify,
    CreateError => create,
    RegisterError => register,
    IdentityError => identity,
    IdentityFileError => identity_file,
    SuccessionError => succession,
    ConsentError => consent,
    UploadError => upload,
    IdempotencyError => idempotency,
    ApproveError => approve,
    AuditError => audit,
    RequestError => request,
    RefuseError => refuse,
    RevokeError => revoke,
    RotateError => rotate,
    GroupError => group,
    ReleaseSlotError => release_slot,
    OpenReportError => open_report,
    WaitError => wait,
    ExportError => export,
    ImportError => import,
    HospitalError => hospital,
    HospitalChangeError => change,
    ProposalError => proposal,
    ApplicationError => card,
    NewsError => news,
    FolderError => folder,
    ReceiptError => receipt,
    CheckError => check,
    CompareError => compare,
    CheckEvidenceError => evidence,
    ParseTimeError => parse_time,
    ParseIdError => parse_id,
    AccessKeyError => access_key,
    ParseHeaderError => parse_header,
    BitsError => bits,
    ParseBitsError => parse_bits,
    SimulateError => simulate,
    CidError => cid,
}

fn store(error: &StoreError) -> Failure {
    let (fault, code) = match error {
        StoreError::NoSpace(_) => (Environment, "no_space"),
        StoreError::ReadOnly => (Environment, "read_only"),
        StoreError::Follower => (Refused, "follower"),
        StoreError::Busy => (Environment, "in_use"),
        StoreError::Damaged(_) => (Damaged, "damaged"),
        StoreError::NotALedger(_) => (Damaged, "not_a_ledger"),
        StoreError::UnknownVersion { .. } => (Environment, "update_needed"),
        StoreError::OldVersion { .. } => (Environment, "old_layout"),
        StoreError::Behind { .. } => (Refused, "behind"),
        StoreError::Pruned { .. } => (NotFound, "pruned"),
        StoreError::Io { .. } => (Environment, "io"),
        _ => (Bug, "unknown"),
    };
    hinted(Failure::of(fault, code, error))
}

const BEHIND: &str = "reading works. `medledger import chain FILE` takes the newer chain of another copy; \
                      only where nobody has it, `medledger restore --accept-loss ID` goes on without";

/// What to do next where the code alone says it.
fn hinted(failure: Failure) -> Failure {
    match failure.code() {
        "no_space" => failure.hint(FREE_SPACE),
        "in_use" => failure.hint(IN_USE),
        "damaged" => failure.hint(VERIFY),
        "update_needed" => failure.hint(UPDATE),
        "behind" => failure.hint(BEHIND),
        _ => failure,
    }
}

fn block_store(error: &BlockError) -> Failure {
    let (fault, code) = match error {
        BlockError::Damaged { .. } | BlockError::Corrupt { .. } => (Damaged, "damaged"),
        BlockError::Mismatch { .. }
        | BlockError::TooLarge { .. }
        | BlockError::NoRoot { .. }
        | BlockError::Pinned { .. }
        | BlockError::InUse { .. }
        | BlockError::TooManyReasons { .. } => (Bug, "blocks"),
        BlockError::Sharding { .. } => (Damaged, "sharding"),
        BlockError::SessionFailed | BlockError::Io { .. } => (Environment, "io"),
        BlockError::Locked { .. } | BlockError::Sweeping => (Environment, "in_use"),
        BlockError::NoSpace { .. } => (Environment, "no_space"),
        BlockError::ReadOnly { .. } => (Environment, "read_only"),
        BlockError::Denied { .. } => (Environment, "no_permission"),
        BlockError::Backend { .. } => return storage::backend(error),
        BlockError::Unsupported { .. } => (Usage, "unsupported"),
        _ => (Bug, "unknown"),
    };
    hinted(Failure::of(fault, code, error))
}

fn blocks(error: &BlocksError) -> Failure {
    match error {
        BlocksError::Blocks(error) => block_store(error),
        BlocksError::Blind(_) => Failure::of(Damaged, "blind", error)
            .hint("`medledger blocks repair` fetches them; nothing was removed"),
        BlocksError::Store(error) => store(error),
        _ => Failure::of(Bug, "unknown", error),
    }
}

fn submit(error: &SubmitError) -> Failure {
    match error {
        SubmitError::Refused { code, .. } => void(*code, error.to_string()),
        SubmitError::TooLarge { .. } => Failure::of(Refused, "record_too_large", error),
        SubmitError::Store(error) => store(error),
        _ => Failure::of(Bug, "unknown", error),
    }
}

fn order(error: &OrderError) -> Failure {
    let (fault, code) = match error {
        OrderError::Cancelled => (Environment, "cancelled"),
        OrderError::NoMiningKey => (Refused, "no_mining_key"),
        OrderError::ClockBehind { .. } => (Environment, "clock_behind"),
        OrderError::NotOurTurn { .. } => (Refused, "not_our_turn"),
        OrderError::Invalid(_) => (Bug, "invalid_block"),
        OrderError::Store(error) => return store(error),
        _ => (Bug, "unknown"),
    };
    let failure = Failure::of(fault, code, error);
    match code {
        "clock_behind" => failure.hint("set this machine's clock"),
        "no_mining_key" => failure.hint(
            "only hospitals of the chain mine: `medledger hospital list` shows which they are, \
             and `medledger hospital propose` asks them to admit one",
        ),
        _ => failure,
    }
}

fn open(error: &OpenError) -> Failure {
    match error {
        OpenError::InUse(_) => Failure::of(Environment, "in_use", error).hint(
            "repeat the command when the other process has ended; \
             log, reports, requests, verify and status work meanwhile",
        ),
        OpenError::ReadOnlyFolder(_) => Failure::of(Environment, "read_only", error)
            .hint("log, reports, requests, verify and status only read"),
        OpenError::NoChain(_) => Failure::of(Refused, "no_chain", error)
            .hint("`medledger hospital join` makes the folder a ledger of a chain"),
        OpenError::Settings(error) => settings(error),
        OpenError::NodeKey(error) => node_key(error),
        OpenError::Mail(error) => notify(error),
        OpenError::Store(error) => store(error),
        OpenError::Storage(error) => storage(error),
        OpenError::Io { source, path } => file(path, source),
        _ => Failure::of(Bug, "unknown", error),
    }
}

fn backup(error: &BackupError) -> Failure {
    match error {
        BackupError::Folder(error) => create(error),
        BackupError::Store(error) => store(error),
        BackupError::Within { .. } => Failure::of(Usage, "within", error)
            .hint("name a folder elsewhere, best on another disk"),
        BackupError::Other { .. } => Failure::of(Damaged, "damaged", error),
        BackupError::Io { path, source } => file(path, source),
        _ => Failure::of(Bug, "unknown", error),
    }
}

fn prune(error: &PruneError) -> Failure {
    match error {
        PruneError::Keep { .. } => Failure::of(Usage, "keep", error),
        PruneError::OnlyCopy => Failure::of(Refused, "only_copy", error).hint(
            "`medledger export chain -o FILE` writes a whole copy: keep it, and prune with --force. Without one no hospital \
             and no follower joins the chain any more, and no damaged copy is mended",
        ),
        PruneError::Store(error) => store(error),
        _ => Failure::of(Bug, "unknown", error),
    }
}

fn settings(error: &SettingsError) -> Failure {
    match error {
        SettingsError::NoLedger(path) => {
            Failure::not_found("no_ledger", format!("{} holds no ledger", path.display())).hint(
                "make one with `medledger init`, or name its folder with --ledger or MEDLEDGER_DIR",
            )
        }
        SettingsError::UnknownVersion { .. } => {
            hinted(Failure::of(Environment, "update_needed", error))
        }
        SettingsError::Malformed { .. } => Failure::of(Damaged, "settings", error)
            .hint("correct the file, or restore it from a backup"),
        SettingsError::Io { source, path } => file(path, source),
        _ => Failure::of(Bug, "unknown", error),
    }
}

fn node_key(error: &NodeKeyError) -> Failure {
    match error {
        NodeKeyError::Missing(_) | NodeKeyError::Malformed(_) => {
            Failure::of(Damaged, "node_key", error).hint("restore the file from its own backup")
        }
        NodeKeyError::Io { source, path } => file(path, source),
        _ => Failure::of(Bug, "unknown", error),
    }
}

fn notify(error: &NotifyError) -> Failure {
    let (fault, code) = match error {
        NotifyError::Address { .. } => (Usage, "mail_address"),
        NotifyError::Format(_) => (Bug, "letter"),
        NotifyError::Outbox { .. } => (Environment, "outbox"),
        NotifyError::Damaged { .. } => (Damaged, "letter_damaged"),
        NotifyError::Server { .. } | NotifyError::Unreachable { .. } => {
            (Environment, "mail_server")
        }
        _ => (Bug, "unknown"),
    };
    Failure::of(fault, code, error)
}

fn create(error: &CreateError) -> Failure {
    match error {
        CreateError::NotEmpty(_) => Failure::of(Usage, "not_empty", error)
            .hint("name another folder with --ledger or MEDLEDGER_DIR"),
        CreateError::Seconds(_) => Failure::of(Usage, "seconds", error),
        CreateError::Genesis(error) => genesis(error),
        CreateError::Card { .. } => Failure::of(Usage, "card", error)
            .hint("`medledger hospital new` and `hospital card` write the files that are needed"),
        CreateError::Settings(error) => settings(error),
        CreateError::NodeKey(error) => node_key(error),
        CreateError::Hospital(error) => register(error),
        CreateError::Open(error) => open(error),
        CreateError::Store(error) => store(error),
        CreateError::Io { source, path } => file(path, source),
        _ => Failure::of(Bug, "unknown", error),
    }
}

fn genesis(error: &GenesisError) -> Failure {
    let (fault, code) = match error {
        GenesisError::Schedule(ScheduleError::Bits { .. }) => (Usage, "bits"),
        GenesisError::Schedule(_) => (Usage, "schedule"),
        GenesisError::Founders { .. } | GenesisError::LogFounders { .. } => (Usage, "founders"),
        GenesisError::UnknownVersion { .. } => (Environment, "update_needed"),
        // We made the rest ourselves.
        _ => (Bug, "genesis"),
    };
    hinted(Failure::of(fault, code, error))
}

fn parse_time(error: &ParseTimeError) -> Failure {
    Failure::of(Usage, "time", error)
}

fn parse_id(error: &ParseIdError) -> Failure {
    Failure::of(Usage, "id", error)
}

fn access_key(error: &AccessKeyError) -> Failure {
    Failure::of(Usage, "access_key", error)
        .hint("type it as it stands in the letter; dashes and spaces do not matter")
}

fn parse_header(error: &ParseHeaderError) -> Failure {
    Failure::of(Usage, "header", error)
}

fn bits(error: &BitsError) -> Failure {
    Failure::of(Usage, "bits", error)
}

/// Every one of them is about what was asked for.
fn simulate(error: &SimulateError) -> Failure {
    Failure::of(Usage, "simulation", error)
}

fn parse_bits(error: &ParseBitsError) -> Failure {
    Failure::of(Usage, "bits", error)
}

fn cid(error: &CidError) -> Failure {
    Failure::of(Usage, "cid", error)
}
