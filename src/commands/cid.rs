//! `medledger cid`: the CID of a file, without keeping anything.

use crate::context::Context;
use crate::exit::Result;
use crate::failures;
use crate::output::Show;
use clap::Args;
use medledger::ipfs::unixfs::{Profile, cid_of};
use serde::Serialize;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

#[derive(Args, Debug)]
pub(crate) struct CidArgs {
    /// The file; - is standard input
    file: PathBuf,
    /// unixfs-v1-2025, unixfs-v0-2015 (what Kubo does by default) or kubo-cidv1
    #[arg(long, value_name = "NAME", default_value = "unixfs-v1-2025")]
    profile: Profile,
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
    let root = if args.file == Path::new("-") {
        cid_of(io::stdin(), args.profile)
    } else {
        std::fs::File::open(&args.file).and_then(|file| cid_of(file, args.profile))
    };
    let root = root.map_err(|error| failures::file(&args.file, &error))?;
    context.print(&Named {
        cid: root.cid.to_string(),
        size: root.size,
        dag_size: root.dag_size,
        profile: args.profile.to_string(),
    })
}
