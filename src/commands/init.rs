//! `medledger init`: a new ledger and its hospital.

use super::hospital;
use crate::cli::DEFAULT_LEDGER;
use crate::context::Context;
use crate::exit::{Failure, Result};
use crate::output::{Done, Show, fields, grouped, span};
use crate::progress::expected_tries;
use crate::secret::PasswordArgs;
use crate::shell;
use clap::{Args, ValueEnum};
use medledger::core::genesis::Consensus;
use medledger::core::pow::Bits;
use medledger::{
    Contact, CreateOptions, DeliveryMode, Difficulty, EngineChoice, Ledger, MailSettings, Pace,
    Threads, hash_rate,
};
use serde::Serialize;
use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::PathBuf;

#[derive(Args, Debug)]
pub(crate) struct InitArgs {
    /// The hospital's name
    #[arg(long, default_value = "Hospital")]
    name: String,
    /// The hospital's mail address
    #[arg(long, value_name = "ADDRESS")]
    email: Option<String>,
    /// What puts records in order: proof of work, or a log that only the hospital signs
    #[arg(long, value_enum, default_value = "pow")]
    engine: Engine,
    /// How long a block should take this machine, in seconds [default: 1]
    #[arg(long, value_name = "S", conflicts_with = "bits")]
    seconds: Option<f64>,
    /// Exactly this difficulty, in Bitcoin's compact form, such as 1e00ffff
    #[arg(long, value_name = "HEX")]
    bits: Option<String>,
    /// How difficulty goes on from there
    #[arg(long, value_enum, default_value = "fixed")]
    schedule: ScheduleKind,
    /// Seconds from one block to the next that the schedule aims at [default: --seconds, whole]
    #[arg(long, value_name = "S")]
    spacing: Option<u32>,
    /// asert: seconds behind plan that make blocks twice as easy [default: 288 spacings]
    #[arg(long, value_name = "S")]
    half_life: Option<u32>,
    /// bitcoin: blocks between two changes [default: 2016]
    #[arg(long, value_name = "BLOCKS")]
    window: Option<u32>,
    /// The easiest that blocks may get, in compact form [default: 64 times easier than the first]
    #[arg(long, value_name = "HEX")]
    floor: Option<String>,
    /// Where letters go: none (keys are shown once, to hand over), outbox (files in the ledger's
    /// folder), smtps://[USER@]HOST[:PORT], smtp://… (STARTTLS), or smtp+plain://… (this machine
    /// only). The server's password comes from MEDLEDGER_SMTP_PASSWORD
    #[arg(long, default_value = "none")]
    mail: String,
    /// Sender of letters, such as "Hospital <ledger@hospital.example>"
    #[arg(long, value_name = "ADDRESS")]
    mail_from: Option<String>,
    /// How access keys reach people, where nothing else is said for a person: in a letter, waiting here to be picked
    /// up once, or shown once to whoever runs the command [default: mail where there is any, else caller]
    #[arg(long, value_name = "mail|pickup|caller")]
    delivery: Option<DeliveryMode>,
    /// Letters with a key also carry it as a QR code
    #[arg(long)]
    mail_qr: bool,
    /// The card of another hospital that founds the chain with this one, and then joins it; may be repeated
    #[arg(long = "founder", value_name = "FILE")]
    founders: Vec<PathBuf>,
    /// How many blocks must lie between two of the same hospital; 0 with fewer than four hospitals
    #[arg(long, value_name = "BLOCKS", default_value_t = 0)]
    diversity: u32,
    #[command(flatten)]
    password: PasswordArgs,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Engine {
    /// Proof of work
    Pow,
    /// A log without work
    Log,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum ScheduleKind {
    /// The same for ever
    Fixed,
    /// As Bitcoin does it, once a window
    Bitcoin,
    /// aserti3-2d, with every block
    Asert,
}

#[derive(Serialize)]
struct Initialized {
    ledger: String,
    chain: String,
    hospital: String,
    number: u32,
    /// Hospitals that found the chain.
    founders: usize,
    engine: &'static str,
    bits: Option<String>,
    expected_tries: Option<u128>,
    expected_seconds: Option<f64>,
}

impl Show for Initialized {
    fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        let work = match (&self.bits, self.expected_tries, self.expected_seconds) {
            (Some(bits), Some(tries), Some(seconds)) => format!(
                "{bits}: {} tries a block, about {} on this machine",
                grouped(tries),
                span(seconds)
            ),
            _ => "none: blocks are only signed".into(),
        };
        // Where the next command looks by itself nothing has to be said.
        let here = match self.ledger.as_str() {
            DEFAULT_LEDGER => String::new(),
            folder => format!(" --ledger {}", shell::word(folder)),
        };
        fields(
            out,
            &[
                ("ledger", self.ledger.clone()),
                ("chain id", self.chain.clone()),
                ("hospital id", self.hospital.clone()),
                ("hospital", format!("registration number {}", self.number)),
                ("difficulty", work),
            ],
        )?;
        if self.founders > 1 {
            writeln!(
                out,
                "\n{} hospitals found this chain. Each of the others joins it:",
                self.founders
            )?;
            writeln!(out, "  medledger export chain{here} -o chain.car")?;
            // Theirs is another folder, maybe on another machine.
            let chain = &self.chain;
            writeln!(out, "  medledger hospital join --ledger FOLDER chain.car --chain {chain}")?;
            writeln!(out, "with the FOLDER in which `medledger hospital new` made its keys.")?;
        }
        writeln!(out, "\nWhoever knows the chain id can check receipts. Next: register members,")?;
        writeln!(out, "  medledger member add{here} --role doctor --name \"Dr Ada\"")
    }
}

pub(crate) fn run(context: &Context, args: &InitArgs) -> Result<()> {
    let mut options = CreateOptions::new(&args.name);
    options.hospital =
        Contact { name: args.name.clone(), email: args.email.clone(), delivery: None };
    options.engine = engine(args)?;
    let mut founders = BTreeSet::new();
    for path in &args.founders {
        let card = hospital::read(path)?;
        if !founders.insert(card.application.id()) {
            let text = format!("{}: the card of {:?} is given twice", path.display(), card.name);
            return Err(Failure::usage("founders", text));
        }
        options.founders.push(card);
    }
    options.diversity = args.diversity;
    options.settings.mail = mail(&args.mail)?;
    if let Some(from) = &args.mail_from {
        options.settings.mail_from.clone_from(from);
    }
    if options.settings.mail == MailSettings::None {
        let text = match (args.delivery, args.mail_qr) {
            (Some(DeliveryMode::Mail), _) => "--delivery mail needs --mail",
            (_, true) => "--mail-qr needs --mail",
            _ => "",
        };
        if !text.is_empty() {
            return Err(Failure::usage("arguments", text));
        }
    }
    options.settings.delivery = args.delivery;
    options.settings.mail_qr = args.mail_qr;
    let password = args.password.create(&format!("password of {}", args.name))?;
    if let EngineChoice::Work(difficulty) | EngineChoice::Paced { start: difficulty, .. } =
        &options.engine
    {
        let seconds = expected_seconds(difficulty);
        // The hospital's registration is mined: nobody is to think that the command hangs.
        if let Some(seconds) = seconds.filter(|seconds| *seconds >= WORTH_TELLING) {
            context.note(&format!("the first block takes about {} on this machine", span(seconds)));
        }
    }
    let (ledger, hospital) = Ledger::create(context.folder(), options, &password)?;
    let bits = match &ledger.rules().genesis.consensus {
        Consensus::Log => None,
        _ => Some(ledger.rules().genesis.first_bits()),
    };
    let tries = bits.and_then(expected_tries);
    let number = ledger.members()?.iter().find(|m| m.id == hospital.id()).map_or(0, |m| m.number);
    let seconds = bits.and_then(seconds_of);
    let (chain, folder) = (ledger.chain(), context.folder().display());
    let done = Done::new(format!("the ledger {chain} is made in {folder}"), STATUS);
    let result = Initialized {
        ledger: folder.to_string(),
        chain: chain.to_string(),
        hospital: hospital.id().to_string(),
        number,
        founders: ledger.rules().genesis.founders.len(),
        engine: if bits.is_some() { "pow" } else { "log" },
        bits: bits.map(|bits| bits.to_string()),
        expected_tries: tries,
        expected_seconds: seconds,
    };
    context.print_done(&result, &done)
}

const STATUS: &str = "do not repeat it: `medledger status` shows the ledger";

/// Seconds of work that are told before they are done.
const WORTH_TELLING: f64 = 2.0;

/// How long a block takes this machine on average; none where no work is done.
#[expect(clippy::cast_precision_loss, reason = "an estimate")]
fn seconds_of(bits: Bits) -> Option<f64> {
    expected_tries(bits).map(|tries| tries as f64 / hash_rate(&Threads::default()))
}

fn expected_seconds(difficulty: &Difficulty) -> Option<f64> {
    match difficulty {
        // Those that no ledger is made with are refused soon.
        Difficulty::AboutSeconds(seconds) => Some(*seconds).filter(|s| s.is_finite()),
        Difficulty::Bits(bits) => seconds_of(*bits),
        _ => None,
    }
}

fn engine(args: &InitArgs) -> Result<EngineChoice> {
    let paced = args.schedule != ScheduleKind::Fixed;
    let paces = args.spacing.is_some() || args.floor.is_some();
    if args.engine == Engine::Log {
        if args.seconds.is_some() || args.bits.is_some() || paced || paces {
            let text = "a log has no difficulty: leave out --seconds, --bits and --schedule";
            return Err(Failure::usage("arguments", text));
        }
        return Ok(EngineChoice::Log);
    }
    if args.half_life.is_some() && args.schedule != ScheduleKind::Asert
        || args.window.is_some() && args.schedule != ScheduleKind::Bitcoin
        || paces && !paced
    {
        let text = "--half-life is for --schedule asert, --window for bitcoin, --spacing and --floor \
                    for both";
        return Err(Failure::usage("arguments", text));
    }
    let difficulty = match &args.bits {
        Some(bits) => Difficulty::Bits(bits.parse::<Bits>()?),
        None => Difficulty::AboutSeconds(args.seconds.unwrap_or(1.0)),
    };
    if !paced {
        return Ok(EngineChoice::Work(difficulty));
    }
    let floor = args.floor.as_deref().map(str::parse::<Bits>).transpose()?;
    let spacing = match (args.spacing, difficulty) {
        (Some(spacing), _) => spacing,
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates")]
        (None, Difficulty::AboutSeconds(seconds)) => (seconds.round() as u32).max(1),
        _ => return Err(Failure::usage("arguments", "with --bits, --schedule needs --spacing")),
    };
    let pace = match args.schedule {
        ScheduleKind::Bitcoin => Pace::Bitcoin { window: args.window.unwrap_or(2016), spacing },
        _ => Pace::Asert {
            spacing,
            half_life: args.half_life.unwrap_or_else(|| spacing.saturating_mul(288)),
        },
    };
    Ok(EngineChoice::Paced { start: difficulty, pace, floor })
}

fn mail(text: &str) -> Result<MailSettings> {
    match text {
        "none" => Ok(MailSettings::None),
        "outbox" => Ok(MailSettings::Outbox("outbox".into())),
        _ => server(text).ok_or_else(|| {
            Failure::usage("mail", format!("--mail {text:?} is no place for letters"))
                .hint("give none, outbox, smtps://[USER@]HOST[:PORT], smtp://… or smtp+plain://…")
        }),
    }
}

#[cfg(not(feature = "smtp"))]
fn server(_: &str) -> Option<MailSettings> {
    None
}

#[cfg(feature = "smtp")]
fn server(text: &str) -> Option<MailSettings> {
    use medledger::mail::{SmtpSettings, SmtpTls};
    let (scheme, rest) = text.split_once("://")?;
    let (tls, port) = match scheme {
        "smtps" => (SmtpTls::Implicit, 465),
        "smtp" => (SmtpTls::Starttls, 587),
        "smtp+plain" => (SmtpTls::None, 25),
        _ => return None,
    };
    let (user, host) = match rest.rsplit_once('@') {
        // A password in an argument could be seen by every process.
        Some((user, _)) if user.contains(':') => return None,
        Some((user, host)) => (Some(user.to_owned()), host),
        None => (None, rest),
    };
    let host = host.strip_suffix('/').unwrap_or(host);
    // [::1]:25 has colons of its own.
    let (server, port) = match host.rsplit_once(':') {
        Some((server, number)) if !number.ends_with(']') => (server, number.parse().ok()?),
        _ => (host, port),
    };
    let server = server.trim_start_matches('[').trim_end_matches(']');
    if server.is_empty() {
        return None;
    }
    Some(MailSettings::Smtp(SmtpSettings { server: server.to_owned(), port, tls, user }))
}

#[cfg(all(test, feature = "smtp"))]
mod tests {
    use super::*;
    use medledger::mail::{SmtpSettings, SmtpTls};

    #[test]
    fn mail_places_are_read() {
        let smtp = |server: &str, port, tls, user: Option<&str>| {
            let (server, user) = (server.to_owned(), user.map(str::to_owned));
            Some(MailSettings::Smtp(SmtpSettings { server, port, tls, user }))
        };
        for (text, read) in [
            ("smtps://mail.example", smtp("mail.example", 465, SmtpTls::Implicit, None)),
            (
                "smtp://ada@mail.example:26/",
                smtp("mail.example", 26, SmtpTls::Starttls, Some("ada")),
            ),
            ("smtp+plain://[::1]:1025", smtp("::1", 1025, SmtpTls::None, None)),
            ("smtp+plain://[::1]", smtp("::1", 25, SmtpTls::None, None)),
            ("smtp://", None),
            ("smtp://a:secret@mail.example", None),
            ("http://mail.example", None),
            ("smtp://mail.example:99999", None),
        ] {
            assert_eq!(server(text), read, "{text}");
        }
    }
}
