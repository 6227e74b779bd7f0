//! One request, and how its answer begins.

use super::body::{Download, UploadBody, shown};
use super::endpoint::Patience;
use super::error::{HttpError, Wait};
use super::net::Net;
use reqwest::header::HeaderMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

/// Bytes of an error's text that are looked at.
const MAX_ERROR_BYTES: u64 = 64 << 10;

/// A request that was not sent yet.
#[derive(Debug)]
pub(crate) struct Call {
    request: reqwest::RequestBuilder,
    net: Net,
    name: Arc<str>,
    patience: Patience,
}

impl Call {
    pub(super) const fn new(
        request: reqwest::RequestBuilder,
        net: Net,
        name: Arc<str>,
        patience: Patience,
    ) -> Self {
        Self { request, net, name, patience }
    }

    pub(crate) fn header(mut self, name: &'static str, value: &str) -> Self {
        self.request = self.request.header(name, value);
        self
    }

    /// Waits for longer until the answer begins.
    pub(crate) const fn patient(mut self, answer: Duration) -> Self {
        self.patience.answer = answer;
        self
    }

    /// A body that is at hand.
    pub(crate) fn body(mut self, bytes: impl Into<reqwest::Body>) -> Self {
        self.request = self.request.body(bytes);
        self
    }

    /// One file of a form, at hand.
    pub(crate) fn file(mut self, field: &'static str, bytes: Vec<u8>) -> Self {
        let part = reqwest::multipart::Part::bytes(bytes).file_name(field);
        self.request = self.request.multipart(reqwest::multipart::Form::new().part(field, part));
        self
    }

    /// Files of a form that are still being written.
    pub(crate) fn files(
        mut self,
        field: &'static str,
        bodies: impl IntoIterator<Item = UploadBody>,
    ) -> Self {
        let mut form = reqwest::multipart::Form::new();
        for body in bodies {
            let part = reqwest::multipart::Part::stream(reqwest::Body::wrap(body));
            form = form.part(field, part.file_name(field));
        }
        self.request = self.request.multipart(form);
        self
    }

    /// Sends it and waits until the answer begins. A status that means no is not an error yet.
    pub(crate) fn reply(self) -> Result<Reply, HttpError> {
        let (net, name, patience) = (self.net.clone(), Arc::clone(&self.name), self.patience);
        let sent = net.wait(async move {
            let answer = self.request.send();
            tokio::time::timeout(patience.answer, answer).await
        });
        received(net, name, patience, sent)
    }

    /// Sends it while its body is being written; how long the answer may take counts from when it is
    /// asked for.
    pub(crate) fn begin(self) -> Begun {
        let (send, receive) = sync_channel(1);
        let (net, name, patience) = (self.net.clone(), Arc::clone(&self.name), self.patience);
        net.spawn(async move {
            let _ = send.send(self.request.send().await);
        });
        Begun { receive, net, name, patience }
    }
}

type Sent = Result<Result<reqwest::Response, reqwest::Error>, tokio::time::error::Elapsed>;

fn received(net: Net, name: Arc<str>, patience: Patience, sent: Sent) -> Result<Reply, HttpError> {
    let late = || HttpError::TimedOut {
        server: name.to_string(),
        what: Wait::Answer,
        after: patience.answer,
    };
    let response = sent
        .map_err(|_| late())?
        .map_err(|e| HttpError::of(&name, e, Wait::Answer, patience.answer))?;
    let response: http::Response<reqwest::Body> = response.into();
    let (head, body) = response.into_parts();
    let body = Download::start(&net, &name, body, patience.idle);
    Ok(Reply { status: head.status.as_u16(), headers: head.headers, body, name })
}

/// A request under way.
#[derive(Debug)]
pub(crate) struct Begun {
    receive: Receiver<Result<reqwest::Response, reqwest::Error>>,
    net: Net,
    name: Arc<str>,
    patience: Patience,
}

impl Begun {
    /// Waits until the answer begins.
    pub(crate) fn reply(self) -> Result<Reply, HttpError> {
        match self.receive.recv_timeout(self.patience.answer) {
            Ok(sent) => received(self.net, self.name, self.patience, Ok(sent)),
            Err(_) => Err(HttpError::TimedOut {
                server: self.name.to_string(),
                what: Wait::Answer,
                after: self.patience.answer,
            }),
        }
    }
}

/// An answer that began.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Download,
    pub(crate) name: Arc<str>,
}

impl Reply {
    /// This answer, unless its status means no.
    #[cfg(test)]
    pub(crate) fn success(self) -> Result<Self, HttpError> {
        if (200..300).contains(&self.status) { Ok(self) } else { Err(self.refusal()) }
    }

    /// The error that this answer is.
    pub(crate) fn refusal(self) -> HttpError {
        let status = self.status;
        let server = self.name.to_string();
        let message = self.message();
        HttpError::Status { server, status, message }
    }

    /// What the server says, cut short.
    pub(crate) fn message(self) -> String {
        let bytes = self.body.all(MAX_ERROR_BYTES).unwrap_or_default();
        shown(&String::from_utf8_lossy(&bytes))
    }
}
