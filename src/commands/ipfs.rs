//! `medledger ipfs check`: what is wrong with a Kubo node, and how to mend it.

use crate::context::Context;
use crate::exit::{Failure, Fault, Result};
use crate::output::{Show, bytes, fields};
use clap::{Args, Subcommand};
use medledger::KuboSettings;
use medledger::ipfs::kubo::Report;
use serde::Serialize;
use std::io::{self, Write};

#[derive(Debug, Subcommand)]
pub(crate) enum IpfsCommand {
    /// Look at a Kubo node's version, settings, room and pins; say what to mend and how
    Check(CheckArgs),
}

#[derive(Args, Debug)]
pub(crate) struct CheckArgs {
    /// Address of the node's RPC [default: the ledger's node, else http://127.0.0.1:5001]; its credentials come from
    /// MEDLEDGER_KUBO_AUTH
    #[arg(value_name = "ADDRESS")]
    address: Option<String>,
    /// Have the node look into every pin, which may take long
    #[arg(long)]
    deep: bool,
}

#[derive(Serialize)]
struct Checked {
    fit: bool,
    node: String,
    version: Option<String>,
    peer: Option<String>,
    repository: Option<String>,
    bytes: Option<u64>,
    most_bytes: Option<u64>,
    findings: Vec<Found>,
}

#[derive(Serialize)]
struct Found {
    severity: String,
    about: &'static str,
    text: String,
    mend: String,
}

impl From<Report> for Checked {
    fn from(report: Report) -> Self {
        let found = |finding: &medledger::ipfs::kubo::Finding| Found {
            severity: finding.severity.to_string(),
            about: finding.about,
            text: finding.text.clone(),
            mend: finding.mend.clone(),
        };
        Self {
            fit: report.is_fit(),
            findings: report.findings.iter().map(found).collect(),
            version: report.version.map(|version| version.to_string()),
            peer: report.id.map(|id| id.peer),
            bytes: report.stat.as_ref().map(|stat| stat.bytes),
            most_bytes: report.stat.as_ref().map(|stat| stat.most),
            repository: report.stat.map(|stat| stat.path),
            node: report.server,
        }
    }
}

impl Show for Checked {
    fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut rows = vec![("node", self.node.clone())];
        rows.extend(self.version.as_ref().map(|version| ("Kubo", version.clone())));
        rows.extend(self.peer.as_ref().map(|peer| ("peer id", peer.clone())));
        rows.extend(self.repository.as_ref().map(|path| ("repository", path.clone())));
        if let (Some(held), Some(most)) = (self.bytes, self.most_bytes) {
            rows.push(("holds", format!("{} of {}", bytes(held), bytes(most))));
        }
        fields(out, &rows)?;
        for finding in &self.findings {
            writeln!(out, "\n{}: {}", finding.severity, finding.text)?;
            writeln!(out, "  mend: {}", finding.mend)?;
        }
        match (self.fit, self.findings.is_empty()) {
            (true, true) => writeln!(out, "\nall is as it should be"),
            (true, false) => writeln!(out, "\nfit for reports"),
            (false, _) => writeln!(out, "\nNOT fit for reports"),
        }
    }
}

pub(crate) fn run(context: &Context, command: &IpfsCommand) -> Result<()> {
    let IpfsCommand::Check(args) = command;
    let settings = match &args.address {
        Some(address) => KuboSettings { address: address.clone(), ..KuboSettings::default() },
        // Without a ledger, or one without a node, the usual address.
        None => context
            .open_read_only()
            .ok()
            .and_then(|ledger| {
                ledger.storage().node.map(|_| ledger.settings().storage.kubo.clone())
            })
            .unwrap_or_default(),
    };
    let checked = Checked::from(settings.node()?.check(args.deep));
    context.print(&checked)?;
    let faults = checked.findings.iter().filter(|finding| finding.severity == "fault").count();
    if checked.fit {
        return Ok(());
    }
    let text = match faults {
        1 => "a fault makes the node unfit for reports".to_owned(),
        n => format!("{n} faults make the node unfit for reports"),
    };
    Err(Failure::new(Fault::Environment, "node_unfit", text))
}
