//! What a node keeps.

use super::answer::{self, Lines};
use super::{Kubo, KuboError, go_duration};
use medledger_core::Cid;
use serde::Deserialize;
use std::time::Duration;

/// A node walks everything below a root before it says that it is pinned.
const WALK: Duration = Duration::from_secs(600);

/// A root that a node keeps with all that lies below it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NodePin {
    /// The root.
    pub root: Cid,
    /// What it is called; nothing unless somebody gave it a name.
    pub name: String,
}

/// What a node says of a pin that it looked into.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PinHealth {
    /// The root.
    pub root: Cid,
    /// What is missing or broken; nothing when all is there.
    pub bad: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Listed {
    cid: String,
    #[serde(default)]
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Changed {
    pins: Vec<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Verified {
    cid: String,
    ok: bool,
    bad_nodes: Option<Vec<BadNode>>,
    #[serde(default)]
    err: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct BadNode {
    cid: String,
    #[serde(default)]
    err: String,
}

impl Kubo {
    /// Keeps a root and all below it, under a name that replaces the one it had. The node walks everything, asks
    /// its peers for what is missing (even when told to stay offline), and gives up after `most`.
    ///
    /// # Errors
    /// When something below is missing, the name is too long, or the call fails.
    pub fn pin_add(&self, root: &Cid, name: &str, most: Duration) -> Result<(), KuboError> {
        const COMMAND: &str = "pin/add";
        let (arg, timeout) = (root.to_string(), go_duration(most));
        let mut query = vec![("arg", arg.as_str()), ("timeout", &timeout)];
        if !name.is_empty() {
            query.push(("name", name));
        }
        let patience = self.endpoint.patience().answer + most;
        let changed: Changed = self
            .ask_again(|| {
                let call = self.call(COMMAND, &query).patient(patience);
                answer::value(COMMAND, self.accepted(COMMAND, call.reply()?)?)
            })
            .map_err(|error| match error {
                KuboError::Refused { message, .. } => KuboError::NotPinned { root: *root, message },
                other => other,
            })?;
        match changed.pins.as_slice() {
            [found] if answer::cid(COMMAND, found)? == *root => Ok(()),
            found => Err(KuboError::OtherCid { expected: *root, found: found.join(", ") }),
        }
    }

    /// The pin of one root, if the node keeps it for its own sake.
    ///
    /// # Errors
    /// When the call fails.
    pub fn pin(&self, root: &Cid) -> Result<Option<NodePin>, KuboError> {
        match self.list_pins(&[("arg", &root.to_string())]) {
            Err(KuboError::Refused { message, .. }) if message.contains("is not pinned") => {
                Ok(None)
            }
            pins => Ok(pins?.into_iter().find(|pin| pin.root == *root)),
        }
    }

    /// Whether the block of this CID is kept, for its own sake or because it lies below a pin. The node finds that
    /// out by walking what it keeps.
    ///
    /// # Errors
    /// When the call fails.
    pub fn is_kept(&self, cid: &Cid) -> Result<bool, KuboError> {
        const COMMAND: &str = "pin/ls";
        let arg = cid.to_string();
        let kept = self.ask_again(|| {
            let query = [("arg", arg.as_str()), ("type", "all"), ("stream", "true")];
            let reply = self.call(COMMAND, &query).patient(WALK).reply()?;
            let lines = Lines::<Listed>::new(COMMAND, self.accepted(COMMAND, reply)?);
            lines.collect::<Result<Vec<_>, _>>()
        });
        match kept {
            Err(KuboError::Refused { message, .. }) if message.contains("is not pinned") => {
                Ok(false)
            }
            kept => Ok(!kept?.is_empty()),
        }
    }

    /// All roots that the node keeps with what lies below them, whoever asked for it.
    ///
    /// # Errors
    /// When the call fails.
    pub fn pins(&self) -> Result<Vec<NodePin>, KuboError> {
        self.list_pins(&[])
    }

    /// The roots that are kept under names in which this text stands.
    ///
    /// # Errors
    /// When the call fails.
    pub fn pins_called(&self, part: &str) -> Result<Vec<NodePin>, KuboError> {
        self.list_pins(&[("name", part)])
    }

    fn list_pins(&self, which: &[(&str, &str)]) -> Result<Vec<NodePin>, KuboError> {
        const COMMAND: &str = "pin/ls";
        let mut query = vec![("type", "recursive"), ("stream", "true"), ("names", "true")];
        query.extend(which);
        self.ask_again(|| {
            let reply = self.ask(COMMAND, &query)?;
            Lines::<Listed>::new(COMMAND, reply)
                .filter_map(|line| match line {
                    // A root of another hash or codec is none of ours.
                    Ok(line) => {
                        let root = line.cid.parse().ok()?;
                        Some(Ok(NodePin { root, name: line.name }))
                    }
                    Err(error) => Some(Err(error)),
                })
                .collect()
        })
    }

    /// Lets a root go and says whether it was kept.
    ///
    /// # Errors
    /// When the call fails.
    pub fn pin_rm(&self, root: &Cid) -> Result<bool, KuboError> {
        const COMMAND: &str = "pin/rm";
        let removed = self.ask_again(|| {
            let reply = self.ask(COMMAND, &[("arg", &root.to_string())])?;
            answer::value::<Changed>(COMMAND, reply)
        });
        match removed {
            Ok(_) => Ok(true),
            Err(KuboError::Refused { message, .. }) if message.contains("not pinned") => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Puts one root in the place of another that is kept, under the same name. The node walks only what differs
    /// between them, and gives up after `most`. When the new one is kept already, the old one goes.
    ///
    /// # Errors
    /// When the old one is not kept, something below the new one is missing, or the call fails.
    pub fn pin_replace(&self, old: &Cid, new: &Cid, most: Duration) -> Result<(), KuboError> {
        const COMMAND: &str = "pin/update";
        let (from, to, timeout) = (old.to_string(), new.to_string(), go_duration(most));
        let query =
            [("arg", from.as_str()), ("arg", &to), ("unpin", "true"), ("timeout", &timeout)];
        let patience = self.endpoint.patience().answer + most;
        let call = self.call(COMMAND, &query).patient(patience);
        let replaced = call
            .reply()
            .map_err(KuboError::from)
            .and_then(|reply| answer::value::<Changed>(COMMAND, self.accepted(COMMAND, reply)?));
        match replaced {
            Ok(_) => Ok(()),
            Err(KuboError::Refused { message, .. })
                if message.contains("already recursively pinned") && old != new =>
            {
                self.pin_rm(old).map(drop)
            }
            Err(KuboError::Refused { message, .. }) => {
                Err(KuboError::NotPinned { root: *new, message })
            }
            Err(error) => Err(error),
        }
    }

    /// Has the node look into every pin, and says which are not whole.
    ///
    /// # Errors
    /// When the call fails.
    pub fn pin_verify(&self) -> Result<Vec<PinHealth>, KuboError> {
        const COMMAND: &str = "pin/verify";
        let reply = self.call(COMMAND, &[("verbose", "true")]).patient(WALK).reply()?;
        let reply = self.accepted(COMMAND, reply)?;
        let health = |line: Verified| {
            let mut bad: Vec<String> = line
                .bad_nodes
                .unwrap_or_default()
                .into_iter()
                .map(|node| format!("{} {}", node.cid, node.err).trim_end().to_owned())
                .collect();
            if !line.ok && bad.is_empty() {
                bad.push(if line.err.is_empty() { "broken".to_owned() } else { line.err });
            }
            Ok(PinHealth { root: answer::cid(COMMAND, &line.cid)?, bad })
        };
        Lines::<Verified>::new(COMMAND, reply).map(|line| health(line?)).collect()
    }
}
