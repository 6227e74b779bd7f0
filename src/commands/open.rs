//! `medledger open`: the reading is recorded, then the report comes out.

use crate::context::Context;
use crate::exit::{Failure, Result};
use crate::output::{Done, Show, bytes, fields};
use crate::secret::{AccessKeyArgs, Acting, key};
use crate::target::{ForceArg, Readers, Target};
use crate::{failures, lookup, progress, stdout};
use clap::Args;
use medledger::{OpenedReport, RecordId};
use serde::Serialize;
use std::io::{self, IsTerminal, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use zeroize::Zeroizing;

#[derive(Args, Debug)]
pub(crate) struct OpenArgs {
    /// The report
    report: String,
    #[command(flatten)]
    reader: Acting,
    #[command(flatten)]
    key: AccessKeyArgs,
    /// Where the report goes; - is standard output [default: -]
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    replace: ForceArg,
    /// Open with the slot that its custodian released, where the reading is recorded already
    #[arg(long, value_name = "FILE")]
    slot: Option<PathBuf>,
    /// Only so many bytes from an offset on, such as 0:1024
    #[arg(long, value_name = "OFFSET:LEN", value_parser = range)]
    range: Option<Range>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Range {
    offset: u64,
    len: u64,
}

fn range(text: &str) -> std::result::Result<Range, &'static str> {
    text.split_once(':')
        .and_then(|(offset, len)| {
            Some(Range { offset: offset.parse().ok()?, len: len.parse().ok()? })
        })
        .filter(|range| range.offset.checked_add(range.len).is_some())
        .ok_or("a range is OFFSET:LEN in bytes, such as 0:1024")
}

#[derive(Serialize)]
struct Opened {
    report: String,
    file_name: String,
    media_type: String,
    note: String,
    length: u64,
    /// The record that says that it was read.
    read: String,
    grant: Option<String>,
    output: String,
    written: u64,
}

impl Show for Opened {
    fn show(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut lines = vec![
            ("report", self.report.clone()),
            ("file name", self.file_name.clone()),
            ("media type", self.media_type.clone()),
            ("length", bytes(self.length)),
            ("read record", self.read.clone()),
            ("written", format!("{} to {}", bytes(self.written), self.output)),
        ];
        if !self.note.is_empty() {
            lines.insert(3, ("note", self.note.clone()));
        }
        fields(out, &lines)
    }
}

pub(crate) fn run(context: &Context, args: &OpenArgs) -> Result<()> {
    // What can be refused is refused before the reading is recorded.
    let path = args.output.as_deref().filter(|path| *path != Path::new("-"));
    if path.is_none() && context.json() {
        let text = "--json needs --output FILE: the result has standard output";
        return Err(Failure::usage("output", text));
    }
    if path.is_none() {
        stdout::check()?;
    }
    let target = path
        .map(|path| Target::of(path, args.replace.force).map(|target| (path, target)))
        .transpose()?;
    // What is too long for a slot is told by those who read it.
    let most = medledger::core::registry::limit::SLOT_RELEASE_BYTES;
    let slot = args.slot.as_deref().map(|path| super::slot::message(path, most)).transpose()?;
    let ledger = match slot {
        Some(_) => context.open_read_only()?,
        None => context.open()?,
    };
    // Who does not prove to be the reader learns nothing of reports.
    let (_, reader) = args.reader.unlock(&ledger)?;
    let report = lookup::report_to_read(&ledger, &args.report)?;
    let access_key = args.key.get()?;
    let key = key(access_key.as_ref());
    let mut opened = match &slot {
        Some(slot) => ledger.open_released(&reader, &report, &key, slot)?,
        None => ledger.open_report(&reader, &report, &key)?,
    };
    let length = opened.len();
    let Range { offset, len } = args.range.unwrap_or(Range { offset: 0, len: length });
    if offset.saturating_add(len) > length {
        let text =
            format!("{len} bytes at {offset} are not within the {length} bytes of the report");
        return Err(Failure::usage("out_of_range", text));
    }
    opened.seek(SeekFrom::Start(offset)).map_err(|error| failures::io(&error))?;
    let record = opened.read_record();
    let Some((path, target)) = target else {
        return to_stdout(opened, len).map_err(|failure| read_already(failure, &record));
    };
    to_file(&mut opened, len, &target).map_err(|failure| read_already(failure, &record))?;
    let metadata = opened.metadata();
    let done = Done::new(
        format!("the reading is recorded as {record} and the report is in {}", path.display()),
        "do not repeat it: that would be another reading",
    );
    let result = Opened {
        report: report.to_string(),
        file_name: metadata.file_name().to_owned(),
        media_type: metadata.media_type().to_owned(),
        note: metadata.note().to_owned(),
        length,
        read: record.to_string(),
        grant: opened.grant().map(|grant| grant.to_string()),
        output: path.display().to_string(),
        written: len,
    };
    context.print_done(&result, &done)
}

fn to_stdout(mut opened: OpenedReport, len: u64) -> Result<()> {
    let mut out = io::stdout().lock();
    if out.is_terminal() {
        // Read twice: nothing is written before all of it is known to be harmless.
        let at = opened.stream_position().map_err(|error| failures::io(&error))?;
        let is_text = opened.metadata().media_type().starts_with("text/")
            && is_plain_text(&mut (&mut opened).take(len)).map_err(|error| failures::io(&error))?;
        if !is_text {
            let name = opened.metadata().file_name();
            let text = format!("{name:?} is no plain text: it is not written to a terminal");
            return Err(Failure::usage("output", text).hint("give --output FILE"));
        }
        opened.seek(SeekFrom::Start(at)).map_err(|error| failures::io(&error))?;
    }
    let copied = copy(&mut opened, len, &mut out);
    copied.map_err(|problem| match problem {
        Problem::Read(error) => failures::io(&error).doing("what was written is not the whole"),
        Problem::Write(error) => Failure::stdout(&error),
    })
}

/// Whether a terminal only shows this: UTF-8 without control characters but for ends of lines and tabs.
fn is_plain_text(source: &mut dyn Read) -> io::Result<bool> {
    let mut buffer = Zeroizing::new(vec![0; 1 << 16]);
    // Bytes at the front of the buffer that begin a character.
    let mut begun = 0;
    loop {
        let n = match source.read(&mut buffer[begun..]) {
            Ok(0) => return Ok(begun == 0),
            Ok(n) => begun + n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let whole = match std::str::from_utf8(&buffer[..n]) {
            Ok(_) => n,
            Err(error) if error.error_len().is_none() => error.valid_up_to(),
            Err(_) => return Ok(false),
        };
        let text = std::str::from_utf8(&buffer[..whole]).unwrap_or("\0");
        if text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\t' | '\r')) {
            return Ok(false);
        }
        buffer.copy_within(whole..n, 0);
        begun = n - whole;
    }
}

/// Writes beside a file and renames: there is the whole file, or none.
fn to_file(opened: &mut OpenedReport, len: u64, target: &Target) -> Result<()> {
    let failed = |error: io::Error| target.failed(&error);
    let mut sink = target.create(Readers::Owner)?;
    copy(opened, len, &mut sink).map_err(|problem| match problem {
        Problem::Read(error) => failures::io(&error),
        Problem::Write(error) => failed(error),
    })?;
    sink.finish().map_err(failed)
}

/// A full disk comes after the reading was recorded.
fn read_already(failure: Failure, record: &RecordId) -> Failure {
    if failure.is_closed_output() {
        return failure;
    }
    let failure = failure.doing(&format!("the reading is recorded as {record}"));
    match failure.code() {
        "no_space" => {
            failure.hint("free some space and repeat the command: that is another reading")
        }
        _ => failure,
    }
}

enum Problem {
    Read(io::Error),
    Write(io::Error),
}

fn copy(
    opened: &mut OpenedReport,
    len: u64,
    out: &mut dyn Write,
) -> std::result::Result<(), Problem> {
    let bar = progress::bytes("opening", Some(len));
    let mut buffer = Zeroizing::new(vec![0; 1 << 20]);
    let mut left = len;
    while left > 0 {
        let most = usize::try_from(left).unwrap_or(usize::MAX).min(buffer.len());
        let n = match opened.read(&mut buffer[..most]) {
            Ok(0) => return Err(Problem::Read(io::ErrorKind::UnexpectedEof.into())),
            Ok(n) => n,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(Problem::Read(error)),
        };
        out.write_all(&buffer[..n]).map_err(Problem::Write)?;
        left -= n as u64;
        bar.inc(n as u64);
    }
    bar.finish_and_clear();
    out.flush().map_err(Problem::Write)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_text_that_a_terminal_just_shows_is_plain() {
        let long = "\u{e4}\u{20ac}x".repeat(50_000);
        for text in ["", "a\tb\r\nc\n", "Zoë 李雷", &long] {
            assert!(is_plain_text(&mut text.as_bytes()).unwrap(), "{text:.20}");
        }
        let late = format!("{long}\u{9b}2J");
        let bad: [&[u8]; 6] =
            [b"\x1b[2J", b"a\0", b"\x7f", "\u{9b}".as_bytes(), b"\xe4", late.as_bytes()];
        for bytes in bad {
            assert!(!is_plain_text(&mut &*bytes).unwrap(), "{:?}", &bytes[..bytes.len().min(9)]);
        }
        assert!(!is_plain_text(&mut &b"\x9b2J"[..]).unwrap());
    }

    #[test]
    fn ranges_are_read() {
        assert_eq!(range("3:4"), Ok(Range { offset: 3, len: 4 }));
        for bad in ["", "3", "3:", ":4", "a:b", "-1:2", "18446744073709551615:1"] {
            assert!(range(bad).is_err(), "{bad}");
        }
    }
}
