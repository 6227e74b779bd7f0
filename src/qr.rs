//! Access keys as QR codes: in the terminal, and in private files.

use crate::exit::{Failure, Result};
use crate::failures;
use crate::target::check_folder_of;
use clap::Args;
use medledger::{AccessKey, Delivery, qr};
use std::io::Write;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Whether and where a key is shown as a QR code.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct QrArgs {
    /// Show the key as a QR code, too, where it is shown
    #[arg(long)]
    qr: bool,
    /// Write the key as a QR code into a new file, which only you may read: FILE.png or FILE.svg
    #[arg(long, value_name = "FILE")]
    qr_file: Option<PathBuf>,
}

impl QrArgs {
    /// Whether a QR code is asked for.
    pub(crate) const fn is_wanted(&self) -> bool {
        self.qr || self.qr_file.is_some()
    }

    /// Whether keys go to a file, wherever standard output goes.
    pub(crate) const fn to_file(&self) -> bool {
        self.qr_file.is_some()
    }

    /// What can be refused before a key is made is refused.
    pub(crate) fn check(&self) -> Result<()> {
        let Some(path) = &self.qr_file else { return Ok(()) };
        if Format::of(path).is_none() {
            let text = format!("{} ends neither in .png nor in .svg", path.display());
            return Err(Failure::usage("qr_file", text).hint("the name says which picture it is"));
        }
        if path.symlink_metadata().is_ok() {
            return Err(Failure::usage("file_exists", format!("{} exists", path.display()))
                .hint("name another --qr-file"));
        }
        check_folder_of(path)
    }

    /// What goes to a terminal.
    pub(crate) fn terminal(&self, key: &AccessKey) -> Option<Zeroizing<String>> {
        self.qr.then(|| qr::terminal(key))
    }

    /// Writes the file, if one is wanted; the `n`th of several gets a name of its own.
    pub(crate) fn write(&self, key: &AccessKey, n: Option<usize>) -> Result<()> {
        let Some(path) = &self.qr_file else { return Ok(()) };
        match n {
            None => write(path, key),
            Some(n) => {
                let stem = path.file_stem().unwrap_or_default().to_string_lossy();
                let extension = path.extension().unwrap_or_default().to_string_lossy();
                write(&path.with_file_name(format!("{stem}-{n}.{extension}")), key)
            }
        }
    }

    /// Both, for a key that is handed over. The key is shown though its file cannot be written.
    pub(crate) fn of(&self, delivery: &Delivery) -> (Result<()>, Option<Zeroizing<String>>) {
        match delivery {
            Delivery::PickUp(key) => (self.write(key, None), self.terminal(key)),
            _ => (Ok(()), None),
        }
    }
}

/// Which picture a file holds, as its name says.
enum Format {
    Png,
    Svg,
}

impl Format {
    fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()? {
            "png" => Some(Self::Png),
            "svg" => Some(Self::Svg),
            _ => None,
        }
    }
}

fn write(path: &Path, key: &AccessKey) -> Result<()> {
    let failed = |error: std::io::Error| failures::file(path, &error);
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(path).map_err(failed)?;
    let written = match Format::of(path) {
        Some(Format::Png) => file.write_all(&qr::png(key)),
        _ => file.write_all(qr::svg(key).as_bytes()),
    };
    written.and_then(|()| file.sync_all()).map_err(failed)
}
