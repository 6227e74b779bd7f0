//! What an operator decides about one ledger folder; no secret stands here.

use crate::delivery::DeliveryMode;
use crate::files::read_bounded;
use crate::storage::StorageSettings;
use medledger_core::padding::Padding;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Where letters go.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum MailSettings {
    /// Nowhere: access keys are handed once to the caller, who sees to it that they are picked up.
    #[default]
    None,
    /// Into a folder, as `.eml` files; a relative path is below the ledger's folder. For
    /// demonstration and development: whoever reads the folder reads the keys.
    Outbox(PathBuf),
    /// To a mail server.
    #[cfg(feature = "smtp")]
    Smtp(crate::mail::SmtpSettings),
}

/// Settings of a ledger folder, kept in `settings.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Settings {
    /// Version of this file.
    pub v: u16,
    /// Where letters go.
    #[serde(default)]
    pub mail: MailSettings,
    /// Sender of letters.
    #[serde(default = "default_sender")]
    pub mail_from: String,
    /// How access keys reach people; by mail where it is set up, else through the caller, unless set.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delivery: Option<DeliveryMode>,
    /// Whether letters with a key also carry it as a QR code.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub mail_qr: bool,
    /// Bytes of ciphertext kept in memory for reports read often.
    #[serde(default = "default_cache")]
    pub cache_bytes: u64,
    /// Whether the exact size of reports is hidden.
    #[serde(default)]
    pub padding: Padding,
    /// Where the node key lies, if not beside the database; a relative path is below the ledger's
    /// folder.
    #[serde(default)]
    pub node_key: Option<PathBuf>,
    /// Where ciphertext lies.
    #[serde(default, skip_serializing_if = "is_default")]
    pub storage: StorageSettings,
}

fn is_default(storage: &StorageSettings) -> bool {
    *storage == StorageSettings::default()
}

fn default_sender() -> String {
    "medledger <medledger@localhost.localdomain>".into()
}

const fn default_cache() -> u64 {
    64 * 1024 * 1024
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            v: 1,
            mail: MailSettings::default(),
            mail_from: default_sender(),
            delivery: None,
            mail_qr: false,
            cache_bytes: default_cache(),
            padding: Padding::default(),
            node_key: None,
            storage: StorageSettings::default(),
        }
    }
}

/// Settings that cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SettingsError {
    /// The folder holds no ledger.
    #[error("{0} holds no ledger: make one with `medledger init`")]
    NoLedger(PathBuf),
    /// Written by a later version.
    #[error("{path} has version {found}; this version reads 1: update needed")]
    UnknownVersion {
        /// The file.
        path: PathBuf,
        /// The version found.
        found: u16,
    },
    /// The file is not what it should be.
    #[error("{path}: {reason}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// Where and why.
        reason: String,
    },
    /// The file cannot be read or written.
    #[error("{path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        source: std::io::Error,
    },
}

/// Name of the settings file in a ledger's folder.
pub(crate) const FILE: &str = "settings.json";

/// Far more than any settings need.
const MAX_BYTES: usize = 64 * 1024;

impl Settings {
    pub(crate) fn load(folder: &Path) -> Result<Self, SettingsError> {
        #[derive(Deserialize)]
        struct Version {
            v: u16,
        }
        let path = folder.join(FILE);
        let text = read_bounded(&path, MAX_BYTES).map_err(|source| match source.kind() {
            std::io::ErrorKind::NotFound => SettingsError::NoLedger(folder.into()),
            _ => SettingsError::Io { path: path.clone(), source },
        })?;
        if text.len() > MAX_BYTES {
            let reason = format!("more than {MAX_BYTES} bytes cannot be settings");
            return Err(SettingsError::Malformed { path, reason });
        }
        let malformed = |error: serde_json::Error| SettingsError::Malformed {
            path: path.clone(),
            reason: error.to_string(),
        };
        let Version { v: found } = serde_json::from_slice(&text).map_err(malformed)?;
        if found != 1 {
            return Err(SettingsError::UnknownVersion { path, found });
        }
        serde_json::from_slice(&text).map_err(malformed)
    }

    pub(crate) fn save(&self, folder: &Path) -> Result<(), SettingsError> {
        let path = folder.join(FILE);
        let mut text = serde_json::to_vec_pretty(self).expect("settings are JSON");
        text.push(b'\n');
        crate::files::write_private(&path, &text)
            .map_err(|source| SettingsError::Io { path: path.clone(), source })
    }
}
