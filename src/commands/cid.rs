//! `medledger cid`: the CID of a file or folder, without keeping anything.

use crate::context::Context;
use crate::exit::Result;
use crate::failures;
use crate::output::Show;
use clap::Args;
use medledger::Threads;
use medledger::ipfs::Processor;
use medledger::ipfs::unixfs::{FolderOptions, Profile, add_folder, cid_of_with};
use serde::Serialize;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

#[derive(Args, Debug)]
pub(crate) struct CidArgs {
    /// The file, or a folder with all in it; - is standard input
    file: PathBuf,
    /// unixfs-v1-2025, unixfs-v0-2015 (what Kubo does by default) or kubo-cidv1
    #[arg(long, value_name = "NAME", default_value = "unixfs-v1-2025")]
    profile: Profile,
    /// In folders, also what has a name that begins with a dot
    #[arg(long)]
    hidden: bool,
}

#[derive(Serialize)]
struct Named {
    cid: String,
    size: u64,
    dag_size: u64,
    profile: String,
}

impl Show for Named {
    fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{}", self.cid)
    }
}

pub(crate) fn run(context: &Context, args: &CidArgs) -> Result<()> {
    let failed = |error: io::Error| failures::file(&args.file, &error);
    let threads = Threads::default();
    let processor = Processor::new(&threads);
    let root = if args.file == Path::new("-") {
        cid_of_with(io::stdin(), args.profile, &processor).map_err(failed)?
    } else if args.file.is_dir() {
        let mut options = FolderOptions::default();
        options.hidden = args.hidden;
        add_folder(&args.file, args.profile, options, &mut |_, _| Ok(()))?
    } else {
        let file = std::fs::File::open(&args.file).map_err(failed)?;
        cid_of_with(file, args.profile, &processor).map_err(failed)?
    };
    context.print(&Named {
        cid: root.cid.to_string(),
        size: root.size,
        dag_size: root.dag_size,
        profile: args.profile.to_string(),
    })
}
