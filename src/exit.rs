//! Exit codes, and the one kind of error the command ends with.

use std::borrow::Cow;
use std::error::Error;
use std::io;
use std::process::ExitCode;

/// Whose fault it is when a command does not do what was asked. Each has an exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// Ours.
    Bug,
    /// Whoever typed the command.
    Usage,
    /// Nobody's: a rule, a permission, a password or a key says no.
    Refused,
    /// What was named is not there.
    NotFound,
    /// What is stored, or a file that came from elsewhere, is damaged, or a check found something.
    Damaged,
    /// The machine, its disk, its network, or another process.
    Environment,
}

impl Fault {
    /// Every fault, with exit code, name in JSON and meaning: the table of `medledger --help`.
    pub(crate) const TABLE: [(Self, u8, &'static str, &'static str); 6] = [
        (Self::Bug, 1, "bug", "an internal error, please report it"),
        (Self::Usage, 2, "usage", "a wrong argument or value, a missing secret"),
        (Self::Refused, 3, "refused", "by a rule or a permission; wrong password or key"),
        (Self::NotFound, 4, "not_found", "no such ledger, member, report, record, file"),
        (
            Self::Damaged,
            5,
            "damaged",
            "stored data or a file is damaged, or a check found something",
        ),
        (
            Self::Environment,
            6,
            "environment",
            "disk full, read-only, in use, network, update needed",
        ),
    ];

    fn row(self) -> (Self, u8, &'static str, &'static str) {
        *Self::TABLE.iter().find(|row| row.0 == self).expect("every fault is in the table")
    }

    /// The process's exit code.
    pub(crate) fn code(self) -> u8 {
        self.row().1
    }

    /// The name in JSON.
    pub(crate) fn name(self) -> &'static str {
        self.row().2
    }
}

impl From<Fault> for ExitCode {
    fn from(fault: Fault) -> Self {
        Self::from(fault.code())
    }
}

/// Why a command failed, told to people and programs. Holds no secret.
#[derive(Debug)]
pub(crate) struct Failure {
    fault: Fault,
    code: Cow<'static, str>,
    message: String,
    hint: Option<Cow<'static, str>>,
    closed_output: bool,
    /// An exit code of its own, where a command tells more apart than the faults do.
    exit: Option<u8>,
}

/// What every command returns.
pub(crate) type Result<T, E = Failure> = std::result::Result<T, E>;

impl Failure {
    pub(crate) fn new(
        fault: Fault,
        code: impl Into<Cow<'static, str>>,
        message: impl Into<String>,
    ) -> Self {
        let (code, message) = (code.into(), message.into());
        Self { fault, code, message, hint: None, closed_output: false, exit: None }
    }

    pub(crate) fn usage(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Fault::Usage, code, message)
    }

    pub(crate) fn not_found(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Fault::NotFound, code, message)
    }

    pub(crate) fn bug(code: &'static str, message: impl std::fmt::Display) -> Self {
        Self::new(Fault::Bug, code, format!("internal error, please report: {message}"))
    }

    /// A failure that says what an error and the errors below it say.
    pub(crate) fn of(
        fault: Fault,
        code: impl Into<Cow<'static, str>>,
        error: &(dyn Error + 'static),
    ) -> Self {
        Self::new(fault, code, with_sources(error))
    }

    /// What to do next.
    pub(crate) fn hint(mut self, hint: impl Into<Cow<'static, str>>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The same with words before it that say what was being done.
    pub(crate) fn doing(mut self, what: &str) -> Self {
        self.message = format!("{what}: {}", self.message);
        self
    }

    /// The same with an exit code of its own.
    pub(crate) fn exiting(self, code: u8) -> Self {
        Self { exit: Some(code), ..self }
    }

    /// The process's exit code.
    pub(crate) fn exit_code(&self) -> u8 {
        self.exit.unwrap_or_else(|| self.fault.code())
    }

    /// A failed write to standard output.
    pub(crate) fn stdout(error: &io::Error) -> Self {
        Self {
            closed_output: error.kind() == io::ErrorKind::BrokenPipe,
            ..crate::failures::io(error).doing("standard output")
        }
    }

    pub(crate) fn fault(&self) -> Fault {
        self.fault
    }

    /// A stable name of what went wrong.
    pub(crate) fn code(&self) -> &str {
        &self.code
    }

    pub(crate) fn message(&self) -> &str {
        &self.message
    }

    pub(crate) fn what_next(&self) -> Option<&str> {
        self.hint.as_deref()
    }

    /// Whether nobody reads our output any more.
    pub(crate) fn is_closed_output(&self) -> bool {
        self.closed_output
    }
}

/// What an error says, and what the errors below it add.
pub(crate) fn with_sources(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut below = error.source();
    while let Some(error) = below {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        below = error.source();
    }
    text
}
