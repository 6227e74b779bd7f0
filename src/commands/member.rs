//! `medledger member add` and `member list`.

use crate::context::Context;
use crate::exit::Result;
use crate::lookup;
use crate::output::{Column, Done, Show, fields, table};
use crate::secret::{PasswordArgs, Source};
use clap::{Args, Subcommand};
use medledger::{Contact, DeliveryMode, Role, show_time};
use serde::Serialize;
use std::io::{self, Write};
use std::path::PathBuf;

#[derive(Debug, Subcommand)]
pub(crate) enum MemberCommand {
    /// Register a member; the hospital signs
    Add(AddArgs),
    /// List all members
    List,
}

#[derive(Args, Debug)]
pub(crate) struct AddArgs {
    /// doctor, nurse, lab or patient
    #[arg(long)]
    role: Role,
    /// The person's name; kept locally and encrypted, never on the ledger
    #[arg(long)]
    name: String,
    /// Mail address, if keys and notices should come by mail
    #[arg(long, value_name = "ADDRESS")]
    email: Option<String>,
    /// How keys reach them: mail, pickup or caller [default: as the settings say]
    #[arg(long)]
    delivery: Option<DeliveryMode>,
    /// File with the new member's password [else: MEDLEDGER_NEW_PASSWORD, else you are asked]
    #[arg(long, value_name = "FILE")]
    new_password_file: Option<PathBuf>,
    /// Mine until the registration is in a block
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    hospital: PasswordArgs,
}

#[derive(Serialize)]
struct Added {
    member: String,
    number: u32,
    role: &'static str,
    name: String,
    record: String,
}

impl Show for Added {
    fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        fields(
            out,
            &[
                ("registered", format!("{}, {}", self.name, self.role)),
                ("number", self.number.to_string()),
                ("member id", self.member.clone()),
                ("record", self.record.clone()),
            ],
        )
    }
}

#[derive(Serialize)]
struct Members {
    members: Vec<Listed>,
}

#[derive(Serialize)]
struct Listed {
    number: u32,
    id: String,
    role: &'static str,
    name: String,
    email: Option<String>,
    hospital: String,
    custody: &'static str,
    /// Since when their keys are suspended.
    suspended: Option<Suspended>,
    /// Whether it is a hospital that was expelled.
    expelled: bool,
}

#[derive(Serialize)]
struct Suspended {
    height: u64,
    /// Time of that block; none while the suspension waits for one.
    since: Option<String>,
    #[serde(skip)]
    says: String,
}

impl Listed {
    fn state(&self) -> String {
        match &self.suspended {
            Some(suspended) => format!("suspended {}", suspended.says),
            None if self.expelled => "expelled".into(),
            None => String::new(),
        }
    }
}

impl Show for Members {
    fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        let rows: Vec<_> = self
            .members
            .iter()
            .map(|member| {
                [
                    // Only this hospital's own members have one.
                    Some(member.number)
                        .filter(|number| *number > 0)
                        .map_or("-".into(), |number| number.to_string()),
                    member.name.clone(),
                    member.role.to_owned(),
                    member.id.clone(),
                    member.email.clone().unwrap_or_default(),
                    member.state(),
                ]
            })
            .collect();
        let columns = [
            Column::Whole("NO"),
            Column::Flexible("NAME"),
            Column::Whole("ROLE"),
            Column::Whole("MEMBER ID"),
            Column::Flexible("MAIL"),
            Column::Whole("STATE"),
        ];
        table(out, columns, &rows)
    }
}

pub(crate) fn run(context: &Context, command: &MemberCommand) -> Result<()> {
    match command {
        MemberCommand::Add(args) => add(context, args),
        MemberCommand::List => list(context),
    }
}

fn add(context: &Context, args: &AddArgs) -> Result<()> {
    let ledger = context.open()?;
    let hospital = lookup::member(&ledger, &ledger.hospital().to_string())?;
    let hospital = args.hospital.unlock(&ledger, &hospital)?;
    let what = format!("password of {}", args.name);
    let password = Source {
        what: &what,
        option: "new-password-file",
        file: args.new_password_file.as_deref(),
        variable: "MEDLEDGER_NEW_PASSWORD",
    }
    .create()?;
    let contact =
        Contact { name: args.name.clone(), email: args.email.clone(), delivery: args.delivery };
    let (_, registration) = ledger.add_member(&hospital, args.role, &contact, &password)?;
    let added = Added {
        member: registration.member.to_string(),
        number: registration.number,
        role: args.role.name(),
        name: args.name.clone(),
        record: registration.record.to_string(),
    };
    let done = Done::accepted("the registration", &registration.record);
    context.accepted(&ledger, &added, &done, &registration.record, args.wait)
}

fn list(context: &Context) -> Result<()> {
    let ledger = context.open_read_only()?;
    let hospitals = ledger.hospitals()?.set;
    let members = ledger.members()?.into_iter().map(|member| Listed {
        suspended: member.suspended.map(|suspended| Suspended {
            height: suspended.height,
            since: suspended.time.map(show_time),
            says: suspended.to_string(),
        }),
        expelled: member.entry.role == Role::Hospital && !hospitals.contains(&member.id),
        number: member.number,
        id: member.id.to_string(),
        role: member.entry.role.name(),
        name: member.contact.name,
        email: member.contact.email,
        hospital: member.entry.hospital.to_string(),
        custody: member.entry.custody.name(),
    });
    context.print(&Members { members: members.collect() })
}
