//! `medledger hospital list`, `propose`, `approve` and `submit`: who the hospitals are, and how a quorum changes that.

use super::{read, read_bounded};
use crate::context::Context;
use crate::exit::{Failure, Result};
use crate::lookup;
use crate::output::{Column, Done, Show, fields, table};
use crate::secret::PasswordArgs;
use crate::target::{ForceArg, Readers, Target};
use clap::{ArgGroup, Args};
use medledger::core::hospital::Proposal;
use medledger::core::record::HospitalChange;
use medledger::core::registry::limit;
use medledger::{Approvals, Identity, Ledger, MemberId};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

#[derive(Args, Debug)]
#[command(group = ArgGroup::new("change").args(["admit", "expel"]).required(true))]
pub(crate) struct ProposeArgs {
    /// Admit the hospital of this card, which `hospital card --chain` writes
    #[arg(long, value_name = "CARD")]
    admit: Option<PathBuf>,
    /// Expel this hospital
    #[arg(long, value_name = "HOSPITAL")]
    expel: Option<String>,
    /// Where the proposal goes: the file that the other hospitals need
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    #[command(flatten)]
    replace: ForceArg,
    #[command(flatten)]
    password: PasswordArgs,
}

#[derive(Args, Debug)]
pub(crate) struct ApproveArgs {
    /// The proposal, as `hospital propose` writes it
    file: PathBuf,
    /// Where the proposal with this hospital's approval goes, in place of the same file
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    replace: ForceArg,
    /// Only show what it is about and who has approved
    #[arg(long, conflicts_with = "output")]
    show: bool,
    #[command(flatten)]
    password: PasswordArgs,
}

#[derive(Args, Debug)]
pub(crate) struct SubmitArgs {
    /// The proposal; several copies of one, each with other approvals, are put together
    #[arg(required = true, value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    password: PasswordArgs,
    /// Mine until the change is in a block
    #[arg(long)]
    wait: bool,
}

/// A proposal, and how far it is.
#[derive(Serialize)]
struct Proposed {
    /// What is to happen: admit or expel.
    change: &'static str,
    hospital: String,
    name: String,
    approved: Vec<String>,
    needed: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    proposal: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<String>,
}

impl Proposed {
    fn new(ledger: &Ledger, proposal: &Proposal) -> Result<Self> {
        let Approvals { approved, needed } = ledger.check_proposal(proposal)?;
        let hospital = proposal.change.hospital();
        let (change, name) = match &proposal.change {
            HospitalChange::Admit(_) => ("admit", proposal.name.clone()),
            HospitalChange::Expel(_) => {
                ("expel", names(ledger)?.remove(&hospital).unwrap_or_default())
            }
        };
        Ok(Self {
            change,
            hospital: hospital.to_string(),
            name,
            approved: approved.iter().map(ToString::to_string).collect(),
            needed,
            proposal: None,
            record: None,
        })
    }
}

impl Show for Proposed {
    fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut lines = vec![
            (self.change, self.name.clone()),
            ("hospital id", self.hospital.clone()),
            ("approved", format!("{} of {} needed", self.approved.len(), self.needed)),
        ];
        lines.extend(self.approved.iter().map(|id| ("by", id.clone())));
        lines.extend(self.proposal.iter().map(|file| ("proposal", file.clone())));
        lines.extend(self.record.iter().map(|record| ("record", record.clone())));
        fields(out, &lines)
    }
}

#[derive(Serialize)]
struct Hospitals {
    /// How often they changed.
    changes: u32,
    /// Height of the newest change; 0 for the founders.
    since: u64,
    /// How many of the hospitals make a block final now.
    quorum: usize,
    hospitals: Vec<Listed>,
    /// Those that were expelled and did not come back.
    expelled: Vec<Expelled>,
}

#[derive(Serialize)]
struct Expelled {
    hospital: String,
    name: String,
    /// Height of the block that did it.
    since: u64,
    /// Whether it votes still: until the block that expelled it is final.
    votes: bool,
}

#[derive(Serialize)]
struct Listed {
    hospital: String,
    name: String,
    mining_key: String,
    /// Whether it is the hospital of this folder.
    here: bool,
    /// Whether it votes on what becomes final: one just admitted does not yet.
    votes: bool,
}

impl Show for Hospitals {
    fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        let row = |hospital: &Listed| {
            let name = if hospital.here { "here" } else { "" };
            let votes = if hospital.votes { "yes" } else { "not yet" };
            [hospital.name.clone(), hospital.hospital.clone(), votes.into(), name.into()]
        };
        let gone = |hospital: &Expelled| {
            let since = format!("expelled in block {}", hospital.since);
            let votes = if hospital.votes { "still" } else { "no" };
            [hospital.name.clone(), hospital.hospital.clone(), votes.into(), since]
        };
        let rows: Vec<_> =
            self.hospitals.iter().map(row).chain(self.expelled.iter().map(gone)).collect();
        let columns = [
            Column::Flexible("NAME"),
            Column::Whole("HOSPITAL ID"),
            Column::Whole("VOTES"),
            Column::Whole(""),
        ];
        table(out, columns, &rows)?;
        writeln!(out)?;
        fields(out, &[("quorum", self.quorum.to_string()), ("changes", self.changes.to_string())])
    }
}

fn names(ledger: &Ledger) -> Result<BTreeMap<MemberId, String>> {
    let members = ledger.members()?.into_iter();
    Ok(members.map(|member| (member.id, member.contact.name)).collect())
}

fn own(ledger: &Ledger, password: &PasswordArgs) -> Result<Identity> {
    password.unlock(ledger, &lookup::member(ledger, &ledger.hospital().to_string())?)
}

pub(crate) fn list(context: &Context) -> Result<()> {
    let ledger = context.open_read_only()?;
    let now = ledger.hospitals()?;
    let mut names = names(&ledger)?;
    let gone = now.expelled.iter().map(|(id, since)| Expelled {
        hospital: id.to_string(),
        name: names.get(id).cloned().unwrap_or_default(),
        since: *since,
        votes: now.deciding.contains(id),
    });
    let expelled = gone.collect();
    let listed = now.set.hospitals().iter().map(|(id, key)| Listed {
        hospital: id.to_string(),
        name: names.remove(id).unwrap_or_default(),
        mining_key: key.to_string(),
        here: *id == ledger.hospital(),
        votes: now.deciding.contains(id),
    });
    context.print(&Hospitals {
        changes: now.set.number,
        since: now.set.since,
        quorum: now.deciding.quorum(),
        hospitals: listed.collect(),
        expelled,
    })
}

pub(crate) fn propose(context: &Context, args: &ProposeArgs) -> Result<()> {
    let target = Target::of(&args.output, args.replace.force)?;
    let ledger = context.open_read_only()?;
    let proposal = match (&args.admit, &args.expel) {
        (Some(card), _) => {
            let card = read(card)?;
            ledger.propose_admission(&own(&ledger, &args.password)?, &card)?
        }
        (None, expel) => {
            let expelled = lookup::member(&ledger, expel.as_deref().unwrap_or_default())?.id;
            ledger.propose_expulsion(&own(&ledger, &args.password)?, &expelled)?
        }
    };
    finish(context, &ledger, &proposal, &args.output, &target)
}

pub(crate) fn approve(context: &Context, args: &ApproveArgs) -> Result<()> {
    let output = args.output.as_deref().unwrap_or(&args.file);
    // Without another place it goes back to its own.
    let own_place = args.output.is_none();
    let ledger = context.open_read_only()?;
    let proposal = read_proposal(&args.file)?;
    if args.show {
        return context.print(&Proposed::new(&ledger, &proposal)?);
    }
    ledger.check_proposal(&proposal)?;
    let target = Target::of(output, args.replace.force || own_place)?;
    let approved = ledger.approve_proposal(&own(&ledger, &args.password)?, &proposal)?;
    finish(context, &ledger, &approved, output, &target)
}

pub(crate) fn submit(context: &Context, args: &SubmitArgs) -> Result<()> {
    let ledger = context.open()?;
    let mut copies = args.files.iter().map(|path| read_proposal(path));
    let mut proposal = copies.next().expect("clap asks for one")?;
    for copy in copies {
        proposal.merge(&copy?)?;
    }
    let hospital = own(&ledger, &args.password)?;
    let approved = ledger.approve_proposal(&hospital, &proposal)?;
    let mut shown = Proposed::new(&ledger, &approved)?;
    let record = ledger.submit_proposal(&hospital, &approved)?;
    shown.record = Some(record.to_string());
    let done = Done::accepted("the change of the hospitals", &record);
    context.accepted(&ledger, &shown, &done, &record, args.wait)
}

fn finish(
    context: &Context,
    ledger: &Ledger,
    proposal: &Proposal,
    output: &Path,
    target: &Target,
) -> Result<()> {
    let mut shown = Proposed::new(ledger, proposal)?;
    target.write(&proposal.encode(), Readers::Others)?;
    shown.proposal = Some(output.display().to_string());
    context.print(&shown)?;
    let open = shown.needed.saturating_sub(shown.approved.len());
    context.note(&match open {
        0 => "enough have approved: `medledger hospital submit` puts it on the ledger".to_owned(),
        _ => format!("{open} more must approve it with `medledger hospital approve`"),
    });
    Ok(())
}

fn read_proposal(path: &Path) -> Result<Proposal> {
    let bytes = read_bounded(path, limit::PROPOSAL_BYTES)?;
    Proposal::decode(&bytes)
        .map_err(|error| Failure::from(error).doing(&path.display().to_string()))
}
