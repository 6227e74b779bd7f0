//! From one place to another: everything is copied and verified before anything else changes.

use super::{BLOCKS, Keeper, OWED, StorageError, StorageSettings};
use crate::ledger::Ledger;
use crate::settings::Settings;
use medledger_ipfs::FileStore;
use medledger_ipfs::fsck::verify_dag;
use medledger_ipfs::store::{BlockRead, BlockStore, CaughtUp, Keep, Pin, Reason, copy_pins};
use std::path::Path;

/// Roots that are copied in one session.
const TOGETHER: usize = 64;

/// How a switch is done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct SwitchOptions {
    /// Whether the old place gives its space back once everything is in the new one: blocks are removed from the
    /// folder, and pins of this ledger from the node. Otherwise they stay and are not used.
    pub free: bool,
    /// Whether the new node is the old one under another address. Nothing is copied then, and the old address is not
    /// asked; that everything is there is verified all the same.
    pub moved: bool,
}

/// What a switch did.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Switched {
    /// Roots that were copied.
    pub copied: u64,
    /// Blocks that were copied.
    pub blocks: u64,
    /// Their bytes.
    pub bytes: u64,
    /// Roots whose every block was read back from the new place and hashed.
    pub verified: u64,
    /// Whether the old place still holds what is not used there any more.
    pub left_over: bool,
}

impl Ledger {
    /// Moves all ciphertext to where new settings say, reads every block back from there, and only then writes
    /// the settings. The ledger has to be opened again, so it is consumed. Interrupted, nothing has changed but
    /// that the new place may hold a part already.
    ///
    /// `progress` is told the roots verified so far, and how many there are.
    ///
    /// # Errors
    /// See [`StorageError`]; but for [`StorageError::Free`], the ledger stays where it was.
    pub fn switch_storage(
        self,
        to: StorageSettings,
        options: SwitchOptions,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<Switched, StorageError> {
        if !self.can_write() {
            return Err(StorageError::ReadOnly);
        }
        let from = self.settings().storage.clone();
        let mut to = self.completed(&from, to)?;
        let mut switched = Switched::default();
        if options.moved {
            self.verify_moved(&to, &mut switched, progress)?;
            self.save_storage(&to)?;
            return Ok(switched);
        }
        let pins = self.own_pins()?;
        if to.mode.in_folder() && !from.mode.in_folder() {
            let files = FileStore::open(self.folder().join(BLOCKS))?;
            switched.take(self.blocks(), &pins, &files)?;
            verify(&files, &pins, &mut switched, progress)?;
        }
        let knew = match to.mode.in_node() {
            true => self.fill_node(&to, &pins, &mut switched, progress)?,
            false => false,
        };
        // Of a ledger that left a node before and let everything lie there, too.
        let in_old_node = from.mode.in_node() || from.keeper.is_some();
        let node_unused = in_old_node && !(to.mode.in_node() && same_node(&from, &to, knew));
        let folder_unused = from.mode.in_folder() && !to.mode.in_folder();
        self.save_storage(&to)?;
        if options.free {
            if node_unused {
                release_from_node(self.folder(), &from)?;
                if !to.mode.in_node() {
                    // Nothing is left there to be remembered.
                    (to.kubo, to.keeper) = (super::KuboSettings::default(), None);
                    self.save_storage(&to)?;
                }
            }
            self.free_folder(folder_unused)?;
        } else {
            switched.left_over = node_unused || folder_unused;
        }
        Ok(switched)
    }

    /// What is said with what is known: who keeps, and who else is asked. Without a node, the one that may still
    /// hold something is remembered.
    fn completed(
        &self,
        from: &StorageSettings,
        to: StorageSettings,
    ) -> Result<StorageSettings, StorageError> {
        let folder = self.folder();
        let known = from.keeper.as_ref().map(|keeper| keeper.of(folder));
        let keeper = match known {
            None if to.mode.in_node() => Some(Keeper::draw(folder, &mut self.rng())),
            known => known,
        };
        let kubo = if to.mode.in_node() { to.kubo } else { from.kubo.clone() };
        // As they are in the file: they may have changed since it was opened.
        let storage = Settings::load(folder)?.storage;
        Ok(StorageSettings { mode: to.mode, kubo, keeper, ..storage })
    }

    /// Writes the settings. What a node was owed was made up for, or the node is no longer asked.
    fn save_storage(&self, to: &StorageSettings) -> Result<(), StorageError> {
        let mut settings = Settings::load(self.folder())?;
        settings.storage = to.clone();
        settings.save(self.folder())?;
        if let Err(error) = std::fs::remove_file(self.folder().join(OWED))
            && error.kind() != std::io::ErrorKind::NotFound
        {
            tracing::warn!(%error, "a list of what the node was owed stays: making up for it again does no harm");
        }
        Ok(())
    }

    #[cfg(not(feature = "kubo"))]
    fn verify_moved(
        &self,
        _: &StorageSettings,
        _: &mut Switched,
        _: &mut dyn FnMut(u64, u64),
    ) -> Result<(), StorageError> {
        Err(StorageError::NotBuilt)
    }

    /// Every report is where the node says to be now.
    #[cfg(feature = "kubo")]
    fn verify_moved(
        &self,
        to: &StorageSettings,
        switched: &mut Switched,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<(), StorageError> {
        let node = to.kubo.checked(self.folder(), to)?;
        let now = self.now();
        let envelopes = self.envelopes()?.into_iter();
        let pins: Vec<Pin> = envelopes
            .map(|(report, envelope)| Pin::new(envelope, Keep::since(Reason::Report(report), now)))
            .collect();
        verify(&node, &pins, switched, progress)
    }

    #[cfg(not(feature = "kubo"))]
    fn fill_node(
        &self,
        _: &StorageSettings,
        _: &[Pin],
        _: &mut Switched,
        _: &mut dyn FnMut(u64, u64),
    ) -> Result<bool, StorageError> {
        Err(StorageError::NotBuilt)
    }

    /// Gives a node what it lacks and reads everything back; says whether it had something of this ledger already.
    #[cfg(feature = "kubo")]
    fn fill_node(
        &self,
        to: &StorageSettings,
        pins: &[Pin],
        switched: &mut Switched,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<bool, StorageError> {
        let node = to.kubo.checked(self.folder(), to)?;
        // What the node was owed, or has already, shows in what it keeps.
        let there = node.pinned()?;
        let lacks =
            |pin: &&Pin| !there.iter().any(|known| known.root == pin.root && has(known, pin));
        let missing: Vec<Pin> = pins.iter().filter(lacks).cloned().collect();
        switched.take(self.blocks(), &missing, &node)?;
        verify(&node, pins, switched, progress)?;
        Ok(!there.is_empty())
    }

    /// What this ledger keeps, and what it should keep: a report whose pin somebody took away is moved as well, and
    /// missed where it is checked.
    pub(crate) fn own_pins(&self) -> Result<Vec<Pin>, StorageError> {
        let mut pins = self.blocks().pinned()?;
        for (report, envelope) in self.envelopes()? {
            let reason = Reason::Report(report);
            let known = pins.iter().any(|pin| {
                pin.root == envelope && pin.reasons.iter().any(|keep| keep.reason == reason)
            });
            if known || (self.is_follower() && !self.blocks().has(&envelope)?) {
                continue;
            }
            let keep = Keep::since(reason, self.now());
            match pins.iter_mut().find(|pin| pin.root == envelope) {
                Some(pin) => {
                    pin.add(keep);
                }
                None => pins.push(Pin::new(envelope, keep)),
            }
        }
        Ok(pins)
    }

    /// Gives back the space of the folder, where it is no longer used.
    fn free_folder(self, unused: bool) -> Result<(), StorageError> {
        let path = self.folder().join(BLOCKS);
        // With the ledger, the store lets go of its folder.
        drop(self);
        if unused {
            std::fs::remove_dir_all(&path).map_err(|source| StorageError::Free { path, source })?;
        }
        Ok(())
    }
}

#[cfg(not(feature = "kubo"))]
const fn same_node(_: &StorageSettings, _: &StorageSettings, _: bool) -> bool {
    false
}

#[cfg(feature = "kubo")]
fn same_node(from: &StorageSettings, to: &StorageSettings, knew: bool) -> bool {
    to.kubo.is_same_node(&from.kubo, knew)
}

#[cfg(not(feature = "kubo"))]
fn release_from_node(_: &Path, _: &StorageSettings) -> Result<(), StorageError> {
    Err(StorageError::NotBuilt)
}

/// Lets go of everything that this folder keeps in a node, and of nothing else.
#[cfg(feature = "kubo")]
fn release_from_node(folder: &Path, from: &StorageSettings) -> Result<(), StorageError> {
    // It may announce by now: all the more reason to let go.
    from.kubo.unchecked(folder, from)?.release_all()?;
    Ok(())
}

/// Whether a pin has every reason of another.
#[cfg(feature = "kubo")]
fn has(known: &Pin, wanted: &Pin) -> bool {
    wanted.reasons.iter().all(|keep| known.reasons.iter().any(|k| k.reason == keep.reason))
}

impl Switched {
    fn take(
        &mut self,
        from: &dyn BlockStore,
        pins: &[Pin],
        to: &dyn BlockStore,
    ) -> Result<(), StorageError> {
        for some in pins.chunks(TOGETHER) {
            let CaughtUp { copied, blocks, bytes, .. } = copy_pins(from, some, to)?;
            self.copied += copied;
            self.blocks += blocks;
            self.bytes += bytes;
        }
        Ok(())
    }
}

/// Reads every block below the roots back.
fn verify(
    store: &dyn BlockRead,
    pins: &[Pin],
    switched: &mut Switched,
    progress: &mut dyn FnMut(u64, u64),
) -> Result<(), StorageError> {
    for (at, pin) in pins.iter().enumerate() {
        let dag = verify_dag(store, pin.root, u64::MAX)?;
        if !dag.is_complete() {
            let (missing, damaged) = (dag.missing.len(), dag.damaged.len());
            return Err(StorageError::NotWhole { root: pin.root, missing, damaged });
        }
        progress(at as u64 + 1, pins.len() as u64);
    }
    switched.verified = pins.len() as u64;
    Ok(())
}
