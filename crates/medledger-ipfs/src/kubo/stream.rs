//! Everything below a root, hashed several blocks at once while it comes.

use super::car::of_car;
use super::{Kubo, KuboError, Reach};
use crate::block::Block;
use crate::car::CarError;
use crate::car::sections::{Section, Sections};
use crate::http::Download;
use medledger_core::Cid;
use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

/// Blocks that are hashed together: what a processor with SHA instructions does at a time.
const TOGETHER: usize = 4;
/// Such groups that wait for the reader.
const WAITING: usize = 3;

type Blocks = Result<VecDeque<(Cid, Block)>, KuboError>;

/// Blocks below a root as a node sends them: verified each, parents first, links in their order, each once. Whether
/// anything is missing, this does not look at: who reads a file finds that out.
///
/// Another thread receives and hashes; it goes when this is dropped.
#[derive(Debug)]
pub struct KuboStream {
    groups: Receiver<Blocks>,
    group: VecDeque<(Cid, Block)>,
}

impl Kubo {
    /// Asks for everything below a root.
    ///
    /// # Errors
    /// When the node has not got the root, or the call fails.
    pub fn stream(&self, root: &Cid, reach: Reach) -> Result<KuboStream, KuboError> {
        let body = self.exported(root, reach)?.body;
        let sections = Sections::new(body).map_err(of_car)?;
        match sections.roots() {
            [found] if found == root => {}
            found => {
                let found: Vec<_> = found.iter().map(Cid::to_string).collect();
                return Err(KuboError::OtherCid { expected: *root, found: found.join(", ") });
            }
        }
        let (send, groups) = sync_channel(WAITING);
        std::thread::spawn(move || receive(sections, &send));
        Ok(KuboStream { groups, group: VecDeque::new() })
    }
}

impl Iterator for KuboStream {
    type Item = Result<(Cid, Block), KuboError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(block) = self.group.pop_front() {
                return Some(Ok(block));
            }
            match self.groups.recv() {
                Ok(Ok(group)) => self.group = group,
                Ok(Err(error)) => return Some(Err(error)),
                // It came to its end, which was right, or told why before.
                Err(_) => return None,
            }
        }
    }
}

fn receive(mut sections: Sections<Download>, send: &SyncSender<Blocks>) {
    loop {
        let mut group = Vec::with_capacity(TOGETHER);
        let mut end = None;
        while group.len() < TOGETHER && end.is_none() {
            match sections.next() {
                Ok(Some(section)) => group.push(section),
                Ok(None) => end = Some(None),
                Err(error) => end = Some(Some(of_car(error))),
            }
        }
        // What came before an error is as good as ever.
        let verified = verified(group);
        let failed = verified.is_err();
        if send.send(verified).is_err() || failed {
            return;
        }
        match end {
            None => {}
            Some(None) => return,
            Some(Some(error)) => {
                let _ = send.send(Err(error));
                return;
            }
        }
    }
}

fn verified(group: Vec<Section>) -> Blocks {
    let blocks: Vec<&[u8]> = group.iter().map(|one| &one.bytes[one.start..]).collect();
    let digests = sha256_lanes::digest_many(&blocks);
    let mut verified = VecDeque::with_capacity(group.len());
    for (Section { cid, at, bytes, start }, digest) in group.into_iter().zip(digests) {
        if *cid.digest() != digest {
            return Err(KuboError::Car(CarError::Mismatch { at, cid }));
        }
        verified.push_back((cid, Block::from_byte(bytes, start)));
    }
    Ok(verified)
}
