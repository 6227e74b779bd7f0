//! `medledger revoke`: the patient takes a permission back, or a reader one they passed on.

use super::rotate;
use crate::context::Context;
use crate::exit::Result;
use crate::lookup;
use crate::output::{Done, Show, fields};
use crate::secret::Acting;
use clap::{Args, ValueEnum};
use medledger::core::record::Scope;
use medledger::{GrantId, Key, Ledger, MemberId};
use serde::Serialize;
use std::io::{self, Write};

#[derive(Args, Debug)]
pub(crate) struct RevokeArgs {
    /// The grant, as `medledger reports` lists it
    grant: String,
    #[command(flatten)]
    author: Acting,
    /// Put what the grant covered under new keys: now, or marked for `medledger rotate --marked`
    #[arg(long, value_name = "WHEN")]
    rotate: Option<When>,
    /// Mine until the revocation is in a block; here it counts at once
    #[arg(long)]
    wait: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum When {
    Now,
    Later,
}

#[derive(Serialize)]
struct Revoked {
    grant: String,
    record: String,
    /// Whether a grant of this member's with this id is known here.
    known: bool,
    /// What was rotated with `--rotate now`.
    #[serde(skip_serializing_if = "Option::is_none")]
    rotated: Option<rotate::Rotations>,
    /// Reports marked to be rotated with `--rotate later`.
    #[serde(skip_serializing_if = "Option::is_none")]
    marked_now: Option<usize>,
}

impl Show for Revoked {
    fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        fields(out, &[("revoked", self.grant.clone()), ("record", self.record.clone())])?;
        if self.known {
            writeln!(out, "nothing new opens under it here; what was read cannot be recalled")?;
        } else {
            writeln!(
                out,
                "no grant of yours has this id here: it is revoked before it comes; anybody else's stays"
            )?;
        }
        if let Some(marked) = self.marked_now {
            writeln!(out, "marked to be rotated: {marked}; `medledger rotate --marked` does it")?;
        }
        match &self.rotated {
            Some(rotated) => writeln!(out).and_then(|()| rotated.show(out)),
            None => Ok(()),
        }
    }
}

/// What a grant of this patient's covers, if it is known here and covers anything.
fn scope(ledger: &Ledger, patient: &MemberId, grant: &GrantId) -> Result<Option<Scope>> {
    let reports = ledger.reports(patient)?.into_iter().filter(|report| report.patient == *patient);
    let mut grants = reports.flat_map(|report| report.grants);
    Ok(grants.find(|summary| summary.id == *grant).map(|summary| summary.entry.scope))
}

pub(crate) fn run(context: &Context, args: &RevokeArgs) -> Result<()> {
    let ledger = context.open()?;
    let grant = lookup::grant(&ledger, &args.grant)?;
    let (member, author) = args.author.unlock(&ledger)?;
    let covered = match args.rotate {
        Some(_) => scope(&ledger, &member.id, &grant)?,
        None => None,
    };
    let known = ledger.revocable_grant(&member.id, &grant)?.is_some();
    let record = ledger.revoke(&author, &grant)?;
    let mut revoked = Revoked {
        grant: grant.to_string(),
        record: record.to_string(),
        known,
        rotated: None,
        marked_now: None,
    };
    let mut records = vec![record];
    if let Some(when) = args.rotate {
        let after = |failure: crate::exit::Failure| {
            failure.doing(&format!("the revocation is accepted as {record}, nothing is rotated"))
        };
        let scopes: Vec<Scope> = covered.into_iter().collect();
        let marked = rotate::mark(&ledger, &author, &scopes).map_err(after)?;
        match when {
            When::Later => revoked.marked_now = Some(marked),
            When::Now => {
                let reports = match scopes.first() {
                    None => Vec::new(),
                    Some(Scope::Collection(_)) => ledger.marked_for_rotation(&member.id)?,
                    Some(named) => named.reports().to_vec(),
                };
                let who = (&author, member.contact.name.as_str());
                let (rotated, more) =
                    rotate::rotate(context, &ledger, who, &reports, &Key::Identity)?;
                revoked.rotated = Some(rotated);
                records.extend(more);
            }
        }
    }
    let Some(rotated) = &revoked.rotated else {
        let done = Done::accepted("the revocation", &record);
        return context.accepted(&ledger, &revoked, &done, &record, args.wait);
    };
    let done = rotated.done();
    let shown = context.all_accepted(&ledger, &revoked, &done, &records, args.wait);
    match rotated.failure(context.json()) {
        Some(failure) => shown.and(Err(failure)),
        None => shown,
    }
}
