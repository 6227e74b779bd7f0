//! Single blocks.

use super::answer::{self, Lines, says_missing};
use super::{Kubo, KuboError, Reach, go_duration};
use crate::block::{Block, MAX_BLOCK_BYTES};
use medledger_core::Cid;
use medledger_core::cid::Codec;
use serde::Deserialize;
use std::time::Duration;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Known {
    key: String,
    size: u64,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Removed {
    #[serde(default)]
    error: String,
}

impl Reach {
    /// The options of a call, by name.
    pub(super) fn options(self) -> (&'static str, String) {
        match self {
            Self::Local => ("offline", "true".to_owned()),
            Self::Peers(most) => ("timeout", go_duration(most)),
        }
    }

    /// How much longer than the node looks we wait for it to say so.
    pub(super) fn patience(self, usual: Duration) -> Duration {
        match self {
            Self::Local => usual,
            Self::Peers(most) => usual + most,
        }
    }
}

impl Kubo {
    /// A block, verified; none when the node has not got it, or found it nowhere in time. Asked again when
    /// the connection fails in passing.
    ///
    /// # Errors
    /// When the node's bytes are not those the CID names, or the call fails.
    pub fn block_get(&self, cid: &Cid, reach: Reach) -> Result<Option<Block>, KuboError> {
        let bytes = self.about_block("block/get", cid, reach, |reply| {
            Ok(reply.body.all(MAX_BLOCK_BYTES as u64)?)
        })?;
        match bytes {
            Some(bytes) if cid.matches(&bytes) => Ok(Some(Block::from(bytes))),
            Some(_) => Err(KuboError::Damaged { cid: *cid }),
            None => Ok(None),
        }
    }

    /// Bytes of a block, if the node has it. Not verified.
    ///
    /// # Errors
    /// When the call fails.
    pub fn block_stat(&self, cid: &Cid, reach: Reach) -> Result<Option<u64>, KuboError> {
        let known = self.about_block("block/stat", cid, reach, |reply| {
            answer::value::<Known>("block/stat", reply)
        })?;
        Ok(known.map(|known| known.size))
    }

    fn about_block<T>(
        &self,
        command: &str,
        cid: &Cid,
        reach: Reach,
        read: impl Fn(crate::http::Reply) -> Result<T, KuboError>,
    ) -> Result<Option<T>, KuboError> {
        let name = cid.to_string();
        let (option, value) = reach.options();
        let patience = reach.patience(self.endpoint.patience().answer);
        let answered = self.ask_again(|| {
            let call = self.call(command, &[("arg", &name), (option, &value)]).patient(patience);
            read(self.accepted(command, call.reply()?)?)
        });
        match answered {
            Ok(value) => Ok(Some(value)),
            Err(KuboError::Refused { message, .. }) if says_missing(&message) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Stores one block and compares what the node calls it. With `pin` it is kept, alone.
    ///
    /// # Errors
    /// When the node calls it otherwise, or the call fails.
    pub fn block_put(&self, cid: &Cid, block: &[u8], pin: bool) -> Result<(), KuboError> {
        const COMMAND: &str = "block/put";
        let codec = match cid.codec() {
            Codec::Raw => "raw",
            Codec::DagPb => "dag-pb",
            _ => "dag-cbor",
        };
        let pin = if pin { "true" } else { "false" };
        let query = [
            ("cid-codec", codec),
            ("mhtype", "sha2-256"),
            ("pin", pin),
            ("allow-big-block", "true"),
        ];
        let known: Known = self.ask_again(|| {
            let call = self.call(COMMAND, &query).file("data", block.to_vec());
            answer::value(COMMAND, self.accepted(COMMAND, call.reply()?)?)
        })?;
        // The node answers in version 1, whatever was asked: blocks are found by their hash.
        let found = answer::cid(COMMAND, &known.key)?;
        if found.digest() != cid.digest() || known.size != block.len() as u64 {
            return Err(KuboError::OtherCid { expected: *cid, found: known.key });
        }
        Ok(())
    }

    /// Removes one block and says whether it was there. The node refuses for blocks that are pinned
    /// or lie below a pin.
    ///
    /// # Errors
    /// When the block is kept or the call fails.
    pub fn block_rm(&self, cid: &Cid) -> Result<bool, KuboError> {
        const COMMAND: &str = "block/rm";
        let reply = self.ask(COMMAND, &[("arg", &cid.to_string())])?;
        let mut removed = false;
        for line in Lines::<Removed>::new(COMMAND, reply) {
            let line = line?;
            match line.error.as_str() {
                "" => removed = true,
                text if says_missing(text) => {}
                _ => return Err(answer::refused(COMMAND, line.error)),
            }
        }
        Ok(removed)
    }
}
