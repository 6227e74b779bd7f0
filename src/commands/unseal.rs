//! `medledger unseal`: standard input, opened, to standard output; nothing unverified is written.

use super::seal::{KeyArgs, Pipe};
use crate::context::Context;
use crate::exit::Result;
use crate::failures;
use clap::Args;
use medledger::core::seal::{UnsealError, unseal_stream};

/// Each 16 KiB are verified before they are written, but only the end proves that nothing is
/// missing: when the exit code is not 0, throw away what was written.
#[derive(Args)]
pub(crate) struct UnsealArgs {
    #[command(flatten)]
    key: KeyArgs,
}

impl std::fmt::Debug for UnsealArgs {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("UnsealArgs(..)")
    }
}

pub(crate) fn run(context: &Context, args: &UnsealArgs) -> Result<()> {
    let (key, bound) = (args.key.key()?, args.key.context()?);
    let (mut pipe, input) = Pipe::open(context, false)?;
    match unseal_stream(&key, &bound, input, &mut pipe) {
        Ok(_) => Ok(()),
        Err(UnsealError::Io(error)) => Err(pipe.failure(&error)),
        Err(error) => Err(failures::unseal(&error)),
    }
}
