//! Who asks.

use reqwest::header::HeaderValue;
use std::fmt;
use std::str::FromStr;
use zeroize::Zeroizing;

/// Credentials for a server, as Kubo's setting `API.Authorizations` spells them: `bearer:TOKEN` or
/// `basic:USER:PASSWORD`. Nothing shows them again.
///
/// ```
/// use medledger_ipfs::http::Auth;
/// let auth: Auth = "bearer:s3cret".parse()?;
/// assert_eq!(format!("{auth:?}"), "Bearer(..)");
/// # Ok::<(), medledger_ipfs::http::AuthError>(())
/// ```
#[derive(Clone)]
#[non_exhaustive]
pub enum Auth {
    /// A token (RFC 6750, section 2.1).
    Bearer(Zeroizing<String>),
    /// A name and a password (RFC 7617).
    Basic {
        /// The name.
        user: String,
        /// The password.
        password: Zeroizing<String>,
    },
}

/// Credentials that cannot be sent. Says nothing of what they were.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum AuthError {
    /// Neither of the two forms.
    #[error("credentials are written bearer:TOKEN or basic:USER:PASSWORD")]
    Form,
    /// Something that no header may hold.
    #[error("credentials may hold only visible ASCII characters, user names no colon")]
    Character,
}

impl Auth {
    /// The value of the header `Authorization`, marked so that no one logs it.
    pub(super) fn header(&self) -> Result<HeaderValue, AuthError> {
        let text = match self {
            Self::Bearer(token) => Zeroizing::new(format!("Bearer {}", **token)),
            Self::Basic { user, password } => {
                if user.contains(':') {
                    return Err(AuthError::Character);
                }
                let pair = Zeroizing::new(format!("{user}:{}", **password));
                let coded = Zeroizing::new(data_encoding::BASE64.encode(pair.as_bytes()));
                Zeroizing::new(format!("Basic {}", *coded))
            }
        };
        let visible = |text: &str| text.bytes().all(|b| (b' '..=b'~').contains(&b));
        if !visible(&text) {
            return Err(AuthError::Character);
        }
        let mut value = HeaderValue::from_str(&text).map_err(|_| AuthError::Character)?;
        value.set_sensitive(true);
        Ok(value)
    }
}

impl FromStr for Auth {
    type Err = AuthError;

    fn from_str(text: &str) -> Result<Self, AuthError> {
        let auth = match text.split_once(':') {
            Some(("bearer", token)) if !token.is_empty() => {
                Self::Bearer(Zeroizing::new(token.to_owned()))
            }
            Some(("basic", pair)) => {
                let (user, password) = pair.split_once(':').ok_or(AuthError::Form)?;
                let password = Zeroizing::new(password.to_owned());
                Self::Basic { user: user.to_owned(), password }
            }
            _ => return Err(AuthError::Form),
        };
        auth.header().map(|_| auth)
    }
}

impl fmt::Debug for Auth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Bearer(_) => f.write_str("Bearer(..)"),
            Self::Basic { .. } => f.write_str("Basic(..)"),
        }
    }
}
