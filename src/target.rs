//! A file that a command writes: nothing that is there already is replaced unawares.

use crate::exit::{Failure, Result};
use crate::failures;
use crate::interrupt::Partial;
use clap::Args;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct ForceArg {
    /// Replace the file if there is one
    #[arg(long)]
    pub(crate) force: bool,
}

/// Where a file goes.
#[derive(Debug)]
pub(crate) enum Target {
    /// A file of its own; links are followed already.
    File(PathBuf),
    /// What is there and no file, such as a named pipe or a device: it is written to, never replaced.
    Through(PathBuf),
}

/// Who may read a file that is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Readers {
    Owner,
    /// Whoever may read what this user writes.
    Others,
}

/// A file that is being written: there is the whole of it in the end, or nothing.
#[derive(Debug)]
pub(crate) struct Sink {
    file: File,
    /// Until it is whole, and where it goes.
    partial: Option<(Partial, PathBuf)>,
}

impl Target {
    /// What `path` means, without touching it: to be asked before any work is done for it.
    pub(crate) fn of(path: &Path, force: bool) -> Result<Self> {
        let failed = |error: io::Error| failures::file(path, &error);
        // Where it means standard output, the command has taken it before.
        if path == Path::new("-") {
            let text = "- is standard output, which this command needs for its answer";
            return Err(Failure::usage("output", text).hint("name a file; ./- is one of that name"));
        }
        let there = match std::fs::metadata(path) {
            Ok(there) => there,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if path.symlink_metadata().is_ok() {
                    let text =
                        format!("{} is a link to something that is not there", path.display());
                    return Err(Failure::usage("dead_link", text).hint("name the file itself"));
                }
                check_folder_of(path)?;
                return Ok(Self::File(path.to_owned()));
            }
            Err(error) => return Err(failed(error)),
        };
        if there.is_dir() {
            return Err(failed(io::ErrorKind::IsADirectory.into()));
        }
        // The file behind it would be replaced, and what is written to the descriptor afterwards be lost.
        if there.is_file() && names_a_descriptor(path) {
            let text = format!("{} is an open file of this command", path.display());
            return Err(Failure::usage("output", text)
                .hint("name the file itself; where - is standard output, give that"));
        }
        if !force {
            return Err(Failure::usage("file_exists", format!("{} exists", path.display()))
                .hint("give --force to replace it, or name another file"));
        }
        if there.is_file() {
            let path = path.canonicalize().map_err(failed)?;
            // It is replaced by a new one.
            check_folder_of(&path)?;
            return Ok(Self::File(path));
        }
        Ok(Self::Through(path.to_owned()))
    }

    /// Refuses a file in a ledger's folder: it would lie among those the ledger is made of, or be one of them.
    pub(crate) fn outside(self, ledger: &Path) -> Result<Self> {
        let failed = |error: io::Error| failures::file(self.path(), &error);
        let folder = match self.path().parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder,
            _ => Path::new("."),
        };
        let folder = folder.canonicalize().map_err(failed)?;
        if ledger.canonicalize().is_ok_and(|ledger| folder.starts_with(ledger)) {
            let text =
                format!("{} is in the ledger's folder {}", self.path().display(), ledger.display());
            return Err(Failure::usage("within", text).hint("name a file elsewhere"));
        }
        Ok(self)
    }

    fn path(&self) -> &Path {
        let (Self::File(path) | Self::Through(path)) = self;
        path
    }

    /// A failure to write it.
    pub(crate) fn failed(&self, error: &io::Error) -> Failure {
        failures::file(self.path(), error)
    }

    /// Begins to write.
    pub(crate) fn create(&self, readers: Readers) -> Result<Sink> {
        let created = match self {
            Self::Through(path) => {
                File::options().write(true).open(path).map(|file| Sink { file, partial: None })
            }
            Self::File(path) => Partial::create(path, readers == Readers::Owner)
                .map(|(partial, file)| Sink { file, partial: Some((partial, path.clone())) }),
        };
        created.map_err(|error| self.failed(&error))
    }

    /// Writes all of it.
    pub(crate) fn write(&self, bytes: &[u8], readers: Readers) -> Result<()> {
        let mut sink = self.create(readers)?;
        let written = sink.write_all(bytes);
        written.and_then(|()| sink.finish()).map_err(|error| self.failed(&error))
    }
}

/// Refuses a file in a folder that is not there or takes no files, as far as can be told without trying.
pub(crate) fn check_folder_of(path: &Path) -> Result<()> {
    let failed = |path: &Path, kind: io::ErrorKind| failures::file(path, &kind.into());
    let folder = match path.parent() {
        None => return Err(failed(path, io::ErrorKind::NotFound)),
        Some(folder) if folder.as_os_str().is_empty() => Path::new("."),
        Some(folder) => folder,
    };
    let there = std::fs::metadata(folder).map_err(|error| failures::file(folder, &error))?;
    if !there.is_dir() {
        return Err(failed(folder, io::ErrorKind::NotADirectory));
    }
    #[cfg(unix)]
    {
        use rustix::fs::{Access, access};
        access(folder, Access::WRITE_OK | Access::EXEC_OK)
            .map_err(|error| failures::file(folder, &error.into()))
    }
    #[cfg(not(unix))]
    Ok(())
}

/// Whether a path, or a link on its way, is one of the names the system has for open files, such as
/// `/dev/stdout` or `/proc/self/fd/3`.
fn names_a_descriptor(path: &Path) -> bool {
    /// As many links as systems follow.
    const LINKS: usize = 40;
    let mut path = path.to_owned();
    for _ in 0..LINKS {
        let Some(Ok(folder)) = path.parent().map(Path::canonicalize) else { return false };
        let last = folder.file_name().is_some_and(|name| name == "fd");
        if last && (folder.starts_with("/proc") || folder.starts_with("/dev")) {
            return true;
        }
        match std::fs::read_link(&path) {
            Ok(next) => path = folder.join(next),
            Err(_) => return false,
        }
    }
    false
}

impl Sink {
    /// Puts the whole file in its place, durable.
    pub(crate) fn finish(self) -> io::Result<()> {
        let Some((partial, path)) = self.partial else { return Ok(()) };
        self.file.sync_all()?;
        // Closed first: some systems do not rename an open file.
        drop(self.file);
        partial.finish(&path)
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(result: Result<Target>) -> String {
        result.unwrap_err().code().to_owned()
    }

    #[test]
    fn a_file_that_is_there_is_replaced_only_when_that_is_said() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("identity");
        std::fs::write(&path, b"keys").unwrap();
        assert_eq!(code(Target::of(&path, false)), "file_exists");
        assert_eq!(code(Target::of(dir.path(), true)), "not_a_file");
        assert_eq!(std::fs::read(&path).unwrap(), b"keys");
        Target::of(&path, true).unwrap().write(b"others", Readers::Owner).unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"others");
        // Half of one is never seen, and nothing of it stays.
        let target = Target::of(&path, true).unwrap();
        let mut sink = target.create(Readers::Owner).unwrap();
        sink.write_all(b"half").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"others");
        drop(sink);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_folder_that_takes_no_file_is_known_before_the_work() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("file");
        std::fs::write(&file, b"").unwrap();
        assert_eq!(code(Target::of(&dir.path().join("none/x"), false)), "no_file");
        assert_eq!(code(Target::of(&file.join("x"), false)), "not_a_file");
        assert_eq!(code(Target::of(Path::new(""), false)), "no_file");
        assert_eq!(code(Target::of(Path::new("-"), true)), "output");
        Target::of(&dir.path().join("new"), false).unwrap();
        Target::of(Path::new("a name in this folder"), false).unwrap();
        // The superuser may write there all the same.
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let closed = dir.path().join("closed");
            std::fs::create_dir(&closed).unwrap();
            std::fs::set_permissions(&closed, PermissionsExt::from_mode(0o500)).unwrap();
            let refused = File::create(closed.join("probe")).is_err();
            assert_eq!(Target::of(&closed.join("new"), false).is_err(), refused);
        }
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn names_of_open_files_are_told_from_others() {
        use std::os::fd::AsRawFd;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("open");
        let file = File::create(&path).unwrap();
        for place in ["/dev/fd", "/proc/self/fd", "/proc/thread-self/fd"] {
            let name = PathBuf::from(format!("{place}/{}", file.as_raw_fd()));
            for force in [false, true] {
                assert_eq!(code(Target::of(&name, force)), "output", "{}", name.display());
            }
        }
        let link = dir.path().join("link");
        std::os::unix::fs::symlink(format!("/dev/fd/{}", file.as_raw_fd()), &link).unwrap();
        assert_eq!(code(Target::of(&link, true)), "output");
        Target::of(&path, true).unwrap();
    }

    #[cfg(unix)]
    #[test]
    fn links_and_what_is_no_file_are_not_replaced_by_one() {
        use std::os::unix::fs::{MetadataExt, symlink};
        let dir = tempfile::tempdir().unwrap();
        let (file, link) = (dir.path().join("file"), dir.path().join("link"));
        symlink(&file, &link).unwrap();
        assert_eq!(code(Target::of(&link, true)), "dead_link");
        // As it is made between the look and the writing.
        assert_eq!(Partial::create(&link, true).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert!(link.symlink_metadata().unwrap().is_symlink());
        std::fs::write(&file, b"one").unwrap();
        assert_eq!(code(Target::of(&link, false)), "file_exists");
        Target::of(&link, true).unwrap().write(b"two", Readers::Others).unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), b"two");
        assert!(link.symlink_metadata().unwrap().is_symlink(), "the link stays one");
        let null = Path::new("/dev/null");
        assert_eq!(code(Target::of(null, false)), "file_exists");
        let target = Target::of(null, true).unwrap();
        assert!(matches!(&target, Target::Through(path) if path == null));
        target.write(b"gone", Readers::Owner).unwrap();
        // Who may read it: its owner, or as the user's files are.
        let private = dir.path().join("private");
        Target::of(&private, false).unwrap().write(b"", Readers::Owner).unwrap();
        assert_eq!(private.metadata().unwrap().mode() & 0o777, 0o600);
    }
}
