//! What the clients of both protocols share: whole answers in bounded time and memory, and refusals told
//! from outages.

use super::{BackendError, BackendName};
use crate::http::{Call, Download, Endpoint, HttpError, MayRetry, Reply, Wait, shown};
use medledger_core::Cid;
use reqwest::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::time::{Duration, Instant};

/// Bytes of a refusal that are looked at.
const MAX_REFUSAL_BYTES: u64 = 64 << 10;

/// A server under the name of its back end.
#[derive(Clone, Debug)]
pub(super) struct Wire {
    pub(super) endpoint: Endpoint,
    pub(super) backend: BackendName,
    /// What answers at the address, for people.
    pub(super) kind: &'static str,
}

/// A refusal as either protocol words it: the Pinning Service API has `error`, IPFS Cluster the other two.
#[derive(Debug, Default, Deserialize)]
struct Refusal {
    error: Option<Failure>,
    code: Option<i64>,
    message: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Failure {
    reason: String,
    #[serde(default)]
    details: Option<String>,
}

impl Refusal {
    fn of(bytes: &[u8]) -> Option<Self> {
        let refusal: Self = serde_json::from_slice(bytes).ok()?;
        let told = refusal.error.is_some() || (refusal.code.is_some() && refusal.message.is_some());
        told.then_some(refusal)
    }

    fn text(self) -> String {
        shown(&match self.error {
            Some(Failure { reason, details: Some(details) }) => format!("{reason}: {details}"),
            Some(Failure { reason, details: None }) => reason,
            None => self.message.unwrap_or_default(),
        })
    }
}

/// What a refusal means where a resource may be absent.
pub(super) enum Found<T> {
    Yes(T),
    /// The server knows its protocol and says that there is no such thing.
    No,
}

impl Wire {
    pub(super) fn call(&self, method: Method, path: &str, query: &[(&str, &str)]) -> Call {
        self.endpoint.call(method, path, query).header("accept", "application/json")
    }

    /// Sends a request whose answer, if it is a good one, streams.
    pub(super) fn send(&self, call: Call) -> Result<Found<Reply>, BackendError> {
        let reply = call.reply().map_err(|e| self.unreachable(e))?;
        if (200..300).contains(&reply.status) { Ok(Found::Yes(reply)) } else { self.refused(reply) }
    }

    /// The error that an answer is which is not a good one; `No` where it says properly that there is no such thing.
    fn refused(&self, reply: Reply) -> Result<Found<Reply>, BackendError> {
        let status = reply.status;
        let bytes = self.all(reply.body, MAX_REFUSAL_BYTES).unwrap_or_default();
        let refusal = Refusal::of(&bytes);
        let (backend, proper) = (self.backend.clone(), refusal.is_some());
        let said = refusal.map_or_else(|| shown(&String::from_utf8_lossy(&bytes)), Refusal::text);
        Err(match status {
            401 | 403 => BackendError::Unauthorized { backend, status, said },
            // IPFS Cluster says just this of paths that it does not know.
            404 if proper && said != "not found" => return Ok(Found::No),
            404 | 405 => self.wrong_address(),
            _ => BackendError::Refused { backend, status, said },
        })
    }

    /// Sends a request that is answered with one JSON value of at most `limit` bytes.
    pub(super) fn json<T: DeserializeOwned>(
        &self,
        call: Call,
        limit: u64,
        what: &'static str,
    ) -> Result<Found<T>, BackendError> {
        let Found::Yes(reply) = self.send(call)? else { return Ok(Found::No) };
        let status = reply.status;
        let bytes = self.all(reply.body, limit).map_err(|e| self.unreachable(e))?;
        match serde_json::from_slice(&bytes) {
            Ok(value) => Ok(Found::Yes(value)),
            Err(error) => Err(match Refusal::of(&bytes) {
                // A good status with an error in it.
                Some(refusal) => {
                    let (backend, said) = (self.backend.clone(), refusal.text());
                    BackendError::Refused { backend, status, said }
                }
                None => self.malformed(what, error.to_string()),
            }),
        }
    }

    /// As [`json`](Self::json) where the thing has to be there.
    pub(super) fn must<T: DeserializeOwned>(
        &self,
        call: Call,
        limit: u64,
        what: &'static str,
    ) -> Result<T, BackendError> {
        match self.json(call, limit, what)? {
            Found::Yes(value) => Ok(value),
            Found::No => Err(self.wrong_address()),
        }
    }

    /// All of an answer, in no more time than its beginning may take: byte by byte is not forever.
    fn all(&self, mut body: Download, limit: u64) -> Result<Vec<u8>, HttpError> {
        let deadline = Deadline::new(self);
        let mut all = Vec::new();
        while let Some(bytes) = body.next()? {
            if all.len() as u64 + bytes.len() as u64 > limit {
                return Err(HttpError::TooLong { server: self.endpoint.name().to_owned(), limit });
            }
            all.extend_from_slice(&bytes);
            deadline.check()?;
        }
        Ok(all)
    }

    /// Calls `each` with the JSON values of a stream, each on a line of at most `longest` bytes.
    pub(super) fn lines<T: DeserializeOwned>(
        &self,
        reply: Reply,
        longest: usize,
        what: &'static str,
        mut each: impl FnMut(T) -> Result<(), BackendError>,
    ) -> Result<(), BackendError> {
        let mut body = reply.body;
        let mut rest: Vec<u8> = Vec::new();
        let mut take = |line: &[u8]| -> Result<(), BackendError> {
            if line.len() > longest {
                return Err(self.malformed(what, format!("a line of more than {longest} bytes")));
            }
            if line.trim_ascii().is_empty() {
                return Ok(());
            }
            let value = serde_json::from_slice(line);
            each(value.map_err(|error| self.malformed(what, error.to_string()))?)
        };
        let mut deadline = Deadline::new(self);
        while let Some(bytes) = body.next().map_err(|e| self.unreachable(e))? {
            let mut bytes = &bytes[..];
            while let Some(end) = bytes.iter().position(|b| *b == b'\n') {
                rest.extend_from_slice(&bytes[..end]);
                bytes = &bytes[end + 1..];
                take(&rest)?;
                rest.clear();
                // A stream may go on for as long as something comes of it.
                deadline = Deadline::new(self);
            }
            rest.extend_from_slice(bytes);
            if rest.len() > longest {
                return Err(self.malformed(what, format!("a line of more than {longest} bytes")));
            }
            deadline.check().map_err(|e| self.unreachable(e))?;
        }
        take(&rest)
    }

    pub(super) fn unreachable(&self, error: HttpError) -> BackendError {
        let passing = error.may_pass();
        BackendError::Unreachable { backend: self.backend.clone(), passing, source: error.into() }
    }

    pub(super) fn malformed(&self, what: &'static str, detail: impl Into<String>) -> BackendError {
        let detail = shown(&detail.into());
        BackendError::Malformed { backend: self.backend.clone(), what, detail }
    }

    pub(super) fn wrong_address(&self) -> BackendError {
        BackendError::WrongAddress {
            backend: self.backend.clone(),
            expected: self.kind,
            server: self.endpoint.name().to_owned(),
        }
    }

    /// Checks that an answer is about what was asked; the version in which a CID is written does not matter.
    pub(super) fn same_root(&self, asked: &Cid, found: &str) -> Result<(), BackendError> {
        match found.parse::<Cid>() {
            Ok(cid) if cid.digest() == asked.digest() && cid.codec() == asked.codec() => Ok(()),
            _ => Err(BackendError::OtherRoot {
                backend: self.backend.clone(),
                asked: *asked,
                found: shown(found),
            }),
        }
    }

    /// Does what may be done twice until it succeeds or fails for good.
    pub(super) fn again<T>(
        &self,
        ask: impl FnMut() -> Result<T, BackendError>,
    ) -> Result<T, BackendError> {
        self.endpoint.retry().run(ask)
    }
}

impl MayRetry for BackendError {
    fn may_pass(&self) -> bool {
        Self::may_pass(self)
    }
}

/// Until when an answer has to be whole.
struct Deadline<'a> {
    until: Instant,
    after: Duration,
    server: &'a str,
}

impl<'a> Deadline<'a> {
    fn new(wire: &'a Wire) -> Self {
        let after = wire.endpoint.patience().answer;
        Self { until: Instant::now() + after, after, server: wire.endpoint.name() }
    }

    fn check(&self) -> Result<(), HttpError> {
        if Instant::now() < self.until {
            return Ok(());
        }
        let (server, what) = (self.server.to_owned(), Wait::Bytes);
        Err(HttpError::TimedOut { server, what, after: self.after })
    }
}
