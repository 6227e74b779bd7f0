//! `medledger storage sources`: who is asked for blocks that are missing or damaged here.

use crate::context::Context;
use crate::exit::Result;
use crate::output::{Column, Done, Show, table};
use clap::{Args, Subcommand};
use medledger::{SourceSettings, auth_variable};
use serde::Serialize;
use std::io::{self, Write};

#[derive(Debug, Subcommand)]
pub(crate) enum SourcesCommand {
    /// Add a trustless gateway, to be asked after those that are there
    Add(AddArgs),
    /// List them, in the order in which they are asked
    List,
    /// Ask one no more
    Remove(RemoveArgs),
}

#[derive(Args, Debug)]
pub(crate) struct AddArgs {
    /// How it is called: a-z, 0-9, - and _. Its credentials, if it wants any, come from MEDLEDGER_AUTH_NAME
    /// (bearer:TOKEN or basic:USER:PASSWORD)
    name: String,
    /// Its address, such as https://gateway.partner.example. It learns which blocks are asked for, all of them sealed
    #[arg(value_name = "URL")]
    address: String,
}

#[derive(Args, Debug)]
pub(crate) struct RemoveArgs {
    /// How it is called
    name: String,
}

pub(crate) fn run(context: &Context, command: &SourcesCommand) -> Result<()> {
    const DONE: &str = "`medledger storage sources list` shows them";
    match command {
        SourcesCommand::Add(AddArgs { name, address }) => {
            let ledger = context.open_to_move("interrupted")?;
            let source = SourceSettings { name: name.clone(), address: address.clone() };
            ledger.add_source(source)?;
            context.print_done(
                &listed(ledger.sources()?),
                &Done::new(format!("{name} is added"), DONE),
            )
        }
        SourcesCommand::Remove(RemoveArgs { name }) => {
            let ledger = context.open_to_move("interrupted")?;
            ledger.remove_source(name)?;
            let done = Done::new(format!("{name} is taken out"), DONE);
            context.print_done(&listed(ledger.sources()?), &done)
        }
        SourcesCommand::List => context.print(&listed(context.open_read_only()?.sources()?)),
    }
}

#[derive(Serialize)]
struct Sources {
    sources: Vec<Row>,
}

#[derive(Serialize)]
struct Row {
    name: String,
    address: String,
    credentials_from: String,
}

fn listed(sources: Vec<SourceSettings>) -> Sources {
    let row = |SourceSettings { name, address }| {
        let credentials_from = auth_variable(&name);
        Row { name, address, credentials_from }
    };
    Sources { sources: sources.into_iter().map(row).collect() }
}

impl Show for Sources {
    fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        if self.sources.is_empty() {
            return writeln!(
                out,
                "none: what is missing or damaged here is nowhere else asked for"
            );
        }
        let row = |row: &Row| [row.name.clone(), row.address.clone(), row.credentials_from.clone()];
        let rows: Vec<_> = self.sources.iter().map(row).collect();
        let columns = [
            Column::Whole("SOURCE"),
            Column::Flexible("ADDRESS"),
            Column::Whole("CREDENTIALS FROM"),
        ];
        table(out, columns, &rows)
    }
}
