//! Errors of the use cases.

use super::grants::release;
use super::{UPDATE, VERIFY, block_store, file, hinted, io, notify, order, store, submit, void};
use crate::exit::Failure;
use crate::exit::Fault::{Bug, Damaged, Environment, NotFound, Refused, Usage};
use medledger::core::envelope::{EnvelopeError, MetadataError};
use medledger::core::identity::{LockError, UnlockError};
use medledger::core::receipt::ReceiptError;
use medledger::core::seal::{SealError, UnsealError};
use medledger::core::slot::SlotError;
use medledger::{
    AuditError, IdempotencyError, IdentityError, OpenReportError, RefuseError, RegisterError,
    RequestError, UploadError, WaitError,
};

pub(super) fn register(error: &RegisterError) -> Failure {
    match error {
        RegisterError::Address(error) => notify(error),
        RegisterError::Lock(error) => lock(error),
        RegisterError::Name { .. }
        | RegisterError::Blank { .. }
        | RegisterError::Spaces { .. }
        | RegisterError::Character { .. } => Failure::of(Usage, "name", error),
        RegisterError::IdentityFile { source, path } => file(path, source),
        RegisterError::Submit(error) => submit(error),
        RegisterError::Store(error) => store(error),
        _ => Failure::of(Bug, "unknown", error),
    }
}

pub(super) fn lock(error: &LockError) -> Failure {
    let (fault, code) = match error {
        LockError::EmptyPassword => (Usage, "empty_password"),
        LockError::OutOfMemory { .. } => (Environment, "out_of_memory"),
        _ => (Bug, "unknown"),
    };
    Failure::of(fault, code, error)
}

pub(super) fn identity(error: &IdentityError) -> Failure {
    match error {
        IdentityError::Missing(_) => Failure::of(NotFound, "no_identity", error)
            .hint("only members whose identity file lies in this ledger's folder can act here"),
        IdentityError::OtherMember { .. } => Failure::of(Damaged, "identity", error)
            .hint("put every identity file back under its own name"),
        IdentityError::Unlock(error) => unlock(error),
        IdentityError::Io { source, path } => file(path, source),
        _ => Failure::of(Bug, "unknown", error),
    }
}

pub(super) fn unlock(error: &UnlockError) -> Failure {
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

pub(super) fn upload(error: &UploadError) -> Failure {
    match error {
        UploadError::Source(source) => io(source).doing("the report could not be read"),
        UploadError::TooLong(error) => seal(error),
        UploadError::Metadata(error) => metadata(error),
        UploadError::Idempotency(error) => idempotency(error),
        UploadError::Blocks(error) => block_store(error),
        UploadError::Refused(code) => void(*code, error.to_string()),
        UploadError::Submit(error) => submit(error),
        UploadError::Store(error) => store(error),
        UploadError::Together(cause) => upload(cause),
        _ => Failure::of(Bug, "unknown", error),
    }
}

pub(super) fn seal(error: &SealError) -> Failure {
    match error {
        SealError::TooLong => Failure::of(Usage, "too_long", error),
        SealError::Io(source) => io(source),
        _ => Failure::of(Bug, "unknown", error),
    }
}

/// What a caller typed as file name, media type or note.
pub(super) fn metadata(error: &MetadataError) -> Failure {
    Failure::of(Usage, "metadata", error)
}

pub(super) fn idempotency(error: &IdempotencyError) -> Failure {
    match error {
        IdempotencyError::Length { .. } => Failure::of(Usage, "idempotency_key", error),
        IdempotencyError::Conflict => Failure::of(Refused, "idempotency_conflict", error)
            .hint("give another --idempotency-key, or exactly what was given the first time"),
        IdempotencyError::Store(error) => store(error),
        _ => Failure::of(Bug, "unknown", error),
    }
}

pub(super) fn slot(error: &SlotError) -> Failure {
    let (fault, code) = match error {
        SlotError::WrongKeyOrMoved | SlotError::OtherSuite { .. } => (Refused, "wrong_key"),
        SlotError::UnknownSuite(_) => (Environment, "update_needed"),
        SlotError::Length { .. } | SlotError::Encoding(_) => (Damaged, "slot"),
        _ => (Bug, "unknown"),
    };
    hinted(Failure::of(fault, code, error))
}

/// What to look at where nobody says what was wrong.
pub(super) const CHECK_KEY: &str = "check the key for typing errors, or use the newest letter; \
    `medledger requests --as PATIENT` and `medledger reports --as PATIENT` list yours";

/// After too many failures.
pub(super) const WAITING: &str = "wait, or ask the hospital: it sees in `medledger audit list` what failed, and \
    `medledger audit unlock MEMBER` lets you try again at once";

/// What somebody does whose keys are suspended.
pub(super) const SUSPENDED: &str = "the hospital that registered you gives you others with `medledger identity replace`, a \
    patient only with the patient's consent; `medledger identity install FILE` puts a file that was made elsewhere where \
    you act";

pub(super) fn audit(error: &AuditError) -> Failure {
    match error {
        AuditError::OtherHospital { .. } => Failure::of(Refused, "other_hospital", error),
        AuditError::Refused(code) => void(*code, error.to_string()),
        AuditError::Damaged(_) => Failure::of(Damaged, "audit", error)
            .hint("`medledger audit verify` says what is wrong with it"),
        AuditError::Submit(error) => submit(error),
        AuditError::Store(error) => store(error),
        _ => Failure::of(Bug, "unknown", error),
    }
}

pub(super) fn request(error: &RequestError) -> Failure {
    match error {
        RequestError::Submit(error) => submit(error),
        RequestError::Store(error) => store(error),
        _ => Failure::of(Bug, "unknown", error),
    }
}

pub(super) fn refuse(error: &RefuseError) -> Failure {
    match error {
        RefuseError::Submit(error) => submit(error),
        RefuseError::Store(error) => store(error),
        _ => Failure::of(Bug, "unknown", error),
    }
}

pub(super) fn open_report(error: &OpenReportError) -> Failure {
    let (fault, code) = match error {
        OpenReportError::NoAccess | OpenReportError::WrongKey => (Refused, "no_access"),
        OpenReportError::TooMany { .. } => (Refused, "too_many_attempts"),
        OpenReportError::Suspended(_) => (Refused, "suspended"),
        OpenReportError::Expired => (Refused, "expired"),
        OpenReportError::Revoked => (Refused, "revoked"),
        OpenReportError::NotMined => (Refused, "not_mined"),
        OpenReportError::NoSlot(_) => (NotFound, "no_slot"),
        OpenReportError::KeyMissing => (Damaged, "key_missing"),
        OpenReportError::Missing(_) => (Damaged, "missing_block"),
        OpenReportError::Damaged(_) | OpenReportError::Metadata(_) => (Damaged, "damaged"),
        OpenReportError::Release(error) => return release(error),
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
        "no_access" => failure.hint(
            "check the key for typing errors, or use the newest letter; a permission that came with \
             an access key needs --access-key, --access-key-file or MEDLEDGER_ACCESS_KEY. To ask the \
             patient: `medledger request REPORT --as READER --purpose TREAT --until 30d`",
        ),
        "too_many_attempts" => failure.hint(WAITING),
        "suspended" => failure.hint(SUSPENDED),
        "expired" | "revoked" => failure.hint(
            "ask the patient: `medledger request REPORT --as READER --purpose TREAT --until 30d`",
        ),
        "no_slot" => failure.hint("`medledger slot ask REPORT --as READER --to FILE` asks them"),
        "key_missing" => failure.hint(
            "the other way may open it: with the access key of the letter, or with the identity alone. `medledger verify` \
             names reports whose keys are lost, and only a backup of the hospital's brings these back (docs/backup.md)",
        ),
        "not_mined" => failure.hint("`medledger mine` puts it in a block"),
        "damaged" | "missing_block" => failure.hint(VERIFY),
        _ => failure,
    }
}

pub(super) fn envelope(error: &EnvelopeError) -> Failure {
    let (fault, code) = match error {
        EnvelopeError::UnknownVersion { .. } | EnvelopeError::UnknownSuite { .. } => {
            (Environment, "update_needed")
        }
        _ => (Damaged, "damaged"),
    };
    hinted(Failure::of(fault, code, error))
}

/// The body of a report whose key was unwrapped: what does not fit now is damaged.
pub(super) fn opened_body(error: &UnsealError) -> Failure {
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
        UnsealError::TooLong | UnsealError::NoMemory { .. } => {
            Failure::of(Environment, "too_long", error)
        }
        UnsealError::OutOfRange { .. } => Failure::of(Usage, "out_of_range", error),
        UnsealError::Io(source) => io(source),
        _ => Failure::of(Bug, "unknown", error),
    }
}

pub(super) fn wait(error: &WaitError) -> Failure {
    match error {
        WaitError::Unknown(_) => Failure::of(NotFound, "no_record", error),
        WaitError::Refused { code, .. } => void(*code, error.to_string()),
        WaitError::Order(error) => order(error),
        WaitError::Store(error) => store(error),
        _ => Failure::of(Bug, "unknown", error),
    }
}

pub(super) fn receipt(error: &ReceiptError) -> Failure {
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
