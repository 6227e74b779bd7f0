//! Removing what nothing keeps, while uploads go on.
//!
//! # Why no upload in flight loses a block
//!
//! A collection goes: begin the sweep, list the pins, mark what lies below them, remove what is neither
//! marked nor spared. A block that a session counts on is one of three:
//!
//! - *put or held by it.* The session claims a block before it looks whether the block is there, and the
//!   sweep removes one only while no one can claim. Claimed at the beginning of the collection or
//!   since, it is spared until the end, even if the session is over by then: its pin may have
//!   come after the pins were listed.
//! - *below a pin that stood when the pins were listed*: it is marked, and stays in this collection
//!   even if the pin goes.
//! - *below a pin set later.* The session that set it counted on blocks of these same three kinds.
//!
//! Pins are listed as they are at one moment, so a pin that takes the place of another is seen, or the
//! other one is. What a session links to must therefore be put or [held](crate::Session::hold) by it,
//! or lie below a pin when it ends; [`hold_dag`] holds everything below a root.

use crate::{
    links::{LinkError, links_of},
    store::{BlockRead, BlockStore, Session, StoreError},
};
use medledger_core::{Cid, cid::Codec};
use std::collections::HashSet;

/// What a collection should do.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CollectOptions {
    /// Removes nothing, and says what would be removed.
    pub dry_run: bool,
    /// Goes on although it cannot see below some nodes: what hangs on those alone is removed.
    pub force: bool,
}

impl CollectOptions {
    /// Says what would be removed.
    #[must_use]
    pub const fn dry_run() -> Self {
        Self { dry_run: true, force: false }
    }

    /// The same, going on although it cannot see below some nodes.
    #[must_use]
    pub const fn forced(self) -> Self {
        Self { force: true, ..self }
    }
}

/// What a collection did, or would do.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Collected {
    /// Roots that are pinned.
    pub pins: u64,
    /// Blocks kept: below a pin, or in use by sessions.
    pub kept: u64,
    /// Blocks removed; in a dry run, those that lie below no pin.
    pub removed: u64,
    /// Bytes of these.
    pub bytes: u64,
    /// Nodes below which nothing could be seen; none unless forced.
    pub blind: Blind,
}

/// Nodes with unknown links.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Blind {
    /// They are not there.
    pub missing: Vec<Cid>,
    /// Their bytes do not match their CID.
    pub damaged: Vec<Cid>,
    /// They match their CID but are not what its codec says.
    pub malformed: Vec<(Cid, LinkError)>,
}

impl Blind {
    /// How many there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.missing.len() + self.damaged.len() + self.malformed.len()
    }

    /// Whether all links are known.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Why nothing was collected, or not all.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CollectError {
    /// What hangs on some nodes cannot be told; nothing was removed. Repair them, or force it.
    #[error(
        "{} nodes below pins are missing or damaged, so what they keep is not known: nothing was \
         removed",
        .0.len()
    )]
    Blind(Blind),
    /// The store failed; what was removed until then lay below no pin.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Removes every block that lies below no pin and that no session counts on; see the
/// [module](self) for why uploads may go on meanwhile. Reads the nodes below the pins but no raw leaf;
/// takes memory for a hash of 32 bytes a block below pins. A crash in the middle leaves garbage, not more.
///
/// ```
/// use medledger_ipfs::{BlockStore, Cid, MemoryStore, cid::Codec};
/// use medledger_ipfs::collect::{CollectOptions, collect};
/// let store = MemoryStore::new();
/// let cid = Cid::of(Codec::Raw, b"a report");
/// let session = store.begin()?;
/// session.put(&cid, b"a report")?;
/// session.commit(&cid)?;
/// assert_eq!(collect(&store, CollectOptions::default())?.removed, 0);
/// store.unpin(&cid)?;
/// assert_eq!(collect(&store, CollectOptions::default())?.bytes, 8);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// When the store fails, or it cannot see below some nodes and is not forced.
pub fn collect(
    store: &(impl BlockStore + ?Sized),
    options: CollectOptions,
) -> Result<Collected, CollectError> {
    if options.dry_run {
        return would_remove(store, &store.pins()?, options);
    }
    // First of all: from here on what sessions claim is noted.
    let mut sweeping = store.sweep()?;
    let pins: Vec<Cid> = sweeping.pins()?.into_iter().map(|pin| pin.root).collect();
    sweep(store, &pins, options, &mut |cid| sweeping.remove(cid))
}

/// What a collection would remove if these roots, and no others, were pinned.
///
/// # Errors
/// As [`collect`].
pub fn would_remove(
    store: &(impl BlockStore + ?Sized),
    roots: &[Cid],
    options: CollectOptions,
) -> Result<Collected, CollectError> {
    sweep(store, roots, options, &mut |_| Ok(true))
}

fn sweep(
    store: &(impl BlockStore + ?Sized),
    pins: &[Cid],
    options: CollectOptions,
    remove: &mut dyn FnMut(&Cid) -> Result<bool, StoreError>,
) -> Result<Collected, CollectError> {
    let mut collected = Collected { pins: pins.len() as u64, ..Collected::default() };
    let mut marks = Marks::default();
    for pin in pins {
        marks.below(store, *pin, &mut |fault| match fault {
            Fault::Missing(cid) => collected.blind.missing.push(cid),
            Fault::Damaged(cid) => collected.blind.damaged.push(cid),
            Fault::Malformed(cid, error) => collected.blind.malformed.push((cid, error)),
        })?;
    }
    if !collected.blind.is_empty() && !options.force {
        return Err(CollectError::Blind(collected.blind));
    }
    for cid in store.list()? {
        let cid = cid?;
        if marks.has(&cid) {
            collected.kept += 1;
            continue;
        }
        // Asked before: afterwards there is nothing to ask.
        let bytes = store.size(&cid)?;
        if remove(&cid)? {
            collected.removed += 1;
            collected.bytes += bytes.unwrap_or(0);
        } else {
            collected.kept += 1;
        }
    }
    Ok(collected)
}

/// A node below which nothing can be seen.
pub(crate) enum Fault {
    Missing(Cid),
    Damaged(Cid),
    Malformed(Cid, LinkError),
}

/// What lies below roots: the hash of every block met, and of nodes as what they were read.
#[derive(Default)]
pub(crate) struct Marks {
    met: HashSet<[u8; 32]>,
    /// The same bytes may be linked to as raw, which hides their links, and as a node.
    nodes: HashSet<([u8; 32], Codec)>,
}

impl Marks {
    pub(crate) fn has(&self, cid: &Cid) -> bool {
        self.met.contains(cid.digest())
    }

    /// Marks what lies below a root, the root too, and tells of nodes that cannot be read. Each is
    /// walked once, whatever the number of roots. Raw blocks have no links and are not read.
    pub(crate) fn below(
        &mut self,
        store: &(impl BlockRead + ?Sized),
        root: Cid,
        fault: &mut dyn FnMut(Fault),
    ) -> Result<(), StoreError> {
        let mut due = vec![root];
        while let Some(cid) = due.pop() {
            if !self.meet(&cid) {
                continue;
            }
            match store.get(&cid) {
                Ok(Some(block)) => match links_of(cid.codec(), &block) {
                    Ok(links) => due.extend(links),
                    Err(error) => fault(Fault::Malformed(cid, error)),
                },
                Ok(None) => fault(Fault::Missing(cid)),
                Err(StoreError::Damaged { .. }) => fault(Fault::Damaged(cid)),
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// Marks one block, and says whether it is a node whose links are yet to be followed.
    pub(crate) fn meet(&mut self, cid: &Cid) -> bool {
        self.met.insert(*cid.digest());
        cid.codec() != Codec::Raw && self.nodes.insert((*cid.digest(), cid.codec()))
    }
}

/// Holds everything below a root in a session, so that a commit may pin it. Reads the nodes, no raw
/// leaf.
///
/// # Errors
/// When the store fails; the first block that is missing, damaged or malformed is an error too.
pub fn hold_dag(
    store: &(impl BlockRead + ?Sized),
    session: &dyn Session,
    root: &Cid,
) -> Result<(), StoreError> {
    let mut marks = Marks::default();
    let mut due = vec![*root];
    while let Some(cid) = due.pop() {
        if marks.has(&cid) && cid.codec() == Codec::Raw {
            continue;
        }
        if !session.hold(&cid)? {
            return Err(StoreError::NoRoot { cid });
        }
        if marks.meet(&cid) {
            let block = store.get(&cid)?.ok_or(StoreError::NoRoot { cid })?;
            let links = links_of(cid.codec(), &block);
            due.extend(links.map_err(|_| StoreError::Damaged { cid, path: None })?);
        }
    }
    Ok(())
}
