//! `medledger storage`: where ciphertext lies, and moving it.

mod replicas;
mod sources;

use crate::context::Context;
use crate::exit::{Failure, Fault, Result};
use crate::failures;
use crate::output::{Done, Show, bytes, count, fields};
use crate::progress;
use clap::{Args, Subcommand};
use medledger::{KuboSettings, StorageMode, StorageSettings, SwitchOptions};
use serde::Serialize;
use std::io::{self, Write};

#[derive(Debug, Subcommand)]
pub(crate) enum StorageCommand {
    /// Say where ciphertext lies, and how far behind the node is
    Show,
    /// Move all ciphertext, read it back and hash it there, then use the new place
    Use(UseArgs),
    /// Give the node what it missed while it was away
    Sync(SyncArgs),
    /// Gateways that are asked for blocks that are missing or damaged here
    #[command(subcommand)]
    Sources(sources::SourcesCommand),
    /// Clusters and pinning services that keep reports as well
    #[cfg(feature = "kubo")]
    #[command(subcommand)]
    Replicas(replicas::ReplicasCommand),
}

#[derive(Args, Debug)]
pub(crate) struct UseArgs {
    /// embedded (the ledger's folder), kubo (a Kubo node) or both
    #[arg(value_name = "PLACE")]
    mode: StorageMode,
    /// Address of the node's RPC [default: the ledger's node, else http://127.0.0.1:5001]; its credentials come from
    /// MEDLEDGER_KUBO_AUTH (bearer:TOKEN or basic:USER:PASSWORD)
    #[arg(long, value_name = "ADDRESS")]
    kubo: Option<String>,
    /// The node may tell the public network what it stores; without this, a node that would is refused
    #[arg(long)]
    public: bool,
    /// Remove everything from the old place once it is in the new one
    #[arg(long)]
    free: bool,
    /// The node is the same as before and has another address now: nothing is copied, everything is verified
    #[arg(long, conflicts_with = "free", requires = "kubo")]
    moved: bool,
}

#[derive(Args, Debug)]
pub(crate) struct SyncArgs {
    /// Compare everything that is kept, not only what is noted as missing
    #[arg(long)]
    all: bool,
}

pub(crate) fn run(context: &Context, command: &StorageCommand) -> Result<()> {
    match command {
        StorageCommand::Show => show(context),
        StorageCommand::Use(args) => switch(context, args),
        StorageCommand::Sync(args) => sync(context, args),
        StorageCommand::Sources(command) => sources::run(context, command),
        #[cfg(feature = "kubo")]
        StorageCommand::Replicas(command) => replicas::run(context, command),
    }
}

#[derive(Serialize)]
struct Storage {
    mode: StorageMode,
    node: Option<String>,
    behind: usize,
    /// The file of what the node is owed, where it cannot be read, and why: how far the node is behind is not known.
    owed_damaged: Option<String>,
}

impl Show for Storage {
    fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut rows = vec![("reports lie in", self.mode.to_string())];
        if let Some(node) = &self.node {
            rows.push(("node", node.clone()));
        }
        if self.mode == StorageMode::Both {
            let behind = match self.behind {
                _ if self.owed_damaged.is_some() => "nobody knows how far".to_owned(),
                0 => "no".to_owned(),
                n => format!("{n} to make up for: `medledger storage sync`"),
            };
            rows.push(("node is behind", behind));
        }
        fields(out, &rows)?;
        match &self.owed_damaged {
            Some(what) => writeln!(out, "DAMAGED: {what}\n  help: {}", failures::OWED),
            None => Ok(()),
        }
    }
}

fn show(context: &Context) -> Result<()> {
    let status = context.open_read_only()?.storage();
    context.print(&Storage {
        mode: status.mode,
        node: status.node,
        behind: status.behind,
        owed_damaged: status.fault.map(|fault| fault.to_string()),
    })
}

#[derive(Serialize)]
struct Moved {
    from: StorageMode,
    to: StorageMode,
    copied: u64,
    blocks: u64,
    bytes: u64,
    verified: u64,
    left_over: bool,
}

impl Show for Moved {
    fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        let copied = format!(
            "{}, {}, {}",
            count(self.copied, "root"),
            count(self.blocks, "block"),
            bytes(self.bytes)
        );
        fields(
            out,
            &[
                ("reports lie in", self.to.to_string()),
                ("copied", copied),
                ("read back and hashed", count(self.verified, "root")),
            ],
        )?;
        if self.left_over {
            let (from, to) = (self.from, self.to);
            writeln!(
                out,
                "what lay in {from} is still there: `medledger storage use {to} --free` removes it"
            )?;
        }
        Ok(())
    }
}

const INTERRUPTED: &str = "interrupted: reports lie where they lay before, unless everything was \
    moved already; `medledger storage show` says where, and the command may be repeated";

fn switch(context: &Context, args: &UseArgs) -> Result<()> {
    let ledger = context.open_to_move(INTERRUPTED)?;
    let from = ledger.storage().mode;
    let known = ledger.storage().node.unwrap_or_else(|| KuboSettings::default().address);
    let address = args.kubo.clone().unwrap_or(known);
    let kubo = KuboSettings { address, public: args.public };
    let to = StorageSettings::new(args.mode, kubo);
    let mut options = SwitchOptions::default();
    options.free = args.free;
    options.moved = args.moved;
    let bar = progress::blocks("reading back", 0);
    let switched = ledger.switch_storage(to, options, &mut |verified, all| {
        bar.set_length(all);
        bar.set_position(verified);
    });
    bar.finish_and_clear();
    let switched = switched?;
    let moved = Moved {
        from,
        to: args.mode,
        copied: switched.copied,
        blocks: switched.blocks,
        bytes: switched.bytes,
        verified: switched.verified,
        left_over: switched.left_over,
    };
    let done = Done::new(
        format!("reports lie in {} now", args.mode),
        "`medledger storage show` says where they lie",
    );
    context.print_done(&moved, &done)
}

#[derive(Serialize)]
struct Synced {
    copied: u64,
    blocks: u64,
    bytes: u64,
    released: u64,
}

impl Show for Synced {
    fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        if self.copied + self.released == 0 {
            return writeln!(out, "nothing was missing");
        }
        let bytes = bytes(self.bytes);
        writeln!(
            out,
            "{} copied ({}, {bytes}), {} let go",
            count(self.copied, "root"),
            count(self.blocks, "block"),
            self.released
        )
    }
}

fn sync(context: &Context, args: &SyncArgs) -> Result<()> {
    let ledger = context.open_to_move(
        "interrupted: what was made up for stays so; `medledger storage sync` goes on",
    )?;
    if ledger.storage().mode != StorageMode::Both {
        let text = format!("reports lie in {} alone: nothing follows", ledger.storage().mode);
        return Err(Failure::new(Fault::Usage, "no_follower", text)
            .hint("`medledger storage use both` has a node follow"));
    }
    let done = ledger.catch_up_storage(args.all)?;
    context.print(&Synced {
        copied: done.copied,
        blocks: done.blocks,
        bytes: done.bytes,
        released: done.released,
    })
}
