//! `medledger identity`: a member's own keys: the file, its password, new keys, and keys that were lost.

mod consent;
mod replace;
mod results;

use crate::context::Context;
use crate::exit::{Failure, Result};
use crate::lookup;
use crate::output::{Done, Show, fields};
use crate::secret::{Acting, PasswordArgs, Source};
use clap::{Args, Subcommand};
use medledger::{Beside, Ledger, MemberId};
use results::{Recorded, Rewrapped, STILL_OPEN, ids, named};
use serde::Serialize;
use std::io::{self, Write};
use std::path::PathBuf;
use zeroize::Zeroizing;

#[derive(Debug, Subcommand)]
pub(crate) enum IdentityCommand {
    /// What a member's identity file tells without its password
    Show(ShowArgs),
    /// Lock the identity file with another password
    Password(PasswordChangeArgs),
    /// Lock the identity file anew if that makes a guess at the password dearer, or the file newer
    Upgrade(ActingArgs),
    /// Give the member new keys; the former ones stay in the file and open what was wrapped to them
    Succeed(RecordArgs),
    /// Wrap to the present keys what stands here to former ones
    Rewrap(RewrapArgs),
    /// Suspend keys that were lost, as their member or as the hospital that registered them
    Suspend(SuspendArgs),
    /// As the hospital: give a member whose keys are suspended new ones; a patient only together with the
    /// patient (--consent-file, or --consent)
    Replace(replace::ReplaceArgs),
    /// As a patient whose keys are suspended, on your own machine: make new keys, and write the consent to them
    Consent(consent::ConsentArgs),
    /// As the hospital: what a patient's consent is about, and whether it counts
    ReadConsent(consent::ReadConsentArgs),
    /// Put an identity file that was brought here into this folder, for its member to act here
    Install(consent::InstallArgs),
}

#[derive(Args, Debug)]
pub(crate) struct ShowArgs {
    /// Whose file
    member: String,
}

#[derive(Args, Debug)]
pub(crate) struct ActingArgs {
    #[command(flatten)]
    acting: ActingPassword,
}

/// Who acts, with the password itself: it locks the file again.
#[derive(Args, Clone, Debug)]
struct ActingPassword {
    /// Who acts: registration number, member id, or the beginning of one
    #[arg(long = "as", value_name = "MEMBER")]
    member: String,
    #[command(flatten)]
    password: PasswordArgs,
}

impl ActingPassword {
    fn member(&self, ledger: &Ledger) -> Result<medledger::Member> {
        lookup::member(ledger, &self.member)
    }

    fn password(&self, member: &medledger::Member) -> Result<Zeroizing<String>> {
        self.password.existing(&format!("password of {}", member.contact.name))
    }
}

#[derive(Args, Clone, Debug)]
struct NewPassword {
    /// File with the new password [else: MEDLEDGER_NEW_PASSWORD, else you are asked]
    #[arg(long, value_name = "FILE")]
    new_password_file: Option<PathBuf>,
}

impl NewPassword {
    fn create(&self, name: &str) -> Result<Zeroizing<String>> {
        let what = format!("password of {name}");
        let source = Source {
            what: &what,
            option: "new-password-file",
            file: self.new_password_file.as_deref(),
            variable: "MEDLEDGER_NEW_PASSWORD",
        };
        source.create()
    }
}

#[derive(Args, Debug)]
pub(crate) struct PasswordChangeArgs {
    #[command(flatten)]
    acting: ActingPassword,
    #[command(flatten)]
    new: NewPassword,
}

#[derive(Args, Debug)]
pub(crate) struct RecordArgs {
    #[command(flatten)]
    acting: ActingPassword,
    /// Mine until the record is in a block
    #[arg(long)]
    wait: bool,
}

#[derive(Args, Debug)]
pub(crate) struct RewrapArgs {
    #[command(flatten)]
    acting: ActingPassword,
    /// Then drop the former keys from the file, unless other hospitals may keep something that needs them
    #[arg(long)]
    forget: bool,
    /// Drop them whatever other hospitals may keep: what stands to them there does not open any more
    #[arg(long, requires = "forget")]
    force: bool,
    /// A hospital where you did the same, and renewed your collection: what it keeps cannot be seen from here
    #[arg(long, requires = "forget", conflicts_with = "force", value_name = "HOSPITAL")]
    done_at: Vec<String>,
}

#[derive(Args, Debug)]
pub(crate) struct SuspendArgs {
    /// Whose keys
    #[arg(value_name = "MEMBER")]
    whose: String,
    #[command(flatten)]
    author: Acting,
    /// Mine until the record is in a block; here it counts at once
    #[arg(long)]
    wait: bool,
}

/// A file, as it is known without its password.
#[derive(Serialize)]
struct Told {
    member: String,
    name: String,
    version: u16,
    algorithm: String,
    former_keys: usize,
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

impl Show for Told {
    fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        let cost = format!("{} KiB, {} passes, {} lanes", self.memory_kib, self.passes, self.lanes);
        fields(
            out,
            &[
                ("member", format!("{}  {}", self.member, self.name)),
                ("file version", self.version.to_string()),
                ("key for slots", self.algorithm.clone()),
                ("former keys", self.former_keys.to_string()),
                ("a guess costs", cost),
            ],
        )
    }
}

/// What was done to a file.
#[derive(Serialize)]
struct Changed {
    member: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    upgraded: Option<bool>,
    /// What became of the files with former keys: `none`, `locked`, or `other-password`.
    #[serde(skip_serializing_if = "Option::is_none")]
    beside: Option<&'static str>,
    #[serde(skip)]
    says: String,
}

impl Show for Changed {
    fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        writeln!(out, "{}", self.says)
    }
}

pub(crate) fn run(context: &Context, command: &IdentityCommand) -> Result<()> {
    match command {
        IdentityCommand::Show(args) => show(context, args),
        IdentityCommand::Password(args) => password(context, args),
        IdentityCommand::Upgrade(args) => upgrade(context, args),
        IdentityCommand::Succeed(args) => succeed(context, args),
        IdentityCommand::Rewrap(args) => rewrap(context, args),
        IdentityCommand::Suspend(args) => suspend(context, args),
        IdentityCommand::Replace(args) => replace::replace(context, args),
        IdentityCommand::Consent(args) => consent::consent(context, args),
        IdentityCommand::ReadConsent(args) => consent::read_consent(context, args),
        IdentityCommand::Install(args) => consent::install(context, args),
    }
}

fn show(context: &Context, args: &ShowArgs) -> Result<()> {
    let ledger = context.open_read_only()?;
    let member = lookup::member(&ledger, &args.member)?;
    let info = ledger.identity_info(&member.id)?;
    let (memory_kib, passes, lanes) = info.params.parts();
    context.print(&Told {
        member: member.id.to_string(),
        name: member.contact.name,
        version: info.version,
        algorithm: info.public.hpke_key().algorithm().to_string(),
        former_keys: info.former,
        memory_kib,
        passes,
        lanes,
    })
}

fn password(context: &Context, args: &PasswordChangeArgs) -> Result<()> {
    let ledger = context.open()?;
    let member = args.acting.member(&ledger)?;
    let old = args.acting.password(&member)?;
    // Before anything new is asked for.
    ledger.unlock(&member.id, &old)?;
    let new = args.new.create(&member.contact.name)?;
    let beside = ledger.change_password(&member.id, &old, &new)?;
    let says = match beside {
        Beside::None => "the file is locked with the new password",
        Beside::Locked => {
            "the file is locked with the new password, and so is the one with former keys"
        }
        Beside::OtherPassword => {
            "the file is locked with the new password; one beside it, with former keys, opens with neither: \
             `medledger identity rewrap --forget` removes it"
        }
    };
    context.print(&Changed {
        member: member.id.to_string(),
        upgraded: None,
        beside: Some(beside.name()),
        says: says.into(),
    })
}

fn upgrade(context: &Context, args: &ActingArgs) -> Result<()> {
    let ledger = context.open()?;
    let member = args.acting.member(&ledger)?;
    let password = args.acting.password(&member)?;
    let upgraded = ledger.upgrade_identity(&member.id, &password)?;
    let says = if upgraded { "the file is locked anew" } else { "the file is as it should be" };
    context.print(&Changed {
        member: member.id.to_string(),
        upgraded: Some(upgraded),
        beside: None,
        says: says.into(),
    })
}

fn succeed(context: &Context, args: &RecordArgs) -> Result<()> {
    let ledger = context.open()?;
    let member = args.acting.member(&ledger)?;
    let password = args.acting.password(&member)?;
    let identity = ledger.unlock(&member.id, &password)?;
    let (_, succession) = ledger.succeed(&identity, &password)?;
    let recorded = Recorded::new(&ledger, &succession, STILL_OPEN)?;
    let done = Done::accepted("the succession", &succession.record);
    context.accepted(&ledger, &recorded, &done, &succession.record, args.wait)
}

fn rewrap(context: &Context, args: &RewrapArgs) -> Result<()> {
    let ledger = context.open()?;
    let member = args.acting.member(&ledger)?;
    let password = args.acting.password(&member)?;
    let identity = ledger.unlock(&member.id, &password)?;
    let wrapped = ledger.rewrap(&identity)?;
    let still = ledger.still_former(&identity)?;
    if args.forget {
        let done_at = args.done_at.iter().map(|text| Ok(lookup::member(&ledger, text)?.id));
        let done_at: Vec<MemberId> = done_at.collect::<Result<_>>()?;
        let forgotten = if args.force {
            ledger.forget_former_keys_anyway(&identity, &password)
        } else {
            ledger.forget_former_keys_done_at(&identity, &password, &done_at)
        };
        forgotten
            .map_err(|error| Failure::from(error).doing(&format!("{wrapped} wrapped anew")))?;
    }
    context.print(&Rewrapped {
        member: member.id.to_string(),
        wrapped_anew: wrapped,
        renew: still.renew,
        elsewhere: ids(&still.elsewhere),
        forgotten: args.forget,
        names: named(&ledger, &still.elsewhere)?,
    })
}

fn suspend(context: &Context, args: &SuspendArgs) -> Result<()> {
    let ledger = context.open()?;
    let member = lookup::member(&ledger, &args.whose)?;
    let (_, author) = args.author.unlock(&ledger)?;
    let record = ledger.suspend(&author, &member.id)?;
    let mut stale = ledger.groups()?;
    stale.retain(|group| group.stale && group.members.contains(&member.id));
    let recorded = Recorded {
        member: member.id.to_string(),
        record: record.to_string(),
        fingerprint: None,
        collections: Vec::new(),
        to_renew: Vec::new(),
        elsewhere: Vec::new(),
        stale_groups: stale.iter().map(|group| group.id.to_string()).collect(),
        group_names: stale.into_iter().map(|group| group.name).collect(),
        names: (Vec::new(), Vec::new()),
        says: "these keys sign nothing and open nothing any more; `medledger identity replace` gives the member others",
    };
    context.accepted(
        &ledger,
        &recorded,
        &Done::accepted("the suspension", &record),
        &record,
        args.wait,
    )
}
