//! `medledger status`: the chain, what is on it, what waits.

use super::awaited::Waits;
use crate::context::Context;
use crate::exit::Result;
use crate::failures;
use crate::output::{Show, bytes, count, fields, grouped};
use crate::progress::expected_tries;
use medledger::core::registry::Kind;
use medledger::core::store::{Drawer, RecordQuery};
use medledger::{MailSettings, show_time};
use serde::Serialize;
use std::io::{self, Write};

#[derive(Serialize)]
struct Status {
    ledger: String,
    chain: String,
    hospital: String,
    height: u64,
    tip: String,
    tip_time: String,
    bits: Option<String>,
    expected_tries: Option<u128>,
    chain_work: String,
    members: usize,
    reports: usize,
    /// Blocks that are final, of `height` and one.
    finalized: u64,
    awaited: Option<Waits>,
    records_waiting: u64,
    letters_waiting: usize,
    mail: &'static str,
    cache: Cache,
    /// The file of what a node is owed, where it cannot be read, and why.
    owed_damaged: Option<String>,
}

/// Of this process: a server's grows, a single command's says little.
#[derive(Serialize)]
struct Cache {
    capacity: u64,
    bytes: u64,
    hits: u64,
    misses: u64,
    hit_ratio: f64,
}

impl Show for Status {
    fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        let difficulty = match (&self.bits, self.expected_tries) {
            (Some(bits), Some(tries)) => format!("{bits}: {} tries a block", grouped(tries)),
            _ => "none: blocks are only signed".into(),
        };
        let mut lines = vec![
            ("ledger", self.ledger.clone()),
            ("chain id", self.chain.clone()),
            ("hospital", self.hospital.clone()),
            ("height", format!("{} at {}", self.height, self.tip_time)),
            ("newest block", self.tip.clone()),
            ("final", format!("{} of {} blocks", self.finalized, self.height + 1)),
        ];
        lines.extend(Waits::line(self.awaited.as_ref()));
        lines.extend([
            ("difficulty", difficulty),
            ("work", self.chain_work.clone()),
            ("members", self.members.to_string()),
            ("reports", self.reports.to_string()),
            ("waiting", format!("{} to be mined", count(self.records_waiting, "record"))),
            ("mail", format!("{}, {} waiting", self.mail, count(self.letters_waiting, "letter"))),
            ("cache", format!("{} of ciphertext at most", bytes(self.cache.capacity))),
        ]);
        fields(out, &lines)?;
        match &self.owed_damaged {
            Some(what) => writeln!(out, "DAMAGED: {what}\n  help: {}", failures::OWED),
            None => Ok(()),
        }
    }
}

pub(crate) fn run(context: &Context) -> Result<()> {
    let ledger = context.open_read_only()?;
    let view = ledger.view()?;
    let tip = medledger::core::chain::tip(view.as_ref())?;
    let bits = ledger.rules().next_bits(view.as_ref(), &tip)?;
    let tries = expected_tries(bits);
    let reports = RecordQuery { kind: Some(Kind::AddReport), ..RecordQuery::default() };
    let hospital = ledger.hospital();
    let cache = ledger.cache_stats();
    let members = ledger.members()?;
    let name = members.iter().find(|member| member.id == hospital);
    context.print(&Status {
        ledger: context.folder().display().to_string(),
        chain: ledger.chain().to_string(),
        hospital: match name {
            Some(member) => format!("{hospital}  {}", member.contact.name),
            None => hospital.to_string(),
        },
        height: tip.height,
        tip: tip.id.to_string(),
        tip_time: show_time(medledger::core::clock::Timestamp::from_secs(
            tip.signed.header.time.into(),
        )),
        bits: tries.map(|_| bits.to_string()),
        expected_tries: tries,
        chain_work: tip.chain_work.to_string(),
        members: members.len(),
        reports: view.find(&reports)?.len(),
        finalized: medledger::core::finality::final_size(view.as_ref(), ledger.rules())?,
        awaited: Waits::of(&ledger)?,
        records_waiting: ledger.waiting()?,
        letters_waiting: view.local_scan(Drawer::Mail, &[], None, usize::MAX)?.len(),
        mail: match ledger.settings().mail {
            MailSettings::None => "none",
            MailSettings::Outbox(_) => "outbox",
            _ => "smtp",
        },
        cache: Cache {
            capacity: cache.capacity,
            bytes: cache.bytes,
            hits: cache.hits,
            misses: cache.misses,
            hit_ratio: cache.hit_ratio(),
        },
        owed_damaged: ledger.storage().fault.map(|fault| fault.to_string()),
    })
}
