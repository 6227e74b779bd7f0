//! What every command over a ledger shares: the folder, how to print, waiting for a block.

use crate::cli::Global;
use crate::exit::{Failure, Result};
use crate::output::{self, Done, Show, fields};
use crate::{interrupt, progress};
use medledger::{Delivery, Ledger, MiningProgress, OpenOptions, RecordId, Step, WaitError};
use serde::Serialize;
use std::collections::BTreeSet;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Instant;
use zeroize::Zeroizing;

/// The global options at work.
#[derive(Debug)]
pub(crate) struct Context {
    global: Global,
}

impl Context {
    pub(crate) const fn new(global: Global) -> Self {
        Self { global }
    }

    pub(crate) fn folder(&self) -> &std::path::Path {
        &self.global.ledger
    }

    pub(crate) const fn json(&self) -> bool {
        self.global.json
    }

    /// The ledger for reading and writing, by a command that adds no record: `message` is what Ctrl-C says.
    pub(crate) fn open_to_move(&self, message: &'static str) -> Result<Ledger> {
        interrupt::says(message);
        Ok(Ledger::open(self.folder())?)
    }

    /// The ledger, for reading and writing.
    pub(crate) fn open(&self) -> Result<Ledger> {
        interrupt::writes();
        Ok(Ledger::open(self.folder())?)
    }

    /// The ledger for bringing back what an older database lacks.
    pub(crate) fn open_to_reconcile(&self) -> Result<Ledger> {
        interrupt::writes();
        let mut options = OpenOptions::default();
        options.reconcile = true;
        Ok(Ledger::open_with(self.folder(), options)?)
    }

    /// The ledger for reading and writing, with somebody who listens to its steps.
    pub(crate) fn open_observed(
        &self,
        observer: impl Fn(Step) + Send + Sync + 'static,
    ) -> Result<Ledger> {
        interrupt::writes();
        let mut options = OpenOptions::default();
        options.observer = Some(Arc::new(observer));
        Ok(Ledger::open_with(self.folder(), options)?)
    }

    /// The ledger for reading, beside whoever writes to it.
    pub(crate) fn open_read_only(&self) -> Result<Ledger> {
        Ok(Ledger::open_read_only(self.folder())?)
    }

    pub(crate) fn print(&self, result: &impl Show) -> Result<()> {
        output::print(self.json(), result)
    }

    /// Prints the result of a command that has done something.
    pub(crate) fn print_done(&self, result: &impl Show, done: &Done) -> Result<()> {
        output::print_done(self.json(), result, done)
    }

    pub(crate) fn note(&self, text: &str) {
        output::note(self.json(), text);
    }

    /// Prints that a record was accepted; waits for its block if asked, else says how to get one.
    pub(crate) fn accepted(
        &self,
        ledger: &Ledger,
        result: &impl Show,
        done: &Done,
        record: &RecordId,
        wait: bool,
    ) -> Result<()> {
        output::print_in_two(self.json(), result, done, "block", || {
            self.note_of_node(ledger);
            if wait {
                return block_of(ledger, record).map(Some).map_err(not_mined);
            }
            self.note("accepted: durable here, in no block yet; `medledger mine` puts it in one");
            Ok(None)
        })
    }

    /// The same for several records, or none.
    pub(crate) fn all_accepted(
        &self,
        ledger: &Ledger,
        result: &impl Show,
        done: &Done,
        records: &[RecordId],
        wait: bool,
    ) -> Result<()> {
        output::print_in_two(self.json(), result, done, "blocks", || {
            self.note_of_node(ledger);
            match records {
                [] => Ok(None),
                _ if wait => blocks_of(ledger, records).map(Some).map_err(not_mined),
                _ => {
                    let text = "accepted: durable here, in no block yet; `medledger mine` puts them in blocks";
                    self.note(text);
                    Ok(None)
                }
            }
        })
    }

    /// Says so when a node that follows the folder misses something.
    fn note_of_node(&self, ledger: &Ledger) {
        let behind = ledger.storage().behind;
        if behind > 0 {
            self.note(&format!(
                "the Kubo node is away or refuses: {behind} to make up for; `medledger storage sync` \
                 does, or says why not"
            ));
        }
    }
}

/// The block a record is in.
#[derive(Debug, Serialize)]
pub(crate) struct InBlock {
    height: u64,
    id: String,
    /// Where one record was waited for.
    #[serde(flatten)]
    work: Option<Work>,
}

/// Hashes tried while waiting, and how fast.
#[derive(Debug, Serialize)]
struct Work {
    tries: u64,
    seconds: f64,
    hash_rate: f64,
}

impl Show for InBlock {
    fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        fields(out, &[("mined in block", format!("{}  {}", self.height, self.id))])
    }
}

/// The blocks that records are in.
#[derive(Debug, Serialize)]
pub(crate) struct InBlocks(Vec<InBlock>);

impl Show for InBlocks {
    fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        self.0.iter().try_for_each(|block| block.show(out))
    }
}

/// The record is accepted all the same.
fn not_mined(failure: Failure) -> Failure {
    let failure = failure.doing("accepted, but in no block yet");
    match failure.code() {
        "no_space" => failure.hint("free some space; then `medledger mine` puts it in a block"),
        _ => failure,
    }
}

/// Mines until the record is in a block.
fn block_of(ledger: &Ledger, record: &RecordId) -> Result<InBlock> {
    let begin = Instant::now();
    let (height, tried) = progress::mining(|control| {
        let height = ledger.wait_mined_with(record, control)?;
        Ok::<_, Failure>((height, control.tried()))
    })?;
    let done = MiningProgress { tried, elapsed: begin.elapsed(), expected_tries: None };
    let work = Work {
        tries: tried,
        seconds: done.elapsed.as_secs_f64(),
        hash_rate: done.hash_rate().round(),
    };
    Ok(InBlock { work: Some(work), ..in_block(ledger, height)? })
}

fn in_block(ledger: &Ledger, height: u64) -> Result<InBlock> {
    let id = ledger.view()?.block(height)?.map(|block| block.id.to_string());
    Ok(InBlock { height, id: id.unwrap_or_default(), work: None })
}

/// Mines until all the records are in blocks. One that a rule refuses meanwhile keeps no other back.
fn blocks_of(ledger: &Ledger, records: &[RecordId]) -> Result<InBlocks> {
    let mut refused = None;
    let heights = progress::mining(|control| {
        let mut heights = BTreeSet::new();
        for record in records {
            match ledger.wait_mined_with(record, control) {
                Ok(height) => {
                    heights.insert(height);
                }
                Err(error @ WaitError::Refused { .. }) => {
                    refused.get_or_insert(error);
                }
                Err(error) => return Err(Failure::from(error)),
            }
        }
        Ok(heights)
    })?;
    match refused {
        Some(error) => Err(error.into()),
        None => heights.into_iter().map(|height| in_block(ledger, height)).collect(),
    }
}

impl FromIterator<InBlock> for InBlocks {
    fn from_iter<I: IntoIterator<Item = InBlock>>(blocks: I) -> Self {
        Self(blocks.into_iter().collect())
    }
}

/// How an access key reaches its owner. The key itself is here only when it must be handed over.
#[derive(Debug, Serialize)]
pub(crate) struct Handover {
    /// `mailed`, `queued`, `waits`, `pick_up` or `none`.
    delivery: &'static str,
    /// The key, once.
    #[serde(skip_serializing_if = "Option::is_none")]
    access_key: Option<KeyText>,
    /// The same for a phone, if asked for.
    #[serde(skip)]
    qr: Option<Zeroizing<String>>,
}

/// An access key's text, on its one way out.
pub(crate) struct KeyText(Zeroizing<String>);

impl KeyText {
    pub(crate) fn of(key: &medledger::AccessKey) -> Self {
        Self(key.to_text())
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for KeyText {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("KeyText(..)")
    }
}

impl Serialize for KeyText {
    fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
        s.serialize_str(&self.0)
    }
}

impl From<Delivery> for Handover {
    fn from(delivery: Delivery) -> Self {
        match delivery {
            Delivery::Mailed => Self { delivery: "mailed", access_key: None, qr: None },
            Delivery::Queued => Self { delivery: "queued", access_key: None, qr: None },
            Delivery::Waits => Self { delivery: "waits", access_key: None, qr: None },
            Delivery::PickUp(key) => {
                Self { delivery: "pick_up", access_key: Some(KeyText::of(&key)), qr: None }
            }
            _ => Self { delivery: "none", access_key: None, qr: None },
        }
    }
}

impl Handover {
    /// The same, with the key as a QR code beside its text.
    pub(crate) fn with_qr(mut self, qr: Option<Zeroizing<String>>) -> Self {
        self.qr = qr;
        self
    }

    /// `mailed`, `queued`, `waits`, `pick_up` or `none`.
    pub(crate) const fn delivery(&self) -> &'static str {
        self.delivery
    }

    /// The key, where it must be handed over.
    pub(crate) fn key(&self) -> Option<&str> {
        self.access_key.as_ref().map(|KeyText(key)| key.as_str())
    }

    /// Whether the key must be shown now, or is lost.
    pub(crate) const fn must_be_shown(&self) -> bool {
        self.access_key.is_some()
    }

    /// Says where the key is, or hands it over, clearly marked.
    pub(crate) fn show(&self, out: &mut dyn Write, owner: &str) -> io::Result<()> {
        match (&self.access_key, self.delivery) {
            (Some(KeyText(key)), _) => {
                writeln!(out)?;
                writeln!(out, "ACCESS KEY for {owner}, shown this once and kept nowhere:")?;
                writeln!(out)?;
                writeln!(out, "    {}", key.as_str())?;
                writeln!(out)?;
                match &self.qr {
                    Some(qr) => writeln!(out, "{}", qr.as_str()),
                    None => Ok(()),
                }
            }
            (None, "mailed") => writeln!(out, "the access key went to {owner} by mail"),
            (None, "queued") => writeln!(
                out,
                "the access key for {owner} waits in the mail queue: `medledger mail send` tries again"
            ),
            (None, "waits") => writeln!(
                out,
                "the access key waits for {owner}: `medledger pickup --as MEMBER` shows it once"
            ),
            (None, _) => Ok(()),
        }
    }
}
