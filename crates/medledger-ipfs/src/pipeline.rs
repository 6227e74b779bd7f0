//! The one pass over a report: plaintext in, sealed leaves out, hashed while they are in the cache.
//!
//! ```text
//! source -> padding -> 16 KiB chunks sealed in place -> 1 MiB leaf -> CID -> session -> root
//! ```
//!
//! Memory is one leaf and the open levels of the tree, whatever the size of the report.

use crate::store::{BlockRead, Session, StoreError};
use crate::unixfs::{Builder, FileReader, Profile};
use medledger_core::Cid;
use medledger_core::dek::Dek;
use medledger_core::padding::{PaddedReader, Padding};
use medledger_core::rand_core::CryptoRng;
use medledger_core::seal::{Backend, Head, ReadAt, Salt, SealError, SealingReader};
use std::io::{self, Read};

/// How a report is sealed and laid out.
#[derive(Debug)]
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

/// Seals `source` under a fresh salt and puts its blocks into `session`, which the caller commits.
/// `progress` is told the bytes of plaintext read so far, after each leaf.
///
/// ```
/// use medledger_core::{dek::Dek, padding::Padding, rand_core::UnwrapErr};
/// use medledger_core::seal::{Backend, UnsealReader};
/// use medledger_ipfs::pipeline::{SealJob, seal_file};
/// use medledger_ipfs::{BlockStore, MemoryStore, unixfs::{FileReader, Profile}};
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
/// let body = seal_file(&job, &mut report, session.as_ref(), &mut rng, &mut |_| {})?;
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
pub fn seal_file(
    job: &SealJob<'_>,
    source: &mut dyn Read,
    session: &dyn Session,
    rng: &mut dyn CryptoRng,
    progress: &mut dyn FnMut(u64),
) -> Result<SealedBody, PipelineError> {
    let padded = PaddedReader::new(source, job.padding);
    let salt = Salt::random(rng);
    let mut sealing = SealingReader::new(job.backend, job.dek, &salt, job.context, padded);
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
    let root = builder.finish(&mut sink)?;
    Ok(SealedBody {
        root: root.cid,
        size: root.size,
        length: sealing.get_ref().true_len(),
        head: *sealing.head(),
    })
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
