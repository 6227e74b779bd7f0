//! C2SP tlog-proof: a leaf's place in a log and the checkpoint above it, as text.

use super::note::{NoteError, SignedNote};
use crate::ids::TreeHash;
use crate::registry::limit::RECEIPT_BYTES;
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use std::fmt;

/// A [tlog-proof]: which leaf, its path to the root of a checkpoint, and the signed checkpoint.
///
/// The leaf itself is not in it; how it is computed is a matter of the application, which may put what
/// it needs for that into the opaque `extra`. Reading is bounded, and reading and writing again gives the
/// same bytes. Nothing is verified by reading.
///
/// ```
/// use medledger_core::checkpoint::TlogProof;
/// let text = "c2sp.org/tlog-proof@v1\nindex 0\n\nexample.com/log\n1\n\
///     CsUYapGGPo4dkMgIAUqom/Xajj7h2fB2MPA3j2jxq2I=\n\n\u{2014} example.com/log AAAAAAAA\n";
/// let proof = TlogProof::from_bytes(text.as_bytes())?;
/// assert_eq!((proof.index, proof.path.len()), (0, 0));
/// assert_eq!(proof.to_string(), text);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// [tlog-proof]: https://c2sp.org/tlog-proof
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlogProof {
    /// Opaque, and not authenticated by anything in the proof.
    pub extra: Option<Vec<u8>>,
    /// Which leaf of the log, from 0.
    pub index: u64,
    /// Sibling hashes from the leaf up.
    pub path: Vec<TreeHash>,
    /// The signed checkpoint.
    pub checkpoint: SignedNote,
}

/// Bytes that are no tlog-proof.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TlogProofError {
    /// More bytes than a receipt may have.
    #[error("a proof of {found} bytes, but at most {limit} are allowed")]
    TooLong {
        /// Bytes found.
        found: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// The first line is another one.
    #[error("the first line of a proof is {}", TlogProof::FIRST_LINE)]
    FirstLine,
    /// The extra data are no base64.
    #[error("the extra data of a proof are not base64")]
    Extra,
    /// There is no index, or not in its one form.
    #[error("a proof has a line `index` with a decimal number without leading zeros")]
    Index,
    /// A line of the path is no hash.
    #[error("hash {at} of the path is not the base64 of 32 bytes")]
    Hash {
        /// Which, from 0.
        at: usize,
    },
    /// More hashes than the path of any log has.
    #[error("a path of more than {limit} hashes")]
    TooManyHashes {
        /// Hashes allowed.
        limit: usize,
    },
    /// No empty line between path and checkpoint.
    #[error("an empty line stands between the path and the checkpoint; there is none")]
    NoCheckpoint,
    /// The checkpoint is no signed note.
    #[error(transparent)]
    Note(#[from] NoteError),
}

/// Levels that a tree of 64-bit size can have above its leaves.
const MOST_HASHES: usize = 64;

impl TlogProof {
    /// What every proof of this version begins with.
    pub const FIRST_LINE: &str = "c2sp.org/tlog-proof@v1";

    /// Whether the bytes say they are a proof of this version.
    #[must_use]
    pub fn is_one(bytes: &[u8]) -> bool {
        bytes.strip_prefix(Self::FIRST_LINE.as_bytes()).is_some_and(|rest| rest.starts_with(b"\n"))
    }

    /// Reads a proof, strictly: one form for each line, nothing beside it.
    ///
    /// # Errors
    /// See [`TlogProofError`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, TlogProofError> {
        if bytes.len() > RECEIPT_BYTES {
            return Err(TlogProofError::TooLong { found: bytes.len(), limit: RECEIPT_BYTES });
        }
        if !Self::is_one(bytes) {
            return Err(TlogProofError::FirstLine);
        }
        let mut rest = &bytes[Self::FIRST_LINE.len() + 1..];
        let mut line = take_line(&mut rest).ok_or(TlogProofError::Index)?;
        let mut extra = None;
        if let Some(data) = line.strip_prefix(b"extra ") {
            extra = Some(STANDARD.decode(data).map_err(|_| TlogProofError::Extra)?);
            line = take_line(&mut rest).ok_or(TlogProofError::Index)?;
        }
        let index = line
            .strip_prefix(b"index ")
            .and_then(|digits| std::str::from_utf8(digits).ok())
            .and_then(|digits| digits.parse().ok().filter(|n: &u64| n.to_string() == digits))
            .ok_or(TlogProofError::Index)?;
        let mut path = Vec::new();
        loop {
            match take_line(&mut rest).ok_or(TlogProofError::NoCheckpoint)? {
                b"" => break,
                _ if path.len() == MOST_HASHES => {
                    return Err(TlogProofError::TooManyHashes { limit: MOST_HASHES });
                }
                line => {
                    let hash = STANDARD.decode(line).ok();
                    let hash = hash.and_then(|bytes| TreeHash::try_from(bytes.as_slice()).ok());
                    path.push(hash.ok_or(TlogProofError::Hash { at: path.len() })?);
                }
            }
        }
        Ok(Self { extra, index, path, checkpoint: SignedNote::from_bytes(rest)? })
    }
}

impl fmt::Display for TlogProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", Self::FIRST_LINE)?;
        if let Some(extra) = &self.extra {
            writeln!(f, "extra {}", STANDARD.encode(extra))?;
        }
        writeln!(f, "index {}", self.index)?;
        for hash in &self.path {
            writeln!(f, "{}", STANDARD.encode(hash.as_bytes()))?;
        }
        write!(f, "\n{}", self.checkpoint)
    }
}

/// The bytes up to the next newline, which goes with them; `None` when there is no newline.
fn take_line<'a>(rest: &mut &'a [u8]) -> Option<&'a [u8]> {
    let end = rest.iter().position(|byte| *byte == b'\n')?;
    let (line, tail) = rest.split_at(end);
    *rest = &tail[1..];
    Some(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOTE: &str = "example.com/fancylog\n109482\nsFodV/vSp5O8n9a8QpW6PRY97tfOSW5bsc2Xl/EQi08=\n\n\
        \u{2014} example.com/fancylog Uw2QOkn8srV1\n";

    /// The example of the specification, with one signature instead of those it only hints at.
    fn example() -> String {
        format!(
            "c2sp.org/tlog-proof@v1\nextra YWdlLXYxLjIuMS1kYXJ3aW4tYXJtNjQudGFyLmd6kYXJ3aW4tYXJ\nindex 73894\n\
             gSKyXoYZUgZ6jduWYrkDOARinOMGJveXjgMkBTcdPlQ=\n\
             B95lDa8R83lS8n0eG+o0buTxRKQTYFi//1U8anccXmA=\n\
             EKNzoDWG8LGC0Yp9o+sv3qllpMP9uHQ9B20KNL+Q1zs=\n\
             RoopEkOdqkYqMB4MJXrbt/hMjOxsVn0IrWjpz1ZMMes=\n\
             AHCioX9nLjsrse6YhjRRmk1WUEirVOLLRoOQ6vfO5vk=\n\n{NOTE}"
        )
    }

    #[test]
    fn the_example_of_the_specification_is_read_and_written_alike() {
        let proof = TlogProof::from_bytes(example().as_bytes()).unwrap();
        let extra = proof.extra.as_deref().unwrap();
        assert!(extra.starts_with(b"age-v1.2.1-darwin-arm64.tar.gz"), "{extra:?}");
        assert_eq!((proof.index, proof.path.len()), (73894, 5));
        assert_eq!(proof.checkpoint.to_string(), NOTE);
        assert_eq!(proof.to_string(), example());
        let plain: String =
            example().split_inclusive('\n').enumerate().filter(|l| l.0 != 1).map(|l| l.1).collect();
        assert_eq!(TlogProof::from_bytes(plain.as_bytes()).unwrap().extra, None);
    }

    /// The refusals that the reader of transparency-dev/merkle is tested with
    /// (`proof/tlog_proof_test.go`), and more.
    #[test]
    fn what_breaks_a_rule_is_refused_by_name() {
        let first = TlogProof::FIRST_LINE;
        let long = STANDARD.encode([0; 64]);
        let hash = STANDARD.encode([0; 32]);
        let many = format!("{hash}\n").repeat(65);
        for (text, expected) in [
            (String::new(), TlogProofError::FirstLine),
            ("wrong-header\nindex 0\n\ncheckpoint\n".into(), TlogProofError::FirstLine),
            ("c2sp.org/tlog-proof@v2\nindex 0\n\n".into(), TlogProofError::FirstLine),
            (format!("{first}\r\nindex 0\r\n\r\n{NOTE}"), TlogProofError::FirstLine),
            (format!("{first}\nextra !!notbase64!!\nindex 0\n\n{NOTE}"), TlogProofError::Extra),
            (format!("{first}\nextra YQ\nindex 0\n\n{NOTE}"), TlogProofError::Extra),
            (format!("{first}\nextra YR==\nindex 0\n\n{NOTE}"), TlogProofError::Extra),
            (format!("{first}\nextra YQ==\nextra YQ==\nindex 0\n\n{NOTE}"), TlogProofError::Index),
            (format!("{first}\n\n\n{NOTE}"), TlogProofError::Index),
            (format!("{first}\n"), TlogProofError::Index),
            (format!("{first}\nindex notanumber\n\n{NOTE}"), TlogProofError::Index),
            (format!("{first}\nindex -5\n\n{NOTE}"), TlogProofError::Index),
            (format!("{first}\nindex +5\n\n{NOTE}"), TlogProofError::Index),
            (format!("{first}\nindex 05\n\n{NOTE}"), TlogProofError::Index),
            (format!("{first}\nindex 5 \n\n{NOTE}"), TlogProofError::Index),
            (format!("{first}\nindex 18446744073709551616\n\n{NOTE}"), TlogProofError::Index),
            (format!("{first}\nindex 0\nextra YQ==\n\n{NOTE}"), TlogProofError::Hash { at: 0 }),
            (format!("{first}\nindex 0\n!!notbase64!!\n\n{NOTE}"), TlogProofError::Hash { at: 0 }),
            (format!("{first}\nindex 0\n{hash}\n{long}\n\n{NOTE}"), TlogProofError::Hash { at: 1 }),
            (format!("{first}\nindex 0\n{hash} \n\n{NOTE}"), TlogProofError::Hash { at: 0 }),
            (
                format!("{first}\nindex 0\n{many}\n{NOTE}"),
                TlogProofError::TooManyHashes { limit: 64 },
            ),
            (format!("{first}\nindex 0\n{hash}\n"), TlogProofError::NoCheckpoint),
            (format!("{first}\nindex 0\n{hash}"), TlogProofError::NoCheckpoint),
            (format!("{first}\nindex 0\n\n\n"), NoteError::Unsigned.into()),
            (format!("{first}\nindex 0\n\nexample.com\n"), NoteError::Unsigned.into()),
        ] {
            assert_eq!(TlogProof::from_bytes(text.as_bytes()), Err(expected), "{text:?}");
        }
        let longest = vec![b'\n'; RECEIPT_BYTES + 1];
        assert!(matches!(TlogProof::from_bytes(&longest), Err(TlogProofError::TooLong { .. })));
    }

    proptest! {
        #[test]
        fn a_changed_byte_is_refused_or_read_as_something_else(
            at in any::<proptest::sample::Index>(), byte in any::<u8>(),
        ) {
            let good = example().into_bytes();
            let mut bytes = good.clone();
            let at = at.index(bytes.len());
            bytes[at] = byte;
            if let Ok(proof) = TlogProof::from_bytes(&bytes) {
                prop_assert_eq!(proof.to_string().into_bytes(), bytes.clone());
                let same = proof == TlogProof::from_bytes(&good).unwrap();
                prop_assert_eq!(same, bytes == good);
            }
        }
    }
}
