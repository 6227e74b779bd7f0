//! `medledger checkpoint show`, `checkpoint consistency` and `checkpoint evidence`.

use super::import::about;
use crate::context::Context;
use crate::exit::{Failure, Fault, Result};
use crate::failures;
use crate::output::{self, Show, count, fields};
use crate::target::{ForceArg, Readers, Target};
use clap::{Args, Subcommand};
use medledger::core::checkpoint::{Checkpoint, Evidence, Misconduct};
use medledger::core::finality::Compared;
use medledger::core::registry::limit::CHECKPOINT_BYTES;
use serde::Serialize;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

#[derive(Debug, Subcommand)]
pub(crate) enum CheckpointCommand {
    /// Show the newest checkpoint that a quorum of hospitals signed
    Show(ShowArgs),
    /// Check that this chain continues a checkpoint seen before, or elsewhere
    Consistency(ConsistencyArgs),
    /// List the evidence kept here that a hospital signed two histories
    Evidence,
}

#[derive(Args, Debug)]
pub(crate) struct ShowArgs {
    /// Write the signed checkpoint to a file, to give away; - is standard output, with nothing else
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    replace: ForceArg,
}

#[derive(Args, Debug)]
pub(crate) struct ConsistencyArgs {
    /// The signed checkpoint; - is standard input
    file: PathBuf,
    /// Where evidence goes, if there is any
    #[arg(long, value_name = "FILE")]
    evidence: Option<PathBuf>,
    #[command(flatten)]
    replace: ForceArg,
}

#[derive(Serialize)]
struct Shown {
    size: u64,
    root: String,
    signed_by: Vec<String>,
    note: String,
}

impl Show for Shown {
    fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        fields(
            out,
            &[
                ("blocks", self.size.to_string()),
                ("root", self.root.clone()),
                ("signed by", self.signed_by.join("\n")),
            ],
        )?;
        write!(out, "\n{}", self.note)
    }
}

#[derive(Serialize)]
struct Consistent {
    older: u64,
    newer: u64,
    older_root: String,
    newer_root: String,
    /// RFC 9162 consistency proof, hex.
    proof: Vec<String>,
}

impl Show for Consistent {
    fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        let (older, newer) = (count(self.older, "block"), count(self.newer, "block"));
        let mut rows = vec![
            ("older", format!("{older}, root {}", self.older_root)),
            ("newer", format!("{newer}, root {}", self.newer_root)),
        ];
        // Between a checkpoint and itself there is nothing to prove.
        if !self.proof.is_empty() {
            rows.push(("proof", self.proof.join("\n")));
        }
        fields(out, &rows)?;
        if self.older == self.newer {
            return writeln!(out, "both checkpoints are over the same blocks");
        }
        writeln!(out, "the newer checkpoint continues the older one: the chain only grew")
    }
}

#[derive(Serialize)]
struct Listed {
    evidence: Vec<Piece>,
}

#[derive(Serialize)]
struct Piece {
    hospitals: Vec<String>,
    older: u64,
    newer: u64,
    older_root: String,
    newer_root: String,
}

impl Piece {
    fn of(found: Misconduct) -> Self {
        Self {
            hospitals: found.hospitals,
            older: found.older.size,
            newer: found.newer.size,
            older_root: found.older.root.to_string(),
            newer_root: found.newer.root.to_string(),
        }
    }

    fn sentence(&self) -> String {
        let hospitals = self.hospitals.join(", ");
        let (older, newer) = (self.older, count(self.newer, "block"));
        format!("{hospitals} signed two histories: over {older} and over {newer}")
    }
}

impl Show for Listed {
    fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        if self.evidence.is_empty() {
            return writeln!(out, "no evidence of two histories");
        }
        self.evidence.iter().try_for_each(|piece| writeln!(out, "{}", piece.sentence()))
    }
}

pub(crate) fn run(context: &Context, command: &CheckpointCommand) -> Result<()> {
    match command {
        CheckpointCommand::Show(args) => show(context, args),
        CheckpointCommand::Consistency(args) => consistency(context, args),
        CheckpointCommand::Evidence => {
            let ledger = context.open_read_only()?;
            let pieces = ledger.evidence()?;
            let proven = pieces.iter().map(|piece| Ok(Piece::of(ledger.check_evidence(piece)?)));
            context.print(&Listed { evidence: proven.collect::<Result<_>>()? })
        }
    }
}

fn show(context: &Context, args: &ShowArgs) -> Result<()> {
    let to_stdout = args.output.as_deref() == Some(Path::new("-"));
    if to_stdout && context.json() {
        let text = "a signed checkpoint needs standard output for itself";
        return Err(Failure::usage("output", text).hint("give --output FILE"));
    }
    let target = |path: &PathBuf| Target::of(path, args.replace.force);
    let target = args.output.as_ref().filter(|_| !to_stdout).map(target).transpose()?;
    let ledger = context.open_read_only()?;
    let note = ledger.checkpoint()?.ok_or_else(|| {
        Failure::not_found("no_checkpoint", "no checkpoint is signed here yet")
            .hint("`medledger mine` makes blocks, and a lone hospital signs each")
    })?;
    if to_stdout {
        return output::write(&note.to_string());
    }
    // It was read as a checkpoint just now.
    let checkpoint: Checkpoint =
        note.text().parse().map_err(|error| Failure::bug("checkpoint", error))?;
    if let Some(target) = target {
        target.write(note.to_string().as_bytes(), Readers::Others)?;
    }
    context.print(&Shown {
        size: checkpoint.size,
        root: checkpoint.root.to_string(),
        signed_by: note.signatures().iter().map(|by| by.name().to_owned()).collect(),
        note: note.to_string(),
    })
}

fn consistency(context: &Context, args: &ConsistencyArgs) -> Result<()> {
    let evidence_to = |path: &PathBuf| Target::of(path, args.replace.force);
    let evidence_to = args.evidence.as_ref().map(evidence_to).transpose()?;
    let failed = |error: io::Error| failures::file(&args.file, &error);
    let most = CHECKPOINT_BYTES as u64 + 1;
    let mut note = Vec::new();
    if args.file == Path::new("-") {
        io::stdin().lock().take(most).read_to_end(&mut note).map_err(failed)?;
    } else {
        let file = std::fs::File::open(&args.file).map_err(failed)?;
        file.take(most).read_to_end(&mut note).map_err(failed)?;
    }
    let ledger = context.open_read_only()?;
    let compared = ledger.compare_checkpoint(&note);
    match compared.map_err(|error| about(&args.file, error))? {
        Compared::Consistent { older, newer, proof } => context.print(&Consistent {
            older: older.size,
            newer: newer.size,
            older_root: older.root.to_string(),
            newer_root: newer.root.to_string(),
            proof: proof.path.iter().map(ToString::to_string).collect(),
        }),
        Compared::Ahead { size, blocks } => {
            let text = format!(
                "the checkpoint covers {}, and only {blocks} are here",
                count(size, "block")
            );
            Err(Failure::new(Fault::Refused, "ahead", text)
                .hint("bring this copy up to date first: `medledger import chain`"))
        }
        Compared::Conflict { theirs, evidence: None } => {
            let text =
                format!("the checkpoint signs other blocks than the first {} here", theirs.size);
            Err(Failure::new(Fault::Damaged, "conflict", text)
                .hint("ask for the other chain: with its blocks it shows who signed both"))
        }
        Compared::Conflict { evidence: Some(evidence), .. } => {
            let piece = Piece::of(ledger.check_evidence(&evidence)?);
            drop(ledger);
            keep(context, evidence_to.as_ref(), &evidence)?;
            Err(Failure::new(Fault::Damaged, "two_histories", piece.sentence())
                .hint("the evidence is kept: `medledger checkpoint evidence` lists it"))
        }
        _ => Err(Failure::bug("unknown", "an answer that is not known here")),
    }
}

fn keep(context: &Context, to: Option<&Target>, evidence: &Evidence) -> Result<()> {
    if let Some(target) = to {
        target.write(&evidence.encode(), Readers::Others)?;
    }
    Ok(context.open()?.keep_evidence(evidence)?)
}
