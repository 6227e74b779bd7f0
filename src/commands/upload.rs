//! `medledger upload`: reports are encrypted, stored and recorded.

mod many;
mod media;

use crate::context::{Context, Handover};
use crate::exit::{Failure, Result};
use crate::output::{Done, Show, bytes, fields};
use crate::qr::QrArgs;
use crate::secret::Acting;
use crate::{failures, lookup, progress, stdout};
use clap::{Args, ValueEnum};
use indicatif::ProgressBar;
use medledger::core::padding::Padding;
use medledger::core::text::is_blank;
use medledger::{Ledger, Step, StorageMode, UploadOptions, Uploaded};
use serde::Serialize;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

#[derive(Args, Debug)]
pub(crate) struct UploadArgs {
    /// The report; - is standard input. Several are uploaded together
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    /// Whom they are about
    #[arg(long, value_name = "MEMBER")]
    patient: String,
    #[command(flatten)]
    author: Acting,
    /// A note in words; sealed with the report
    #[arg(long, default_value = "")]
    note: String,
    /// Media type, such as application/pdf [default: guessed]
    #[arg(long, value_name = "TYPE")]
    media_type: Option<String>,
    /// File name to keep, of one file; sealed with the report [default: the file's]
    #[arg(long)]
    name: Option<String>,
    /// Makes a repetition harmless: the same key and files return the first answer
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// Whether the exact size is hidden [default: as the ledger's settings say]
    #[arg(long, value_enum)]
    padding: Option<PaddingChoice>,
    /// Mine until all of them are in blocks
    #[arg(long)]
    wait: bool,
    #[command(flatten)]
    qr: QrArgs,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum PaddingChoice {
    /// The exact size can be seen
    None,
    /// A few bits of the size can be seen
    Padme,
}

#[derive(Serialize)]
struct Report {
    report: String,
    label: String,
    record: String,
    envelope: String,
    body: String,
    length: u64,
    sealed: u64,
    media_type: String,
    repeated: bool,
    /// Where a node follows the folder: what it has still to be given.
    #[serde(skip_serializing_if = "Option::is_none")]
    node_behind: Option<usize>,
    #[serde(flatten)]
    handover: Handover,
    #[serde(skip)]
    patient: String,
}

impl Show for Report {
    fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        fields(
            out,
            &[
                ("report", self.report.clone()),
                ("label", self.label.clone()),
                ("length", format!("{}, {}", bytes(self.length), self.media_type)),
                ("sealed", bytes(self.sealed)),
                ("body", self.body.clone()),
                ("envelope", self.envelope.clone()),
                ("record", self.record.clone()),
            ],
        )?;
        if self.repeated {
            writeln!(out, "uploaded before under this idempotency key; nothing was added")?;
        }
        self.handover.show(out, &self.patient)
    }
}

impl Report {
    fn new(uploaded: Uploaded, media_type: String, patient: &str) -> Self {
        Self {
            report: uploaded.report.to_string(),
            label: uploaded.label,
            record: uploaded.record.to_string(),
            envelope: uploaded.envelope.to_string(),
            body: uploaded.body.to_string(),
            length: uploaded.length,
            sealed: uploaded.sealed,
            media_type,
            repeated: uploaded.repeated,
            node_behind: None,
            handover: uploaded.delivery.into(),
            patient: patient.to_owned(),
        }
    }
}

pub(crate) fn run(context: &Context, args: &UploadArgs) -> Result<()> {
    match &args.files[..] {
        [file] => one(context, args, file),
        _ if args.qr.is_wanted() => {
            Err(Failure::usage("qr", "--qr and --qr-file are for one report at a time"))
        }
        _ => many::run(context, args),
    }
}

fn one(context: &Context, args: &UploadArgs, file: &Path) -> Result<()> {
    args.qr.check()?;
    let (mut source, length) = source(file)?;
    // The first bytes tell the type; they go in front of the rest again.
    let head = head(file, &mut source)?;
    let name = match &args.name {
        // Where it is typed it is meant to be shown, as names of members are.
        Some(name) if is_blank(name) || name.chars().count() > NAME_CHARS => {
            let text =
                format!("--name has one character to be seen or more, and at most {NAME_CHARS}");
            return Err(Failure::usage("metadata", text));
        }
        Some(name) => name.clone(),
        None if file == Path::new("-") => String::new(),
        None => file_name(file),
    };
    let mut options = args.options(name, media::guess(file, &head));
    options.idempotency_key.clone_from(&args.idempotency_key);

    let (ledger, bar) = open(context)?;
    if !args.qr.to_file() {
        stdout::check_for_key(&ledger)?;
    }
    let patient = lookup::member(&ledger, &args.patient)?;
    let (_, author) = args.author.unlock(&ledger)?;
    // Not before the password is typed: the bar would be drawn over the question, and count the time.
    let bar = bar.get_or_init(|| progress::bytes("sealing", length));
    let media_type = options.media_type.clone();
    let uploaded =
        ledger.upload_with(&author, &patient.id, io::Cursor::new(head).chain(source), &options);
    bar.finish_and_clear();
    let uploaded = uploaded?;
    let record = uploaded.record;
    let (written, qr) = args.qr.of(&uploaded.delivery);
    let mut result = Report::new(uploaded, media_type, &patient.contact.name);
    result.handover = result.handover.with_qr(qr);
    result.node_behind = node_behind(&ledger);
    let lost = result.handover.must_be_shown().then(|| LOST_KEY.to_owned());
    let done = Done::accepted("the report", &result.report).with_key(lost);
    context.accepted(&ledger, &result, &done, &record, args.wait)?;
    written
}

/// What the node that follows the folder has still to be given, where there is one.
fn node_behind(ledger: &Ledger) -> Option<usize> {
    let storage = ledger.storage();
    (storage.mode == StorageMode::Both).then_some(storage.behind)
}

/// The ledger, and the bar that will show what is sealed.
fn open(context: &Context) -> Result<(Ledger, Arc<OnceLock<ProgressBar>>)> {
    let bar = Arc::new(OnceLock::<ProgressBar>::new());
    let shown = Arc::clone(&bar);
    let ledger = context.open_observed(move |step| {
        if let (Step::Sealed { bytes }, Some(bar)) = (step, shown.get()) {
            bar.set_position(bytes);
        }
    })?;
    Ok((ledger, bar))
}

impl UploadArgs {
    /// What is asked for each file, but for its idempotency key.
    fn options(&self, name: String, guessed: &str) -> UploadOptions {
        let media_type = self.media_type.clone().unwrap_or_else(|| guessed.to_owned());
        let mut options = UploadOptions::named(name, media_type);
        options.note.clone_from(&self.note);
        options.padding = self.padding.map(|padding| match padding {
            PaddingChoice::None => Padding::None,
            PaddingChoice::Padme => Padding::Padme,
        });
        options
    }
}

/// The most of a name that is typed, as of members and groups.
const NAME_CHARS: usize = 200;

const LOST_KEY: &str = "do not upload it again: the patient opens and approves with their identity, \
    which needs no access key";

fn source(path: &Path) -> Result<(Box<dyn Read + Send>, Option<u64>)> {
    if path == Path::new("-") {
        return Ok((Box::new(io::stdin()), None));
    }
    let failed = |error: io::Error| failures::file(path, &error);
    let file = File::open(path).map_err(failed)?;
    let about = file.metadata().map_err(failed)?;
    if about.is_dir() {
        return Err(folder(path));
    }
    Ok((Box::new(file), about.is_file().then_some(about.len())))
}

/// A folder is no report.
fn folder(path: &Path) -> Failure {
    let files = path.join("*").display().to_string();
    failures::file(path, &io::ErrorKind::IsADirectory.into())
        .hint(format!("name the files in it: most shells do for {files}"))
}

fn head(path: &Path, source: &mut dyn Read) -> Result<Vec<u8>> {
    let mut head = Vec::new();
    source
        .take(media::HEAD)
        .read_to_end(&mut head)
        .map_err(|error| failures::file(path, &error))?;
    Ok(head)
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
