//! Answers read strictly: bounded, typed, and only when they came to their end.

use super::KuboError;
use crate::http::{Download, HttpError, Reply};
use medledger_core::Cid;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::io::{BufRead, BufReader, Read};

/// Bytes of the longest answer that is one JSON value.
const MAX_VALUE_BYTES: u64 = 8 << 20;
/// Bytes of the longest line of an answer that is a stream of values.
const MAX_LINE_BYTES: u64 = 64 << 10;

/// A refusal.
pub(super) struct Failure {
    server: String,
    status: u16,
    message: String,
    /// Whether it was told as the RPC tells errors.
    typed: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct ErrorBody {
    message: String,
}

impl Failure {
    pub(super) fn read(reply: Reply) -> Self {
        let (server, status) = (reply.name.to_string(), reply.status);
        let text = reply.message();
        match serde_json::from_str::<ErrorBody>(&text) {
            Ok(body) => Self { server, status, message: body.message, typed: true },
            Err(_) => Self { server, status, message: text, typed: false },
        }
    }

    /// What it means as the answer to a call.
    pub(super) fn of(self, command: &str) -> KuboError {
        let Self { server, status, message, typed } = self;
        let command = command.to_owned();
        match status {
            401 | 403 => KuboError::Denied { server, command, message },
            404 | 405 if !typed => KuboError::NoSuchCall { server, command },
            _ if !typed => HttpError::Status { server, status, message }.into(),
            _ => refused(&command, message),
        }
    }
}

/// What a node means that says this.
pub(super) fn refused(command: &str, message: String) -> KuboError {
    let full = ["no space left on device", "max storage limit", "disk quota exceeded"];
    if full.iter().any(|text| message.contains(text)) {
        return KuboError::Full { message };
    }
    KuboError::Refused { command: command.to_owned(), message }
}

/// Whether a node that says this has not got a block, or found it nowhere in time.
pub(super) fn says_missing(message: &str) -> bool {
    ["could not find", "not found locally", "context deadline exceeded"]
        .iter()
        .any(|text| message.contains(text))
}

fn malformed(command: &str, reason: impl ToString) -> KuboError {
    KuboError::Malformed { command: command.to_owned(), reason: reason.to_string() }
}

/// An answer of one value.
pub(super) fn value<T: DeserializeOwned>(command: &str, reply: Reply) -> Result<T, KuboError> {
    let bytes = reply.body.all(MAX_VALUE_BYTES)?;
    serde_json::from_slice(&bytes).map_err(|e| malformed(command, e))
}

/// An answer of one value a line, as long as it may be.
pub(super) struct Lines<T> {
    command: &'static str,
    input: BufReader<Download>,
    ended: bool,
    kind: std::marker::PhantomData<fn() -> T>,
}

impl<T: DeserializeOwned> Lines<T> {
    pub(super) fn new(command: &'static str, reply: Reply) -> Self {
        let input = BufReader::new(reply.body);
        Self { command, input, ended: false, kind: std::marker::PhantomData }
    }

    fn read(&mut self) -> Result<Option<T>, KuboError> {
        let mut line = Vec::new();
        loop {
            line.clear();
            let mut limited = (&mut self.input).take(MAX_LINE_BYTES + 1);
            let read = limited.read_until(b'\n', &mut line).map_err(|e| broken(self.command, e))?;
            if read == 0 {
                return Ok(None);
            }
            if read as u64 > MAX_LINE_BYTES {
                return Err(malformed(self.command, "a line is too long"));
            }
            if line.trim_ascii().is_empty() {
                continue;
            }
            return match serde_json::from_slice(&line) {
                Ok(value) => Ok(Some(value)),
                // Errors of streams that began well come as a line of their own, too.
                Err(error) => Err(match serde_json::from_slice::<ErrorBody>(&line) {
                    Ok(body) => refused(self.command, body.message),
                    Err(_) => malformed(self.command, error),
                }),
            };
        }
    }
}

impl<T: DeserializeOwned> Iterator for Lines<T> {
    type Item = Result<T, KuboError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let next = self.read().transpose();
        self.ended = !matches!(next, Some(Ok(_)));
        next
    }
}

/// What a failed read of an answer means.
pub(super) fn broken(command: &str, error: std::io::Error) -> KuboError {
    match error.downcast::<HttpError>() {
        Ok(error) => KuboError::Http(error),
        Err(error) => malformed(command, error),
    }
}

/// A CID in an answer.
pub(super) fn cid(command: &str, text: &str) -> Result<Cid, KuboError> {
    text.parse().map_err(|_| malformed(command, format!("not a CID known here: {text:.100?}")))
}
