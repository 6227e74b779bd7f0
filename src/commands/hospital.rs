//! `medledger hospital`: several hospitals, each with a folder, on one chain.

mod change;

use super::import;
use crate::context::Context;
use crate::exit::{Failure, Result};
use crate::failures;
use crate::interrupt;
use crate::output::{Done, Show, fields};
use crate::secret::PasswordArgs;
use crate::target::{ForceArg, Readers, Target};
use clap::{Args, Subcommand};
use medledger::core::registry::limit;
use medledger::{ChainId, Contact, HospitalCard, HospitalOptions, Ledger};
use serde::Serialize;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

#[derive(Debug, Subcommand)]
pub(crate) enum HospitalCommand {
    /// Make a hospital's keys in a folder of its own; it is on no chain until it joins one
    New(NewArgs),
    /// Write the hospital's card again: its public keys, signed by both
    Card(CardArgs),
    /// Make the folder a ledger of a chain founded with this hospital's card, or that admitted it
    Join(JoinArgs),
    /// List the hospitals of the chain
    List,
    /// Propose to admit a hospital, or to expel one; a quorum has to approve
    Propose(change::ProposeArgs),
    /// Approve another hospital's proposal, or look at it
    Approve(change::ApproveArgs),
    /// Put a proposal that a quorum approved on the ledger
    Submit(change::SubmitArgs),
}

#[derive(Args, Debug)]
pub(crate) struct NewArgs {
    /// The hospital's name
    #[arg(long)]
    name: String,
    /// The hospital's mail address
    #[arg(long, value_name = "ADDRESS")]
    email: Option<String>,
    /// Where the card goes: the file that the founder of the chain needs
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    #[command(flatten)]
    replace: ForceArg,
    #[command(flatten)]
    password: PasswordArgs,
}

#[derive(Args, Debug)]
pub(crate) struct CardArgs {
    /// Where the card goes
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    #[command(flatten)]
    replace: ForceArg,
    /// For this chain, in place of for founding one
    #[arg(long, value_name = "ID")]
    chain: Option<ChainId>,
    #[command(flatten)]
    password: PasswordArgs,
}

#[derive(Args, Debug)]
pub(crate) struct JoinArgs {
    /// The chain's CAR file, as `export chain` writes it; - is standard input
    file: PathBuf,
    /// The chain's id, from someone you trust
    #[arg(long, value_name = "ID")]
    chain: ChainId,
}

#[derive(Serialize)]
struct Carded {
    hospital: String,
    name: String,
    /// The chain the card is for; none for founding one.
    chain: Option<String>,
    card: String,
}

impl Show for Carded {
    fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        let chain = self.chain.clone().unwrap_or_else(|| "to be founded".into());
        fields(
            out,
            &[
                ("hospital", self.name.clone()),
                ("hospital id", self.hospital.clone()),
                ("chain", chain),
                ("card", self.card.clone()),
            ],
        )
    }
}

pub(crate) fn run(context: &Context, command: &HospitalCommand) -> Result<()> {
    match command {
        HospitalCommand::New(args) => {
            // Before keys are made.
            let target = Target::of(&args.output, args.replace.force)?;
            let mut options = HospitalOptions::new(&args.name);
            options.hospital = Contact {
                name: args.name.clone(),
                email: args.email.clone(),
                ..Contact::default()
            };
            let password = args.password.create(&format!("password of {}", args.name))?;
            interrupt::writes();
            let (card, _) = Ledger::new_hospital(context.folder(), &options, &password)?;
            let written = write(&card, &args.output, &target);
            let written = written.map_err(|failure| {
                failure.hint("the hospital is made: `medledger hospital card` writes its card")
            })?;
            let done =
                Done::new("the hospital's keys are made", "`medledger hospital card` shows it");
            context.print_done(&written, &done)
        }
        HospitalCommand::Card(args) => {
            let target = Target::of(&args.output, args.replace.force)?;
            let password = args.password.existing("password of the hospital")?;
            let card = Ledger::hospital_card(context.folder(), args.chain, &password)?;
            context.print(&write(&card, &args.output, &target)?)
        }
        HospitalCommand::Join(args) => {
            let input = import::open(&args.file)?;
            interrupt::writes();
            let (_, imported) =
                import::shown(|step| Ledger::join(context.folder(), &args.chain, input, step))
                    .map_err(|error| import::about(&args.file, error))?;
            import::taken(context, imported)
        }
        HospitalCommand::List => change::list(context),
        HospitalCommand::Propose(args) => change::propose(context, args),
        HospitalCommand::Approve(args) => change::approve(context, args),
        HospitalCommand::Submit(args) => change::submit(context, args),
    }
}

fn write(card: &HospitalCard, output: &Path, target: &Target) -> Result<Carded> {
    target.write(&card.encode(), Readers::Others)?;
    Ok(Carded {
        hospital: card.application.id().to_string(),
        name: card.name.clone(),
        chain: card.application.chain().map(ToString::to_string),
        card: output.display().to_string(),
    })
}

/// A card from a file.
pub(crate) fn read(path: &Path) -> Result<HospitalCard> {
    let bytes = read_bounded(path, limit::HOSPITAL_CARD_BYTES)?;
    HospitalCard::decode(&bytes)
        .map_err(|error| Failure::from(error).doing(&path.display().to_string()))
}

/// A file that is no longer than it may be, and a byte more if it is: its reader then refuses it.
pub(crate) fn read_bounded(path: &Path, most: usize) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    import::open(path)?
        .take(most as u64 + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| failures::file(path, &error))?;
    Ok(bytes)
}
