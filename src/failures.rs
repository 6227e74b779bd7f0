//! Every error of the service, given its fault, its code and, where known, what to do next.
//!
//! A test reads the service's sources and finds every variant named here.

use crate::exit::{Failure, Fault};
use medledger::core::access_key::AccessKeyError;
use medledger::core::cid::CidError;
use medledger::core::engine::{OrderError, SubmitError};
use medledger::core::envelope::{EnvelopeError, MetadataError};
use medledger::core::genesis::GenesisError;
use medledger::core::identity::{LockError, UnlockError};
use medledger::core::ids::ParseIdError;
use medledger::core::pow::{BitsError, ParseBitsError, ParseHeaderError};
use medledger::core::receipt::{CheckError, ReceiptError};
use medledger::core::record::RecordError;
use medledger::core::registry::VoidCode;
use medledger::core::seal::{SealError, UnsealError};
use medledger::core::slot::SlotError;
use medledger::core::store::StoreError;
use medledger::ipfs::store::StoreError as BlockError;
use medledger::ipfs::unixfs::ReadError;
use medledger::mail::NotifyError;
use medledger::time::ParseTimeError;
use medledger::{
    ApproveError, CreateError, IdempotencyError, IdentityError, NodeKeyError, OpenError,
    OpenReportError, RefuseError, RegisterError, RequestError, RevokeError, SettingsError,
    UploadError, WaitError,
};
use std::io;

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
    SettingsError => settings,
    NodeKeyError => node_key,
    NotifyError => notify,
    CreateError => create,
    RegisterError => register,
    IdentityError => identity,
    UploadError => upload,
    IdempotencyError => idempotency,
    ApproveError => approve,
    RequestError => request,
    RefuseError => refuse,
    RevokeError => revoke,
    OpenReportError => open_report,
    WaitError => wait,
    ReceiptError => receipt,
    CheckError => check,
    ParseTimeError => parse_time,
    ParseIdError => parse_id,
    AccessKeyError => access_key,
    ParseHeaderError => parse_header,
    BitsError => bits,
    ParseBitsError => parse_bits,
    CidError => cid,
}

fn store(error: &StoreError) -> Failure {
    let (fault, code) = match error {
        StoreError::NoSpace(_) => (Environment, "no_space"),
        StoreError::ReadOnly => (Environment, "read_only"),
        StoreError::Busy => (Environment, "in_use"),
        StoreError::Damaged(_) => (Damaged, "damaged"),
        StoreError::NotALedger(_) => (Damaged, "not_a_ledger"),
        StoreError::UnknownVersion { .. } => (Environment, "update_needed"),
        StoreError::Io { .. } => (Environment, "io"),
        _ => (Bug, "unknown"),
    };
    hinted(Failure::of(fault, code, error))
}

/// What to do next where the code alone says it.
fn hinted(failure: Failure) -> Failure {
    match failure.code() {
        "no_space" => failure.hint(FREE_SPACE),
        "in_use" => failure.hint(IN_USE),
        "damaged" => failure.hint(VERIFY),
        "update_needed" => failure.hint(UPDATE),
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
        | BlockError::InUse { .. } => (Bug, "blocks"),
        BlockError::SessionFailed | BlockError::Io { .. } => (Environment, "io"),
        BlockError::Locked { .. } => (Environment, "in_use"),
        BlockError::NoSpace { .. } => (Environment, "no_space"),
        BlockError::ReadOnly { .. } => (Environment, "read_only"),
        BlockError::Denied { .. } => (Environment, "no_permission"),
        BlockError::Backend { .. } => (Environment, "backend"),
        _ => (Bug, "unknown"),
    };
    hinted(Failure::of(fault, code, error))
}

/// A rule of the chain that says no. The code is the rule's name, such as `role_not_allowed`.
fn void(code: VoidCode, message: String) -> Failure {
    let mut name = String::new();
    for c in format!("{code:?}").chars() {
        if c.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(c.to_ascii_lowercase());
    }
    let failure = Failure::new(Refused, name, message);
    match code {
        VoidCode::RequestPending => failure.hint("`medledger requests --as PATIENT` shows it"),
        VoidCode::UnknownReport => failure.hint("`medledger reports --as MEMBER` lists yours"),
        VoidCode::UnknownRequest => failure.hint("`medledger requests --as PATIENT` lists them"),
        VoidCode::UnknownGrant => failure.hint("`medledger reports --as PATIENT` lists grants"),
        VoidCode::Expired | VoidCode::TooLong => {
            failure.hint("give a time such as --until 30d, or a date")
        }
        _ => failure,
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
        OrderError::Invalid(_) => (Bug, "invalid_block"),
        OrderError::Store(error) => return store(error),
        _ => (Bug, "unknown"),
    };
    let failure = Failure::of(fault, code, error);
    if code == "clock_behind" { failure.hint("set this machine's clock") } else { failure }
}

fn open(error: &OpenError) -> Failure {
    match error {
        OpenError::InUse(_) => Failure::of(Environment, "in_use", error).hint(
            "repeat the command when the other process has ended; \
             log, reports, requests, verify and status work meanwhile",
        ),
        OpenError::ReadOnlyFolder(_) => Failure::of(Environment, "read_only", error)
            .hint("log, reports, requests, verify and status only read"),
        OpenError::Settings(error) => settings(error),
        OpenError::NodeKey(error) => node_key(error),
        OpenError::Mail(error) => notify(error),
        OpenError::Store(error) => store(error),
        OpenError::Blocks(error) => block_store(error),
        OpenError::Io { source, path } => file(path, source),
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
        NotifyError::Server { .. } => (Environment, "mail_server"),
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
        GenesisError::Schedule(_) => (Usage, "bits"),
        GenesisError::UnknownVersion { .. } => (Environment, "update_needed"),
        // We made the rest ourselves.
        _ => (Bug, "genesis"),
    };
    hinted(Failure::of(fault, code, error))
}

fn register(error: &RegisterError) -> Failure {
    match error {
        RegisterError::Address(error) => notify(error),
        RegisterError::Lock(error) => lock(error),
        RegisterError::Name { .. } => Failure::of(Usage, "name", error),
        RegisterError::IdentityFile { source, path } => file(path, source),
        RegisterError::Submit(error) => submit(error),
        RegisterError::Store(error) => store(error),
        _ => Failure::of(Bug, "unknown", error),
    }
}

fn lock(error: &LockError) -> Failure {
    let (fault, code) = match error {
        LockError::EmptyPassword => (Usage, "empty_password"),
        LockError::OutOfMemory { .. } => (Environment, "out_of_memory"),
        _ => (Bug, "unknown"),
    };
    Failure::of(fault, code, error)
}

fn identity(error: &IdentityError) -> Failure {
    match error {
        IdentityError::Missing(_) => Failure::of(NotFound, "no_identity", error)
            .hint("only members whose identity file lies in this ledger's folder can act here"),
        IdentityError::Unlock(error) => unlock(error),
        IdentityError::Io { source, path } => file(path, source),
        _ => Failure::of(Bug, "unknown", error),
    }
}

fn unlock(error: &UnlockError) -> Failure {
    let (fault, code) = match error {
        UnlockError::WrongPasswordOrDamaged => (Refused, "wrong_password"),
        UnlockError::Version { .. } => (Environment, "update_needed"),
        UnlockError::OutOfMemory { .. } => (Environment, "out_of_memory"),
        UnlockError::Encoding(_) | UnlockError::Params(_) | UnlockError::Length { .. } => {
            (Damaged, "identity")
        }
        _ => (Bug, "unknown"),
    };
    let failure = Failure::of(fault, code, error);
    match code {
        "update_needed" => failure.hint(UPDATE),
        "identity" => failure.hint("restore the identity file from a backup"),
        _ => failure,
    }
}

fn upload(error: &UploadError) -> Failure {
    match error {
        UploadError::Source(source) => io(source).doing("the report could not be read"),
        UploadError::TooLong(error) => seal(error),
        UploadError::Metadata(error) => metadata(error),
        UploadError::Idempotency(error) => idempotency(error),
        UploadError::Blocks(error) => block_store(error),
        UploadError::Refused(code) => void(*code, error.to_string()),
        UploadError::Submit(error) => submit(error),
        UploadError::Store(error) => store(error),
        _ => Failure::of(Bug, "unknown", error),
    }
}

fn seal(error: &SealError) -> Failure {
    match error {
        SealError::TooLong => Failure::of(Usage, "too_long", error),
        SealError::Io(source) => io(source),
        _ => Failure::of(Bug, "unknown", error),
    }
}

/// What a caller typed as file name, media type or note.
fn metadata(error: &MetadataError) -> Failure {
    Failure::of(Usage, "metadata", error)
}

fn idempotency(error: &IdempotencyError) -> Failure {
    match error {
        IdempotencyError::Length { .. } => Failure::of(Usage, "idempotency_key", error),
        IdempotencyError::Conflict => Failure::of(Refused, "idempotency_conflict", error)
            .hint("give another --idempotency-key, or exactly what was given the first time"),
        IdempotencyError::Store(error) => store(error),
        _ => Failure::of(Bug, "unknown", error),
    }
}

fn slot(error: &SlotError) -> Failure {
    let (fault, code) = match error {
        SlotError::WrongKeyOrMoved | SlotError::OtherSuite { .. } => (Refused, "wrong_key"),
        SlotError::SuiteNotInForce(_) | SlotError::UnknownSuite(_) => {
            (Environment, "update_needed")
        }
        SlotError::Length { .. } | SlotError::Encoding(_) => (Damaged, "slot"),
        _ => (Bug, "unknown"),
    };
    hinted(Failure::of(fault, code, error))
}

fn approve(error: &ApproveError) -> Failure {
    match error {
        ApproveError::WrongKey => Failure::of(Refused, "wrong_key", error),
        ApproveError::NoSlot => Failure::of(NotFound, "no_slot", error),
        ApproveError::Refused(code) => void(*code, error.to_string()),
        ApproveError::Slot(error) => slot(error),
        ApproveError::Submit(error) => submit(error),
        ApproveError::Store(error) => store(error),
        _ => Failure::of(Bug, "unknown", error),
    }
}

fn request(error: &RequestError) -> Failure {
    match error {
        RequestError::Submit(error) => submit(error),
        RequestError::Store(error) => store(error),
        _ => Failure::of(Bug, "unknown", error),
    }
}

fn refuse(error: &RefuseError) -> Failure {
    match error {
        RefuseError::Submit(error) => submit(error),
        RefuseError::Store(error) => store(error),
        _ => Failure::of(Bug, "unknown", error),
    }
}

fn revoke(error: &RevokeError) -> Failure {
    match error {
        RevokeError::Submit(error) => submit(error),
        RevokeError::Store(error) => store(error),
        _ => Failure::of(Bug, "unknown", error),
    }
}

fn open_report(error: &OpenReportError) -> Failure {
    let (fault, code) = match error {
        OpenReportError::NoAccess => (Refused, "no_access"),
        OpenReportError::Expired => (Refused, "expired"),
        OpenReportError::Revoked => (Refused, "revoked"),
        OpenReportError::NotMined => (Refused, "not_mined"),
        OpenReportError::WrongKey => (Refused, "wrong_key"),
        OpenReportError::NoSlot(_) => (NotFound, "no_slot"),
        OpenReportError::Missing(_) => (Damaged, "missing_block"),
        OpenReportError::Damaged(_) | OpenReportError::Metadata(_) => (Damaged, "damaged"),
        OpenReportError::Envelope(error) => return envelope(error),
        OpenReportError::Unseal(error) => return opened_body(error),
        OpenReportError::Slot(error) => return slot(error),
        OpenReportError::Blocks(error) => return block_store(error),
        OpenReportError::Submit(error) => return submit(error),
        OpenReportError::Store(error) => return store(error),
        _ => (Bug, "unknown"),
    };
    let failure = Failure::of(fault, code, error);
    match code {
        "no_access" | "expired" | "revoked" => failure.hint(
            "ask the patient: `medledger request REPORT --as READER --purpose TREAT --until 30d`",
        ),
        "not_mined" => failure.hint("`medledger mine` puts it in a block"),
        "damaged" | "missing_block" => failure.hint(VERIFY),
        _ => failure,
    }
}

fn envelope(error: &EnvelopeError) -> Failure {
    let (fault, code) = match error {
        EnvelopeError::UnknownVersion { .. } | EnvelopeError::UnknownSuite { .. } => {
            (Environment, "update_needed")
        }
        _ => (Damaged, "damaged"),
    };
    hinted(Failure::of(fault, code, error))
}

/// The body of a report whose key was unwrapped: what does not fit now is damaged.
fn opened_body(error: &UnsealError) -> Failure {
    match error {
        UnsealError::WrongKeyOrContext => Failure::of(Damaged, "damaged", error).hint(VERIFY),
        _ => unseal(error),
    }
}

/// Something sealed that does not open under the key that was given.
pub(crate) fn unseal(error: &UnsealError) -> Failure {
    match error {
        UnsealError::WrongKeyOrContext => Failure::of(Refused, "wrong_key", error),
        UnsealError::Damaged { .. }
        | UnsealError::Truncated
        | UnsealError::InvalidLength { .. }
        | UnsealError::InvalidChunk { .. } => Failure::of(Damaged, "damaged", error),
        UnsealError::TooLong => Failure::of(Environment, "too_long", error),
        UnsealError::OutOfRange { .. } => Failure::of(Usage, "out_of_range", error),
        UnsealError::Io(source) => io(source),
        _ => Failure::of(Bug, "unknown", error),
    }
}

fn wait(error: &WaitError) -> Failure {
    match error {
        WaitError::Unknown(_) => Failure::of(NotFound, "no_record", error),
        WaitError::Refused { code, .. } => void(*code, error.to_string()),
        WaitError::Order(error) => order(error),
        WaitError::Store(error) => store(error),
        _ => Failure::of(Bug, "unknown", error),
    }
}

fn receipt(error: &ReceiptError) -> Failure {
    match error {
        ReceiptError::Unknown(_) => Failure::of(NotFound, "no_record", error),
        ReceiptError::NotMined(_) => {
            Failure::of(Refused, "not_mined", error).hint("`medledger mine` puts it in a block")
        }
        ReceiptError::Refused(_) => Failure::of(Refused, "never_took_effect", error),
        ReceiptError::NotFinal { .. } => Failure::of(Refused, "not_final", error),
        ReceiptError::Store(error) => store(error),
        _ => Failure::of(Bug, "unknown", error),
    }
}

/// A receipt that proves nothing, whatever the reason, is a check that found something.
fn check(error: &CheckError) -> Failure {
    let update = matches!(
        error,
        CheckError::UnknownVersion { .. }
            | CheckError::Genesis(GenesisError::UnknownVersion { .. })
            | CheckError::Record(
                RecordError::UnknownVersion { .. }
                    | RecordError::UnknownKind { .. }
                    | RecordError::NotInForce(_)
            )
    );
    if update {
        return hinted(Failure::of(Environment, "update_needed", error));
    }
    let code = match error {
        CheckError::OtherChain { .. } | CheckError::ForeignRecord => "other_chain",
        CheckError::Malformed(_) => "not_a_receipt",
        _ => "proves_nothing",
    };
    Failure::of(Damaged, code, error)
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

fn parse_bits(error: &ParseBitsError) -> Failure {
    Failure::of(Usage, "bits", error)
}

fn cid(error: &CidError) -> Failure {
    Failure::of(Usage, "cid", error)
}
