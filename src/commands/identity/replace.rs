//! `medledger identity replace`: new keys for a member whose keys are suspended.

use super::NewPassword;
use super::consent::{compare, read};
use super::results::{Recorded, STILL_OPEN};
use crate::context::Context;
use crate::exit::Result;
use crate::lookup;
use crate::output::Done;
use crate::secret::{Acting, Source};
use clap::Args;
use medledger::{Identity, Ledger, Member};
use std::path::{Path, PathBuf};

#[derive(Args, Debug)]
pub(crate) struct ReplaceArgs {
    /// Whose keys
    #[arg(value_name = "MEMBER")]
    whose: String,
    #[command(flatten)]
    hospital: Acting,
    #[command(flatten)]
    new: NewPassword,
    /// The patient's consent, as `identity consent` writes it on the patient's own machine
    #[arg(long, value_name = "FILE", conflicts_with_all = ["consent", "new_password_file"])]
    consent_file: Option<PathBuf>,
    /// The fingerprint of the new keys as the patient reads it out: nothing is done where it is another
    /// [else: asked at the terminal]
    #[arg(long, value_name = "HEX", requires = "consent_file")]
    fingerprint: Option<String>,
    /// The patient is here and consents: with the keys that were suspended, of which this folder has a copy
    #[arg(long)]
    consent: bool,
    /// File with the patient's present password [else: MEDLEDGER_CONSENT_PASSWORD, else the patient is asked]
    #[arg(long, value_name = "FILE", requires = "consent")]
    consent_password_file: Option<PathBuf>,
    /// Mine until the record is in a block
    #[arg(long)]
    wait: bool,
}

pub(super) fn replace(context: &Context, args: &ReplaceArgs) -> Result<()> {
    let ledger = context.open()?;
    let member = lookup::member(&ledger, &args.whose)?;
    let mut recorded;
    let succession = if let Some(file) = &args.consent_file {
        // Before any password is asked for.
        let consent = read(file)?;
        ledger.check_consent(&member.id, &consent)?;
        compare(&consent, &member.contact.name, args.fingerprint.as_deref())?;
        let (_, hospital) = args.hospital.unlock(&ledger)?;
        let succession = ledger.replace_with_consent(&hospital, &member.id, &consent)?;
        let says = "the patient's new keys sign from here on; the file with them is the patient's: `medledger identity \
                    install` puts it where the patient acts";
        recorded = Recorded::new(&ledger, &succession, says)?;
        recorded.fingerprint = Some(consent.next().fingerprint().to_string());
        succession
    } else {
        let (_, hospital) = args.hospital.unlock(&ledger)?;
        let patient = if args.consent {
            Some(consenting(&ledger, &member, args.consent_password_file.as_deref())?)
        } else {
            None
        };
        let password = args.new.create(&member.contact.name)?;
        let (says, (_, succession)) = match &patient {
            Some(patient) => {
                (STILL_OPEN, ledger.replace_patient_keys(&hospital, patient, &password)?)
            }
            None => (
                "the new keys sign from here on; what was granted to the lost ones is for the patients to grant again. They are \
                 in the identity file of this folder: where the member acts in another, `medledger identity install FILE` \
                 puts it there",
                ledger.replace_keys(&hospital, &member.id, &password)?,
            ),
        };
        recorded = Recorded::new(&ledger, &succession, says)?;
        succession
    };
    let done = Done::accepted("the succession", &succession.record);
    context.accepted(&ledger, &recorded, &done, &succession.record, args.wait)
}

/// The patient with the keys that were suspended, unlocked with a password of their own.
fn consenting(ledger: &Ledger, member: &Member, file: Option<&Path>) -> Result<Identity> {
    let what = format!("present password of {}", member.contact.name);
    let option = "consent-password-file";
    let source = Source { what: &what, option, file, variable: "MEDLEDGER_CONSENT_PASSWORD" };
    Ok(ledger.unlock(&member.id, &source.get()?)?)
}
