//! `medledger mail send`: letters that wait.

use crate::context::Context;
use crate::exit::{Failure, Fault, Result};
use crate::output::{Done, Show};
use clap::Subcommand;
use serde::Serialize;
use std::io::{self, Write};

#[derive(Debug, Subcommand)]
pub(crate) enum MailCommand {
    /// Try to send every letter that waits
    Send,
}

#[derive(Serialize)]
struct Sent {
    sent: usize,
    waiting: usize,
}

impl Show for Sent {
    fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{} sent, {} waiting", self.sent, self.waiting)
    }
}

pub(crate) fn run(context: &Context, command: &MailCommand) -> Result<()> {
    let MailCommand::Send = command;
    let ledger = context.open()?;
    let report = ledger.send_mail()?;
    let (sent, waiting) = (report.sent, report.waiting);
    let done = Done::new(format!("{sent} sent, {waiting} waiting"), "nothing is lost");
    context.print_done(&Sent { sent, waiting }, &done)?;
    match report.error.map(Failure::from) {
        None => Ok(()),
        Some(failure) if failure.fault() == Fault::Environment => Err(failure
            .doing("letters wait")
            .hint("`medledger mail send` tries again; nothing is lost")),
        Some(failure) => Err(failure.doing("letters wait")),
    }
}
