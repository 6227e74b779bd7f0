//! Small files written so that a crash leaves the old one, the new one or none, never half of one.

use std::io::{Read, Write};
use std::path::Path;
use zeroize::Zeroizing;

/// Reads a file, but at most `limit` bytes and one more: who decodes them sees that it is too long.
pub(crate) fn read_bounded(path: &Path, limit: usize) -> std::io::Result<Zeroizing<Vec<u8>>> {
    let file = std::fs::File::open(path)?;
    let most = limit as u64 + 1;
    // With room for all of it, so that nothing secret stays behind where a growing vector was.
    let room = file.metadata()?.len().min(most);
    let mut bytes = Zeroizing::new(Vec::with_capacity(usize::try_from(room).unwrap_or(0) + 1));
    file.take(most).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Writes a file that only its owner may read. On failure nothing of it stays.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    std::fs::create_dir_all(folder)?;
    let partial = path.with_extension("partial");
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(&partial)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    // Closed first: some systems neither rename nor remove an open file.
    drop(file);
    if let Err(error) = written.and_then(|()| std::fs::rename(&partial, path)) {
        // Half a file may be a key, and its room may be needed.
        let _ = std::fs::remove_file(&partial);
        return Err(error);
    }
    sync_folder(folder)
}

/// Makes a rename in `folder` durable.
pub(crate) fn sync_folder(folder: &Path) -> std::io::Result<()> {
    // Windows has no way to sync a folder, and orders renames itself.
    if cfg!(unix) { std::fs::File::open(folder)?.sync_all() } else { Ok(()) }
}
