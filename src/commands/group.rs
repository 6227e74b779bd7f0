//! `medledger group`: groups of readers, which the hospital keeps.

use crate::context::Context;
use crate::exit::Result;
use crate::lookup;
use crate::output::{Column, Done, Show, count, fields, short, table};
use crate::secret::PasswordArgs;
use clap::{ArgGroup, Args, Subcommand};
use medledger::{Group, Identity, Ledger, MemberId, RecordId, Role};
use serde::Serialize;
use std::collections::BTreeMap;
use std::io::{self, Write};

#[derive(Debug, Subcommand)]
pub(crate) enum GroupCommand {
    /// Make a group of doctors and nurses, or of everyone of a role here; the hospital signs
    Create(CreateArgs),
    /// Let members join and leave; the hospital signs
    Change(ChangeArgs),
    /// Give each group of this hospital's a new key, if a member's keys were lost since its last; the hospital signs
    Renew(RenewArgs),
    /// List all groups
    List,
    /// Show a group and who belongs to it
    Show(ShowArgs),
}

#[derive(Args, Debug)]
pub(crate) struct CreateArgs {
    /// What people call it; kept locally and encrypted, never on the ledger
    #[arg(required_unless_present = "role")]
    name: Option<String>,
    /// Who belongs to it
    #[arg(value_name = "MEMBER")]
    members: Vec<String>,
    /// Everyone of this role at this hospital instead, now and later: doctor or nurse
    #[arg(long, conflicts_with_all = ["name", "members"])]
    role: Option<Role>,
    #[command(flatten)]
    hospital: PasswordArgs,
    /// Mine until the group is in a block
    #[arg(long)]
    wait: bool,
}

#[derive(Args, Debug)]
#[command(group = ArgGroup::new("changes").args(["join", "leave", "fresh"]).required(true).multiple(true))]
pub(crate) struct ChangeArgs {
    /// The group
    group: String,
    /// Who joins
    #[arg(long, value_name = "MEMBER", num_args = 1..)]
    join: Vec<String>,
    /// Who leaves; the group gets a new key
    #[arg(long, value_name = "MEMBER", num_args = 1..)]
    leave: Vec<String>,
    /// Give the group a new key though nobody leaves
    #[arg(long)]
    fresh: bool,
    #[command(flatten)]
    hospital: PasswordArgs,
    /// Mine until the change is in a block
    #[arg(long)]
    wait: bool,
}

#[derive(Args, Debug)]
pub(crate) struct RenewArgs {
    #[command(flatten)]
    hospital: PasswordArgs,
    /// Mine until the changes are in a block
    #[arg(long)]
    wait: bool,
}

#[derive(Args, Debug)]
pub(crate) struct ShowArgs {
    /// The group
    group: String,
}

/// A group, after what was done to it.
#[derive(Serialize)]
struct Shown {
    group: String,
    name: String,
    hospital: String,
    /// Everyone of this role at that hospital, if it is such a group.
    role: Option<&'static str>,
    epoch: u32,
    /// Whether a member's keys were lost since its last key: nothing can be granted to it then.
    stale: bool,
    members: Vec<Belongs>,
    /// The record that made or changed it.
    #[serde(skip_serializing_if = "Option::is_none")]
    record: Option<String>,
}

#[derive(Serialize)]
struct Belongs {
    member: String,
    number: Option<u32>,
    name: String,
}

impl Shown {
    fn new(ledger: &Ledger, group: Group, record: Option<RecordId>) -> Result<Self> {
        let known: BTreeMap<MemberId, (u32, String)> = ledger
            .members()?
            .into_iter()
            .map(|member| (member.id, (member.number, member.contact.name)))
            .collect();
        let belongs = |id: &MemberId| {
            let (number, name) = known.get(id).cloned().unzip();
            Belongs { member: id.to_string(), number, name: name.unwrap_or_default() }
        };
        Ok(Self {
            group: group.id.to_string(),
            name: group.name,
            hospital: group.entry.hospital.to_string(),
            role: group.entry.role.map(Role::name),
            epoch: group.entry.epoch,
            stale: group.stale,
            members: group.members.iter().map(belongs).collect(),
            record: record.map(|id| id.to_string()),
        })
    }
}

impl Show for Shown {
    fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut lines = vec![
            ("group", self.group.clone()),
            ("name", self.name.clone()),
            ("hospital", self.hospital.clone()),
        ];
        lines.extend(self.role.map(|role| ("role", format!("every {role}, now and later"))));
        lines.push(("epoch", self.epoch.to_string()));
        if self.stale {
            let what = "lost with a member's keys: nothing is granted to the group until its hospital runs `group renew`";
            lines.push(("key", what.to_owned()));
        }
        lines.extend(self.record.iter().map(|record| ("record", record.clone())));
        fields(out, &lines)?;
        writeln!(out)?;
        if self.members.is_empty() {
            return writeln!(out, "nobody belongs to it");
        }
        let row = |member: &Belongs| {
            let number = member.number.map_or_else(String::new, |number| number.to_string());
            [number, member.name.clone(), member.member.clone()]
        };
        let rows: Vec<_> = self.members.iter().map(row).collect();
        let columns = [Column::Whole("NO"), Column::Flexible("NAME"), Column::Whole("MEMBER ID")];
        table(out, columns, &rows)
    }
}

#[derive(Serialize)]
struct Groups {
    groups: Vec<Shown>,
}

impl Show for Groups {
    fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        if self.groups.is_empty() {
            return writeln!(out, "no group");
        }
        let row = |group: &Shown| {
            [
                short(&group.group),
                group.name.clone(),
                group.role.unwrap_or("a list").to_owned(),
                group.members.len().to_string(),
                if group.stale {
                    format!("{}, stale", group.epoch)
                } else {
                    group.epoch.to_string()
                },
                short(&group.hospital),
            ]
        };
        let rows: Vec<_> = self.groups.iter().map(row).collect();
        let columns = [
            Column::Whole("GROUP"),
            Column::Flexible("NAME"),
            Column::Whole("KIND"),
            Column::Whole("MEMBERS"),
            Column::Whole("EPOCH"),
            Column::Whole("HOSPITAL"),
        ];
        table(out, columns, &rows)
    }
}

pub(crate) fn run(context: &Context, command: &GroupCommand) -> Result<()> {
    match command {
        GroupCommand::Create(args) => create(context, args),
        GroupCommand::Change(args) => change(context, args),
        GroupCommand::Renew(args) => renew(context, args),
        GroupCommand::List => list(context),
        GroupCommand::Show(args) => show(context, args),
    }
}

/// The identity of the hospital that keeps this folder.
fn hospital(ledger: &Ledger, password: &PasswordArgs) -> Result<Identity> {
    let hospital = lookup::member(ledger, &ledger.hospital().to_string())?;
    password.unlock(ledger, &hospital)
}

fn members(ledger: &Ledger, texts: &[String]) -> Result<Vec<MemberId>> {
    let found = texts.iter().map(|text| lookup::member(ledger, text).map(|member| member.id));
    let mut found = found.collect::<Result<Vec<_>>>()?;
    found.sort_unstable();
    found.dedup();
    Ok(found)
}

fn create(context: &Context, args: &CreateArgs) -> Result<()> {
    let ledger = context.open()?;
    let members = members(&ledger, &args.members)?;
    let name = args.name.as_deref().unwrap_or_default();
    let hospital = hospital(&ledger, &args.hospital)?;
    let made = match args.role {
        Some(role) => ledger.create_role_group(&hospital, role)?,
        None => ledger.create_group(&hospital, name, &members)?,
    };
    tell(context, &ledger, &made.id.to_string(), made.record, "the group", args.wait)
}

fn change(context: &Context, args: &ChangeArgs) -> Result<()> {
    let ledger = context.open()?;
    let group = lookup::group(&ledger, &args.group)?.id;
    let (join, leave) = (members(&ledger, &args.join)?, members(&ledger, &args.leave)?);
    let hospital = hospital(&ledger, &args.hospital)?;
    let record = ledger.change_group(&hospital, &group, &join, &leave, args.fresh)?;
    tell(context, &ledger, &group.to_string(), record, "the change", args.wait)
}

fn renew(context: &Context, args: &RenewArgs) -> Result<()> {
    let ledger = context.open()?;
    let hospital = hospital(&ledger, &args.hospital)?;
    let renewed = ledger.renew_stale_groups(&hospital)?;
    let (mut groups, mut records) = (Vec::new(), Vec::new());
    for (group, record) in renewed {
        let group = lookup::group(&ledger, &group.to_string())?;
        groups.push(Shown::new(&ledger, group, Some(record))?);
        records.push(record);
    }
    let done = Done::new(
        format!("a new key for {}", count(records.len(), "group")),
        "do not repeat it: `medledger group list` shows them",
    );
    context.all_accepted(&ledger, &Renewed(Groups { groups }), &done, &records, args.wait)
}

/// Groups that were given a new key.
#[derive(Serialize)]
#[serde(transparent)]
struct Renewed(Groups);

impl Show for Renewed {
    fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        if self.0.groups.is_empty() {
            return writeln!(out, "no group of this hospital's is stale");
        }
        self.0.show(out)
    }
}

/// Prints a group that was made or changed.
fn tell(
    context: &Context,
    ledger: &Ledger,
    group: &str,
    record: RecordId,
    what: &str,
    wait: bool,
) -> Result<()> {
    let shown = Shown::new(ledger, lookup::group(ledger, group)?, Some(record))?;
    context.accepted(ledger, &shown, &Done::accepted(what, &record), &record, wait)
}

fn list(context: &Context) -> Result<()> {
    let ledger = context.open_read_only()?;
    let groups = ledger.groups()?.into_iter().map(|group| Shown::new(&ledger, group, None));
    context.print(&Groups { groups: groups.collect::<Result<_>>()? })
}

fn show(context: &Context, args: &ShowArgs) -> Result<()> {
    let ledger = context.open_read_only()?;
    let group = lookup::group(&ledger, &args.group)?;
    context.print(&Shown::new(&ledger, group, None)?)
}
