//! `medledger backup`: a consistent copy of the ledger while it is in use.

use crate::context::Context;
use crate::exit::Result;
use crate::output::{Done, Show, bytes, fields};
use clap::Args;
use medledger::Backup;
use serde::Serialize;
use std::io::{self, Write};
use std::path::PathBuf;

#[derive(Args, Debug)]
pub(crate) struct BackupArgs {
    /// Folder for the copy; empty, or not there yet
    folder: PathBuf,
}

#[derive(Serialize)]
struct Copied {
    folder: String,
    height: u64,
    head: String,
    database: u64,
    files: u64,
    bytes: u64,
}

impl Copied {
    fn of(args: &BackupArgs, done: &Backup) -> Self {
        Self {
            folder: args.folder.display().to_string(),
            height: done.height,
            head: done.head.to_string(),
            database: done.database,
            files: done.files,
            bytes: done.bytes,
        }
    }
}

impl Show for Copied {
    fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        fields(
            out,
            &[
                ("backup", self.folder.clone()),
                ("newest block", format!("{}  {}", self.height, self.head)),
                ("database", bytes(self.database)),
                ("files", format!("{}, {}", self.files, bytes(self.bytes))),
            ],
        )
    }
}

pub(crate) fn run(context: &Context, args: &BackupArgs) -> Result<()> {
    let ledger = context.open_read_only()?;
    let done = ledger.backup(&args.folder, &mut |_, _| {})?;
    let next = "the node key is not in it: keep that key elsewhere, for nothing opens without it";
    context.print_done(&Copied::of(args, &done), &Done::new("the backup is whole", next))
}
