//! `medledger storage replicas`: clusters and pinning services that keep reports as well.

use crate::context::Context;
use crate::exit::{Failure, Fault, Result};
use crate::output::{Column, Done, Show, count, fields, table};
use clap::{Args, Subcommand};
use medledger::{KeeperKind, ReplicaKeeper, ReplicaReport, ReplicaSettings, auth_variable};
use serde::Serialize;
use std::io::{self, Write};

#[derive(Debug, Subcommand)]
pub(crate) enum ReplicasCommand {
    /// Add a cluster or a pinning service; nothing is sent to it yet
    Add(AddArgs),
    /// Say how many replicas of each report there are to be
    Goal(GoalArgs),
    /// List who is asked, and the goal
    List,
    /// Ask one no more; it is not told, and may keep what it has
    Remove(RemoveArgs),
    /// Ask who was asked to keep reports whether they still do
    Check,
    /// Check, then ask for what is short: new reports, and what somebody forgot
    Repair,
}

#[derive(Args, Debug)]
pub(crate) struct AddArgs {
    /// How it is called: a-z, 0-9, - and _. Its credentials come from MEDLEDGER_AUTH_NAME (bearer:TOKEN or
    /// basic:USER:PASSWORD)
    name: String,
    /// The REST interface of an IPFS Cluster's peer
    #[arg(long, value_name = "URL", required_unless_present = "service")]
    cluster: Option<String>,
    /// A service that speaks the Pinning Service API
    #[arg(long, value_name = "URL", conflicts_with = "cluster")]
    service: Option<String>,
    /// It may tell anybody which blocks it keeps; has to be said of all that are not known to announce nothing
    #[arg(long)]
    public: bool,
    /// Peers of the cluster that keep each report, at least and at most [default: all of them]
    #[arg(long, num_args = 2, value_names = ["LEAST", "MOST"], requires = "cluster")]
    peers: Option<Vec<u16>>,
    /// Where the service finds the blocks, /ip4/ADDRESS/tcp/PORT/p2p/ID; may be given again
    #[arg(long, value_name = "MULTIADDR", requires = "service")]
    origin: Vec<String>,
    /// A trustless gateway of this keeper alone: checks then read some blocks from it and hash them
    #[arg(long, value_name = "URL")]
    gateway: Option<String>,
}

#[derive(Args, Debug)]
pub(crate) struct GoalArgs {
    /// Replicas of each report; in a cluster, each peer is one
    replicas: u32,
    /// Keepers on which they are, at least: two survive the end of one
    #[arg(long, default_value_t = 1)]
    keepers: u32,
}

#[derive(Args, Debug)]
pub(crate) struct RemoveArgs {
    /// How it is called
    name: String,
}

const INTERRUPTED: &str = "interrupted: who was asked so far is noted; the command may be repeated";

pub(crate) fn run(context: &Context, command: &ReplicasCommand) -> Result<()> {
    match command {
        ReplicasCommand::Add(args) => add(context, args),
        ReplicasCommand::List => {
            context.print(&Keepers::from(context.open_read_only()?.replicas()?))
        }
        ReplicasCommand::Goal(args) => {
            let ledger = context.open_to_move(INTERRUPTED)?;
            ledger.set_replica_goal(args.replicas, args.keepers)?;
            let next = "`medledger storage replicas repair` asks for what is short";
            context
                .print_done(&Keepers::from(ledger.replicas()?), &Done::new("the goal is set", next))
        }
        ReplicasCommand::Remove(RemoveArgs { name }) => {
            let ledger = context.open_to_move(INTERRUPTED)?;
            ledger.remove_replica_keeper(name)?;
            let next = "`medledger storage replicas list` shows who is left";
            let done = Done::new(format!("{name} is taken out"), next);
            context.print_done(&Keepers::from(ledger.replicas()?), &done)
        }
        ReplicasCommand::Check => {
            let ledger = context.open_to_move(INTERRUPTED)?;
            let report = ledger.check_replicas()?;
            told(context, report, "`medledger storage replicas repair` asks again, and others")
        }
        ReplicasCommand::Repair => {
            let ledger = context.open_to_move(INTERRUPTED)?;
            let report = ledger.repair_replicas()?;
            told(context, report, "add another keeper, or repeat the command when those are back")
        }
    }
}

fn add(context: &Context, args: &AddArgs) -> Result<()> {
    let (kind, address) = match (&args.cluster, &args.service) {
        (Some(address), _) => (KeeperKind::Cluster, address),
        (None, Some(address)) => (KeeperKind::Service, address),
        (None, None) => return Err(Failure::usage("arguments", "give --cluster or --service")),
    };
    let peers = args.peers.as_deref().map(|peers| (peers[0], peers[1]));
    let keeper = ReplicaKeeper {
        name: args.name.clone(),
        kind,
        address: address.clone(),
        public: args.public,
        peers,
        origins: args.origin.clone(),
        gateway: args.gateway.clone(),
    };
    let ledger = context.open_to_move(INTERRUPTED)?;
    ledger.add_replica_keeper(keeper)?;
    let next = "`medledger storage replicas repair` asks it";
    let done = Done::new(format!("{} is added", args.name), next);
    context.print_done(&Keepers::from(ledger.replicas()?), &done)?;
    context.note(&format!("next: {next}"));
    Ok(())
}

#[derive(Serialize)]
struct Keepers {
    replicas: u32,
    keepers_wanted: u32,
    keepers: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    name: String,
    kind: KeeperKind,
    address: String,
    public: bool,
    credentials_from: String,
}

impl From<ReplicaSettings> for Keepers {
    fn from(settings: ReplicaSettings) -> Self {
        let row = |keeper: ReplicaKeeper| Row {
            credentials_from: auth_variable(&keeper.name),
            name: keeper.name,
            kind: keeper.kind,
            address: keeper.address,
            public: keeper.public,
        };
        Self {
            replicas: settings.replicas,
            keepers_wanted: settings.backends,
            keepers: settings.keepers.into_iter().map(row).collect(),
        }
    }
}

impl Show for Keepers {
    fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        if self.keepers.is_empty() {
            return writeln!(out, "nobody else keeps reports");
        }
        let goal = format!("{} replicas on {} keepers", self.replicas, self.keepers_wanted);
        fields(out, &[("wanted", goal)])?;
        let row = |row: &Row| {
            let kind = match row.kind {
                KeeperKind::Cluster => "cluster",
                _ => "service",
            };
            let public = if row.public { "public" } else { "closed" };
            [
                row.name.clone(),
                kind.to_owned(),
                public.to_owned(),
                row.address.clone(),
                row.credentials_from.clone(),
            ]
        };
        let rows: Vec<_> = self.keepers.iter().map(row).collect();
        let columns = [
            Column::Whole("KEEPER"),
            Column::Whole("KIND"),
            Column::Whole("SEEN BY"),
            Column::Flexible("ADDRESS"),
            Column::Whole("CREDENTIALS FROM"),
        ];
        table(out, columns, &rows)
    }
}

#[derive(Serialize)]
struct Told {
    ok: bool,
    roots: u64,
    asked: u64,
    short: Vec<String>,
    forgot: Vec<String>,
    findings: Vec<String>,
}

impl Show for Told {
    fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        let short = self.short.len().to_string();
        let rows = [
            ("reports", self.roots.to_string()),
            ("asked now", self.asked.to_string()),
            ("short of replicas", short),
        ];
        fields(out, &rows)?;
        for name in &self.forgot {
            writeln!(out, "FORGOT: {name} had confirmed what it has no more")?;
        }
        for finding in &self.findings {
            writeln!(out, "{finding}")?;
        }
        for short in &self.short {
            writeln!(out, "SHORT: {short}")?;
        }
        Ok(())
    }
}

fn told(context: &Context, report: ReplicaReport, hint: &'static str) -> Result<()> {
    let short = report.short.len();
    let told = Told {
        ok: short == 0,
        roots: report.roots,
        asked: report.asked,
        short: report.short,
        forgot: report.forgot,
        findings: report.findings,
    };
    context.print(&told)?;
    match short {
        0 => Ok(()),
        n => Err(Failure::new(
            Fault::Environment,
            "short_of_replicas",
            format!("fewer replicas than wanted: of {}", count(n, "report")),
        )
        .hint(hint)),
    }
}
