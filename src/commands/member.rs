//! `medledger member add` and `member list`.

use crate::context::Context;
use crate::exit::{Failure, Result};
use crate::lookup;
use crate::output::{Column, Done, Show, fields, table};
use crate::secret::{PasswordArgs, Source};
use clap::{Args, Subcommand};
use medledger::{Contact, DeliveryMode, Role};
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
                ]
            })
            .collect();
        let columns = [
            Column::Whole("NO"),
            Column::Flexible("NAME"),
            Column::Whole("ROLE"),
            Column::Whole("MEMBER ID"),
            Column::Flexible("MAIL"),
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
    let (_, registration) =
        ledger.add_member(&hospital, args.role, &contact, &password).map_err(|error| {
            match Failure::from(error) {
                failure if failure.code() == "not_registrable" => {
                    failure.hint("a hospital comes with a ledger of its own: `medledger init`")
                }
                failure => failure,
            }
        })?;
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
    let members = ledger.members()?.into_iter().map(|member| Listed {
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
