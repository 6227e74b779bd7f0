//! `medledger seal`: standard input, sealed, to standard output.

use crate::context::Context;
use crate::exit::{Failure, Result};
use crate::secret::read_file;
use crate::{failures, output};
use clap::Args;
use medledger::core::dek::Dek;
use medledger::core::seal::{SealError, seal_stream};
use std::io::{self, IsTerminal, Read, Write};
use std::path::PathBuf;
use zeroize::Zeroizing;

#[derive(Args)]
pub(crate) struct SealArgs {
    #[command(flatten)]
    pub(super) key: KeyArgs,
}

/// Key and context, in hexadecimal.
#[derive(Args)]
pub(super) struct KeyArgs {
    /// 16 bytes in hexadecimal; for experiments: every process of this machine can see it
    #[arg(long, value_name = "HEX", conflicts_with = "key_file")]
    key: Option<String>,
    /// File with the key in hexadecimal [else: MEDLEDGER_KEY]
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
    /// What is bound to the ciphertext and must be given again to unseal [default: nothing]
    #[arg(long, value_name = "HEX", default_value = "")]
    context: String,
}

impl std::fmt::Debug for SealArgs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealArgs(..)")
    }
}

impl KeyArgs {
    pub(super) fn key(&self) -> Result<Dek> {
        let text = match (&self.key, &self.key_file) {
            (Some(key), _) => Zeroizing::new(key.clone()),
            (None, Some(path)) => read_file(path)?,
            (None, None) => Zeroizing::new(std::env::var("MEDLEDGER_KEY").map_err(|_| {
                Failure::usage("no_secret", "no key given")
                    .hint("give --key-file FILE, the environment variable MEDLEDGER_KEY, or --key")
            })?),
        };
        // The text is not repeated: it may be a key but for one character.
        let bytes = hex(&text).and_then(|bytes| <[u8; Dek::LEN]>::try_from(&bytes[..]).ok());
        bytes
            .map(Dek::from_bytes)
            .ok_or_else(|| Failure::usage("key", "a key is 16 bytes: 32 hexadecimal characters"))
    }

    pub(super) fn context(&self) -> Result<Vec<u8>> {
        hex(&self.context).map(|mut bytes| std::mem::take(&mut *bytes)).ok_or_else(|| {
            Failure::usage("context", "the context is no even number of hexadecimal characters")
        })
    }
}

fn hex(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let digits: Option<Vec<u8>> =
        text.trim().chars().map(|c| c.to_digit(16).and_then(|d| u8::try_from(d).ok())).collect();
    let digits = Zeroizing::new(digits?);
    let (pairs, []) = digits.as_chunks::<2>() else { return None };
    Some(Zeroizing::new(pairs.iter().map(|[high, low]| high << 4 | low).collect()))
}

/// A reader and a writer whose errors are told apart afterwards.
pub(super) struct Pipe {
    pub(super) failed_to_write: bool,
}

impl Write for Pipe {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let written = io::stdout().lock().write(buf);
        self.failed_to_write |= written.is_err();
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        let flushed = io::stdout().lock().flush();
        self.failed_to_write |= flushed.is_err();
        flushed
    }
}

impl Pipe {
    /// The two standard streams; ciphertext does not go to a terminal.
    pub(super) fn open(context: &Context, binary: bool) -> Result<(Self, impl Read)> {
        if context.json() {
            let text = "seal and unseal have no --json: standard output is the result itself";
            return Err(Failure::usage("output", text));
        }
        if binary && io::stdout().is_terminal() {
            return Err(Failure::usage("output", "ciphertext is not written to a terminal")
                .hint("redirect standard output: medledger seal … > FILE"));
        }
        Ok((Self { failed_to_write: false }, io::stdin().lock()))
    }

    pub(super) fn failure(&self, error: &io::Error) -> Failure {
        if self.failed_to_write { Failure::stdout(error) } else { failures::io(error) }
    }
}

pub(crate) fn run(context: &Context, args: &SealArgs) -> Result<()> {
    let (key, bound) = (args.key.key()?, args.key.context()?);
    let (mut pipe, input) = Pipe::open(context, true)?;
    let sealed = seal_stream(&key, &bound, input, &mut pipe, &mut medledger::os_rng());
    match sealed {
        Ok(_) => output::write(""),
        Err(SealError::Io(error)) => Err(pipe.failure(&error)),
        Err(error) => Err(Failure::usage("too_long", error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_is_read_or_refused() {
        assert_eq!(**hex("00fF").as_ref().unwrap(), [0, 255]);
        assert!(hex("").as_ref().unwrap().is_empty());
        for bad in ["0", "0g", "é0", "0x00"] {
            assert!(hex(bad).is_none(), "{bad}");
        }
    }
}
