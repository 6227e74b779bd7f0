//! From a CAR into a store, and from store to store.

use super::{CarReader, DagFault, ImportError, Limits, graph::Graph};
use crate::{
    links::links_of,
    store::{BlockRead, BlockStore, StoreError},
};
use medledger_core::Cid;
use std::io::Read;

/// What an import brought.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Imported {
    /// The roots, now pinned.
    pub roots: Vec<Cid>,
    /// Different blocks that passed, whether or not they were here before.
    pub blocks: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// Streams a CAR into a store and pins its roots, in memory of one block and of what is remembered of
/// the others. Blocks already here are not written again, damaged ones are healed.
///
/// `progress` is told the bytes read so far.
///
/// # Errors
/// When the CAR or the store is at fault. Then no root is pinned that was not before; blocks that came
/// so far are left to collection.
pub fn import<R: Read>(
    mut reader: CarReader<R>,
    store: &(impl BlockStore + ?Sized),
    progress: &mut dyn FnMut(u64),
) -> Result<Imported, ImportError> {
    let mut imported = Imported { roots: reader.roots().to_vec(), ..Imported::default() };
    let session = store.begin()?;
    while let Some((cid, block)) = reader.next_block()? {
        let bytes = block.len() as u64;
        session.put(&cid, block)?;
        if reader.is_new() {
            imported.blocks += 1;
            imported.bytes += bytes;
        }
        progress(reader.position());
    }
    // What a partial CAR does not hold cannot be pinned.
    let Some((first, others)) = imported.roots.split_first() else { return Ok(imported) };
    let pinned = store.pins()?;
    let mut new = Vec::new();
    let committed = session.commit(first).and_then(|()| {
        new.push(*first);
        others.iter().try_for_each(|root| {
            store.begin()?.commit(root)?;
            new.push(*root);
            Ok(())
        })
    });
    if let Err(error) = committed {
        for root in new.iter().filter(|root| !pinned.contains(root)) {
            // The first failure is the one to tell.
            let _ = store.unpin(root);
        }
        return Err(error.into());
    }
    Ok(imported)
}

/// Why blocks were not copied: no root is pinned.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CopyError {
    /// What is to be copied is not whole.
    #[error(transparent)]
    Dag(#[from] DagFault),
    /// A store failed, or holds a damaged block.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Copies everything below a root from one store to another and pins it there.
///
/// # Errors
/// When a block is missing or malformed, a limit is reached, or a store fails; nothing is pinned then.
pub fn copy(
    from: &(impl BlockRead + ?Sized),
    root: &Cid,
    to: &(impl BlockStore + ?Sized),
    limits: Limits,
) -> Result<Imported, CopyError> {
    let session = to.begin()?;
    let imported = copy_all(from, &[*root], limits, |cid, block| session.put(cid, block))?;
    session.commit(root)?;
    Ok(imported)
}

/// Gives everything below the roots away, each block once.
pub(crate) fn copy_all(
    from: &(impl BlockRead + ?Sized),
    roots: &[Cid],
    limits: Limits,
    mut put: impl FnMut(&Cid, &[u8]) -> Result<(), StoreError>,
) -> Result<Imported, CopyError> {
    let mut imported = Imported { roots: roots.to_vec(), ..Imported::default() };
    let mut graph = Graph::new(limits);
    for root in roots {
        let mut due = vec![(*root, 1u32)];
        while let Some((cid, depth)) = due.pop() {
            if graph.number(&cid).is_some() {
                continue;
            }
            if depth > limits.max_depth {
                return Err(DagFault::TooDeep { limit: limits.max_depth }.into());
            }
            let block = from.get(&cid)?.ok_or(DagFault::Missing { cid })?;
            let links =
                links_of(cid.codec(), &block).map_err(|source| DagFault::Links { cid, source })?;
            graph.add(&cid, &links)?;
            put(&cid, &block)?;
            imported.blocks += 1;
            imported.bytes += block.len() as u64;
            due.extend(links.into_iter().rev().map(|link| (link, depth + 1)));
        }
    }
    Ok(imported)
}
