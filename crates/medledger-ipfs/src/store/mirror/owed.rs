//! What a second store is owed, in a file that survives crashes.

use crate::store::{Reason, StoreError, files::durable::write_synced};
use medledger_core::Cid;
use std::collections::BTreeSet;
use std::fmt;
use std::fs::{self, File};
use std::io::{self, Read};
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

/// The file: a line for each debt, in order. There is none when nothing is owed.
#[derive(Debug)]
pub(super) struct Owed {
    path: PathBuf,
    debts: Mutex<BTreeSet<Debt>>,
}

impl Owed {
    pub(super) fn open(path: PathBuf) -> Result<Self, StoreError> {
        let mut text = String::new();
        match File::open(&path) {
            Ok(file) => file.take(MAX_BYTES + 1).read_to_string(&mut text),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(0),
            Err(e) => Err(e),
        }
        .map_err(|e| StoreError::at(&path, e))?;
        let corrupt = |reason: String| StoreError::Corrupt { path: path.clone(), reason };
        if text.len() as u64 > MAX_BYTES {
            return Err(corrupt(format!("more than {MAX_BYTES} bytes")));
        }
        let mut debts = BTreeSet::new();
        for (at, line) in text.lines().enumerate() {
            let debt = line.parse().map_err(|()| corrupt(format!("line {} is no debt", at + 1)))?;
            debts.insert(debt);
        }
        Ok(Self { path, debts: Mutex::new(debts) })
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    fn debts(&self) -> MutexGuard<'_, BTreeSet<Debt>> {
        // It is changed as a whole, after the file.
        self.debts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn len(&self) -> usize {
        self.debts().len()
    }

    pub(super) fn all(&self) -> Vec<Debt> {
        self.debts().iter().cloned().collect()
    }

    /// Notes debts, durably. To keep a root is the end of any debt to let it go, and the other way round
    /// the copy comes after: what is kept at that time is what is copied.
    pub(super) fn add(&self, new: &[Debt]) -> Result<(), StoreError> {
        self.change(|debts| debts.extend(new.iter().cloned()))
    }

    /// Strikes debts out.
    pub(super) fn settle(&self, settled: &[Debt]) -> Result<(), StoreError> {
        self.change(|debts| {
            for debt in settled {
                debts.remove(debt);
            }
        })
    }

    fn change(&self, change: impl FnOnce(&mut BTreeSet<Debt>)) -> Result<(), StoreError> {
        let mut debts = self.debts();
        let mut changed = debts.clone();
        change(&mut changed);
        if changed == *debts {
            return Ok(());
        }
        if changed.is_empty() {
            // Should it come back after a loss of power, it is made up for once more.
            fs::remove_file(&self.path).map_err(|e| StoreError::at(&self.path, e))?;
        } else {
            let text: String = changed.iter().map(|debt| format!("{debt}\n")).collect();
            let tmp = self.path.with_extension("tmp");
            write_synced(&tmp, text.as_bytes(), &self.path)?;
        }
        *debts = changed;
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
