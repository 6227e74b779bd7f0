//! The exit code of a demo that did not come to its end: that of the service's own error.

use super::DemoError;
use crate::exit::{Failure, Fault};
use crate::failures;
use medledger::core::engine::OrderError;
use medledger::core::receipt::{CheckError, ReceiptError};
use medledger::core::store::StoreError;
use medledger::{
    ApproveError, CreateError, GroupError, IdentityError, OpenError, OpenReportError,
    RegisterError, RequestError, RevokeError, RotateError, UploadError,
};
use std::error::Error;
use std::io;

impl From<DemoError> for Failure {
    fn from(error: DemoError) -> Self {
        match error {
            DemoError::File { path, source } | DemoError::Folder { path, source } => {
                failures::file(&path, &source)
            }
            DemoError::NotEmpty(_) => {
                Self::usage("not_empty", error.to_string()).hint("name a new folder with --dir")
            }
            DemoError::Output(source) => Self::stdout(&source),
            DemoError::Unexpected { .. } => Self::of(Fault::Bug, "demo", &error),
            DemoError::Failed { step, source, folder } => {
                let left = folder.display();
                of_step(source).doing(&format!("step {step:?} failed (everything is in {left})"))
            }
        }
    }
}

/// What a failing call of a step amounts to.
fn of_step(mut source: Box<dyn Error + Send + Sync>) -> Failure {
    if let Some(error) = source.downcast_ref::<io::Error>() {
        return match error.kind() {
            io::ErrorKind::BrokenPipe => Failure::stdout(error),
            _ => failures::io(error),
        };
    }
    macro_rules! try_each {
        ($($error:ty),* $(,)?) => {
            $(match source.downcast::<$error>() {
                Ok(error) => return Failure::from(*error),
                Err(other) => source = other,
            })*
        };
    }
    try_each!(
        CreateError,
        OpenError,
        RegisterError,
        IdentityError,
        UploadError,
        RequestError,
        ApproveError,
        OpenReportError,
        RevokeError,
        GroupError,
        RotateError,
        OrderError,
        ReceiptError,
        CheckError,
        StoreError,
    );
    Failure::of(Fault::Bug, "demo", source.as_ref())
}
