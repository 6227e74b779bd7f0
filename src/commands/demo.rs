//! `medledger demo`: one report from upload to revocation, then a team and a new key, in a folder of its own.
//!
//! Nothing is staged. Every step is a call of the service that the other commands use, keys are read
//! out of the mails that carried them, and whatever does not come out as told ends the demo with an
//! error: it is a smoke test as well.

mod damage;
mod failure;
mod farewell;
mod letters;
mod narrator;
mod story;

use crate::context::Context;
use crate::exit::{Failure, Result};
use narrator::{Format, Narrator};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;
use story::Fault;

/// The report that is played with when none is given.
const SAMPLE: &[u8] = include_bytes!("../../examples/sample-report.pdf");
const SAMPLE_NAME: &str = "sample-report.pdf";

/// Arguments of `medledger demo`.
#[derive(Debug, clap::Args)]
pub(crate) struct DemoArgs {
    /// The report to play with, any file; a sample lab report by default
    pub(crate) file: Option<PathBuf>,
    /// Folder to play in, new or empty; a new temporary one by default
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,
    /// Remove the folder at the end instead of leaving everything to look at
    #[arg(long)]
    pub(crate) clean: bool,
    /// Seconds of work that a block takes on this machine, on average
    #[arg(long, value_name = "SECONDS", default_value_t = 0.7, value_parser = block_seconds)]
    pub(crate) block_seconds: f64,
}

/// Why the demo did not come to its end. The folder is left as it was then.
#[derive(Debug, thiserror::Error)]
enum DemoError {
    /// The report cannot be used.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
    /// The folder has something in it.
    #[error("{0} is not empty: the demo plays in a folder of its own")]
    NotEmpty(PathBuf),
    /// The folder cannot be used.
    #[error("{path}: {source}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What went wrong.
        source: io::Error,
    },
    /// The story could not be told.
    #[error("the output could not be written: {0}")]
    Output(#[from] io::Error),
    /// A step failed.
    #[error("step {step:?} failed: {source}; everything is left in {}", folder.display())]
    Failed {
        /// The step.
        step: &'static str,
        /// What went wrong.
        source: Box<dyn std::error::Error + Send + Sync>,
        /// Where it was played.
        folder: PathBuf,
    },
    /// A step came out otherwise than medledger promises: a bug.
    #[error("step {step:?} came out wrong: {what}; everything is left in {}", folder.display())]
    Unexpected {
        /// The step.
        step: &'static str,
        /// What was expected, and what was found.
        what: String,
        /// Where it was played.
        folder: PathBuf,
    },
}

/// The command: the story on standard output.
pub(crate) fn command(context: &Context, args: &DemoArgs) -> Result<()> {
    let format = if context.json() { Format::Json } else { Format::Text };
    run(args, format, &mut io::stdout().lock()).map_err(Failure::from)
}

/// Plays the story and tells it on `out`.
///
/// # Errors
/// See [`DemoError`]; any step that does not come out as it should is one.
fn run(args: &DemoArgs, format: Format, out: &mut dyn Write) -> Result<(), DemoError> {
    let begun = Instant::now();
    // A report that cannot be read is told before a folder is made.
    if let Some(file) = &args.file {
        check_file(file)?;
    }
    let root = make_folder(args.dir.as_deref())?;
    let file = match &args.file {
        Some(file) => file.clone(),
        None => {
            let path = root.join(SAMPLE_NAME);
            std::fs::write(&path, SAMPLE)
                .map_err(|source| DemoError::File { path: path.clone(), source })?;
            path
        }
    };
    let mut tell = Narrator::new(out, format);
    tell.words("medledger demo: the journey of one report")?;
    tell.words("")?;
    tell.words(
        "All of it is real: encryption, content ids, proof of work, signatures, the database, \
         the mails. The calls are those of the other commands. It happens in the folder",
    )?;
    tell.line(&format!("\n    {}", root.display()))?;

    let chain = match story::play(&root, &file, args.block_seconds, &mut tell) {
        Ok(chain) => chain,
        Err(fault) => {
            let step = tell.current();
            tell.end()?;
            return Err(match fault {
                Fault::Failed(source) => DemoError::Failed { step, source, folder: root },
                Fault::Unexpected(what) => DemoError::Unexpected { step, what, folder: root },
            });
        }
    };
    if args.clean {
        std::fs::remove_dir_all(&root)
            .map_err(|source| DemoError::Folder { path: root.clone(), source })?;
        tell.words("")?;
        tell.words("All of it came out as told. The folder is removed, as you asked.")?;
    } else {
        farewell::tell(&mut tell, &root, &chain.to_string())?;
    }
    tell.end()?;
    tell.line(&format!("\nDone in {}.", narrator::show_duration(begun.elapsed())))?;
    Ok(())
}

fn block_seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if (0.001..=3600.0).contains(&seconds) => Ok(seconds),
        _ => Err("give a number from 0.001 to 3600".into()),
    }
}

fn check_file(path: &Path) -> Result<(), DemoError> {
    let failed = |source| DemoError::File { path: path.to_path_buf(), source };
    let file = std::fs::File::open(path).map_err(failed)?;
    if !file.metadata().map_err(failed)?.is_file() {
        // It is read twice: once to upload it, once to compare what was opened with it.
        return Err(failed(io::Error::new(io::ErrorKind::IsADirectory, "not a file")));
    }
    Ok(())
}

/// The folder given, if it is new or empty, or a new one where temporary files go. Its mails hold
/// keys, so nobody else may look in.
fn make_folder(given: Option<&Path>) -> Result<PathBuf, DemoError> {
    let path = match given {
        Some(path) => std::path::absolute(path)
            .map_err(|source| DemoError::Folder { path: path.to_path_buf(), source })?,
        None => {
            let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
            let millis = now.map_or(0, |since| since.as_millis());
            std::env::temp_dir().join(format!("medledger-demo-{millis}-{}", std::process::id()))
        }
    };
    let failed = |source| DemoError::Folder { path: path.clone(), source };
    match std::fs::read_dir(&path).map(|mut entries| entries.next().is_some()) {
        Ok(true) => return Err(DemoError::NotEmpty(path)),
        Ok(false) if given.is_some() => return Ok(path),
        Ok(false) => return Err(DemoError::NotEmpty(path)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(source) => return Err(failed(source)),
    }
    if let Some(parent) = path.parent() {
        std::fs::create_dir_all(parent).map_err(failed)?;
    }
    let mut builder = std::fs::DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(&path).map_err(failed)?;
    Ok(path)
}
