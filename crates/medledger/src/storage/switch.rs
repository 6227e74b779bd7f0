//! From one place to another: everything is copied and verified before anything else changes.

use super::{BLOCKS, OWED, StorageError, StorageSettings};
use crate::ledger::Ledger;
use medledger_core::ids::ReportId;
use medledger_ipfs::FileStore;
use medledger_ipfs::fsck::verify_dag;
use medledger_ipfs::store::{BlockRead, BlockStore, CaughtUp, Keep, Pin, Reason, copy_pins};
use std::collections::BTreeSet;

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
        let same_node = from.kubo.address == to.kubo.address;
        if to.mode.in_node() {
            self.fill_node(&to, &pins, &mut switched, progress)?;
        }
        self.save_storage(&to)?;
        let node_unused = from.mode.in_node() && !(to.mode.in_node() && same_node);
        let folder_unused = from.mode.in_folder() && !to.mode.in_folder();
        if options.free {
            self.free(&from, node_unused, folder_unused, &pins)?;
        } else {
            switched.left_over = node_unused || folder_unused;
        }
        Ok(switched)
    }

    /// Writes the settings. What a node was owed was made up for, or the node is no longer asked.
    fn save_storage(&self, to: &StorageSettings) -> Result<(), StorageError> {
        let mut settings = self.settings().clone();
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
        let node = to.kubo.checked()?;
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
    ) -> Result<(), StorageError> {
        Err(StorageError::NotBuilt)
    }

    #[cfg(feature = "kubo")]
    fn fill_node(
        &self,
        to: &StorageSettings,
        pins: &[Pin],
        switched: &mut Switched,
        progress: &mut dyn FnMut(u64, u64),
    ) -> Result<(), StorageError> {
        let node = to.kubo.checked()?;
        // What the node was owed, or has already, shows in what it keeps.
        let there = node.pinned()?;
        let lacks =
            |pin: &&Pin| !there.iter().any(|known| known.root == pin.root && has(known, pin));
        let missing: Vec<Pin> = pins.iter().filter(lacks).cloned().collect();
        switched.take(self.blocks(), &missing, &node)?;
        verify(&node, pins, switched, progress)
    }

    /// What this ledger keeps, and nobody else in the same node.
    fn own_pins(&self) -> Result<Vec<Pin>, StorageError> {
        let envelopes = self.envelopes()?;
        let reports: BTreeSet<ReportId> = envelopes.keys().copied().collect();
        let mut pins = self.blocks().pinned()?;
        if !self.settings().storage.mode.in_folder() {
            for pin in &mut pins {
                pin.reasons.retain(|keep| match &keep.reason {
                    Reason::Report(report) => reports.contains(report),
                    Reason::Head(chain) => *chain == self.chain(),
                    // Who set them is not known.
                    _ => false,
                });
            }
            pins.retain(|pin| !pin.reasons.is_empty());
        }
        // A report whose pin somebody took away is moved as well, or is what keeps everything where it is.
        for (report, envelope) in envelopes {
            let reason = Reason::Report(report);
            let known = pins.iter().any(|pin| {
                pin.root == envelope && pin.reasons.iter().any(|keep| keep.reason == reason)
            });
            if known || (self.is_follower() && !self.blocks().has(&envelope)?) {
                continue;
            }
            pins.push(Pin::new(envelope, Keep::since(reason, self.now())));
        }
        Ok(pins)
    }

    /// Gives back the space of the places that are no longer used.
    fn free(
        self,
        from: &StorageSettings,
        node_unused: bool,
        folder_unused: bool,
        pins: &[Pin],
    ) -> Result<(), StorageError> {
        if node_unused {
            release_from_node(from, pins)?;
        }
        let path = self.folder().join(BLOCKS);
        // With the ledger, the store lets go of its folder.
        drop(self);
        if folder_unused {
            std::fs::remove_dir_all(&path).map_err(|source| StorageError::Free { path, source })?;
        }
        Ok(())
    }
}

#[cfg(not(feature = "kubo"))]
fn release_from_node(_: &StorageSettings, _: &[Pin]) -> Result<(), StorageError> {
    Err(StorageError::NotBuilt)
}

#[cfg(feature = "kubo")]
fn release_from_node(from: &StorageSettings, pins: &[Pin]) -> Result<(), StorageError> {
    // It may announce by now: all the more reason to let go.
    let node = from.kubo.unchecked()?;
    for pin in pins {
        for keep in &pin.reasons {
            node.release(&pin.root, &keep.reason)?;
        }
    }
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
