//! Several reports by one command: each is accepted or not for itself.

use super::{Report, UploadArgs, file_name, folder, head, media, node_behind, open, source};
use crate::context::Context;
use crate::exit::{Failure, Result};
use crate::output::{self, Column, Done, Show, grouped, table};
use crate::{failures, interrupt, lookup, progress, stdout};
use medledger::{MemberId, RecordId, Upload, UploadError, Uploaded, idempotency_key_of_part};
use serde::{Serialize, Serializer};
use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::path::Path;

#[derive(Serialize)]
struct Reports {
    reports: Vec<Row>,
    /// Where a node follows the folder: what it has still to be given.
    #[serde(skip_serializing_if = "Option::is_none")]
    node_behind: Option<usize>,
    #[serde(skip)]
    patient: String,
}

/// What became of one file.
#[derive(Serialize)]
struct Row {
    file: String,
    #[serde(flatten)]
    outcome: Outcome,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Outcome {
    Accepted(Box<Report>),
    Failed { error: Told },
}

struct Told(Failure);

impl Serialize for Told {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        output::failure_json(&self.0).serialize(serializer)
    }
}

impl Reports {
    fn accepted(&self) -> impl Iterator<Item = (&Row, &Report)> {
        self.reports.iter().filter_map(|row| match &row.outcome {
            Outcome::Accepted(report) => Some((row, &**report)),
            Outcome::Failed { .. } => None,
        })
    }

    fn failures(&self) -> impl Iterator<Item = &Failure> {
        self.reports.iter().filter_map(|row| match &row.outcome {
            Outcome::Accepted(_) => None,
            Outcome::Failed { error: Told(failure) } => Some(failure),
        })
    }
}

impl Show for Reports {
    /// Those that were accepted; why the others were not goes to standard error.
    fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        let row = |(row, report): (&Row, &Report)| {
            let key = match report.handover.delivery() {
                "pick_up" => "below",
                "none" if report.repeated => "sent before",
                other => other,
            };
            [
                report.label.clone(),
                output::short(&report.report),
                grouped(report.length.into()),
                key.to_owned(),
                row.file.clone(),
            ]
        };
        let rows: Vec<_> = self.accepted().map(row).collect();
        if rows.is_empty() {
            return Ok(());
        }
        let columns = [
            Column::Whole("LABEL"),
            Column::Whole("REPORT"),
            Column::Whole("BYTES"),
            Column::Whole("KEY"),
            Column::Flexible("FILE"),
        ];
        table(out, columns, &rows)?;
        let repeated = self.accepted().filter(|(_, report)| report.repeated).count();
        if repeated > 0 {
            writeln!(
                out,
                "uploaded before under this idempotency key, not added again: {repeated}"
            )?;
        }
        if self.accepted().any(|(_, report)| report.handover.delivery() == "queued") {
            writeln!(out, "letters wait in the mail queue: `medledger mail send` tries again")?;
        }
        let mut keys = self
            .accepted()
            .filter_map(|(_, report)| Some((report.handover.key()?, &report.label)))
            .peekable();
        if keys.peek().is_some() {
            let patient = &self.patient;
            writeln!(out)?;
            writeln!(out, "ACCESS KEYS for {patient}, shown this once and kept nowhere:")?;
            writeln!(out)?;
            for (key, label) in keys {
                writeln!(out, "    {key}  {label}")?;
            }
            writeln!(out)?;
        }
        Ok(())
    }
}

pub(super) fn run(context: &Context, args: &UploadArgs) -> Result<()> {
    let keys = check(args)?;
    let (ledger, bar) = open(context)?;
    stdout::check_for_key(&ledger)?;
    let patient = lookup::member(&ledger, &args.patient)?;
    let (_, author) = args.author.unlock(&ledger)?;
    let bar = bar.get_or_init(|| progress::bytes("sealing", length(args)));

    let mut result =
        Reports { reports: Vec::new(), node_behind: None, patient: patient.contact.name };
    let mut records = Vec::new();
    // What was opened but is not accepted yet, and what could not be opened.
    let begun = std::cell::RefCell::new(VecDeque::new());
    let uploads = args.files.iter().zip(keys).filter_map(|(path, key)| {
        match upload(args, patient.id, path, key) {
            Ok((upload, media_type)) => {
                begun.borrow_mut().push_back((path, Ok(media_type)));
                Some(upload)
            }
            Err(failure) => {
                begun.borrow_mut().push_back((path, Err(failure)));
                None
            }
        }
    });
    let mut unsaid = Ok(());
    ledger.upload_in_groups(&author, uploads, |outcomes| {
        let mut begun = begun.borrow_mut();
        for outcome in outcomes {
            result.unopened(&mut begun);
            if let Some((path, Ok(media_type))) = begun.pop_front() {
                records.extend(outcome.as_ref().ok().map(|uploaded| uploaded.record));
                result.ended(path, outcome, media_type);
            }
        }
        // Keys that are accepted are not lost, should the others never be.
        let said = output::text_in_two(context.json(), &result, "blocks");
        unsaid = said.map(interrupt::say_when_interrupted);
    });
    result.unopened(&mut begun.borrow_mut());
    bar.finish_and_clear();
    result.node_behind = node_behind(&ledger);
    unsaid?;
    tell(context, &ledger, &result, &records, args.wait)
}

/// What several files cannot be given, before anything is done. Their idempotency keys.
fn check(args: &UploadArgs) -> Result<Vec<Option<String>>> {
    if args.name.is_some() {
        let message = "--name is for one file: several keep their own names";
        return Err(Failure::usage("arguments", message));
    }
    if args.files.iter().any(|file| file == Path::new("-")) {
        let message = "standard input is one report: it goes alone";
        return Err(Failure::usage("arguments", message));
    }
    if let Some(path) = args.files.iter().find(|file| file.is_dir()) {
        return Err(folder(path));
    }
    let key = |(path, place): (&std::path::PathBuf, u64)| match &args.idempotency_key {
        None => Ok(None),
        Some(key) => Ok(Some(idempotency_key_of_part(key, place, &file_name(path))?)),
    };
    args.files.iter().zip(1..).map(key).collect()
}

/// Bytes of all files; none where that is not known. What cannot be read counts nothing.
fn length(args: &UploadArgs) -> Option<u64> {
    args.files
        .iter()
        .filter_map(|path| path.metadata().ok())
        .map(|about| about.is_file().then_some(about.len()))
        .sum()
}

/// One of the files, with its media type. A file is open only while it is looked at and while it is read;
/// a pipe, which cannot be opened twice, stays open.
fn upload(
    args: &UploadArgs,
    patient: MemberId,
    path: &Path,
    key: Option<String>,
) -> Result<(Upload<'static>, String)> {
    let (mut source, length) = source(path)?;
    let head = head(path, &mut source)?;
    let mut options = args.options(file_name(path), media::guess(path, &head));
    options.idempotency_key = key;
    let media_type = options.media_type.clone();
    let upload = match length {
        Some(_) => Upload::file(patient, path),
        None => Upload::new(patient, io::Cursor::new(head).chain(source)),
    };
    Ok((upload.with(options), media_type))
}

type Begun<'a> = VecDeque<(&'a std::path::PathBuf, Result<String>)>;

impl Reports {
    /// Takes the files that come next and could not be opened.
    fn unopened(&mut self, begun: &mut Begun<'_>) {
        while let Some((_, Err(_))) = begun.front()
            && let Some((path, Err(failure))) = begun.pop_front()
        {
            self.failed(path, failure);
        }
    }

    fn ended(&mut self, path: &Path, outcome: Result<Uploaded, UploadError>, media_type: String) {
        match outcome {
            Ok(uploaded) => {
                let report = Report::new(uploaded, media_type, &self.patient);
                let outcome = Outcome::Accepted(Box::new(report));
                self.reports.push(Row { file: path.display().to_string(), outcome });
            }
            Err(UploadError::Source(error)) => self.failed(path, failures::file(path, &error)),
            Err(error) => {
                let failure = Failure::from(error).doing(&path.display().to_string());
                self.failed(path, failure);
            }
        }
    }

    fn failed(&mut self, path: &Path, failure: Failure) {
        let failure = match failure.code() {
            // Others may have been accepted.
            "no_space" => failure.hint("free some space and upload the files that failed again"),
            _ => failure,
        };
        let outcome = Outcome::Failed { error: Told(failure) };
        self.reports.push(Row { file: path.display().to_string(), outcome });
    }

    /// The failure of the command, if one of the files failed.
    fn failure(&self, json: bool) -> Option<Failure> {
        let first = self.failures().next()?;
        let (failed, all) = (self.failures().count(), self.reports.len());
        let mut message = format!("not uploaded: {failed} of {all} files");
        if json {
            message.push_str(&format!("; the first is {}", first.message()));
        }
        let failure = Failure::new(first.fault(), first.code().to_owned(), message);
        Some(match failed == all {
            true => failure,
            false => failure.hint(
                "the others are accepted; with --idempotency-key KEY the whole command can be repeated",
            ),
        })
    }
}

/// Says what was accepted and what was not, and waits for blocks if asked.
fn tell(
    context: &Context,
    ledger: &medledger::Ledger,
    result: &Reports,
    records: &[RecordId],
    wait: bool,
) -> Result<()> {
    if !context.json() {
        result.failures().for_each(|failure| output::print_failure(failure, false));
    }
    let lost = result.accepted().any(|(_, report)| report.handover.must_be_shown());
    let done = Done::new(
        format!("{} of {} reports are accepted", records.len(), result.reports.len()),
        "do not repeat it: `medledger log` lists them",
    )
    .with_keys(lost.then(|| LOST_KEYS.to_owned()));
    let shown = context.all_accepted(ledger, result, &done, records, wait);
    match result.failure(context.json()) {
        // Nothing is done that could not be shown.
        Some(failure) if records.is_empty() => Err(failure),
        Some(failure) => shown.and(Err(failure)),
        None => shown,
    }
}

const LOST_KEYS: &str = "do not upload them again: the patient opens and approves with their identity, \
    which needs no access key";
