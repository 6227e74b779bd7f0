//! Letters as `.eml` files in a folder: for demonstration and development.

use super::{Letter, LetterId, Notifier, NotifyError, message};
use std::io::Write;
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
        let failed = |path: &PathBuf| {
            let path = path.clone();
            move |source| NotifyError::Outbox { path, source }
        };
        std::fs::create_dir_all(&self.folder).map_err(failed(&self.folder))?;
        // Sent again after a crash, a letter overwrites its own file.
        let path = self.folder.join(format!("{id}.eml"));
        let partial = self.folder.join(format!("{id}.partial"));
        let write = || -> std::io::Result<()> {
            let mut options = std::fs::OpenOptions::new();
            options.write(true).create(true).truncate(true);
            #[cfg(unix)]
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
            let mut file = options.open(&partial)?;
            file.write_all(&bytes)?;
            file.sync_all()?;
            std::fs::rename(&partial, &path)
        };
        write().map_err(failed(&path))
    }
}
