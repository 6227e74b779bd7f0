//! `medledger identity consent`, `read-consent` and `install`: new keys of a patient whose keys are suspended, as files.

use super::NewPassword;
use super::results::{ids, named};
use crate::commands::hospital::read_bounded;
use crate::context::Context;
use crate::exit::{Failure, Result};
use crate::failures;
use crate::lookup;
use crate::output::{Show, fields};
use crate::secret::PasswordArgs;
use crate::target::{Readers, Target};
use clap::Args;
use medledger::core::identity::{LockParams, peek};
use medledger::core::registry::limit;
use medledger::{ChainId, IdentityError, KeyConsent, KeyFingerprint, Ledger};
use serde::Serialize;
use std::io::{self, BufRead, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};

const CONSENT_AFTER: &str = "\
This is for the patient's own machine: no ledger is needed. The present file stays as it is, and the new one is yours
alone. Give the consent to the hospital, with the fingerprint by another way: by voice, or on paper.";

#[derive(Args, Debug)]
#[command(after_help = CONSENT_AFTER)]
pub(crate) struct ConsentArgs {
    /// A copy of the identity file whose keys are suspended
    file: PathBuf,
    /// The chain's id, from someone you trust; receipts show it
    #[arg(long, value_name = "ID")]
    chain: ChainId,
    /// Where the identity file with the new keys goes; there must be none yet
    #[arg(long, value_name = "FILE")]
    next: PathBuf,
    /// Where the consent goes: the file that the hospital needs; there must be none yet
    #[arg(long, short, value_name = "FILE")]
    output: PathBuf,
    #[command(flatten)]
    password: PasswordArgs,
    #[command(flatten)]
    new: NewPassword,
}

#[derive(Args, Debug)]
pub(crate) struct ReadConsentArgs {
    /// The consent, as `identity consent` writes it
    file: PathBuf,
}

#[derive(Args, Debug)]
pub(crate) struct InstallArgs {
    /// The identity file
    file: PathBuf,
    #[command(flatten)]
    password: PasswordArgs,
}

/// A consent that was written, or read.
#[derive(Serialize)]
struct Told {
    member: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<String>,
    chain: String,
    /// Of the new keys.
    fingerprint: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    consent: Option<String>,
    #[serde(skip)]
    groups: String,
}

impl Told {
    fn new(consent: &KeyConsent) -> Self {
        let fingerprint = consent.next().fingerprint();
        Self {
            member: consent.member().to_string(),
            name: None,
            chain: consent.chain().to_string(),
            fingerprint: fingerprint.to_string(),
            next: None,
            consent: None,
            groups: fingerprint.to_groups(),
        }
    }
}

impl Show for Told {
    fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        let name = self.name.iter().map(|name| ("patient", name.clone()));
        let mut lines: Vec<_> = name.collect();
        lines.push(("member id", self.member.clone()));
        lines.push(("chain", self.chain.clone()));
        lines.push(("new keys", self.groups.clone()));
        lines.extend(self.next.iter().map(|file| ("identity file", file.clone())));
        lines.extend(self.consent.iter().map(|file| ("consent", file.clone())));
        fields(out, &lines)
    }
}

/// An identity file in its place.
#[derive(Serialize)]
struct Installed {
    member: String,
    former_keys: usize,
    /// Whether the collection here goes on with a key of the former keys.
    renew: bool,
    /// Other hospitals that may keep something that stands to them.
    elsewhere: Vec<String>,
    #[serde(skip)]
    names: Vec<String>,
}

impl Show for Installed {
    fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        fields(
            out,
            &[("member", self.member.clone()), ("former keys", self.former_keys.to_string())],
        )?;
        if self.renew {
            writeln!(
                out,
                "the collection here goes on with a key of the former keys: `medledger collection renew --as {}`",
                self.member
            )?;
        }
        if self.former_keys > 0 {
            writeln!(
                out,
                "`medledger identity rewrap --as {}` wraps to the new keys what stands here to the former ones",
                self.member
            )?;
        }
        if !self.names.is_empty() {
            writeln!(out, "then the same at {}", self.names.join(", "))?;
        }
        Ok(())
    }
}

/// A consent from a file.
pub(super) fn read(path: &Path) -> Result<KeyConsent> {
    let bytes = read_bounded(path, limit::KEY_CONSENT_BYTES)?;
    KeyConsent::decode(&bytes)
        .map_err(|error| Failure::from(error).doing(&path.display().to_string()))
}

/// What the patient read out, held against the consent. Where it was not given, whoever sits at the terminal is asked.
pub(super) fn compare(consent: &KeyConsent, name: &str, heard: Option<&str>) -> Result<()> {
    let Some(heard) = heard else {
        if !io::stdin().is_terminal() {
            let text =
                "no fingerprint given: a thief with the suspended keys can write a consent, too";
            return Err(Failure::usage("fingerprint", text).hint(
                "give --fingerprint as the patient reads it out, or run the command at a terminal to be asked",
            ));
        }
        let question = question(name, &consent.next().fingerprint());
        return agreed(&question, &mut io::stderr(), &mut io::stdin().lock());
    };
    let (heard, found) = (KeyFingerprint::from_groups(heard)?, consent.next().fingerprint());
    if heard == found {
        return Ok(());
    }
    let message = format!(
        "the consent is to keys {}, not to {}: somebody else may have made it",
        found.to_groups(),
        heard.to_groups()
    );
    Err(Failure::new(crate::exit::Fault::Refused, "fingerprint", message)
        .hint("ask the patient for the file again, and by another way"))
}

fn question(name: &str, found: &KeyFingerprint) -> String {
    format!(
        "The consent is to keys {}\nDoes {name} read out the same, by another way than the file came? [y/N] ",
        found.to_groups()
    )
}

/// Whether the answer is yes; everything else is no.
fn agreed(question: &str, out: &mut dyn Write, answers: &mut dyn BufRead) -> Result<()> {
    let mut answer = String::new();
    out.write_all(question.as_bytes())
        .and_then(|()| out.flush())
        .and_then(|()| answers.take(16).read_line(&mut answer))
        .map_err(|error| failures::io(&error))?;
    if matches!(answer.trim(), "y" | "Y" | "yes") {
        return Ok(());
    }
    let text = "the fingerprint was not confirmed: somebody else may have made the consent";
    Err(Failure::new(crate::exit::Fault::Refused, "fingerprint", text)
        .hint("ask the patient for the file again, and by another way"))
}

pub(super) fn consent(context: &Context, args: &ConsentArgs) -> Result<()> {
    // One of the two identity files could be meant by mistake.
    if std::fs::symlink_metadata(&args.output).is_ok() || args.output == args.next {
        let there = io::Error::from(io::ErrorKind::AlreadyExists);
        return Err(failures::file(&args.output, &there).hint("name another file for the consent"));
    }
    // No new keys are made for a consent that cannot be written.
    let target = Target::of(&args.output, false)?;
    let mut sink = target.create(Readers::Others)?;
    let password = args.password.existing("password of the file with the suspended keys")?;
    // Before anything new is asked for.
    let bytes = read_bounded(&args.file, limit::LOCKED_IDENTITY_BYTES)?;
    medledger::core::identity::unlock(&bytes, &password)
        .map_err(|error| Failure::from(IdentityError::from(error)))?;
    let new = args.new.create("the file with the new keys")?;
    let (_, consent) = Ledger::consent_to_new_keys(
        &args.chain,
        &args.file,
        &password,
        &args.next,
        &new,
        &LockParams::default(),
    )?;
    let written = sink.write_all(&consent.encode()).and_then(|()| sink.finish());
    written.map_err(|error| {
        // Just made, and consented to by nothing: they would only be in the way.
        let removed = std::fs::remove_file(&args.next).is_ok();
        let failure = target.failed(&error);
        if removed { failure.hint("the new keys are gone with it: repeat") } else { failure }
    })?;
    let mut told = Told::new(&consent);
    told.next = Some(args.next.display().to_string());
    told.consent = Some(args.output.display().to_string());
    context.print(&told)?;
    context.note("give the hospital the consent, and read out the fingerprint of the new keys");
    Ok(())
}

pub(super) fn read_consent(context: &Context, args: &ReadConsentArgs) -> Result<()> {
    let ledger = context.open_read_only()?;
    let consent = read(&args.file)?;
    let member = ledger.check_consent(&consent.member(), &consent)?;
    let mut told = Told::new(&consent);
    told.name = Some(member.contact.name);
    context.print(&told)?;
    context.note(
        "it counts: compare the fingerprint with what the patient reads out; then `medledger identity replace \
         --consent-file` puts it on the ledger",
    );
    Ok(())
}

pub(super) fn install(context: &Context, args: &InstallArgs) -> Result<()> {
    let ledger = context.open()?;
    let bytes = read_bounded(&args.file, limit::LOCKED_IDENTITY_BYTES)?;
    let info = peek(&bytes).map_err(|error| Failure::from(IdentityError::from(error)))?;
    let member = lookup::member(&ledger, &info.id.to_string())?;
    let password = args.password.existing(&format!("password of {}", member.contact.name))?;
    let identity = ledger.install_identity(&bytes, &password)?;
    let still = ledger.still_former(&identity)?;
    context.print(&Installed {
        member: member.id.to_string(),
        former_keys: identity.former_hpke_keys().len(),
        renew: still.renew,
        elsewhere: ids(&still.elsewhere),
        names: named(&ledger, &still.elsewhere)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_yes_is_one() {
        let question = question("Pat Doe", &KeyFingerprint::from_bytes([0xab; 16]));
        assert!(question.contains("abab abab abab abab abab abab abab abab"), "{question}");
        let asked = |answer: &str| {
            let mut shown = Vec::new();
            let result = agreed(&question, &mut shown, &mut answer.as_bytes());
            assert_eq!(shown, question.as_bytes());
            result.map_err(|failure| failure.code().to_owned())
        };
        for yes in ["y\n", "Y\n", "yes\n", " y \r\n"] {
            assert_eq!(asked(yes), Ok(()), "{yes:?}");
        }
        for no in ["", "\n", "n\n", "no\n", "yep\n", "abab\n", "                  yes\n"] {
            assert_eq!(asked(no), Err("fingerprint".to_owned()), "{no:?}");
        }
    }
}
