//! What was asked of whom, and the bytes that say so.

use super::BackendName;
use medledger_core::{Cid, clock::Timestamp};
use std::str::FromStr;

/// The most back ends that may keep one root.
pub const MAX_BACKENDS: usize = 64;
/// The longest record in bytes: all back ends, with the longest names and numbers, and then some.
pub const MAX_RECORD_BYTES: usize = 16 * 1024;

/// Who was asked to keep one root. Where it is stored is up to the caller; without it no one can tell
/// a back end that forgot from one that was never asked.
///
/// ```
/// use medledger_core::{Cid, cid::Codec, clock::Timestamp};
/// use medledger_ipfs::replication::Record;
/// let mut record = Record::new(Cid::of(Codec::Raw, b"sealed"));
/// record.ask("partner".parse()?, Timestamp::from_secs(7));
/// assert_eq!(Record::decode(record.encode().as_bytes())?, record);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    root: Cid,
    asked: Vec<Asked>,
}

/// One back end that was asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Asked {
    /// The back end.
    pub backend: BackendName,
    /// When it was asked for the last time.
    pub at: Timestamp,
    /// What it confirmed. Nothing from before it forgot and was asked again.
    pub confirmed: Option<Confirmed>,
    /// How often it had forgotten what it confirmed, and was asked again.
    pub forgot: u32,
}

/// That a back end had replicas.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Confirmed {
    /// When it was checked for the last time with this outcome or a better one.
    pub at: Timestamp,
    /// Replicas; at least 1.
    pub replicas: u32,
}

/// Bytes that are no record.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// More bytes than any record has.
    #[error("a record of replicas has at most {limit} bytes, found {found}")]
    TooLong {
        /// Bytes found.
        found: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// More back ends than one root may have.
    #[error("a root has at most {limit} back ends, found {found}")]
    TooMany {
        /// Back ends found.
        found: usize,
        /// Back ends allowed.
        limit: usize,
    },
    /// The first line is not the CID of the root.
    #[error("the first line is not a CID")]
    Root,
    /// A line that tells of no back end.
    #[error("line {line} is not a back end, its times and numbers")]
    Line {
        /// Which line, from 1.
        line: usize,
    },
    /// The same could be written otherwise: order, repetitions, spaces, zeros, a missing end of line.
    #[error("not written as records are written")]
    NotCanonical,
}

impl Record {
    /// Nobody was asked yet.
    #[must_use]
    pub const fn new(root: Cid) -> Self {
        Self { root, asked: Vec::new() }
    }

    /// The root.
    #[must_use]
    pub const fn root(&self) -> &Cid {
        &self.root
    }

    /// Who was asked, sorted by name, each once.
    #[must_use]
    pub fn asked(&self) -> &[Asked] {
        &self.asked
    }

    /// What is known of one back end.
    #[must_use]
    pub fn of(&self, backend: &BackendName) -> Option<&Asked> {
        self.find(backend).ok().map(|at| &self.asked[at])
    }

    /// Writes down that a back end is asked now, for the first time or again, and says whether there was room.
    pub fn ask(&mut self, backend: BackendName, at: Timestamp) -> bool {
        match self.find(&backend) {
            Ok(known) => self.asked[known].at = at,
            Err(_) if self.asked.len() >= MAX_BACKENDS => return false,
            Err(place) => {
                self.asked.insert(place, Asked { backend, at, confirmed: None, forgot: 0 });
            }
        }
        true
    }

    /// Takes a back end out and says whether it was in.
    pub fn forget(&mut self, backend: &BackendName) -> bool {
        self.find(backend).map(|at| drop(self.asked.remove(at))).is_ok()
    }

    pub(super) fn of_mut(&mut self, backend: &BackendName) -> Option<&mut Asked> {
        self.find(backend).ok().map(|at| &mut self.asked[at])
    }

    fn find(&self, backend: &BackendName) -> Result<usize, usize> {
        self.asked.binary_search_by(|asked| asked.backend.cmp(backend))
    }

    /// The content of its file: the CID, then a line for each back end: its name, when it was asked, when it
    /// last confirmed how many replicas (`- 0` if never), and how often it forgot.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut text = format!("{}\n", self.root);
        for Asked { backend, at, confirmed, forgot } in &self.asked {
            let confirmed = match confirmed {
                Some(Confirmed { at, replicas }) => format!("{at} {replicas}"),
                None => "- 0".to_owned(),
            };
            text.push_str(&format!("{backend} {at} {confirmed} {forgot}\n"));
        }
        text
    }

    /// Reads a record's file.
    ///
    /// # Errors
    /// When the bytes are no record.
    pub fn decode(bytes: &[u8]) -> Result<Self, RecordError> {
        if bytes.len() > MAX_RECORD_BYTES {
            return Err(RecordError::TooLong { found: bytes.len(), limit: MAX_RECORD_BYTES });
        }
        let text = std::str::from_utf8(bytes).map_err(|_| RecordError::NotCanonical)?;
        let mut lines = text.split_terminator('\n');
        let root = lines.next().and_then(|line| line.parse().ok()).ok_or(RecordError::Root)?;
        let asked: Vec<Asked> = lines
            .enumerate()
            .map(|(at, line)| parse_line(line).ok_or(RecordError::Line { line: at + 2 }))
            .collect::<Result<_, _>>()?;
        if asked.len() > MAX_BACKENDS {
            return Err(RecordError::TooMany { found: asked.len(), limit: MAX_BACKENDS });
        }
        let record = Self { root, asked };
        let sorted = record.asked.windows(2).all(|two| two[0].backend < two[1].backend);
        if sorted && record.encode() == text { Ok(record) } else { Err(RecordError::NotCanonical) }
    }
}

fn parse_line(line: &str) -> Option<Asked> {
    let words: Vec<&str> = line.split(' ').collect();
    let [backend, at, confirmed, replicas, forgot] = words[..] else { return None };
    let replicas: u32 = number(replicas)?;
    let confirmed = match confirmed {
        "-" => (replicas == 0).then_some(None)?,
        at => (replicas > 0).then_some(Some(Confirmed { at: time(at)?, replicas }))?,
    };
    let backend = backend.parse().ok()?;
    Some(Asked { backend, at: time(at)?, confirmed, forgot: number(forgot)? })
}

fn time(text: &str) -> Option<Timestamp> {
    number(text).map(Timestamp::from_secs)
}

fn number<T: FromStr>(text: &str) -> Option<T> {
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use medledger_core::cid::Codec;
    use proptest::prelude::*;

    fn root() -> Cid {
        Cid::of(Codec::DagCbor, b"root")
    }

    fn full() -> Record {
        let at = Timestamp::from_secs;
        let mut record = Record::new(root());
        assert!(record.ask("partner".parse().unwrap(), at(7)));
        assert!(record.ask("own".parse().unwrap(), at(5)));
        assert!(record.ask("own".parse().unwrap(), at(6)));
        let own = record.of_mut(&"own".parse().unwrap()).unwrap();
        own.confirmed = Some(Confirmed { at: at(9), replicas: 3 });
        own.forgot = 2;
        record
    }

    #[test]
    fn a_record_is_a_line_for_the_root_and_one_for_each_back_end() {
        let expected = format!("{}\nown 6 9 3 2\npartner 7 - 0 0\n", root());
        assert_eq!(full().encode(), expected);
        assert_eq!(Record::decode(expected.as_bytes()), Ok(full()));
        let mut record = full();
        assert!(record.forget(&"own".parse().unwrap()) && !record.forget(&"own".parse().unwrap()));
        assert_eq!(record.asked().len(), 1);
    }

    #[test]
    fn only_one_spelling_is_read() {
        let line = |line: &str| Record::decode(format!("{}\n{line}", root()).as_bytes());
        for good in ["", "a 1 - 0 0\n", "a 1 2 3 4\nb 1 - 0 0\n", "a 0 0 1 0\n"] {
            assert!(line(good).is_ok(), "{good}");
        }
        for wrong in
            ["a 1 - 0\n", "a 1 - 1 0\n", "a 1 2 0 0\n", "A 1 - 0 0\n", "a -1 - 0 0\n", "\n"]
        {
            assert_eq!(line(wrong), Err(RecordError::Line { line: 2 }), "{wrong}");
        }
        for other in [
            "a 1 - 0 0",
            "a 01 - 0 0\n",
            "a +1 - 0 0\n",
            "b 1 - 0 0\na 1 - 0 0\n",
            "a 1 - 0 0\na 1 - 0 0\n",
        ] {
            assert_eq!(line(other), Err(RecordError::NotCanonical), "{other}");
        }
        assert_eq!(Record::decode(b""), Err(RecordError::Root));
        assert_eq!(Record::decode(b"\xff"), Err(RecordError::NotCanonical));
    }

    #[test]
    fn records_are_bounded() {
        let found = MAX_RECORD_BYTES + 1;
        let error = RecordError::TooLong { found, limit: MAX_RECORD_BYTES };
        assert_eq!(Record::decode(&vec![b'a'; found]), Err(error));
        let mut record = Record::new(root());
        for i in 0..MAX_BACKENDS {
            let name = format!("{i:02}{}", "x".repeat(62)).parse().unwrap();
            assert!(record.ask(name, Timestamp::from_secs(u64::MAX)));
        }
        for asked in &mut record.asked {
            let at = Timestamp::from_secs(u64::MAX);
            asked.confirmed = Some(Confirmed { at, replicas: u32::MAX });
            asked.forgot = u32::MAX;
        }
        assert!(!record.ask("z".parse().unwrap(), Timestamp::from_secs(1)));
        assert_eq!(Record::decode(record.encode().as_bytes()), Ok(record.clone()));
        let more = record.encode() + "z 1 - 0 0\n";
        let error = RecordError::TooMany { found: MAX_BACKENDS + 1, limit: MAX_BACKENDS };
        assert_eq!(Record::decode(more.as_bytes()), Err(error));
    }

    proptest! {
        #[test]
        fn what_is_read_is_written_the_same(bytes in "[a-c]{1,2} [0-9]{1,3} ([0-9]{1,3}|-) [0-9]{1,2} [0-9]{1,2}\n") {
            let text = format!("{}\n{bytes}", root());
            if let Ok(record) = Record::decode(text.as_bytes()) {
                prop_assert_eq!(record.encode(), text);
            }
        }
    }
}
