//! A folder of this machine as IPFS would add it.

use super::builder::{Builder, Root};
use super::directory::{Directory, DirectoryError, MAX_FOLDERS};
use super::profile::Profile;
use medledger_core::Cid;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

/// Which entries of a folder count.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct FolderOptions {
    /// Also entries whose name begins with a dot; `ipfs add -r` leaves them out unless told.
    pub hidden: bool,
}

/// Why a folder cannot be added.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FolderError {
    /// Something cannot be read.
    #[error("{}: {source}", .path.display())]
    Io {
        /// What.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A symbolic link: what it leads to may lie outside, or be changed meanwhile.
    #[error("{} is a symbolic link", .0.display())]
    Link(PathBuf),
    /// Neither file nor folder.
    #[error("{} is neither a file nor a folder", .0.display())]
    Special(PathBuf),
    /// A name that is not Unicode.
    #[error("the name of {} is not Unicode", .0.display())]
    Name(PathBuf),
    /// A folder that cannot be one.
    #[error("{}: {source}", .path.display())]
    Directory {
        /// The folder.
        path: PathBuf,
        /// What is wrong with it.
        source: DirectoryError,
    },
    /// Folders lie too deep in one another.
    #[error("{} lies deeper than {limit} folders", .path.display())]
    TooDeep {
        /// The folder that is one too many.
        path: PathBuf,
        /// Folders allowed.
        limit: usize,
    },
}

/// Adds a folder and all in it, as `ipfs add -r` does with the profile's parameters. Blocks go to the
/// sink, children before parents; the folder's own is the last.
///
/// # Errors
/// See [`FolderError`]; an error of the sink comes back as one of the entry it was about.
pub fn add_folder(
    folder: &Path,
    profile: Profile,
    options: FolderOptions,
    sink: &mut dyn FnMut(&Cid, &[u8]) -> io::Result<()>,
) -> Result<Root, FolderError> {
    add(folder, profile, options, sink, 1)
}

fn add(
    folder: &Path,
    profile: Profile,
    options: FolderOptions,
    sink: &mut dyn FnMut(&Cid, &[u8]) -> io::Result<()>,
    depth: usize,
) -> Result<Root, FolderError> {
    let io = |path: &Path| {
        let path = path.to_path_buf();
        move |source| FolderError::Io { path, source }
    };
    if depth > MAX_FOLDERS {
        return Err(FolderError::TooDeep { path: folder.into(), limit: MAX_FOLDERS });
    }
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(io(folder))? {
        let path = entry.map_err(io(folder))?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.ok_or_else(|| FolderError::Name(path.clone()))?.to_owned();
        if options.hidden || !name.starts_with('.') {
            names.push(name);
        }
    }
    // In an order that no file system decides, so that blocks and errors come alike everywhere.
    names.sort_unstable();
    let mut directory = Directory::new(profile);
    let mut size = 0u64;
    for name in names {
        let path = folder.join(&name);
        let kind = fs::symlink_metadata(&path).map_err(io(&path))?.file_type();
        let root = if kind.is_symlink() {
            return Err(FolderError::Link(path));
        } else if kind.is_dir() {
            add(&path, profile, options, sink, depth + 1)?
        } else if kind.is_file() {
            add_file(&path, profile, sink).map_err(io(&path))?
        } else {
            return Err(FolderError::Special(path));
        };
        size = size.saturating_add(root.size);
        directory
            .insert(&name, root.cid, root.dag_size)
            .map_err(|source| FolderError::Directory { path: folder.into(), source })?;
    }
    let (root, block) = directory.encode();
    sink(&root.cid, &block).map_err(io(folder))?;
    Ok(Root { cid: root.cid, size, dag_size: root.tsize })
}

fn add_file(
    path: &Path,
    profile: Profile,
    sink: &mut dyn FnMut(&Cid, &[u8]) -> io::Result<()>,
) -> io::Result<Root> {
    let mut file = File::open(path)?;
    let mut builder = Builder::new(profile);
    let mut buffer = vec![0; 256 * 1024];
    let mut sink = |cid: &Cid, block: &[u8]| sink(cid, block);
    loop {
        match file.read(&mut buffer) {
            Ok(0) => return builder.finish(&mut sink),
            Ok(n) => builder.write(&buffer[..n], &mut sink)?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cid(folder: &Path, profile: Profile, hidden: bool) -> Result<Root, FolderError> {
        let mut blocks = 0;
        let root = add_folder(folder, profile, FolderOptions { hidden }, &mut |cid, block| {
            blocks += 1;
            assert!(cid.matches(block));
            Ok(())
        });
        assert!(root.is_err() || blocks > 0);
        root
    }

    #[test]
    fn a_folder_has_the_cid_that_ipfs_gives_it() {
        let dir = tempfile::tempdir().unwrap();
        fs::write(dir.path().join("venus.txt"), "Hello Venus!\n").unwrap();
        fs::write(dir.path().join("mars.txt"), "Hello Mars!\n").unwrap();
        let known = "QmWSgS32xQEcXMeqd3YPJLrNBLSdsfYCep2U7CFkyrjXwY";
        let root = cid(dir.path(), Profile::V0_2015, false).unwrap();
        assert_eq!((root.cid.to_string().as_str(), root.size), (known, 25));
        // Hidden entries count only when asked for.
        fs::write(dir.path().join(".hidden"), "x").unwrap();
        assert_eq!(cid(dir.path(), Profile::V0_2015, false).unwrap(), root);
        assert_eq!(cid(dir.path(), Profile::V0_2015, true).unwrap().size, 26);
        fs::create_dir(dir.path().join("in")).unwrap();
        let with_empty = cid(dir.path(), Profile::V0_2015, false).unwrap();
        assert_ne!(with_empty.cid, root.cid);
        assert!(cid(&dir.path().join("absent"), Profile::V0_2015, false).is_err());
    }

    #[cfg(unix)]
    #[test]
    fn links_and_special_files_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        let link = dir.path().join("link");
        std::os::unix::fs::symlink("/etc", &link).unwrap();
        let error = cid(dir.path(), Profile::V1_2025, false).unwrap_err();
        assert!(matches!(error, FolderError::Link(path) if path == link));
        fs::remove_file(&link).unwrap();
        let socket = dir.path().join("socket");
        let _held = std::os::unix::net::UnixListener::bind(&socket).unwrap();
        let error = cid(dir.path(), Profile::V1_2025, false).unwrap_err();
        assert!(matches!(error, FolderError::Special(path) if path == socket));
    }

    #[test]
    fn pitfall_38_folders_in_folders_end() {
        let dir = tempfile::tempdir().unwrap();
        let at = |count| (0..count).fold(dir.path().to_path_buf(), |path, _| path.join("d"));
        fs::create_dir_all(at(MAX_FOLDERS - 1)).unwrap();
        cid(dir.path(), Profile::V1_2025, false).unwrap();
        fs::create_dir(at(MAX_FOLDERS)).unwrap();
        let error = cid(dir.path(), Profile::V1_2025, false).unwrap_err();
        assert!(matches!(error, FolderError::TooDeep { limit: MAX_FOLDERS, .. }));
    }
}
