//! A server, how to speak to it, and for how long to wait.

use super::auth::{Auth, AuthError};
use super::body::{Download, UploadBody, shown};
use super::error::{HttpError, Wait};
use super::net::Net;
use super::retry::Retry;
use super::tls;
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue, USER_AGENT};
use reqwest::{Client, Method, Url};
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, sync_channel};
use std::time::Duration;

/// Bytes of an error's text that are looked at.
const MAX_ERROR_BYTES: u64 = 64 << 10;

/// How long a server may be silent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Patience {
    /// Until a connection stands.
    pub connect: Duration,
    /// Until an answer begins, once everything was sent.
    pub answer: Duration,
    /// Between two pieces of an answer, or until it takes more of what is sent.
    pub idle: Duration,
}

impl Default for Patience {
    /// 5, 60 and 30 seconds.
    fn default() -> Self {
        let secs = Duration::from_secs;
        Self { connect: secs(5), answer: secs(60), idle: secs(30) }
    }
}

/// How to speak to a server.
#[derive(Clone, Debug, Default)]
pub struct EndpointOptions {
    /// Who asks.
    pub auth: Option<Auth>,
    /// How long to wait.
    pub patience: Patience,
    /// How often to ask again what may be asked twice.
    pub retry: Retry,
    /// A thread to share with other endpoints; one of its own otherwise.
    pub net: Option<Net>,
    /// Certificates of authorities, in PEM, that are trusted instead of those of the system.
    pub authorities: Option<Vec<u8>>,
}

/// Why a server cannot even be asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EndpointError {
    /// Not the address of an HTTP server.
    #[error(
        "not the address of an HTTP server: {0:?}; written http://HOST:PORT or /ip4/ADDRESS/tcp/PORT"
    )]
    Address(String),
    /// Credentials, a query or a fragment in the address: addresses are shown and logged.
    #[error("an address must hold no credentials, query or fragment; credentials go apart")]
    Superfluous,
    /// Credentials that cannot be sent.
    #[error(transparent)]
    Auth(#[from] AuthError),
    /// The certificates are not in PEM, or there are none.
    #[error("no certificates that can be used: {0}")]
    Certificates(String),
    /// The system gave no thread or no client.
    #[error("the network cannot be used")]
    System(#[source] Box<dyn std::error::Error + Send + Sync>),
}

/// An HTTP server and how to speak to it. Nothing is sent until something is asked.
#[derive(Clone, Debug)]
pub struct Endpoint {
    net: Net,
    client: Client,
    base: Url,
    name: Arc<str>,
    authorization: Option<HeaderValue>,
    patience: Patience,
    retry: Retry,
}

impl Endpoint {
    /// Takes an address such as `http://127.0.0.1:5001`, with a path where the server lies below one, or a
    /// multiaddr as Kubo writes them, such as `/ip4/127.0.0.1/tcp/5001`.
    ///
    /// # Errors
    /// See [`EndpointError`].
    pub fn new(address: &str, options: EndpointOptions) -> Result<Self, EndpointError> {
        let base = parse_address(address)?;
        let authorization = options.auth.as_ref().map(Auth::header).transpose()?;
        let system = |e: io::Error| EndpointError::System(e.into());
        let net = options.net.map_or_else(Net::start, Ok).map_err(system)?;
        let trust = match base.scheme() {
            "https" => tls::config(options.authorities.as_deref())?,
            _ => tls::none()?,
        };
        let mut client = Client::builder()
            .connect_timeout(options.patience.connect)
            // A server that sends elsewhere would have the credentials sent there as well.
            .redirect(reqwest::redirect::Policy::none())
            .tls_backend_preconfigured(trust);
        if is_loopback(&base) {
            // What stays on this machine is no business of a proxy.
            client = client.no_proxy();
        }
        let client = client.build().map_err(|e| EndpointError::System(e.into()))?;
        let name = base.as_str().trim_end_matches('/').into();
        let (patience, retry) = (options.patience, options.retry);
        Ok(Self { net, client, base, name, authorization, patience, retry })
    }

    /// The address, which holds no secret.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Whether it is this machine.
    #[must_use]
    pub fn is_loopback(&self) -> bool {
        is_loopback(&self.base)
    }

    /// Whether credentials are sent to it.
    #[must_use]
    pub const fn has_auth(&self) -> bool {
        self.authorization.is_some()
    }

    /// The same server, asked without credentials.
    #[must_use]
    pub fn without_auth(&self) -> Self {
        Self { authorization: None, ..self.clone() }
    }

    /// Whether what is sent can be read on the way.
    #[must_use]
    pub fn is_in_clear(&self) -> bool {
        self.base.scheme() == "http"
    }

    /// How long it is waited for.
    #[must_use]
    pub const fn patience(&self) -> Patience {
        self.patience
    }

    /// How often it is asked again.
    #[must_use]
    pub const fn retry(&self) -> Retry {
        self.retry
    }

    /// The thread that speaks to it.
    #[must_use]
    pub const fn net(&self) -> &Net {
        &self.net
    }

    /// A request to a path below the address. The pairs become the query.
    pub(crate) fn call(&self, method: Method, path: &str, query: &[(&str, &str)]) -> Call {
        let mut url = self.base.clone();
        url.set_path(&format!("{}/{path}", self.base.path().trim_end_matches('/')));
        if !query.is_empty() {
            url.query_pairs_mut().extend_pairs(query);
        }
        let mut request = self.client.request(method, url);
        request = request.header(USER_AGENT, concat!("medledger/", env!("CARGO_PKG_VERSION")));
        if let Some(value) = &self.authorization {
            request = request.header(AUTHORIZATION, value);
        }
        let (net, name, patience) = (self.net.clone(), Arc::clone(&self.name), self.patience);
        Call { request, net, name, patience }
    }
}

/// A request that was not sent yet.
#[derive(Debug)]
pub(crate) struct Call {
    request: reqwest::RequestBuilder,
    net: Net,
    name: Arc<str>,
    patience: Patience,
}

impl Call {
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

fn parse_address(address: &str) -> Result<Url, EndpointError> {
    // Before an @ there may be a password.
    if address.contains('@') {
        return Err(EndpointError::Superfluous);
    }
    let malformed = || EndpointError::Address(address.chars().take(120).collect());
    let text = match address.strip_prefix('/') {
        Some(multiaddr) => from_multiaddr(multiaddr).ok_or_else(malformed)?,
        None => address.to_owned(),
    };
    let url = Url::parse(&text).map_err(|_| malformed())?;
    // Looked at first: what is refused as superfluous may be a secret, and is not shown.
    if !url.username().is_empty()
        || url.password().is_some()
        || url.query().is_some()
        || url.fragment().is_some()
    {
        return Err(EndpointError::Superfluous);
    }
    if !matches!(url.scheme(), "http" | "https") || url.host_str().is_none() {
        return Err(malformed());
    }
    Ok(url)
}

/// `ip4/127.0.0.1/tcp/5001`, with `/http` or `/https` behind it or nothing.
fn from_multiaddr(text: &str) -> Option<String> {
    let parts: Vec<_> = text.trim_end_matches('/').split('/').collect();
    let (kind, host, port, rest) = match parts[..] {
        [kind, host, "tcp", port, ref rest @ ..] => (kind, host, port, rest),
        _ => return None,
    };
    let host = match kind {
        "ip4" | "dns" | "dns4" | "dns6" => host.to_owned(),
        "ip6" => format!("[{host}]"),
        _ => return None,
    };
    let scheme = match rest {
        [] | ["http"] => "http",
        ["https"] | ["tls", "http"] => "https",
        _ => return None,
    };
    Some(format!("{scheme}://{host}:{port}"))
}

fn is_loopback(url: &Url) -> bool {
    let Some(host) = url.host_str() else { return false };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host.parse::<IpAddr>().map_or(host == "localhost", |ip| ip.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(address: &str) -> Result<String, EndpointError> {
        Endpoint::new(address, EndpointOptions::default()).map(|e| e.name().to_owned())
    }

    #[test]
    fn addresses_are_urls_or_multiaddrs() {
        for (address, expected) in [
            ("http://127.0.0.1:5001", "http://127.0.0.1:5001"),
            ("http://127.0.0.1:5001/", "http://127.0.0.1:5001"),
            ("https://ipfs.example/behind/a/proxy", "https://ipfs.example/behind/a/proxy"),
            ("/ip4/127.0.0.1/tcp/5001", "http://127.0.0.1:5001"),
            ("/ip6/::1/tcp/5001/http", "http://[::1]:5001"),
            ("/dns/ipfs.example/tcp/443/https", "https://ipfs.example"),
        ] {
            assert_eq!(name(address).unwrap(), expected, "{address}");
        }
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for address in ["", "5001", "ftp://a", "/ip4/127.0.0.1", "/ip4/1.2.3.4/udp/1", "http://"] {
            assert!(matches!(name(address), Err(EndpointError::Address(_))), "{address}");
        }
    }

    #[test]
    fn secrets_do_not_belong_into_addresses_and_are_not_shown() {
        for address in ["http://user:s3cret@host", "u:s3cret@host:1", "http://h/?token=s3cret"] {
            let error = name(address).unwrap_err();
            assert!(matches!(error, EndpointError::Superfluous), "{address}");
            assert!(!format!("{error} {error:?}").contains("s3cret"));
        }
    }

    #[test]
    fn loopback_is_known_by_number_and_name() {
        let loopback = |address: &str| is_loopback(&parse_address(address).unwrap());
        assert!(loopback("http://127.0.0.1:1") && loopback("http://[::1]:1"));
        assert!(loopback("http://localhost:1") && loopback("http://127.9.9.9"));
        assert!(!loopback("http://10.0.0.1") && !loopback("http://localhost.example"));
        assert!(!loopback("http://0.0.0.0"));
    }
}
