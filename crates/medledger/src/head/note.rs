//! The text in which a head is noted, and with it what this hospital has bound itself to by its votes.

use data_encoding::HEXLOWER;
use medledger_core::chain::Rules;
use medledger_core::cid::Cid;
use medledger_core::finality::{self, ballots};
use medledger_core::ids::BlockId;
use medledger_core::registry::limit;
use medledger_core::store::{StoreError, StoredBlock, View};
use medledger_core::vote::{Ballot, Certificate, Pledge, Target};
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::str::FromStr;

/// Name of the file in a ledger's folder.
pub(crate) const FILE: &str = "head";

/// Bytes of the file at least, padded: each note overwrites the last one in a single write.
const LEN: usize = 512;

/// Bytes of the file at most.
const MAX_LEN: u64 = 2 * limit::VOTER_STATE_BYTES as u64;

const FIRST: &str = "medledger head v2";

/// As it was written before votes were noted too.
const FIRST_V1: &str = "medledger head v1";

/// Stands for no votes, for no lock, and for no certificate.
const NONE: &str = "-";

/// The last line; what may follow was left of a longer note.
const END: &str = "end";

/// A block that was the newest one here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// Its height.
    pub height: u64,
    /// Its id.
    pub id: BlockId,
    /// Its node.
    pub node: Cid,
}

impl Head {
    pub(super) fn of(block: &StoredBlock) -> Self {
        Self { height: block.height, id: block.id, node: block.node }
    }

    /// Whether a ledger knows this block: on its chain, or beside it, or given up for a final one.
    pub(crate) fn is_known(&self, view: &dyn View, rules: &Rules) -> Result<bool, StoreError> {
        if view.block(self.height)?.is_some_and(|block| block.id == self.id) {
            return Ok(true);
        }
        if medledger_core::fork::is_kept(view, &self.node)? {
            return Ok(true);
        }
        // Alone, a hospital makes its own block final: that is the second history itself.
        Ok(!finality::alone(view, rules)? && self.height < finality::final_size(view, rules)?)
    }
}

/// What is noted outside of the database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Note {
    pub(crate) head: Head,
    /// What this hospital has bound itself to by its votes; `None` if it never voted.
    pub(crate) pledge: Option<Pledge>,
}

impl Note {
    /// What there is to note of a store; `None` where it has no block.
    pub(crate) fn of(view: &dyn View) -> Result<Option<Self>, StoreError> {
        let Some(tip) = view.tip()? else { return Ok(None) };
        Ok(Some(Self { head: Head::of(&tip), pledge: ballots::pledge(view)? }))
    }

    pub(super) fn to_text(&self) -> Vec<u8> {
        let Head { height, id, node } = self.head;
        let (mut votes, mut shown) = (NONE.to_owned(), NONE.to_owned());
        if let Some(pledge) = &self.pledge {
            let lock = pledge.lock.map_or_else(
                || NONE.to_owned(),
                |Ballot { round, target }| format!("{round} {} {}", target.height, target.block),
            );
            let base = pledge.base;
            votes = format!("{} {} {} {lock}", base.height, base.block, pledge.voted);
            if let Some(certificate) = &pledge.shown {
                shown = HEXLOWER.encode(&certificate.encode());
            }
        }
        let mut text =
            format!("{FIRST}\n{height} {id} {node}\n{votes}\n{shown}\n{END}\n").into_bytes();
        if text.len() < LEN {
            text.resize(LEN - 1, b' ');
            text.push(b'\n');
        }
        text
    }

    fn from_text(text: &str) -> Option<Self> {
        let mut lines = text.lines();
        let first = lines.next()?;
        let mut words = Words(lines.next()?.split(' '));
        let head = Head { height: words.next()?, id: words.next()?, node: words.next()? };
        words.end()?;
        let pledge = match first {
            FIRST => {
                let pledge = Self::pledge_from(lines.next()?)?;
                // A power cut may have left half of it. Then it is as if it were not there.
                let shown = lines.next().and_then(|line| HEXLOWER.decode(line.as_bytes()).ok());
                let shown = shown.and_then(|bytes| Certificate::decode(&bytes).ok());
                pledge.map(|pledge| Pledge { shown, ..pledge })
            }
            FIRST_V1 if lines.all(|line| line.trim().is_empty()) => None,
            _ => return None,
        };
        Some(Self { head, pledge })
    }

    /// The pledge in a line, or that there is none; `None` if the line says neither.
    fn pledge_from(line: &str) -> Option<Option<Pledge>> {
        if line == NONE {
            return Some(None);
        }
        let mut words = Words(line.split(' '));
        let base = Target { height: words.next()?, block: words.next()? };
        let voted = words.next()?;
        let lock = match words.0.clone().next()? {
            NONE => words.0.next().map(|_| None)?,
            _ => Some(Ballot {
                round: words.next()?,
                target: Target { height: words.next()?, block: words.next()? },
            }),
        };
        words.end()?;
        Some(Some(Pledge { base, voted, lock, shown: None }))
    }
}

/// The words of a line, one after another.
struct Words<'a>(std::str::Split<'a, char>);

impl Words<'_> {
    fn next<T: FromStr>(&mut self) -> Option<T> {
        self.0.next()?.parse().ok()
    }

    /// `None` if there are more.
    fn end(mut self) -> Option<()> {
        self.0.next().is_none().then_some(())
    }
}

/// Reads what is noted in a file; `None` when there is none, or a power cut left an empty one.
pub(crate) fn read(path: &Path) -> Result<Option<Note>, StoreError> {
    let doing = || format!("reading {}", path.display());
    let mut text = Vec::new();
    match File::open(path) {
        Ok(file) => file.take(MAX_LEN).read_to_end(&mut text).map_err(io(doing()))?,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(io(doing())(error)),
    };
    if text.iter().all(|byte| *byte == 0) {
        return Ok(None);
    }
    let note = std::str::from_utf8(&text).ok().and_then(Note::from_text);
    let damaged = || StoreError::Damaged(format!("{} holds no head of a chain", path.display()));
    note.map(Some).ok_or_else(damaged)
}

/// Writes a note into a file that may not be there yet, and makes it last.
pub(crate) fn write(path: &Path, note: &Note) -> Result<(), StoreError> {
    let doing = format!("writing {}", path.display());
    crate::files::write_private(path, &note.to_text()).map_err(io(doing))
}

pub(super) fn io(doing: String) -> impl FnOnce(std::io::Error) -> StoreError {
    move |source| match source.kind() {
        std::io::ErrorKind::StorageFull => StoreError::NoSpace(doing),
        _ => StoreError::Io { doing, source: source.into() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use medledger_core::ids::{ChainId, MemberId};
    use medledger_core::keys::SigningKey;
    use medledger_core::vote::{Phase, Vote};

    fn of(text: &str) -> Option<Note> {
        let mut bytes = [b' '; LEN];
        bytes[..text.len()].copy_from_slice(text.as_bytes());
        Note::from_text(std::str::from_utf8(&bytes).unwrap())
    }

    /// Three prevotes.
    fn certificate() -> Certificate {
        let chain = ChainId::from_bytes([9; 32]);
        let ballot = Ballot::from((4, 2, BlockId::from_bytes([3; 32])));
        let vote = |by: u8| {
            let (voter, phase) = (MemberId::from_bytes([by; 16]), Phase::Prevote { source: None });
            let set = BlockId::from_bytes([9; 32]);
            Vote { chain, set, voter, phase, ballot }.sign(&SigningKey::from_seed(&[by; 32]))
        };
        Certificate::new((1..=3).map(vote).collect()).unwrap()
    }

    #[test]
    fn a_note_is_read_back_and_one_without_votes_of_the_version_before() {
        let block = |number: u8| BlockId::from_bytes([number; 32]);
        let node = Cid::of(medledger_core::cid::Codec::DagCbor, b"block");
        let head = Head { height: u64::MAX, id: block(1), node };
        let at = |number: u8| Target { height: u64::MAX, block: block(number) };
        let lock = Some(Ballot { round: u64::MAX, target: at(3) });
        let shown = certificate();
        let pledge = |lock, shown| Some(Pledge { base: at(2), voted: u64::MAX, lock, shown });
        let longest = Note { head, pledge: pledge(lock, Some(shown.clone())) }.to_text();
        for pledge in [None, pledge(None, None), pledge(lock, None), pledge(lock, Some(shown))] {
            let note = Note { head, pledge };
            let text = note.to_text();
            assert!(text.len() >= LEN);
            assert_eq!(Note::from_text(std::str::from_utf8(&text).unwrap()), Some(note.clone()));
            // Over a longer one.
            let mut over = longest.clone();
            over[..text.len()].copy_from_slice(&text);
            assert_eq!(Note::from_text(std::str::from_utf8(&over).unwrap()), Some(note.clone()));
            // Cut short in its last part.
            let cut = Note::from_text(std::str::from_utf8(&text[..LEN]).unwrap()).unwrap();
            let without = |pledge: Pledge| Pledge { shown: None, ..pledge };
            assert_eq!(cut.pledge, note.pledge.map(without));
        }
        let (line, id) = (format!("{} {} {}", head.height, head.id, head.node), block(2));
        let old = of(&format!("medledger head v1\n{line}\n"));
        assert_eq!(old, Some(Note { head, pledge: None }));
        for wrong in [
            format!("medledger head v3\n{line}\n-\n"),
            format!("medledger head v2\n{line}\n"),
            format!("medledger head v1\n{line}\n-\n"),
            format!("medledger head v2\n{line} 1\n-\n"),
            format!("medledger head v2\n{line}\n- -\n"),
            format!("medledger head v2\n{line}\n0 {id} 1\n"),
            format!("medledger head v2\n{line}\n0 {id} 1 - 1\n"),
            format!("medledger head v2\n{line}\n0 {id} 1 1 {id}\n"),
            format!("medledger head v2\n{line}\n0 {id} 1 1 1 {id} 1\n"),
            format!("medledger head v2\n{line}\n0 {id} -1 -\n"),
        ] {
            assert_eq!(of(&wrong), None, "{wrong}");
        }
    }
}
