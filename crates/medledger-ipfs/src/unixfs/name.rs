//! The CID of a file, without keeping its blocks.

use super::{Builder, Profile, Root, leaves::hash_leaves, node::Child};
use crate::{in_order::in_order, processor::Processor};
use medledger_core::Cid;
use std::{convert::Infallible, io};

/// Bytes that a worker takes at a time, at least, however small the chunks are.
const PIECE: usize = 1 << 20;

/// The CID of everything a reader gives, without keeping a block.
///
/// # Errors
/// Those of the reader.
///
/// ```
/// use medledger_ipfs::unixfs::{Profile, cid_of};
/// let root = cid_of(&b"hello world"[..], Profile::V0_2015)?;
/// assert_eq!(root.cid.to_string(), "Qmf412jQZiuVUtdgnB36FXFX7xg5V6KEbSJ4dpQuhkLyfD");
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn cid_of(reader: impl io::Read + Send, profile: Profile) -> io::Result<Root> {
    cid_of_with(reader, profile, &Processor::default())
}

/// As [`cid_of`], on several threads or with a SHA-256 kernel of choice.
///
/// # Errors
/// Those of the reader.
pub fn cid_of_with(
    mut reader: impl io::Read + Send,
    profile: Profile,
    processor: &Processor<'_>,
) -> io::Result<Root> {
    let chunk = profile.chunk();
    let lanes = processor.kernel.lanes();
    let group = chunk * lanes;
    let mut sink = |_: &Cid, _: &[u8]| Ok::<(), Infallible>(());
    let mut builder = Builder::with_kernel(profile, processor.kernel);
    let mut ended = false;
    in_order(
        processor.workers,
        group * (PIECE / group).max(1),
        |buffer| {
            if ended {
                return Ok(None);
            }
            let filled = read_full(&mut reader, buffer)?;
            ended = filled < buffer.len();
            Ok((filled > 0).then_some(filled))
        },
        |filled, buffer| {
            let groups = buffer[..filled].chunks(group);
            let hash = |group: &[u8]| {
                hash_leaves(processor.kernel, &profile, &group.chunks(chunk).collect::<Vec<_>>())
            };
            Ok::<Vec<Child>, io::Error>(groups.flat_map(hash).collect())
        },
        |children| {
            for child in children {
                let len = child.size as usize;
                let Ok(()) = builder.push_hashed_leaf(child.cid, len, &mut sink);
            }
            Ok(())
        },
    )?;
    let Ok(root) = builder.finish(&mut sink);
    Ok(root)
}

/// Reads until the buffer is full or the reader ends.
fn read_full(reader: &mut impl io::Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < buffer.len() {
        match reader.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(n) => filled += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(filled)
}
