//! What a second store is owed, in a file that survives crashes.

use crate::store::{Reason, StoreError, files::durable::write_private_synced};
use medledger_core::Cid;
use std::collections::BTreeSet;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// The longest file that is read: some hundred thousand debts.
const MAX_BYTES: u64 = 32 << 20;

/// One thing to make up for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Debt {
    /// A root to take away one reason from.
    Release(Cid, Reason),
    /// A root to keep, with all below it, for the reasons that the first store knows.
    Copy(Cid),
}

impl Debt {
    pub(super) fn copy(&self) -> Option<Cid> {
        match self {
            Self::Copy(root) => Some(*root),
            Self::Release(..) => None,
        }
    }
}

impl fmt::Display for Debt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Copy(root) => write!(f, "copy {root}"),
            Self::Release(root, reason) => write!(f, "release {root} {reason}"),
        }
    }
}

impl FromStr for Debt {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let debt = match text.split_once(' ').ok_or(())? {
            ("copy", root) => Self::Copy(root.parse().map_err(drop)?),
            ("release", rest) => {
                let (root, reason) = rest.split_once(' ').ok_or(())?;
                Self::Release(root.parse().map_err(drop)?, reason.parse().map_err(drop)?)
            }
            _ => return Err(()),
        };
        // One spelling for each.
        if debt.to_string() == text { Ok(debt) } else { Err(()) }
    }
}

/// What a line of a debt that was made up for begins with.
const SETTLED: &str = "settled ";
/// Lines beyond those of what is owed, after which the file is written anew.
const SPARE: usize = 1024;

/// The file: a line for each debt, and one for each that was made up for. Lines are added at the end, and synced; now
/// and then it is written anew, without what cancels out. There is none when nothing is owed. Half a line at the end
/// is of a change that a crash cut, and did not happen.
#[derive(Debug)]
pub(super) struct Owed {
    path: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    debts: BTreeSet<Debt>,
    /// Lines in the file; none where it has to be written anew.
    lines: Option<usize>,
}

impl Owed {
    pub(super) fn open(path: PathBuf) -> Result<Self, StoreError> {
        let mut text = String::new();
        let corrupt = |reason: String| StoreError::Corrupt { path: path.clone(), reason };
        match File::open(&path) {
            Ok(file) => file.take(MAX_BYTES + 1).read_to_string(&mut text),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(e) => Err(e),
        }
        .map_err(|e| match e.kind() {
            io::ErrorKind::InvalidData => corrupt("it is no text".into()),
            _ => StoreError::at(&path, e),
        })?;
        if text.len() as u64 > MAX_BYTES {
            return Err(corrupt(format!("more than {MAX_BYTES} bytes")));
        }
        let whole = text.rfind('\n').map_or(0, |end| end + 1);
        let mut state = State::default();
        for (at, line) in text[..whole].lines().enumerate() {
            let malformed = || corrupt(format!("line {} is no debt", at + 1));
            match line.strip_prefix(SETTLED) {
                Some(settled) => {
                    state.debts.remove(&settled.parse().map_err(|()| malformed())?);
                }
                None => {
                    state.debts.insert(line.parse().map_err(|()| malformed())?);
                }
            }
            state.lines = Some(at + 1);
        }
        if whole < text.len() {
            state.lines = None;
        }
        Ok(Self { path, state: Mutex::new(state) })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // It is changed as a whole, after the file.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn len(&self) -> usize {
        self.state().debts.len()
    }

    pub(super) fn all(&self) -> Vec<Debt> {
        self.state().debts.iter().cloned().collect()
    }

    /// Notes debts, durably. To keep a root is the end of any debt to let it go, and the other way round
    /// the copy comes after: what is kept at that time is what is copied.
    pub(super) fn add(&self, new: &[Debt]) -> Result<(), StoreError> {
        self.change(new, "", |debts, debt| debts.insert(debt.clone()))
    }

    /// Strikes debts out.
    pub(super) fn settle(&self, settled: &[Debt]) -> Result<(), StoreError> {
        self.change(settled, SETTLED, |debts, debt| debts.remove(debt))
    }

    fn change(
        &self,
        changes: &[Debt],
        mark: &str,
        change: impl Fn(&mut BTreeSet<Debt>, &Debt) -> bool,
    ) -> Result<(), StoreError> {
        let mut state = self.state();
        let mut added = (String::new(), 0);
        let mut changed = Vec::new();
        for debt in changes {
            if change(&mut state.debts, debt) {
                added = (format!("{}{mark}{debt}\n", added.0), added.1 + 1);
                changed.push(debt.clone());
            }
        }
        if changed.is_empty() {
            return Ok(());
        }
        let written = self.write(&mut state, &added.0, added.1);
        if written.is_err() {
            // What of it is in the file is not known.
            state.lines = None;
            for debt in &changed {
                if mark.is_empty() {
                    state.debts.remove(debt);
                } else {
                    state.debts.insert(debt.clone());
                }
            }
        }
        written
    }

    fn write(&self, state: &mut State, added: &str, count: usize) -> Result<(), StoreError> {
        let failed = |e| StoreError::at(&self.path, e);
        if state.debts.is_empty() {
            // Should it come back after a loss of power, it is made up for once more.
            state.lines = None;
            return match fs::remove_file(&self.path) {
                Err(e) if e.kind() != io::ErrorKind::NotFound => Err(failed(e)),
                _ => Ok(()),
            };
        }
        match state.lines {
            Some(lines) if lines + count <= 2 * state.debts.len() + SPARE => {
                let mut file = File::options().append(true).open(&self.path).map_err(failed)?;
                file.write_all(added.as_bytes()).and_then(|()| file.sync_data()).map_err(failed)?;
                state.lines = Some(lines + count);
            }
            _ => {
                let text: String = state.debts.iter().map(|debt| format!("{debt}\n")).collect();
                let tmp = self.path.with_extension("tmp");
                write_private_synced(&tmp, text.as_bytes(), &self.path)?;
                state.lines = Some(state.debts.len());
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use medledger_core::cid::Codec;

    #[test]
    fn debts_survive_in_the_file_until_they_are_settled() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("owed");
        let cid = |n: u8| Cid::of(Codec::Raw, &[n]);
        let debts = [Debt::Copy(cid(1)), Debt::Release(cid(1), Reason::Untold), Debt::Copy(cid(2))];
        let owed = Owed::open(path.clone()).unwrap();
        assert!(owed.all().is_empty() && !path.exists());
        owed.add(&debts).unwrap();
        owed.add(&debts[..1]).unwrap();
        let again = Owed::open(path.clone()).unwrap();
        assert_eq!((again.len(), again.all()), (3, owed.all()));
        assert!(matches!(again.all()[0], Debt::Release(..)), "letting go comes first");
        again.settle(&debts[1..]).unwrap();
        assert_eq!(Owed::open(path.clone()).unwrap().all(), debts[..1]);
        again.settle(&debts).unwrap();
        assert!(!path.exists());
    }

    /// Whatever is added and struck out, in whatever order, and wherever a crash cuts the last line: what is read
    /// is what was there before the change or after it.
    #[test]
    fn lines_are_added_and_a_cut_one_did_not_happen() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("owed");
        let debt = |n: u32| Debt::Copy(Cid::of(Codec::Raw, &n.to_be_bytes()));
        let owed = Owed::open(path.clone()).unwrap();
        owed.add(&[debt(0), debt(1)]).unwrap();
        let before = fs::read(&path).unwrap();
        owed.settle(&[debt(0)]).unwrap();
        let after = fs::read(&path).unwrap();
        assert!(after.starts_with(&before) && after.len() > before.len(), "added at the end");
        for end in before.len()..after.len() {
            fs::write(&path, &after[..end]).unwrap();
            let cut = Owed::open(path.clone()).unwrap();
            assert_eq!(cut.len(), 2, "{end}");
            cut.add(&[debt(2)]).unwrap();
            assert_eq!(Owed::open(path.clone()).unwrap().len(), 3, "{end}");
        }
        // It does not grow for ever.
        fs::write(&path, &after).unwrap();
        let owed = Owed::open(path.clone()).unwrap();
        for n in 2..3000 {
            owed.add(&[debt(n)]).unwrap();
            owed.settle(&[debt(n)]).unwrap();
        }
        let lines = fs::read_to_string(&path).unwrap().lines().count();
        assert!(lines <= SPARE + 4, "{lines}");
        assert_eq!(Owed::open(path).unwrap().all(), [debt(1)]);
    }

    #[test]
    fn a_file_that_holds_something_else_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("owed");
        let cid = Cid::of(Codec::Raw, b"");
        for text in ["nonsense\n", "copy x\n", &format!("copy {cid}\nrelease {cid} reasons\n")] {
            fs::write(&path, text).unwrap();
            match Owed::open(path.clone()) {
                Err(StoreError::Corrupt { path: named, .. }) => assert_eq!(named, path),
                other => panic!("{other:?}"),
            }
        }
    }
}
