//! The one pass over a report: plaintext in, sealed leaves out, hashed while they are in the cache.
//!
//! ```text
//! source -> padding -> 16 KiB chunks -> several leaves in a buffer -> sealed and hashed stripe by stripe
//!        -> blocks -> session;   CIDs, in order -> tree -> root
//! ```
//!
//! A buffer holds as many leaves as the SHA-256 kernel has lanes. Each of its stripes, 16 KiB of every leaf,
//! is sealed and then hashed in all lanes at once. Several workers do this at the same time, on later parts of the
//! same report or on other reports; a worker that is alone seals each chunk where it just read it. Memory is a few buffers, 48 MiB at most, and the open levels of the
//! trees, whatever the size of the reports.

mod batch;

use crate::in_order::in_order;
use crate::processor::Processor;
use crate::store::{BlockRead, Session, StoreError};
use crate::unixfs::{Builder, FileReader, Leaves, Profile};
use batch::{Batch, Done, Feed};
use medledger_core::Cid;
use medledger_core::dek::Dek;
use medledger_core::padding::{PaddedReader, Padding};
use medledger_core::rand_core::CryptoRng;
use medledger_core::seal::{Backend, Head, ReadAt, Salt, SealError, SealingReader};
use std::io::{self, Read};

/// How a report is sealed and laid out.
#[derive(Clone, Copy, Debug)]
pub struct SealJob<'a> {
    /// Which AES-GCM; no result depends on it.
    pub backend: Backend,
    /// The key.
    pub dek: &'a Dek,
    /// What the ciphertext is bound to.
    pub context: &'a [u8],
    /// Whether the exact size is hidden.
    pub padding: Padding,
    /// How the ciphertext is cut into blocks.
    pub profile: Profile,
}

/// A report that was sealed and stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SealedBody {
    /// Root of the ciphertext.
    pub root: Cid,
    /// Bytes of ciphertext.
    pub size: u64,
    /// Bytes of plaintext, padding not counted.
    pub length: u64,
    /// First 56 bytes of the ciphertext.
    pub head: Head,
}

/// Why a report was not sealed and stored.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PipelineError {
    /// The source could not be read.
    #[error("the report could not be read: {0}")]
    Source(io::Error),
    /// The report cannot be sealed.
    #[error(transparent)]
    Seal(SealError),
    /// The blocks could not be stored.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<SealError> for PipelineError {
    fn from(error: SealError) -> Self {
        match error {
            SealError::Io(error) => Self::Source(error),
            other => Self::Seal(other),
        }
    }
}

/// One report of several that are sealed together.
pub struct SealItem<'a> {
    /// How.
    pub job: SealJob<'a>,
    /// Its plaintext.
    pub source: &'a mut (dyn Read + Send),
}

impl std::fmt::Debug for SealItem<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SealItem").field("job", &self.job).finish_non_exhaustive()
    }
}

/// Seals `source` under a fresh salt and puts its blocks into `session`, which the caller commits.
/// `progress` is told, leaf by leaf, the bytes of plaintext sealed and put so far.
///
/// ```
/// use medledger_core::{dek::Dek, padding::Padding, rand_core::UnwrapErr};
/// use medledger_core::seal::{Backend, UnsealReader};
/// use medledger_ipfs::pipeline::{SealJob, seal_file};
/// use medledger_ipfs::{BlockStore, MemoryStore, Processor, unixfs::{FileReader, Profile}};
/// let mut rng = UnwrapErr(getrandom::SysRng);
/// let dek = Dek::generate(&mut rng);
/// let job = SealJob {
///     backend: Backend::best(),
///     dek: &dek,
///     context: b"context",
///     padding: Padding::Padme,
///     profile: Profile::default(),
/// };
/// let store = MemoryStore::new();
/// let session = store.begin()?;
/// let mut report = &b"a report"[..];
/// let body =
///     seal_file(&job, &mut report, &*session, &Processor::default(), &mut rng, &mut |_| {})?;
/// session.commit(&body.root)?;
///
/// let file = FileReader::open(&store, body.root, Some(body.size))?;
/// let mut reader = UnsealReader::new(job.backend, &dek, job.context, file)?;
/// assert_eq!(reader.read_range(0, 8)?, b"a report");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// See [`PipelineError`]; blocks already put are left to the store's collection.
///
/// # Panics
/// When this machine has not got the processor's kernel.
pub fn seal_file(
    job: &SealJob<'_>,
    source: &mut (dyn Read + Send),
    session: &dyn Session,
    processor: &Processor<'_>,
    rng: &mut dyn CryptoRng,
    progress: &mut (dyn FnMut(u64) + Send),
) -> Result<SealedBody, PipelineError> {
    if job.profile.leaves() != Leaves::Raw {
        return seal_wrapped(job, source, session, rng, progress);
    }
    let item = SealItem { job: *job, source };
    let mut progress = |_, bytes| progress(bytes);
    let mut bodies = seal_files(vec![item], session, processor, rng, &mut progress)?;
    bodies.pop().expect("as many bodies as reports")
}

/// Seals several reports, each under a fresh salt of its own, and puts their blocks into `session`, which the
/// caller commits. Small reports fill the lanes together. `progress` is told which report, by its place,
/// and the bytes of its plaintext sealed and put so far.
///
/// The bodies are in the order of the reports. A report that cannot be read or sealed does not keep the others
/// from being so; blocks of it that were put before are left to the store's collection.
///
/// # Errors
/// When the store fails; the session cannot be committed then.
///
/// # Panics
/// When a profile wraps its leaves: reports are laid out with raw ones. When this machine has not got the
/// processor's kernel.
pub fn seal_files(
    items: Vec<SealItem<'_>>,
    session: &dyn Session,
    processor: &Processor<'_>,
    rng: &mut dyn CryptoRng,
    progress: &mut (dyn FnMut(usize, u64) + Send),
) -> Result<Vec<Result<SealedBody, PipelineError>>, StoreError> {
    let raw = items.iter().all(|item| item.job.profile.leaves() == Leaves::Raw);
    assert!(raw, "reports are laid out with raw leaves");
    let chunk = items.iter().map(|item| item.job.profile.chunk()).max().unwrap_or(1);
    let lanes = processor.kernel.lanes();
    let mut builders: Vec<_> = items.iter().map(|item| Builder::new(item.job.profile)).collect();
    let mut feed = Feed::new(items, processor, rng);
    let mut sink = |cid: &Cid, block: &[u8]| session.put(cid, block);
    in_order(
        processor.workers,
        lanes * chunk,
        |buffer| Ok(feed.next(buffer)),
        |batch: Batch, buffer| batch.run(processor.kernel, buffer, session),
        |leaves: Vec<Done>| {
            for Done { item, cid, len, plain } in leaves {
                builders[item].push_hashed_leaf(cid, len, &mut sink)?;
                progress(item, plain);
            }
            Ok(())
        },
    )?;
    let ends = feed.into_ends().into_iter().zip(builders);
    ends.map(|(end, builder)| match end {
        Err(error) => Ok(Err(error.into())),
        Ok(end) => {
            let root = builder.finish(&mut sink)?;
            let (size, length) = (root.size, end.length);
            Ok(Ok(SealedBody { root: root.cid, size, length, head: end.head }))
        }
    })
    .collect()
}

/// Seals with leaves that wrap their bytes, one after the other.
fn seal_wrapped(
    job: &SealJob<'_>,
    source: &mut dyn Read,
    session: &dyn Session,
    rng: &mut dyn CryptoRng,
    progress: &mut dyn FnMut(u64),
) -> Result<SealedBody, PipelineError> {
    let mut sealing = job.reader(source, rng);
    let mut builder = Builder::new(job.profile);
    let mut sink = |cid: &Cid, block: &[u8]| session.put(cid, block);
    let mut leaf = vec![0; job.profile.chunk()];
    loop {
        let filled = sealing.fill(&mut leaf)?;
        builder.push_leaf(&leaf[..filled], &mut sink)?;
        progress(sealing.get_ref().true_len());
        if filled < leaf.len() {
            break;
        }
    }
    let (length, head) = (sealing.get_ref().true_len(), *sealing.head());
    let root = builder.finish(&mut sink)?;
    Ok(SealedBody { root: root.cid, size: root.size, length, head })
}

impl SealJob<'_> {
    /// Padded and sealed under a fresh salt.
    fn reader<R: Read>(
        &self,
        source: R,
        rng: &mut dyn CryptoRng,
    ) -> SealingReader<PaddedReader<R>> {
        let padded = PaddedReader::new(source, self.padding);
        SealingReader::new(self.backend, self.dek, &Salt::random(rng), self.context, padded)
    }
}

/// Sealed bytes are read straight from blocks, each verified against its CID.
impl<S: BlockRead> ReadAt for FileReader<S> {
    fn size(&self) -> u64 {
        Self::size(self)
    }

    fn read_at(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let read = Self::read_at(self, offset, buf)?;
        if read == buf.len() { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}
