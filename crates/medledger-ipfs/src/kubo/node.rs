//! The node itself.

use super::answer::{self, Lines};
use super::{Kubo, KuboError};
use crate::http::{HttpError, Upload};
use crate::unixfs::{CidVersion, Leaves, Profile};
use medledger_core::Cid;
use serde::Deserialize;
use std::fmt;
use std::io::{self, Read, Write};
use std::str::FromStr;
use std::time::Duration;

/// The oldest version whose calls are those used here: pins have names, imports say what they pinned.
pub const LEAST_VERSION: Version = Version { major: 0, minor: 35, patch: 0 };

/// How long a node may take to say which version it is: it has nothing to look up.
const VERSION: Duration = Duration::from_secs(15);

/// How long after its last byte a node may take to answer to an `add`.
const ADDING: Duration = Duration::from_secs(600);

/// A version of Kubo.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    /// Before the first point.
    pub major: u32,
    /// Between the points.
    pub minor: u32,
    /// Behind the second point.
    pub patch: u32,
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}", self.major, self.minor, self.patch)
    }
}

impl FromStr for Version {
    type Err = ();

    /// Whatever stands behind the third number (`-rc1`, `-dev`) is left out.
    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.trim_start_matches('v').splitn(3, '.');
        let mut number = || {
            let part = parts.next()?;
            let digits = part.find(|c: char| !c.is_ascii_digit()).unwrap_or(part.len());
            part[..digits].parse().ok()
        };
        let (major, minor, patch) = (number(), number(), number());
        match (major, minor, patch) {
            (Some(major), Some(minor), Some(patch)) => Ok(Self { major, minor, patch }),
            _ => Err(()),
        }
    }
}

/// Who a node is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Id {
    /// Its peer id.
    pub peer: String,
    /// Where peers reach it.
    pub addresses: Vec<String>,
}

/// What a node holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stat {
    /// Bytes.
    pub bytes: u64,
    /// Bytes it may hold before it collects, or is full.
    pub most: u64,
    /// Blocks.
    pub blocks: u64,
    /// The folder on its machine.
    pub path: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct VersionAnswer {
    version: String,
}

#[derive(Deserialize)]
struct IdAnswer {
    #[serde(rename = "ID")]
    id: String,
    #[serde(rename = "Addresses")]
    addresses: Option<Vec<String>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct StatAnswer {
    repo_size: u64,
    storage_max: u64,
    num_objects: u64,
    repo_path: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct AddLine {
    hash: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct RefLine {
    r#ref: String,
    #[serde(default)]
    err: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Peers {
    peers: Option<Vec<Peer>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Peer {
    peer: String,
}

impl Kubo {
    /// Which Kubo it is.
    ///
    /// # Errors
    /// When it is older than [`LEAST_VERSION`], no Kubo at all, or the call fails.
    pub fn version(&self) -> Result<Version, KuboError> {
        const COMMAND: &str = "version";
        let patience = self.endpoint.patience().answer.min(VERSION);
        let ask = || {
            let reply = self.call(COMMAND, &[]).patient(patience).reply()?;
            answer::value::<VersionAnswer>(COMMAND, self.accepted(COMMAND, reply)?)
        };
        // A node that hangs would hang again.
        let answer = match ask() {
            Ok(answer) => answer,
            Err(error @ KuboError::Http(HttpError::TimedOut { .. })) => return Err(error),
            Err(_) => self.ask_again(ask)?,
        };
        let found: Version = answer.version.parse().map_err(|()| KuboError::Malformed {
            command: COMMAND.to_owned(),
            reason: format!("not a version: {:.40?}", answer.version),
        })?;
        if found < LEAST_VERSION {
            return Err(KuboError::TooOld { found, least: LEAST_VERSION });
        }
        Ok(found)
    }

    /// Who it is.
    ///
    /// # Errors
    /// When the call fails.
    pub fn id(&self) -> Result<Id, KuboError> {
        let id: IdAnswer = self.ask_again(|| answer::value("id", self.ask("id", &[])?))?;
        Ok(Id { peer: id.id, addresses: id.addresses.unwrap_or_default() })
    }

    /// What it holds.
    ///
    /// # Errors
    /// When the call fails.
    pub fn stat(&self) -> Result<Stat, KuboError> {
        const COMMAND: &str = "repo/stat";
        let stat: StatAnswer =
            self.ask_again(|| answer::value(COMMAND, self.ask(COMMAND, &[])?))?;
        let StatAnswer { repo_size, storage_max, num_objects, repo_path } = stat;
        Ok(Stat { bytes: repo_size, most: storage_max, blocks: num_objects, path: repo_path })
    }

    /// Its settings, without its private key, which the node never tells.
    ///
    /// # Errors
    /// When the call fails.
    pub fn config(&self) -> Result<serde_json::Value, KuboError> {
        const COMMAND: &str = "config/show";
        self.ask_again(|| answer::value(COMMAND, self.ask(COMMAND, &[])?))
    }

    /// All blocks it has, as they come.
    ///
    /// # Errors
    /// When the call fails, at once or on the way.
    pub fn blocks(
        &self,
    ) -> Result<impl Iterator<Item = Result<Cid, KuboError>> + use<>, KuboError> {
        const COMMAND: &str = "refs/local";
        let lines = Lines::<RefLine>::new(COMMAND, self.ask(COMMAND, &[])?);
        Ok(lines.filter_map(|line| match line {
            Ok(line) if !line.err.is_empty() => Some(Err(answer::refused(COMMAND, line.err))),
            // Blocks by other hashes are none of ours.
            Ok(line) => line.r#ref.parse().ok().map(Ok),
            Err(error) => Some(Err(error)),
        }))
    }

    /// Has it remove what nothing keeps, and says how many blocks that were.
    ///
    /// # Errors
    /// When the call fails.
    pub fn collect(&self) -> Result<u64, KuboError> {
        const COMMAND: &str = "repo/gc";
        let reply = self.call(COMMAND, &[("stream-errors", "true")]).patient(ADDING).reply()?;
        let reply = self.accepted(COMMAND, reply)?;
        let mut removed = 0;
        for line in Lines::<serde_json::Value>::new(COMMAND, reply) {
            let line = line?;
            match line.get("Error").and_then(serde_json::Value::as_str) {
                Some(error) if !error.is_empty() => {
                    return Err(answer::refused(COMMAND, error.to_owned()));
                }
                _ => removed += 1,
            }
        }
        Ok(removed)
    }

    /// Has the node cut and hash a file by a profile, every parameter given: what its settings say does not
    /// count, and whether it obeyed, only its answer tells. With `keep` it is stored and pinned, otherwise hashed.
    ///
    /// To store sealed reports, [`import`](Self::import) is the call: it sends blocks whose CIDs are known.
    ///
    /// # Errors
    /// When the source cannot be read, or the call fails.
    pub fn add(
        &self,
        mut file: impl Read,
        profile: &Profile,
        keep: bool,
    ) -> Result<Cid, KuboError> {
        const COMMAND: &str = "add";
        let version = if profile.version() == CidVersion::V0 { "0" } else { "1" };
        let raw = if profile.leaves() == Leaves::Raw { "true" } else { "false" };
        let (chunker, width) = (format!("size-{}", profile.chunk()), profile.width().to_string());
        let (pin, only_hash) = if keep { ("true", "false") } else { ("false", "true") };
        let query = [
            ("cid-version", version),
            ("raw-leaves", raw),
            ("chunker", &chunker),
            ("max-file-links", &width),
            ("hash", "sha2-256"),
            ("pin", pin),
            ("only-hash", only_hash),
            ("quieter", "true"),
            ("progress", "false"),
            ("fast-provide-root", "false"),
        ];
        let (mut upload, body) = Upload::new(self.endpoint.patience().idle);
        let begun = self.call(COMMAND, &query).patient(ADDING).files("file", [body]).begin();
        let copied = io::copy(&mut file, &mut Sending(&mut upload));
        match copied.map_err(|e| (e.kind(), e)) {
            Ok(_) => {
                // Should it fail, so does the answer.
                let _ = upload.finish();
            }
            // The answer says why.
            Err((io::ErrorKind::BrokenPipe, _)) => drop(upload),
            Err((_, error)) => return Err(HttpError::Source(error).into()),
        }
        let reply = self.accepted(COMMAND, begun.reply()?)?;
        let mut root = None;
        for line in Lines::<AddLine>::new(COMMAND, reply) {
            root = line?.hash.or(root);
        }
        let root = root.ok_or_else(|| KuboError::Malformed {
            command: COMMAND.to_owned(),
            reason: "no hash".to_owned(),
        })?;
        answer::cid(COMMAND, &root)
    }

    /// Connects it to a peer, `/ip4/ADDRESS/tcp/PORT/p2p/ID`.
    ///
    /// # Errors
    /// When the node cannot, or the call fails.
    pub fn swarm_connect(&self, peer: &str) -> Result<(), KuboError> {
        self.ask_again(|| self.ask("swarm/connect", &[("arg", peer)])).map(drop)
    }

    /// The ids of the peers it is connected to.
    ///
    /// # Errors
    /// When the call fails.
    pub fn swarm_peers(&self) -> Result<Vec<String>, KuboError> {
        const COMMAND: &str = "swarm/peers";
        let peers: Peers = self.ask_again(|| answer::value(COMMAND, self.ask(COMMAND, &[])?))?;
        Ok(peers.peers.unwrap_or_default().into_iter().map(|peer| peer.peer).collect())
    }
}

/// Tells errors of the connection from those of the source.
struct Sending<'a>(&'a mut Upload);

impl Write for Sending<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.write(bytes).map_err(|_| io::ErrorKind::BrokenPipe.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush()
    }
}
