//! Whose pins in a node are this ledger's, also when its folder was copied or moved.

use super::StorageSettings;
use crate::settings::Settings;
use medledger_core::Cid;
use medledger_core::cid::Codec;
use medledger_core::rand_core::Rng;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// Under which name a folder keeps its reports in a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keeper {
    /// Eight bytes drawn by chance, in hex: what the names of its pins begin with.
    pub owner: String,
    /// The folder for which it was drawn.
    pub folder: PathBuf,
}

impl Keeper {
    /// One for this folder.
    pub(super) fn draw(folder: &Path, rng: &mut impl Rng) -> Self {
        let mut bytes = [0; 8];
        rng.fill_bytes(&mut bytes);
        Self { owner: hex(&bytes), folder: whole(folder) }
    }

    /// The one of a folder whose settings name this one. A folder that was moved keeps it. A copy, beside which
    /// the original is still there, gets one of its own, always the same: what it lets go of was never the
    /// original's.
    pub(super) fn of(&self, folder: &Path) -> Self {
        let folder = whole(folder);
        if self.folder == folder || !self.original_is_there() {
            return Self { owner: self.owner.clone(), folder };
        }
        let seed = format!("{} {}", self.owner, folder.display());
        let owner = hex(&Cid::of(Codec::Raw, seed.as_bytes()).digest()[..8]);
        Self { owner, folder }
    }

    fn original_is_there(&self) -> bool {
        let settings = Settings::load(&self.folder).map(|settings| settings.storage);
        matches!(settings, Ok(StorageSettings { keeper: Some(keeper), .. }) if keeper.owner == self.owner)
    }
}

/// A path that means the same from everywhere.
fn whole(folder: &Path) -> PathBuf {
    folder.canonicalize().unwrap_or_else(|_| folder.to_path_buf())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(folder: &Path, keeper: &Keeper) {
        let mut settings = Settings::default();
        settings.storage.keeper = Some(keeper.clone());
        settings.save(folder).unwrap();
    }

    #[test]
    fn a_moved_folder_keeps_its_name_and_a_copy_gets_another() {
        let place = tempfile::tempdir().unwrap();
        let (first, second) = (place.path().join("first"), place.path().join("second"));
        std::fs::create_dir(&first).unwrap();
        std::fs::create_dir(&second).unwrap();
        let keeper = Keeper::draw(&first, &mut crate::system::os_rng());
        settings(&first, &keeper);
        settings(&second, &keeper);
        assert_eq!(keeper.of(&first), keeper);
        let copy = keeper.of(&second);
        assert_ne!(copy.owner, keeper.owner);
        assert_eq!((copy.owner.len(), keeper.of(&second)), (16, copy.clone()));
        // Once it says so itself, it stays so.
        settings(&second, &copy);
        assert_eq!(copy.of(&second), copy);
        std::fs::remove_dir_all(&first).unwrap();
        assert_eq!(keeper.of(&second).owner, keeper.owner, "moved");
    }
}
