//! A server, how to speak to it, and for how long to wait.

use super::auth::{Auth, AuthError};
use super::call::Call;
use super::net::Net;
use super::retry::Retry;
use super::tls;
use reqwest::header::{AUTHORIZATION, HeaderValue, USER_AGENT};
use reqwest::{Client, Method, Url};
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

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
        Call::new(request, self.net.clone(), Arc::clone(&self.name), self.patience)
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
