//! CAR files into a node and out of it.

use super::answer::{self, Lines};
use super::{Kubo, KuboError, Reach};
use crate::car::{self, CarError, CarReader, ReadOptions};
use crate::http::{Begun, Download, HttpError, Reply, Upload, Wait};
use medledger_core::Cid;
use serde::Deserialize;
use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::time::Duration;

const IMPORT: &str = "dag/import";
const EXPORT: &str = "dag/export";
/// A node walks everything below the roots before it answers.
const WALK: Duration = Duration::from_secs(600);
/// Bytes read at a time from a CAR that is passed on.
const PIECE: usize = 256 << 10;

/// What a node took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// The roots that it pinned.
    pub pinned: BTreeSet<Cid>,
    /// Blocks that it took, those it had before included.
    pub blocks: u64,
    /// Bytes of these.
    pub bytes: u64,
}

/// Blocks on their way into a node, in one request, while they are being made. What they are for need not
/// be known before they were sent, so the CAR names no root: [`Kubo::pin_add`] is what keeps them.
///
/// The node's collection waits until this ends. Dropped, the node has a part of the blocks.
#[derive(Debug)]
pub struct CarImport {
    begun: Begun,
    blocks: Upload,
    sent: u64,
    server: String,
    patience: Duration,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Line {
    root: Option<Root>,
    stats: Option<Stats>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Root {
    cid: Link,
    #[serde(default)]
    pin_error_msg: String,
}

#[derive(Deserialize)]
struct Link {
    #[serde(rename = "/")]
    cid: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Stats {
    block_count: u64,
    block_bytes_count: u64,
}

/// A CAR as a node sends it, read with every block verified.
#[derive(Debug)]
pub struct KuboCar(CarReader<Download>);

impl KuboCar {
    /// The next block, which matches its CID; none at the end, when everything below the root was
    /// there and nothing else.
    ///
    /// # Errors
    /// When the node fails, or what it sends is not right.
    pub fn next_block(&mut self) -> Result<Option<(Cid, &[u8])>, KuboError> {
        self.0.next_block().map_err(of_car)
    }
}

/// A connection that fails in the middle of a CAR is told as what it is.
pub(super) fn of_car(error: CarError) -> KuboError {
    match error {
        CarError::Io(error) => match error.downcast::<HttpError>() {
            Ok(error) => KuboError::Http(error),
            Err(error) => KuboError::Car(CarError::Io(error)),
        },
        other => KuboError::Car(other),
    }
}

impl Kubo {
    /// Begins to send blocks.
    ///
    /// # Errors
    /// None yet that the node would know of: it answers at the end.
    pub fn import(&self) -> Result<CarImport, KuboError> {
        let patience = self.endpoint.patience().idle;
        let (mut blocks, body) = Upload::new(patience);
        let begun = self.call(IMPORT, &IMPORT_QUERY).patient(WALK).files("file", [body]).begin();
        let server = self.endpoint.name().to_owned();
        let header = car::header_section(&[]);
        let sent = header.len() as u64;
        // There is room for this much, whatever becomes of the request.
        let _ = blocks.write_all(&header);
        Ok(CarImport { begun, blocks, sent, server, patience })
    }

    /// Passes a CAR on, has the roots pinned that its header names, and compares which were. Nothing of it is
    /// verified here, but by the node, which hashes every block.
    ///
    /// For a block that is missing in the CAR and in the node, the node asks its peers before it answers, and has
    /// no limit of its own: after ten minutes this gives up.
    ///
    /// # Errors
    /// When the CAR cannot be read, the node refuses it, or does not pin each of `roots`.
    pub fn import_car(&self, mut car: impl Read, roots: &[Cid]) -> Result<Imported, KuboError> {
        let patience = self.endpoint.patience().idle;
        let (mut upload, body) = Upload::new(patience);
        let begun = self.call(IMPORT, &IMPORT_QUERY).patient(WALK).files("file", [body]).begin();
        let mut piece = vec![0; PIECE];
        loop {
            let n = match car.read(&mut piece) {
                Ok(0) => break,
                Ok(n) => n,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(HttpError::Source(error).into()),
            };
            if let Err(error) = upload.write_all(&piece[..n]) {
                return Err(self.refusal(begun, &error));
            }
        }
        if let Err(error) = upload.finish() {
            return Err(self.refusal(begun, &error));
        }
        imported(begun, roots)
    }

    fn refusal(&self, begun: Begun, error: &io::Error) -> KuboError {
        refusal(begun, error, self.endpoint.name(), self.endpoint.patience().idle)
    }

    /// A CAR with everything below a root, as the node begins to send it.
    pub(super) fn exported(&self, root: &Cid, reach: Reach) -> Result<Reply, KuboError> {
        let (option, value) = reach.options();
        let arg = root.to_string();
        let call = self.call(EXPORT, &[("arg", &arg), (option, &value), ("progress", "false")]);
        let call = call.patient(reach.patience(self.endpoint.patience().answer));
        self.accepted(EXPORT, call.reply()?).map_err(|error| match error {
            KuboError::Refused { message, .. } if answer::says_missing(&message) => {
                KuboError::Missing { cid: *root }
            }
            other => other,
        })
    }

    /// Everything below a root, as a stream of verified blocks: parents first, links in their order, each
    /// block once. At the end, nothing was missing. [`stream`](Self::stream) is faster, and looks at each block alone.
    ///
    /// # Errors
    /// When the node has not got the root, or the call fails.
    pub fn export(&self, root: &Cid, reach: Reach) -> Result<KuboCar, KuboError> {
        let reply = self.exported(root, reach)?;
        let car = CarReader::with_options(reply.body, ReadOptions::default()).map_err(of_car)?;
        match car.roots() {
            [found] if found == root => Ok(KuboCar(car)),
            found => {
                let found: Vec<_> = found.iter().map(Cid::to_string).collect();
                Err(KuboError::OtherCid { expected: *root, found: found.join(", ") })
            }
        }
    }
}

/// The node is asked not to announce anything at once; what it does later, its settings say.
const IMPORT_QUERY: [(&str, &str); 6] = [
    ("pin-roots", "true"),
    ("stats", "true"),
    ("silent", "false"),
    ("fast-provide-root", "false"),
    ("fast-provide-dag", "false"),
    ("allow-big-block", "true"),
];

impl CarImport {
    /// Sends a block.
    ///
    /// # Errors
    /// When the connection is gone or stands still: [`finish`](Self::finish) says why.
    pub fn put(&mut self, cid: &Cid, block: &[u8]) -> io::Result<()> {
        let head = car::section_head(cid, block.len());
        self.sent += (head.len() + block.len()) as u64;
        self.blocks.write_all(&head)?;
        self.blocks.write_all(block)
    }

    /// Bytes sent so far.
    #[must_use]
    pub const fn sent(&self) -> u64 {
        self.sent
    }

    /// Ends it: when this returns, the node has all blocks.
    ///
    /// # Errors
    /// When the node refused a block, or the connection failed.
    pub fn finish(self) -> Result<Imported, KuboError> {
        match self.blocks.finish() {
            Ok(()) => imported(self.begun, &[]),
            Err(error) => Err(refusal(self.begun, &error, &self.server, self.patience)),
        }
    }

    /// Why the node takes no more.
    pub(super) fn why(self, error: &io::Error) -> KuboError {
        refusal(self.begun, error, &self.server, self.patience)
    }
}

/// Why a request broke off while its body was written.
fn refusal(begun: Begun, error: &io::Error, server: &str, patience: Duration) -> KuboError {
    let server = server.to_owned();
    if error.kind() == io::ErrorKind::TimedOut {
        return HttpError::TimedOut { server, what: Wait::Room, after: patience }.into();
    }
    match begun.reply() {
        Ok(reply) if reply.status != 200 => answer::Failure::read(reply).of(IMPORT),
        // A node that fails in the middle says so behind what it began to answer.
        Ok(reply) => {
            let mut lines = Lines::<Line>::new(IMPORT, reply);
            lines.find_map(Result::err).unwrap_or_else(|| {
                let cause = "it answered before everything was sent".into();
                HttpError::Broken { server, cause }.into()
            })
        }
        Err(error) => error.into(),
    }
}

/// What the node says that it took and pinned.
fn imported(begun: Begun, roots: &[Cid]) -> Result<Imported, KuboError> {
    let reply = begun.reply()?;
    if reply.status != 200 {
        return Err(answer::Failure::read(reply).of(IMPORT));
    }
    let mut imported = Imported::default();
    for line in Lines::<Line>::new(IMPORT, reply) {
        let line = line?;
        if let Some(stats) = line.stats {
            (imported.blocks, imported.bytes) = (stats.block_count, stats.block_bytes_count);
        }
        let Some(root) = line.root else { continue };
        let cid = answer::cid(IMPORT, &root.cid.cid)?;
        if !root.pin_error_msg.is_empty() {
            return Err(not_pinned(cid, root.pin_error_msg));
        }
        imported.pinned.insert(cid);
    }
    match roots.iter().find(|root| !imported.pinned.contains(root)) {
        None => Ok(imported),
        Some(root) => Err(not_pinned(*root, "it does not say that it did".to_owned())),
    }
}

fn not_pinned(root: Cid, message: String) -> KuboError {
    match answer::refused(IMPORT, message) {
        KuboError::Refused { message, .. } => KuboError::NotPinned { root, message },
        other => other,
    }
}
