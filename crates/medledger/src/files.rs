//! Small files written so that a crash leaves the old one, the new one or none, never half of one.

use std::io::{Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
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
    let folder = parent(path);
    make_folders(folder)?;
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

/// A path without links and steps back. Of what is not there yet, the folder that is decides; links in the rest there are
/// none.
pub(crate) fn whole(path: &Path) -> std::io::Result<PathBuf> {
    let path = std::path::absolute(path)?;
    let mut rest = Vec::new();
    let mut there = path.as_path();
    loop {
        match there.canonicalize() {
            Ok(mut whole) => {
                for part in rest.into_iter().rev() {
                    if part == std::path::Component::ParentDir {
                        whole.pop();
                    } else {
                        whole.push(part);
                    }
                }
                return Ok(whole);
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let Some(parent) = there.parent() else { return Err(error) };
                rest.extend(there.components().next_back());
                there = parent;
            }
            Err(error) => return Err(error),
        }
    }
}

/// Makes a folder and those it lies in, where they are not there yet, and their names durable: without
/// that, a file synced within them would vanish with them in a power cut.
pub(crate) fn make_folders(folder: &Path) -> std::io::Result<()> {
    let parents = parents_of_missing(folder);
    std::fs::create_dir_all(folder)?;
    parents.iter().try_for_each(|parent| sync_folder(parent))
}

/// The folders that get a new entry when `folder` is made, innermost first.
fn parents_of_missing(folder: &Path) -> Vec<PathBuf> {
    folder
        .ancestors()
        .take_while(|path| !path.as_os_str().is_empty() && !path.exists())
        .map(|path| parent(path).to_path_buf())
        .collect()
}

/// The folder a path lies in; the working folder for a bare name.
pub(crate) fn parent(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes new, renamed and removed entries of `folder` durable.
pub(crate) fn sync_folder(folder: &Path) -> std::io::Result<()> {
    // Windows has no way to sync a folder, and orders renames itself.
    if cfg!(unix) { std::fs::File::open(folder)?.sync_all() } else { Ok(()) }
}

/// A copy of a stream in a file of its own, so that it can be sought in; gone when it is dropped.
pub(crate) struct Spool {
    file: std::fs::File,
    path: PathBuf,
}

impl Spool {
    /// Copies all of `input` into a file in `folder`; the error comes with the file's name.
    pub(crate) fn of(
        mut input: impl Read,
        folder: &Path,
    ) -> Result<Self, (PathBuf, std::io::Error)> {
        let mut random = [0; 8];
        medledger_core::rand_core::Rng::fill_bytes(&mut crate::system::os_rng(), &mut random);
        let name = format!("import-{}.partial", data_encoding::HEXLOWER.encode(&random));
        let path = folder.join(name);
        let mut options = std::fs::OpenOptions::new();
        options.read(true).write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&path).map_err(|error| (path.clone(), error))?;
        let mut spool = Self { file, path };
        std::io::copy(&mut input, &mut spool.file)
            .and_then(|_| spool.file.seek(SeekFrom::Start(0)))
            .map_err(|error| (spool.path.clone(), error))?;
        Ok(spool)
    }
}

impl Read for Spool {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.file.read(buffer)
    }
}

impl Seek for Spool {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.file.seek(to)
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        // Nobody to tell a failure to, and what is left is neither secret nor needed.
        let _ = std::fs::remove_file(&self.path);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_folder_with_a_new_entry_is_synced() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b) = (dir.path().join("a"), dir.path().join("a/b"));
        let file = b.join("file");
        assert_eq!(parents_of_missing(&b), [a.as_path(), dir.path()]);
        write_private(&file, b"one").unwrap();
        assert!(parents_of_missing(&b).is_empty(), "nothing is left to make");
        write_private(&file, b"two").unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), b"two");
        // Relative paths end in the working folder.
        let bare = ["absent-folder", "absent-folder/inner"].map(Path::new);
        assert_eq!(parents_of_missing(bare[0]), [Path::new(".")]);
        assert_eq!(parents_of_missing(bare[1]), [bare[0], Path::new(".")]);
        make_folders(&file).unwrap_err();
    }
}
