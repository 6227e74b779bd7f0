//! Locked identity files: changed so that a crash leaves one that opens, and which of them is in force.
//!
//! | file | what it is |
//! |---|---|
//! | `ID.identity` | the member's identity |
//! | `ID.next` | keys that are to succeed, written before the ledger has them |
//! | `ID.former` | the file before the last succession, until the former keys are forgotten |

use crate::files::{parent, read_bounded, sync_folder, write_private};
use crate::ledger::Ledger;
use crate::people::{IDENTITIES, IdentityError};
use crate::succeed::SuccessionError;
use medledger_core::engine::SubmitError;
use medledger_core::identity::{
    self, FormerKeysError, Identity, KeyConsent, LockError, LockParams, LockedInfo, peek,
};
use medledger_core::ids::{ChainId, MemberId};
use medledger_core::registry::limit;
use medledger_core::store::StoreError;
use std::io::ErrorKind::NotFound;
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

/// Why an identity file was not changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum IdentityFileError {
    /// The identity was not unlocked.
    #[error(transparent)]
    Unlock(#[from] IdentityError),
    /// The identity could not be locked.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The identity holds all the former keys it can.
    #[error(transparent)]
    FormerKeys(#[from] FormerKeysError),
    /// There is a file already, which may hold keys that are needed.
    #[error("{0} is there already, and is left as it is: it may hold keys that are needed")]
    Exists(PathBuf),
    /// Keys that the ledger does not name, or that are suspended, would lock their member out.
    #[error("the file holds other keys of member {0} than those in force")]
    NotInForce(MemberId),
    /// The file could not be written.
    #[error("identity file {path}: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        source: std::io::Error,
    },
    /// The store failed; nothing was changed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// The member's identity file.
pub(crate) fn path_of(folder: &Path, member: &MemberId) -> PathBuf {
    folder.join(IDENTITIES).join(format!("{member}.identity"))
}

fn locked(
    identity: &Identity,
    password: &str,
    params: &LockParams,
    path: &Path,
) -> Result<(), IdentityFileError> {
    let bytes = identity::lock(identity, password, params, &mut crate::system::os_rng())?;
    write_private(path, &bytes)
        .map_err(|source| IdentityFileError::Io { path: path.to_path_buf(), source })
}

/// Writes the file anew; a crash leaves the old one or the new one.
pub(crate) fn replace(
    folder: &Path,
    identity: &Identity,
    password: &str,
    params: &LockParams,
) -> Result<(), IdentityFileError> {
    locked(identity, password, params, &path_of(folder, &identity.id()))
}

/// Writes keys that are to succeed beside the present ones.
fn save_next(
    folder: &Path,
    next: &Identity,
    password: &str,
    params: &LockParams,
) -> Result<(), IdentityFileError> {
    locked(next, password, params, &path_of(folder, &next.id()).with_extension("next"))
}

/// Removes keys that are not to succeed after all.
fn forget_next(folder: &Path, member: &MemberId) {
    // Best effort: keys that no ledger names open nothing, and the next try writes over them.
    let _ = std::fs::remove_file(path_of(folder, member).with_extension("next"));
}

/// Puts the next keys into the place of the present ones, which stay as the former.
pub(crate) fn promote(folder: &Path, member: &MemberId) -> Result<(), IdentityFileError> {
    let path = path_of(folder, member);
    let rename = |from: &Path, to: &Path| match std::fs::rename(from, to) {
        Err(error) if error.kind() != NotFound => Err(error),
        _ => Ok(()),
    };
    rename(&path, &path.with_extension("former"))
        .and_then(|()| rename(&path.with_extension("next"), &path))
        .and_then(|()| sync_folder(parent(&path)))
        .map_err(|source| IdentityFileError::Io { path, source })
}

/// Removes the file before the last succession.
pub(crate) fn forget(folder: &Path, member: &MemberId) -> Result<(), IdentityFileError> {
    let path = path_of(folder, member).with_extension("former");
    match std::fs::remove_file(&path) {
        Err(source) if source.kind() != NotFound => Err(IdentityFileError::Io { path, source }),
        _ => Ok(()),
    }
}

/// What became of the files that a succession left beside one that was locked with another password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beside {
    /// There are none.
    None,
    /// They open with the new password only.
    Locked,
    /// One opens with neither password, and stays as it is: it was locked with one of before.
    OtherPassword,
}

impl Beside {
    /// The name that people see.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Locked => "locked",
            Self::OtherPassword => "other-password",
        }
    }
}

/// Names of the files of one member, after the dot.
const ENDINGS: [&str; 3] = ["former", "next", "identity"];

fn read(path: &Path) -> Result<Option<Zeroizing<Vec<u8>>>, IdentityError> {
    match read_bounded(path, limit::LOCKED_IDENTITY_BYTES) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == NotFound => Ok(None),
        Err(source) => Err(IdentityError::Io { path: path.to_path_buf(), source }),
    }
}

impl Ledger {
    /// On the patient's own machine, with a copy of the identity file whose keys are suspended: makes the next keys,
    /// locks them with `new_password` into the file `next`, and gives the consent to them, for the hospital that
    /// registered the patient. No ledger is needed; `present` stays as it is, and so does what `next` may hold.
    ///
    /// The file with the new keys is durable before the consent is returned.
    ///
    /// # Errors
    /// See [`IdentityFileError`].
    pub fn consent_to_new_keys(
        chain: &ChainId,
        present: impl AsRef<Path>,
        password: &str,
        next: impl AsRef<Path>,
        new_password: &str,
        params: &LockParams,
    ) -> Result<(Identity, KeyConsent), IdentityFileError> {
        let (present, next) = (present.as_ref(), next.as_ref());
        let io = |path: &Path, source| IdentityFileError::Io { path: path.to_path_buf(), source };
        let bytes = read_bounded(present, limit::LOCKED_IDENTITY_BYTES)
            .map_err(|source| io(present, source))?;
        let identity = identity::unlock(&bytes, password).map_err(IdentityError::from)?;
        match std::fs::symlink_metadata(next) {
            Ok(_) => return Err(IdentityFileError::Exists(next.to_path_buf())),
            Err(error) if error.kind() != NotFound => return Err(io(next, error)),
            Err(_) => {}
        }
        let (keys, consent) = identity.consent_to_next(chain, &mut crate::system::os_rng())?;
        locked(&keys, new_password, params, next)?;
        Ok((keys, consent))
    }

    /// Puts an identity file that was brought here into this ledger's folder, for its member to act here: after keys
    /// were replaced with a consent, after a succession at another hospital, or of a member registered elsewhere. The file
    /// that is there stays beside it until the former keys are forgotten.
    ///
    /// # Errors
    /// See [`IdentityFileError`]: `NotInForce` for keys that the ledger does not name; nothing is changed then.
    pub fn install_identity(
        &self,
        file: &[u8],
        password: &str,
    ) -> Result<Identity, IdentityFileError> {
        let identity = identity::unlock(file, password).map_err(IdentityError::from)?;
        let member = identity.id();
        if self.authenticate(&identity)?.is_none() {
            return Err(IdentityFileError::NotInForce(member));
        }
        let path = path_of(self.folder(), &member);
        let io = |source| IdentityFileError::Io { path: path.clone(), source };
        let same = |bytes: &[u8]| peek(bytes).is_ok_and(|info| info.public == *identity.public());
        // The same keys under another password are no succession.
        if read(&path)?.is_none_or(|bytes| same(&bytes)) {
            write_private(&path, file).map_err(io)?;
        } else {
            write_private(&path.with_extension("next"), file).map_err(io)?;
            promote(self.folder(), &member)?;
        }
        Ok(identity)
    }

    /// Accepts a succession to keys that are durable beside the present ones before it, and put in their place after it.
    /// Where it is refused they are removed again. Where a store fails they stay, for the ledger may have the record.
    pub(crate) fn accept_next(
        &self,
        next: &Identity,
        password: &str,
        accept: impl FnOnce() -> Result<(), SuccessionError>,
    ) -> Result<(), SuccessionError> {
        let member = next.id();
        let beside = path_of(self.folder(), &member).with_extension("next");
        // What a crash left there may be in force already, and must not be written over.
        if beside.exists() && self.file_in_force(&member).is_ok_and(|(path, _)| path == beside) {
            promote(self.folder(), &member)?;
        }
        save_next(self.folder(), next, password, &self.lock_params)?;
        if let Err(error) = accept() {
            if matches!(
                error,
                SuccessionError::Submit(SubmitError::Refused { .. } | SubmitError::TooLarge { .. })
            ) {
                forget_next(self.folder(), &member);
            }
            return Err(error);
        }
        Ok(promote(self.folder(), &member)?)
    }

    /// The bytes of the member's identity file: of several, of that whose keys the ledger names.
    pub(crate) fn identity_file(
        &self,
        member: &MemberId,
    ) -> Result<Zeroizing<Vec<u8>>, IdentityError> {
        Ok(self.file_in_force(member)?.1)
    }

    fn file_in_force(
        &self,
        member: &MemberId,
    ) -> Result<(PathBuf, Zeroizing<Vec<u8>>), IdentityError> {
        let path = path_of(self.folder(), member);
        let present = read(&path)?;
        let others = ["next", "former"].map(|other| path.with_extension(other));
        if others.iter().any(|path| path.exists()) {
            let named = self.members().ok().and_then(|members| {
                members
                    .into_iter()
                    .find(|found| found.id == *member)
                    .map(|found| found.entry.identity)
            });
            let fits = |bytes: &[u8]| peek(bytes).is_ok_and(|info| Some(info.public) == named);
            if !present.as_ref().is_some_and(|bytes| fits(bytes)) {
                for other in others {
                    if let Some(bytes) = read(&other)?
                        && fits(&bytes)
                    {
                        return Ok((other, bytes));
                    }
                }
            }
        }
        present.map(|bytes| (path, bytes)).ok_or(IdentityError::Missing(*member))
    }

    /// What a member's identity file tells without its password: whose it is, what a guess costs, and how many
    /// former keys it holds.
    ///
    /// # Errors
    /// See [`IdentityError`].
    pub fn identity_info(&self, member: &MemberId) -> Result<LockedInfo, IdentityError> {
        Ok(peek(&self.identity_file(member)?)?)
    }

    /// Locks a member's identity file with another password, and with the parameters of today; and so the files
    /// that a succession left beside it, which hold former keys.
    ///
    /// Each file is replaced whole, the one in force last: a crash leaves each under one of the two passwords, and
    /// doing it again ends it.
    ///
    /// # Errors
    /// See [`IdentityFileError`]; the old file stays until the new one is durable.
    pub fn change_password(
        &self,
        member: &MemberId,
        password: &str,
        new: &str,
    ) -> Result<Beside, IdentityFileError> {
        let identity = self.unlock(member, password)?;
        let (in_force, _) = self.file_in_force(member)?;
        let mut beside = Beside::None;
        for ending in ENDINGS {
            let path = path_of(self.folder(), member).with_extension(ending);
            if path == in_force {
                continue;
            }
            let Some(bytes) = read(&path)? else { continue };
            let of_member = |found: &Identity| found.id() == *member;
            if let Ok(found) = identity::unlock(&bytes, password)
                && of_member(&found)
            {
                locked(&found, new, &self.lock_params, &path)?;
            } else if !identity::unlock(&bytes, new).is_ok_and(|found| of_member(&found)) {
                beside = Beside::OtherPassword;
                continue;
            }
            if beside == Beside::None {
                beside = Beside::Locked;
            }
        }
        locked(&identity, new, &self.lock_params, &in_force)?;
        Ok(beside)
    }

    /// Locks a member's identity file anew if that makes a guess at the password dearer, or the file newer. Tells
    /// whether it did.
    ///
    /// # Errors
    /// See [`IdentityFileError`]; the old file stays until the new one is durable.
    pub fn upgrade_identity(
        &self,
        member: &MemberId,
        password: &str,
    ) -> Result<bool, IdentityFileError> {
        if !self.identity_info(member)?.is_outdated(&self.lock_params) {
            return Ok(false);
        }
        let identity = self.unlock(member, password)?;
        let (in_force, _) = self.file_in_force(member)?;
        locked(&identity, password, &self.lock_params, &in_force)?;
        Ok(true)
    }
}
