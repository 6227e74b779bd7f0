//! From the service's errors to the classes of `medledger._errors`. A variant that is new here falls
//! to the parent of its kind.

use medledger::core::dek::Dek;
use medledger::core::engine::{OrderError, SubmitError};
use medledger::core::hospital::{ApplicationError, ProposalError};
use medledger::core::identity::{ConsentError, LockError, UnlockError};
use medledger::core::news::NewsError as NewsDecodeError;
use medledger::core::receipt::{CheckError, Reason, ReceiptError};
use medledger::core::registry::VoidCode;
use medledger::core::release::ReleaseError;
use medledger::core::seal::{SealError, UnsealError};
use medledger::core::store::StoreError;
use medledger::ipfs::pipeline::PipelineError;
use medledger::ipfs::store::StoreError as BlockError;
use medledger::ipfs::unixfs::ReadError;
use medledger::mail::NotifyError;
use medledger::{
    ApproveError, AuditError, BackupError, BlocksError, CreateError, GroupError,
    HospitalChangeError, HospitalError, IdempotencyError, IdentityError, IdentityFileError,
    NewsError, NodeKeyError, OpenError, OpenReportError, PruneError, RefuseError, RegisterError,
    ReleaseSlotError, RequestError, RevokeError, RotateError, SettingsError, StorageError,
    SuccessionError, UploadError, WaitError,
};
use pyo3::exceptions::PyOSError;
use pyo3::prelude::*;
use std::error::Error;
use std::io;

/// A class of `medledger._errors`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Class {
    Base,
    Refused(VoidCode),
    Access,
    NoAccess,
    WrongKey,
    WrongPassword,
    Expired,
    Revoked,
    NotMined,
    TooMany,
    NotFound,
    Damaged,
    Storage,
    InUse,
    ReadOnly,
    UpdateNeeded,
    Conflict,
    /// With the name of the reason.
    Receipt(&'static str),
    InvalidArgument,
    Closed,
}

impl Class {
    const fn name(self) -> &'static str {
        match self {
            Self::Base => "MedledgerError",
            Self::Refused(_) => "RefusedError",
            Self::Access => "AccessError",
            Self::NoAccess => "NoAccessError",
            Self::WrongKey => "WrongKeyError",
            Self::WrongPassword => "WrongPasswordError",
            Self::Expired => "ExpiredError",
            Self::Revoked => "RevokedError",
            Self::NotMined => "NotMinedError",
            Self::TooMany => "TooManyAttemptsError",
            Self::NotFound => "NotFoundError",
            Self::Damaged => "DamagedError",
            Self::Storage => "StorageError",
            Self::InUse => "InUseError",
            Self::ReadOnly => "ReadOnlyError",
            Self::UpdateNeeded => "UpdateNeededError",
            Self::Conflict => "ConflictError",
            Self::Receipt(_) => "ReceiptError",
            Self::InvalidArgument => "InvalidArgumentError",
            Self::Closed => "ClosedError",
        }
    }

    /// The exception of this class with this text.
    pub(crate) fn error(self, text: impl Into<String>) -> PyErr {
        let text = text.into();
        Python::attach(|py| {
            let class =
                py.import("medledger._errors").and_then(|module| module.getattr(self.name()));
            let made = class.and_then(|class| match self {
                Self::Refused(code) => class.call1((text, code.code())),
                Self::Receipt(reason) => class.call1((text, reason)),
                _ => class.call1((text,)),
            });
            made.map_or_else(|error| error, PyErr::from_value)
        })
    }
}

/// An error of the service that knows its class.
pub(crate) trait Classify: Error + Send + Sync + 'static {
    fn class(&self) -> Class;

    /// The error of the machine at its bottom, if that is where it comes from.
    fn io(&self) -> Option<&io::Error> {
        let mut cause: Option<&(dyn Error + 'static)> = self.source();
        while let Some(error) = cause {
            if let Some(io) = error.downcast_ref::<io::Error>() {
                return Some(io);
            }
            cause = error.source();
        }
        None
    }
}

/// The exception for an error of the service, with its cause.
pub(crate) fn raise<E: Classify>(error: E) -> PyErr {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        let more = inner.to_string();
        // Some texts hold those of their cause already.
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = inner.source();
    }
    let exception = error.class().error(text);
    if let Some(io) = error.io() {
        // Without a number of the system it is an error of ours in the dress of `io::Error`.
        if let Some(number) = io.raw_os_error() {
            Python::attach(|py| {
                let cause = PyOSError::new_err((number, io.to_string()));
                exception.set_cause(py, Some(cause));
            });
        }
    }
    exception
}

/// The class of an error that travelled as [`io::Error`].
fn io_class(error: &io::Error) -> Class {
    match error.get_ref() {
        Some(inner) => {
            if let Some(error) = inner.downcast_ref::<ReadError>() {
                error.class()
            } else if let Some(error) = inner.downcast_ref::<BlockError>() {
                error.class()
            } else if let Some(error) = inner.downcast_ref::<UnsealError>() {
                error.class()
            } else {
                Class::Storage
            }
        }
        None => match error.kind() {
            io::ErrorKind::InvalidData | io::ErrorKind::UnexpectedEof => Class::Damaged,
            io::ErrorKind::ReadOnlyFilesystem => Class::ReadOnly,
            _ => Class::Storage,
        },
    }
}

/// The exception for an [`io::Error`]: a Python exception in it travels unchanged, an error of ours
/// gets its class, and what the system says stays an `OSError`.
pub(crate) fn raise_io(error: io::Error) -> PyErr {
    if error.get_ref().is_some_and(|inner| inner.is::<PyErr>() || inner_is_ours(inner)) {
        match error.downcast::<PyErr>() {
            Ok(exception) => exception,
            Err(error) => io_class(&error).error(error.to_string()),
        }
    } else {
        error.into()
    }
}

fn inner_is_ours(inner: &(dyn Error + Send + Sync + 'static)) -> bool {
    inner.is::<ReadError>() || inner.is::<BlockError>() || inner.is::<UnsealError>()
}

macro_rules! classify {
    ($($type:ty, $error:ident => { $($pattern:pat => $class:expr),* $(,)? })*) => {
        $(impl Classify for $type {
            fn class(&self) -> Class {
                let $error = self;
                match $error { $($pattern => $class),* }
            }
        })*
    };
}

classify! {
    StoreError, error => {
        Self::ReadOnly | Self::Follower => Class::ReadOnly,
        Self::Busy => Class::InUse,
        Self::Damaged(_) => Class::Damaged,
        Self::NotALedger(_) => Class::NotFound,
        Self::UnknownVersion { .. } => Class::UpdateNeeded,
        Self::OldVersion { .. } | Self::Behind { .. } => Class::ReadOnly,
        Self::Pruned { .. } => Class::NotFound,
        _ => Class::Storage,
    }
    BlockError, error => {
        Self::Damaged { .. } | Self::Corrupt { .. } | Self::Mismatch { .. } => Class::Damaged,
        Self::Sharding { .. } => Class::Damaged,
        Self::NoRoot { .. } => Class::NotFound,
        Self::ReadOnly { .. } => Class::ReadOnly,
        Self::Locked { .. } | Self::Sweeping => Class::InUse,
        _ => Class::Storage,
    }
    BackupError, error => {
        Self::Folder(error) => error.class(),
        Self::Within { .. } => Class::InvalidArgument,
        Self::Store(error) => error.class(),
        Self::Other { .. } => Class::Damaged,
        _ => Class::Storage,
    }
    PruneError, error => {
        Self::Keep { .. } => Class::InvalidArgument,
        Self::OnlyCopy => Class::Conflict,
        Self::Store(error) => error.class(),
        _ => Class::Base,
    }
    ReadError, error => {
        Self::Store(error) => error.class(),
        _ => Class::Damaged,
    }
    SubmitError, error => {
        Self::Refused { code, .. } => Class::Refused(*code),
        Self::TooLarge { .. } => Class::InvalidArgument,
        Self::Store(error) => error.class(),
        _ => Class::Base,
    }
    OrderError, error => {
        Self::Store(error) => error.class(),
        _ => Class::Base,
    }
    WaitError, error => {
        Self::Unknown(_) => Class::NotFound,
        Self::Refused { code, .. } => Class::Refused(*code),
        Self::Order(error) => error.class(),
        Self::Store(error) => error.class(),
        _ => Class::Base,
    }
    NodeKeyError, error => {
        Self::Io { .. } => Class::Storage,
        _ => Class::Damaged,
    }
    SettingsError, error => {
        Self::NoLedger(_) => Class::NotFound,
        Self::UnknownVersion { .. } => Class::UpdateNeeded,
        Self::Io { .. } => Class::Storage,
        _ => Class::Damaged,
    }
    NotifyError, error => {
        Self::Address { .. } => Class::InvalidArgument,
        Self::Outbox { .. } => Class::Storage,
        _ => Class::Base,
    }
    OpenError, error => {
        Self::InUse(_) => Class::InUse,
        Self::NoChain(_) => Class::NotFound,
        Self::ReadOnlyFolder(_) => Class::ReadOnly,
        Self::Settings(error) => error.class(),
        Self::NodeKey(error) => error.class(),
        Self::Mail(error) => error.class(),
        Self::Store(error) => error.class(),
        Self::Storage(error) => error.class(),
        _ => Class::Storage,
    }
    StorageError, error => {
        Self::NotBuilt => Class::InvalidArgument,
        Self::Endpoint(_) => Class::InvalidArgument,
        Self::Blocks(error) => error.class(),
        Self::Store(error) => error.class(),
        Self::Settings(error) => error.class(),
        Self::NotWhole { .. } | Self::Record { .. } => Class::Damaged,
        Self::ReadOnly => Class::ReadOnly,
        Self::Name(_) | Self::NameTaken(_) | Self::Spread(_) => Class::InvalidArgument,
        Self::NoSources | Self::NoNode | Self::NoKeepers => Class::InvalidArgument,
        Self::NoSuchName(_) => Class::NotFound,
        _ => Class::Storage,
    }
    BlocksError, error => {
        Self::Blocks(error) => error.class(),
        Self::Store(error) => error.class(),
        _ => Class::Damaged,
    }
    CreateError, error => {
        Self::NotEmpty(_) | Self::Seconds(_) | Self::Genesis(_) => Class::InvalidArgument,
        Self::Card { error, .. } => error.class(),
        Self::Settings(error) => error.class(),
        Self::NodeKey(error) => error.class(),
        Self::Hospital(error) => error.class(),
        Self::Open(error) => error.class(),
        Self::Store(error) => error.class(),
        _ => Class::Storage,
    }
    HospitalError, error => {
        Self::NoHospital(_) => Class::NotFound,
        Self::Open(error) => error.class(),
        Self::Identity(error) => error.class(),
        Self::Store(error) => error.class(),
        _ => Class::Base,
    }
    ApplicationError, error => {
        Self::UnknownVersion { .. } => Class::UpdateNeeded,
        Self::OtherChain { .. } => Class::InvalidArgument,
        _ => Class::Damaged,
    }
    ProposalError, error => {
        Self::UnknownVersion { .. } => Class::UpdateNeeded,
        Self::Malformed(_) => Class::Damaged,
        Self::Application(error) => error.class(),
        _ => Class::Conflict,
    }
    HospitalChangeError, error => {
        Self::Proposal(error) => error.class(),
        Self::Submit(error) => error.class(),
        Self::Store(error) => error.class(),
        _ => Class::Conflict,
    }
    NewsError, error => {
        Self::Decode(NewsDecodeError::UnknownVersion { .. }) => Class::UpdateNeeded,
        Self::Decode(_) => Class::Damaged,
        Self::OtherChain { .. } | Self::Checkpoint(_) => Class::Conflict,
        Self::Store(error) => error.class(),
        _ => Class::Base,
    }
    RegisterError, error => {
        Self::Address(_) | Self::Name { .. } | Self::Blank { .. } | Self::Spaces { .. } | Self::Character { .. } => Class::InvalidArgument,
        Self::Lock(error) => error.class(),
        Self::Submit(error) => error.class(),
        Self::Store(error) => error.class(),
        _ => Class::Storage,
    }
    LockError, error => {
        Self::EmptyPassword => Class::InvalidArgument,
        _ => Class::Base,
    }
    UnlockError, error => {
        Self::WrongPasswordOrDamaged => Class::WrongPassword,
        Self::Version { .. } => Class::UpdateNeeded,
        Self::OutOfMemory { .. } => Class::Base,
        _ => Class::Damaged,
    }
    IdentityError, error => {
        Self::Missing(_) => Class::NotFound,
        Self::Unlock(error) => error.class(),
        _ => Class::Storage,
    }
    ConsentError, error => {
        Self::UnknownVersion { .. } => Class::UpdateNeeded,
        Self::Malformed(_) => Class::Damaged,
        Self::NotSuspended => Class::Refused(VoidCode::NotSuspended),
        Self::Weaker { .. } => Class::Refused(VoidCode::KeyDowngrade),
        Self::SameKeys => Class::Refused(VoidCode::SameKeys),
        Self::NotSigned => Class::Refused(VoidCode::NoConsent),
        Self::NotPossessed => Class::Refused(VoidCode::NoPossession),
        _ => Class::Conflict,
    }
    IdentityFileError, error => {
        Self::Unlock(error) => error.class(),
        Self::Lock(error) => error.class(),
        Self::FormerKeys(_) => Class::InvalidArgument,
        Self::Exists(_) | Self::NotInForce(_) => Class::Conflict,
        Self::Store(error) => error.class(),
        _ => Class::Storage,
    }
    SuccessionError, error => {
        Self::Refused(code) => Class::Refused(*code),
        Self::FormerKeys(_) => Class::InvalidArgument,
        Self::StillFormer { .. } | Self::Elsewhere { .. } => Class::Conflict,
        Self::NotRenewed(_) => Class::Conflict,
        Self::Consent(error) => error.class(),
        Self::Collection(cause) => cause.class(),
        Self::File(error) => error.class(),
        Self::Submit(error) => error.class(),
        Self::Store(error) => error.class(),
        _ => Class::Base,
    }
    IdempotencyError, error => {
        Self::Length { .. } => Class::InvalidArgument,
        Self::Conflict => Class::Conflict,
        Self::Store(error) => error.class(),
        _ => Class::Base,
    }
    UploadError, error => {
        Self::TooLong(_) | Self::Metadata(_) => Class::InvalidArgument,
        Self::Idempotency(error) => error.class(),
        Self::Blocks(error) => error.class(),
        Self::Refused(code) => Class::Refused(*code),
        Self::Submit(error) => error.class(),
        Self::Store(error) => error.class(),
        Self::Together(cause) => cause.class(),
        _ => Class::Storage,
    }
    RequestError, error => {
        Self::Submit(error) => error.class(),
        Self::Store(error) => error.class(),
        _ => Class::Base,
    }
    RefuseError, error => {
        Self::Submit(error) => error.class(),
        Self::Store(error) => error.class(),
        _ => Class::Base,
    }
    RevokeError, error => {
        Self::Collection(cause) => cause.class(),
        Self::Submit(error) => error.class(),
        Self::Store(error) => error.class(),
        _ => Class::Base,
    }
    AuditError, error => {
        Self::Refused(code) => Class::Refused(*code),
        Self::OtherHospital { .. } => Class::InvalidArgument,
        Self::Damaged(_) => Class::Damaged,
        Self::Submit(error) => error.class(),
        Self::Store(error) => error.class(),
        _ => Class::Base,
    }
    ApproveError, error => {
        Self::NoAccess | Self::WrongKey => Class::NoAccess,
        Self::TooMany { .. } => Class::TooMany,
        Self::Suspended(_) => Class::Refused(VoidCode::Suspended),
        Self::NoSlot => Class::NoAccess,
        Self::NoKey | Self::NeedsIdentity | Self::SeveralHospitals => Class::InvalidArgument,
        Self::OtherHospital(_) => Class::InvalidArgument,
        Self::Slot(_) => Class::Damaged,
        Self::Refused(code) => Class::Refused(*code),
        Self::Submit(error) => error.class(),
        Self::Store(error) => error.class(),
        _ => Class::Base,
    }
    RotateError, error => {
        Self::Refused(code) => Class::Refused(*code),
        Self::OtherHospital { .. } => Class::InvalidArgument,
        Self::NotAHospital(_) => Class::Refused(VoidCode::RoleNotAllowed),
        Self::Open(error) => error.class(),
        Self::Seal(PipelineError::Source(error)) => io_class(error),
        Self::Seal(PipelineError::Seal(error)) => error.class(),
        Self::Seal(PipelineError::Store(error)) => error.class(),
        Self::Envelope(_) | Self::Metadata(_) => Class::Damaged,
        Self::Blocks(error) => error.class(),
        Self::Submit(error) => error.class(),
        Self::Store(error) => error.class(),
        _ => Class::Base,
    }
    GroupError, error => {
        Self::Refused(code) => Class::Refused(*code),
        Self::Suspended(_) => Class::Refused(VoidCode::Suspended),
        Self::Name | Self::Spaces(_) | Self::LikeAnId(_) | Self::Everyone(_) => Class::InvalidArgument,
        Self::NameTaken { .. } => Class::Conflict,
        Self::Submit(error) => error.class(),
        Self::Store(error) => error.class(),
        _ => Class::Base,
    }
    ReleaseSlotError, error => {
        Self::Message(error) => error.class(),
        Self::NoAccess => Class::NoAccess,
        Self::TooMany { .. } => Class::TooMany,
        Self::Suspended(_) => Class::Refused(VoidCode::Suspended),
        Self::Stale { .. } => Class::Expired,
        Self::Submit(error) => error.class(),
        Self::Store(error) => error.class(),
        _ => Class::Base,
    }
    ReleaseError, error => {
        Self::Encoding(_) | Self::Record(_) | Self::NotARead => Class::Damaged,
        Self::UnknownVersion { .. } => Class::UpdateNeeded,
        _ => Class::Access,
    }
    OpenReportError, error => {
        Self::Release(error) => error.class(),
        Self::NoAccess => Class::NoAccess,
        Self::Expired => Class::Expired,
        Self::Revoked => Class::Revoked,
        Self::NotMined => Class::NotMined,
        Self::WrongKey => Class::NoAccess,
        Self::TooMany { .. } => Class::TooMany,
        Self::Suspended(_) => Class::Refused(VoidCode::Suspended),
        Self::NoSlot(_) => Class::Access,
        Self::KeyMissing => Class::Damaged,
        Self::Missing(_) | Self::Damaged(_) | Self::Envelope(_) | Self::Slot(_) => Class::Damaged,
        Self::Metadata(_) => Class::Damaged,
        Self::Unseal(UnsealError::Io(error)) => io_class(error),
        Self::Unseal(error) => error.class(),
        Self::Blocks(error) => error.class(),
        Self::Submit(error) => error.class(),
        Self::Store(error) => error.class(),
        _ => Class::Base,
    }
    SealError, error => {
        Self::TooLong => Class::InvalidArgument,
        _ => Class::Storage,
    }
    UnsealError, error => {
        Self::WrongKeyOrContext => Class::WrongKey,
        Self::OutOfRange { .. } => Class::InvalidArgument,
        Self::NoMemory { .. } => Class::Storage,
        Self::Io(error) => io_class(error),
        _ => Class::Damaged,
    }
    ReceiptError, error => {
        Self::Unknown(_) => Class::NotFound,
        Self::Store(error) => error.class(),
        Self::NotMined(_) => Class::Receipt("not_mined"),
        Self::NotFinal { .. } => Class::Receipt("not_final"),
        Self::Refused(_) => Class::Receipt("never_took_effect"),
        _ => Class::Receipt(""),
    }
    CheckError, error => {
        _ => match error.reason() {
            Reason::UpdateNeeded => Class::UpdateNeeded,
            reason => Class::Receipt(reason.name()),
        },
    }
}

/// A key of the wrong length, told without showing it.
pub(crate) fn wrong_key_length(found: usize) -> PyErr {
    Class::InvalidArgument.error(format!(
        "a key has {len} bytes or {hex} hexadecimal characters, found {found}",
        len = Dek::LEN,
        hex = 2 * Dek::LEN
    ))
}
