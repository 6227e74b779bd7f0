//! Ctrl-C, SIGTERM and SIGHUP: what is half done is tidied up, then the process ends.
//!
//! A command says here what there is to tidy up. Each change of it, and each write that must not be
//! cut, happens under one lock; the handler takes the lock, tidies up and never gives it back, so
//! that nothing goes on behind it.

use crate::exit::{Failure, Result};
use serde_json::json;
use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};
use zeroize::Zeroizing;

/// What shells add to the number of the signal that ended a process: Ctrl-C makes 130, SIGTERM 143.
#[cfg(unix)]
const SIGNALLED: i32 = 128;
/// What a shell reports of a process ended by Ctrl-C.
#[cfg(not(unix))]
const EXIT_CODE: i32 = 130;
/// A write to a pipe that nobody reads may hold the lock for ever; Ctrl-C ends that too.
const PATIENCE: Duration = Duration::from_secs(2);

static HALF_DONE: Mutex<HalfDone> =
    Mutex::new(HalfDone { partial: None, tail: None, writes: false, message: None });

struct HalfDone {
    /// A file with a part of a report in clear.
    partial: Option<PathBuf>,
    /// What ends the output, if the command cannot.
    tail: Option<Zeroizing<String>>,
    /// Whether records may have been accepted.
    writes: bool,
    /// What the command says itself.
    message: Option<&'static str>,
}

fn lock() -> MutexGuard<'static, HalfDone> {
    HALF_DONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Handles Ctrl-C, and where there are signals SIGTERM and SIGHUP, from now on, unless whoever started us
/// has them ignored.
#[cfg(unix)]
pub(crate) fn handle(json: bool) {
    use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};
    let ignored = ignored();
    let wanted = [SIGINT, SIGTERM, SIGHUP].into_iter().filter(|signal| match ignored {
        Some(ignored) => ignored & (1 << (signal - 1)) == 0,
        // Not known here: `nohup` has to work.
        None => *signal != SIGHUP,
    });
    // Without the handler each of them still ends the process.
    let Ok(mut signals) = signal_hook::iterator::Signals::new(wanted) else { return };
    let wait = move || {
        if let Some(signal) = signals.forever().next() {
            end(json, SIGNALLED + signal);
        }
    };
    let _ = std::thread::Builder::new().name("signals".into()).spawn(wait);
}

/// Handles Ctrl-C from now on.
#[cfg(not(unix))]
pub(crate) fn handle(json: bool) {
    // Without the handler Ctrl-C still ends the process.
    let _ = ctrlc::try_set_handler(move || end(json, EXIT_CODE));
}

/// The signals that are ignored, a bit each, where the system tells.
#[cfg(unix)]
fn ignored() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"))?;
    u64::from_str_radix(mask.trim(), 16).ok()
}

/// Tidies up and ends the process.
fn end(json: bool, code: i32) {
    let begin = Instant::now();
    let half_done = loop {
        match HALF_DONE.try_lock() {
            Ok(half_done) => break Some(half_done),
            Err(TryLockError::Poisoned(poisoned)) => break Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) if begin.elapsed() > PATIENCE => break None,
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_millis(5)),
        }
    };
    let (mut writes, mut own) = (true, None);
    if let Some(half_done) = &half_done {
        (writes, own) = (half_done.writes, half_done.message);
        if let Some(partial) = &half_done.partial {
            // Nobody to tell a failure to: the process ends.
            let _ = std::fs::remove_file(partial);
        }
        if let Some(tail) = &half_done.tail {
            let mut out = io::stdout().lock();
            let _ = out.write_all(tail.as_bytes()).and_then(|()| out.flush());
        }
    }
    let message = if let Some(message) = own {
        message
    } else if writes {
        "interrupted: what was accepted is kept and waits; `medledger mine` puts it in a block"
    } else {
        "interrupted"
    };
    let _ = if json {
        let error = json!({ "code": "interrupted", "message": message, "fault": "interrupted" });
        writeln!(io::stderr(), "{}", json!({ "error": error }))
    } else {
        writeln!(io::stderr(), "{message}")
    };
    std::process::exit(code);
}

/// From now on this is what is said of an interrupted command, which accepts no records.
pub(crate) fn says(message: &'static str) {
    lock().message = Some(message);
}

/// From now on records may be accepted.
pub(crate) fn writes() {
    lock().writes = true;
}

/// Writes to standard output, at once. If the process is interrupted afterwards, `tail` is written
/// behind it.
pub(crate) fn write(text: &str, tail: Option<&str>) -> Result<()> {
    let mut half_done = lock();
    let mut out = io::stdout().lock();
    let written = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    half_done.tail = match &written {
        Ok(()) => tail.map(|tail| Zeroizing::new(tail.to_owned())),
        Err(_) => None,
    };
    written.map_err(|error| Failure::stdout(&error))
}

/// If the process is interrupted before anything is written, this is written.
pub(crate) fn say_when_interrupted(text: Zeroizing<String>) {
    lock().tail = Some(text);
}

/// A file that takes its place when it is whole, and is removed otherwise.
#[derive(Debug)]
pub(crate) struct Partial {
    path: PathBuf,
}

impl Partial {
    /// Makes a file for a part of something that is to be at `target`, beside it, if `private` readable to its
    /// owner only. There is one at a time.
    pub(crate) fn create(target: &Path, private: bool) -> io::Result<(Self, File)> {
        // Whatever else is there, a device or a pipe, would be gone.
        if std::fs::symlink_metadata(target).is_ok_and(|there| !there.is_file()) {
            return Err(io::Error::new(
                io::ErrorKind::AlreadyExists,
                "is there and is no plain file",
            ));
        }
        let mut name = target.file_name().unwrap_or_default().to_os_string();
        name.push(format!(".partial-{}", std::process::id()));
        let path = target.with_file_name(name);
        let mut options = File::options();
        options.write(true).create_new(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, if private { 0o600 } else { 0o666 });
        #[cfg(not(unix))]
        let _ = private;
        let mut half_done = lock();
        let file = options.open(&path)?;
        half_done.partial = Some(path.clone());
        Ok((Self { path }, file))
    }

    /// Puts the whole file in its place.
    pub(crate) fn finish(self, target: &Path) -> io::Result<()> {
        let mut half_done = lock();
        std::fs::rename(&self.path, target)?;
        half_done.partial = None;
        Ok(())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        let mut half_done = lock();
        // After `finish` there is nothing to remove.
        if half_done.partial.take().is_some() {
            let _ = std::fs::remove_file(&self.path);
        }
    }
}
