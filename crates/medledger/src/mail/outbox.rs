//! Letters as `.eml` files in a folder: for demonstration and development.

use super::{Letter, LetterId, Notifier, NotifyError, message};
use std::path::PathBuf;

/// Writes each letter to a file of its own that any mail program opens.
#[derive(Debug)]
pub struct Outbox {
    folder: PathBuf,
    from: String,
}

impl Outbox {
    /// Letters go to `folder`, which is made when the first one is written.
    #[must_use]
    pub fn new(folder: PathBuf, from: String) -> Self {
        Self { folder, from }
    }
}

impl Notifier for Outbox {
    fn send(&self, id: &LetterId, letter: &Letter) -> Result<(), NotifyError> {
        let bytes = zeroize::Zeroizing::new(message(&self.from, id, letter)?.formatted());
        // Sent again after a crash, a letter overwrites its own file.
        let path = self.folder.join(format!("{id}.eml"));
        crate::files::write_private(&path, &bytes)
            .map_err(|source| NotifyError::Outbox { path, source })
    }
}
