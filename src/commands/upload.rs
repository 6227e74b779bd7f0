//! `medledger upload`: a report is encrypted, stored and recorded.

use crate::context::{Context, Handover};
use crate::exit::Result;
use crate::output::{Done, Show, bytes, fields};
use crate::secret::Acting;
use crate::{failures, lookup, progress};
use clap::{Args, ValueEnum};
use indicatif::ProgressBar;
use medledger::core::padding::Padding;
use medledger::{Step, UploadOptions};
use serde::Serialize;
use std::fs::File;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

#[derive(Args, Debug)]
pub(crate) struct UploadArgs {
    /// The report; - is standard input
    file: PathBuf,
    /// Whom it is about
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
    /// File name to keep; sealed with the report [default: the file's]
    #[arg(long)]
    name: Option<String>,
    /// Makes a repetition harmless: the same key and report return the first answer
    #[arg(long, value_name = "KEY")]
    idempotency_key: Option<String>,
    /// Whether the exact size is hidden [default: as the ledger's settings say]
    #[arg(long, value_enum)]
    padding: Option<PaddingChoice>,
    /// Mine until the report is in a block
    #[arg(long)]
    wait: bool,
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

pub(crate) fn run(context: &Context, args: &UploadArgs) -> Result<()> {
    let (mut source, length) = source(&args.file)?;
    // The first bytes tell the type; they go in front of the rest again.
    let mut head = Vec::new();
    let failed = |error: io::Error| failures::file(&args.file, &error);
    (&mut source).take(HEAD).read_to_end(&mut head).map_err(failed)?;
    let is_stdin = args.file == Path::new("-");
    let mut options = UploadOptions::named(
        match &args.name {
            Some(name) => name.clone(),
            None if is_stdin => String::new(),
            None => args.file.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        },
        args.media_type.clone().unwrap_or_else(|| guess(&args.file, &head).to_owned()),
    );
    options.note.clone_from(&args.note);
    options.idempotency_key.clone_from(&args.idempotency_key);
    options.padding = args.padding.map(|padding| match padding {
        PaddingChoice::None => Padding::None,
        PaddingChoice::Padme => Padding::Padme,
    });

    let shown = Arc::new(OnceLock::<ProgressBar>::new());
    let bar = Arc::clone(&shown);
    let ledger = context.open_observed(move |step| {
        if let (Step::Sealed { bytes }, Some(bar)) = (step, shown.get()) {
            bar.set_position(bytes);
        }
    })?;
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
    let result = Report {
        report: uploaded.report.to_string(),
        label: uploaded.label,
        record: record.to_string(),
        envelope: uploaded.envelope.to_string(),
        body: uploaded.body.to_string(),
        length: uploaded.length,
        sealed: uploaded.sealed,
        media_type,
        repeated: uploaded.repeated,
        handover: uploaded.delivery.into(),
        patient: patient.contact.name,
    };
    let lost = result.handover.must_be_shown().then(|| LOST_KEY.to_owned());
    let done = Done::accepted("the report", &result.report).with_key(lost);
    context.accepted(&ledger, &result, &done, &record, args.wait)
}

const LOST_KEY: &str = "do not upload it again: the patient opens and approves with their identity, \
    which needs no access key";

/// Bytes looked at to guess the type; DICOM's mark ends at 132.
const HEAD: u64 = 512;

fn source(path: &Path) -> Result<(Box<dyn Read + Send>, Option<u64>)> {
    if path == Path::new("-") {
        return Ok((Box::new(io::stdin()), None));
    }
    let failed = |error: io::Error| failures::file(path, &error);
    let file = File::open(path).map_err(failed)?;
    let about = file.metadata().map_err(failed)?;
    if about.is_dir() {
        return Err(failed(io::ErrorKind::IsADirectory.into()));
    }
    Ok((Box::new(file), about.is_file().then_some(about.len())))
}

/// A simple guess from the first bytes, then from the name.
fn guess(path: &Path, head: &[u8]) -> &'static str {
    const MAGIC: &[(usize, &[u8], &str)] = &[
        (0, b"%PDF-", "application/pdf"),
        (128, b"DICM", "application/dicom"),
        (0, b"\x89PNG\r\n\x1a\n", "image/png"),
        (0, b"\xff\xd8\xff", "image/jpeg"),
        (0, b"II*\0", "image/tiff"),
        (0, b"MM\0*", "image/tiff"),
    ];
    const EXTENSIONS: &[(&str, &str)] = &[
        ("pdf", "application/pdf"),
        ("dcm", "application/dicom"),
        ("txt", "text/plain"),
        ("md", "text/markdown"),
        ("csv", "text/csv"),
        ("html", "text/html"),
        ("json", "application/json"),
        ("xml", "application/xml"),
        ("zip", "application/zip"),
        ("hl7", "x-application/hl7-v2+er7"),
        ("nii", "application/x-nifti"),
    ];
    let found = MAGIC
        .iter()
        .find(|(at, magic, _)| head.get(*at..).is_some_and(|bytes| bytes.starts_with(magic)));
    if let Some((_, _, media_type)) = found {
        return media_type;
    }
    let extension = path.extension().unwrap_or_default().to_string_lossy().to_ascii_lowercase();
    let found = EXTENSIONS.iter().find(|(known, _)| *known == extension);
    found.map_or("application/octet-stream", |(_, media_type)| media_type)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn media_types_come_from_the_bytes_then_from_the_name() {
        assert_eq!(guess(Path::new("a.txt"), b"%PDF-1.7"), "application/pdf");
        let mut dicom = vec![0; 128];
        dicom.extend_from_slice(b"DICM");
        assert_eq!(guess(Path::new("-"), &dicom), "application/dicom");
        assert_eq!(guess(Path::new("a.CSV"), b"1,2"), "text/csv");
        assert_eq!(guess(Path::new("a"), b""), "application/octet-stream");
    }
}
