//! Mail by SMTP, through `lettre`'s synchronous transport.

use super::{Letter, LetterId, Notifier, NotifyError, message};
use lettre::transport::smtp::authentication::Credentials;
use lettre::{SmtpTransport, Transport};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// How the connection to the mail server is protected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum SmtpTls {
    /// TLS from the first byte (port 465).
    #[default]
    Implicit,
    /// STARTTLS, required (port 587).
    Starttls,
    /// No TLS; accepted only for a server on this machine.
    None,
}

/// Where and how mail is handed in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SmtpSettings {
    /// Host name.
    pub server: String,
    /// Port.
    pub port: u16,
    /// Protection of the connection.
    #[serde(default)]
    pub tls: SmtpTls,
    /// User name, if the server wants one. The password comes from the environment variable
    /// `MEDLEDGER_SMTP_PASSWORD`, never from a file of the ledger.
    #[serde(default)]
    pub user: Option<String>,
}

/// Hands letters to a mail server.
pub struct Smtp {
    transport: SmtpTransport,
    server: String,
    from: String,
}

impl std::fmt::Debug for Smtp {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Smtp").field("server", &self.server).finish_non_exhaustive()
    }
}

impl Smtp {
    /// A notifier for this server; connects when the first letter is sent.
    ///
    /// # Errors
    /// When TLS cannot be set up, or is off for a server on another machine.
    pub fn new(settings: &SmtpSettings, from: String) -> Result<Self, NotifyError> {
        let server = format!("{}:{}", settings.server, settings.port);
        let refused = |reason: String| NotifyError::Server { server: server.clone(), reason };
        let builder = match settings.tls {
            SmtpTls::Implicit => SmtpTransport::relay(&settings.server),
            SmtpTls::Starttls => SmtpTransport::starttls_relay(&settings.server),
            SmtpTls::None if is_loopback(&settings.server) => {
                Ok(SmtpTransport::builder_dangerous(&settings.server))
            }
            SmtpTls::None => {
                return Err(refused(
                    "mail holds keys: without TLS only a server on this machine is accepted".into(),
                ));
            }
        };
        let mut builder = builder
            .map_err(|error| refused(error.to_string()))?
            .port(settings.port)
            .timeout(Some(Duration::from_secs(20)));
        if let Some(user) = &settings.user {
            let password = std::env::var("MEDLEDGER_SMTP_PASSWORD")
                .map_err(|_| refused("MEDLEDGER_SMTP_PASSWORD is not set".into()))?;
            builder = builder.credentials(Credentials::new(user.clone(), password));
        }
        Ok(Self { transport: builder.build(), server, from })
    }
}

fn is_loopback(server: &str) -> bool {
    server == "localhost"
        || server.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

impl Notifier for Smtp {
    fn send(&self, id: &LetterId, letter: &Letter) -> Result<(), NotifyError> {
        let message = message(&self.from, id, letter)?;
        let Err(error) = self.transport.send(&message) else { return Ok(()) };
        let server = self.server.clone();
        // The server's words, never the letter's.
        let reason = said(&error);
        Err(if error.is_permanent() || error.is_transient() {
            NotifyError::Server { server, reason }
        } else {
            NotifyError::Unreachable { server, reason }
        })
    }
}

/// An error with its causes, in a line of bounded length.
fn said(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text.chars().filter(|c| !c.is_control()).take(200).collect()
}
