//! What commands about keys say.

use crate::exit::Result;
use crate::output::{Show, fields};
use medledger::{Ledger, MemberId, Succession};
use serde::Serialize;
use std::io::{self, Write};

/// What becomes of the former keys of a succession.
pub(super) const STILL_OPEN: &str = "the new keys sign from here on; the former ones still open what was wrapped to them, until \
                          `medledger identity rewrap --forget`";

/// What was wrapped anew, and what is left to do.
#[derive(Serialize)]
pub(super) struct Rewrapped {
    pub(super) member: String,
    pub(super) wrapped_anew: u64,
    /// Whether the collection here goes on with a key of the former keys.
    pub(super) renew: bool,
    /// Other hospitals that may keep something that stands to them.
    pub(super) elsewhere: Vec<String>,
    /// Whether the former keys are gone from the file.
    pub(super) forgotten: bool,
    #[serde(skip)]
    pub(super) names: Vec<String>,
}

impl Show for Rewrapped {
    fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        let forgotten =
            if self.forgotten { "; the former keys are gone from the file" } else { "" };
        writeln!(out, "{} wrapped to the present keys{forgotten}", self.wrapped_anew)?;
        if self.renew {
            let member = &self.member;
            writeln!(
                out,
                "the collection here goes on with a key of the former keys: `medledger collection renew --as {member}`"
            )?;
        }
        if !self.names.is_empty() && !self.forgotten {
            writeln!(
                out,
                "before the former keys can be forgotten do the same at {}",
                self.names.join(", ")
            )?;
        }
        Ok(())
    }
}

/// A record about keys.
#[derive(Serialize)]
pub(super) struct Recorded {
    pub(super) member: String,
    pub(super) record: String,
    /// Of the new keys, where the patient made them elsewhere.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) fingerprint: Option<String>,
    /// Hospitals where the member's collection moved to its next key.
    pub(super) collections: Vec<String>,
    /// Hospitals where it goes on with a former one, until the patient renews it there.
    pub(super) to_renew: Vec<String>,
    /// Other hospitals that keep keys for this member, which cannot be seen from here.
    pub(super) elsewhere: Vec<String>,
    /// Groups to which nothing can be granted until their hospitals renew them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) stale_groups: Vec<String>,
    #[serde(skip)]
    pub(super) group_names: Vec<String>,
    #[serde(skip)]
    pub(super) names: (Vec<String>, Vec<String>),
    #[serde(skip)]
    pub(super) says: &'static str,
}

impl Recorded {
    pub(super) fn new(
        ledger: &Ledger,
        succession: &Succession,
        says: &'static str,
    ) -> Result<Self> {
        let Succession { member, record, collections, to_renew, elsewhere } = succession;
        Ok(Self {
            member: member.to_string(),
            record: record.to_string(),
            fingerprint: None,
            collections: ids(collections),
            to_renew: ids(to_renew),
            elsewhere: ids(elsewhere),
            stale_groups: Vec::new(),
            group_names: Vec::new(),
            names: (named(ledger, to_renew)?, named(ledger, elsewhere)?),
            says,
        })
    }
}

impl Show for Recorded {
    fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        fields(out, &[("member", self.member.clone()), ("record", self.record.clone())])?;
        writeln!(out, "{}", self.says)?;
        if !self.group_names.is_empty() {
            writeln!(
                out,
                "nothing can be granted to these groups until their hospitals run `medledger group renew`: {}",
                self.group_names.join(", ")
            )?;
        }
        let (to_renew, elsewhere) = &self.names;
        if !to_renew.is_empty() {
            writeln!(
                out,
                "the collection at {} goes on with a former key, until the patient runs `medledger collection renew` \
                 there",
                to_renew.join(", ")
            )?;
        }
        if !elsewhere.is_empty() {
            writeln!(
                out,
                "keys for this member that are kept at {} are as before: there the member runs `medledger identity \
                 install FILE` and `identity rewrap`, a patient `collection renew`, and the hospital moves its groups \
                 on (`group change --fresh`)",
                elsewhere.join(", ")
            )?;
        }
        Ok(())
    }
}

/// Members by what people call them, with their ids.
pub(super) fn named(ledger: &Ledger, members: &[MemberId]) -> Result<Vec<String>> {
    if members.is_empty() {
        return Ok(Vec::new());
    }
    let known = ledger.members()?;
    let name = |id: &MemberId| {
        let found = known.iter().find(|member| member.id == *id);
        let name = found.map(|member| member.contact.name.clone());
        match name.filter(|name| *name != id.to_string()) {
            Some(name) => format!("{name} ({id})"),
            None => id.to_string(),
        }
    };
    Ok(members.iter().map(name).collect())
}

pub(super) fn ids(members: &[MemberId]) -> Vec<String> {
    members.iter().map(ToString::to_string).collect()
}
