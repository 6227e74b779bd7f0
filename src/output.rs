//! What goes to standard output: tables and lines for people, one JSON document for programs.

use crate::exit::{Failure, Fault, Result};
use crate::interrupt;
use medledger::core::text::{is_refused_in_name, is_refused_in_note};
use serde::Serialize;
use serde_json::json;
use std::io::{self, IsTerminal, Write};
use zeroize::Zeroizing;

/// A result that both people and programs can read. Its JSON is its `Serialize`.
pub(crate) trait Show: Serialize {
    /// Writes it for people.
    fn show(&self, out: &mut dyn Write) -> io::Result<()>;
}

/// What a command has done by the time it prints, to be told when it cannot print.
#[derive(Debug)]
pub(crate) struct Done {
    what: String,
    /// What is lost if an access key had to be shown, and what to do now.
    lost_key: Option<(&'static str, String)>,
    next: &'static str,
}

impl Done {
    /// Something that is done, in words, and where else it can be seen.
    pub(crate) fn new(what: impl Into<String>, next: &'static str) -> Self {
        Self { what: what.into(), lost_key: None, next }
    }

    /// A record that is accepted, such as "the report".
    pub(crate) fn accepted(what: &str, id: &impl std::fmt::Display) -> Self {
        Self::new(
            format!("{what} is accepted as {id}"),
            "do not repeat it: `medledger log` lists it",
        )
    }

    /// The same with an access key to show. `next` says what to do when it cannot be shown.
    pub(crate) fn with_key(self, next: Option<String>) -> Self {
        Self { lost_key: next.map(|next| ("its access key", next)), ..self }
    }

    /// The same with several access keys to show.
    pub(crate) fn with_keys(self, next: Option<String>) -> Self {
        Self { lost_key: next.map(|next| ("their access keys", next)), ..self }
    }

    /// The failure to show what is done. Not even a reader that left early makes it a success.
    pub(crate) fn unshown(&self, failure: &Failure) -> Failure {
        let (what, next) = match &self.lost_key {
            Some((keys, next)) => (*keys, next.clone()),
            None => ("the answer", self.next.to_owned()),
        };
        let message =
            format!("{}, but {what} could not be shown: {}", self.what, failure.message());
        Failure::new(Fault::Environment, failure.code().to_owned(), message).hint(next)
    }
}

/// Prints a result as one JSON document or for people.
pub(crate) fn print(json: bool, result: &impl Show) -> Result<()> {
    write(&text_of(json, result)?)
}

/// Prints the result of a command that has done something.
pub(crate) fn print_done(json: bool, result: &impl Show, done: &Done) -> Result<()> {
    print(json, result).map_err(|failure| done.unshown(&failure))
}

/// The text that [`print`] writes.
pub(crate) fn text_of(json: bool, result: &impl Show) -> Result<Zeroizing<String>> {
    if json { to_json(result) } else { to_text(result) }
}

/// Prints what is known when a record is accepted, runs `rest`, and adds what it returns.
///
/// An access key is in the first part: it reaches its owner even when `rest` never ends. In JSON it
/// is one document in two writes; when `rest` fails, the added part is null.
pub(crate) fn print_in_two<T: Show>(
    json: bool,
    accepted: &impl Show,
    done: &Done,
    name: &str,
    rest: impl FnOnce() -> Result<Option<T>>,
) -> Result<()> {
    if !json {
        write(&to_text(accepted)?).map_err(|failure| done.unshown(&failure))?;
        return match rest()? {
            None => Ok(()),
            Some(more) => write(&to_text(&more)?),
        };
    }
    let first = to_json(accepted)?;
    let first = unclosed(&first);
    interrupt::write(first, Some(&closed(name, "null")))
        .map_err(|failure| done.unshown(&failure))?;
    let result = rest();
    let more = match &result {
        Ok(Some(more)) => serde_json::to_string(more).map_err(|e| Failure::bug("json", e))?,
        _ => "null".into(),
    };
    write(&closed(name, &more))?;
    result.map(drop)
}

/// The text that [`print_in_two`] leaves when nothing comes after what is accepted.
pub(crate) fn text_in_two(
    json: bool,
    accepted: &impl Show,
    name: &str,
) -> Result<Zeroizing<String>> {
    let text = text_of(json, accepted)?;
    if !json {
        return Ok(text);
    }
    let (first, rest) = (unclosed(&text), closed(name, "null"));
    // Room for all of it at once: a buffer that grows leaves copies of keys.
    let mut whole = Zeroizing::new(String::with_capacity(first.len() + rest.len()));
    whole.push_str(first);
    whole.push_str(&rest);
    Ok(whole)
}

/// A JSON object without its end.
fn unclosed(object: &str) -> &str {
    let object = object.trim_end();
    object.strip_suffix(['}']).unwrap_or(object).trim_end()
}

/// The end of a JSON object, with a last field.
fn closed(name: &str, value: &str) -> String {
    format!(",\n  \"{name}\": {value}\n}}\n")
}

fn to_json(result: &impl Show) -> Result<Zeroizing<String>> {
    to_string(|out| {
        serde_json::to_writer_pretty(&mut *out, result)?;
        out.write_all(b"\n")
    })
}

fn to_text(result: &impl Show) -> Result<Zeroizing<String>> {
    let text = to_string(|out| result.show(out))?;
    Ok(Zeroizing::new(escaped(&text, is_refused_in_note)))
}

/// What `show` writes. It is called twice: the text may hold access keys, and a buffer that grows leaves
/// copies of them.
fn to_string(show: impl Fn(&mut dyn Write) -> io::Result<()>) -> Result<Zeroizing<String>> {
    let mut count = Count(0);
    show(&mut count).map_err(|error| Failure::bug("output", error))?;
    let mut text = Zeroizing::new(Vec::with_capacity(count.0));
    show(&mut *text).map_err(|error| Failure::bug("output", error))?;
    let text = String::from_utf8(std::mem::take(&mut *text));
    text.map(Zeroizing::new).map_err(|error| Failure::bug("output", error.utf8_error()))
}

/// Counts what is written.
struct Count(usize);

impl Write for Count {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        self.0 += buf.len();
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Text with each character that `hostile` names written out, as in `\u{1b}`: what others wrote must
/// not act on the terminal. Names are refused on entry already; this is for what lies in old folders.
fn escaped(text: &str, hostile: fn(char) -> bool) -> String {
    // Room for all of it: the text may hold an access key, and a buffer that grows leaves copies.
    let more = text.chars().filter(|c| hostile(*c)).count() * 10;
    let mut safe = String::with_capacity(text.len() + more);
    for c in text.chars() {
        if hostile(c) { safe.extend(c.escape_default()) } else { safe.push(c) }
    }
    safe
}

/// Writes text to standard output, at once.
pub(crate) fn write(text: &str) -> Result<()> {
    interrupt::write(text, None)
}

/// Says something beside the result, to people only.
pub(crate) fn note(json: bool, text: &str) {
    if !json {
        // Standard error may be closed; nothing depends on it.
        let _ = writeln!(io::stderr(), "{text}");
    }
}

/// Says why the command failed, on standard error.
pub(crate) fn print_failure(failure: &Failure, json: bool) {
    let mut err = io::stderr().lock();
    // Nobody to tell when this fails.
    let _ = if json {
        writeln!(err, "{}", json!({ "error": failure_json(failure) }))
    } else {
        let hint = failure.what_next().map(|hint| format!("\n  next: {hint}")).unwrap_or_default();
        let text = format!("error: {}{hint}", failure.message());
        writeln!(err, "{}", escaped(&text, is_refused_in_note))
    };
}

/// A failure for programs.
pub(crate) fn failure_json(failure: &Failure) -> serde_json::Value {
    let mut error = json!({
        "code": failure.code(),
        "message": failure.message(),
        "fault": failure.fault().name(),
    });
    if let Some(hint) = failure.what_next() {
        error["hint"] = hint.into();
    }
    error
}

/// Lines of a name and a value, values in one column; further lines of a value are indented, so that
/// none of them looks like a field.
pub(crate) fn fields(out: &mut dyn Write, fields: &[(&str, String)]) -> io::Result<()> {
    let width = fields.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    for (name, value) in fields {
        for (i, line) in value.split('\n').enumerate() {
            writeln!(out, "{:width$}  {line}", if i == 0 { name } else { "" })?;
        }
    }
    Ok(())
}

/// A column of a table.
#[derive(Clone, Copy)]
pub(crate) enum Column {
    /// Never cut: something to copy or a number.
    Whole(&'static str),
    /// Cut first when the terminal is narrow.
    Flexible(&'static str),
}

impl Column {
    const fn title(self) -> &'static str {
        match self {
            Self::Whole(title) | Self::Flexible(title) => title,
        }
    }
}

/// Writes a table; on a terminal flexible columns shrink until it fits.
pub(crate) fn table<const N: usize>(
    out: &mut dyn Write,
    columns: [Column; N],
    rows: &[[String; N]],
) -> io::Result<()> {
    let mut widths = columns.map(|column| column.title().len());
    let rows: Vec<[String; N]> = rows
        .iter()
        .map(|row| std::array::from_fn(|i| escaped(&row[i], is_refused_in_name)))
        .collect();
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    if let Some(limit) = terminal_width() {
        shrink(&columns, &mut widths, limit);
    }
    let line = |cells: [&str; N]| {
        let cells = cells.iter().zip(&widths);
        let text: Vec<String> =
            cells.map(|(cell, width)| format!("{:width$}", cut(cell, *width))).collect();
        text.join("  ").trim_end().to_owned()
    };
    writeln!(out, "{}", line(columns.map(Column::title)))?;
    for row in &rows {
        writeln!(out, "{}", line(std::array::from_fn(|i| row[i].as_str())))?;
    }
    Ok(())
}

/// Takes from the widest flexible column until the line fits or nothing can be taken.
fn shrink(columns: &[Column], widths: &mut [usize], limit: usize) {
    const LEAST: usize = 8;
    while widths.iter().sum::<usize>() + 2 * (widths.len().saturating_sub(1)) > limit {
        let flexible = columns.iter().zip(widths.iter_mut());
        let widest = flexible
            .filter(|(column, width)| matches!(column, Column::Flexible(_)) && **width > LEAST)
            .max_by_key(|(_, width)| **width);
        match widest {
            Some((_, width)) => *width -= 1,
            None => return,
        }
    }
}

fn cut(text: &str, width: usize) -> String {
    if text.chars().count() <= width {
        return text.to_owned();
    }
    let mut short: String = text.chars().take(width.saturating_sub(1)).collect();
    short.push('…');
    short
}

/// Columns to fit into: none where output goes to a file or another program.
fn terminal_width() -> Option<usize> {
    if !io::stdout().is_terminal() {
        return None;
    }
    let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    Some(columns.filter(|columns| *columns >= 40).unwrap_or(80))
}

/// The first digits of an id, enough to name it again by.
pub(crate) fn short(id: &impl std::fmt::Display) -> String {
    id.to_string().chars().take(8).collect()
}

/// A number with its thousands apart, as in 1,234,567.
pub(crate) fn grouped(number: u128) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() * 4 / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// So many things: `1 block`, `2 blocks`. The thing takes a plain `s`.
pub(crate) fn count(number: impl TryInto<u128>, thing: &str) -> String {
    match number.try_into() {
        Ok(1) => format!("1 {thing}"),
        Ok(number) => format!("{number} {thing}s"),
        // No count is below zero.
        Err(_) => format!("no {thing}s"),
    }
}

/// Bytes as people read them.
pub(crate) fn bytes(count: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "two digits are shown")]
    let (mut value, mut unit) = (count as f64, "bytes");
    if count < 1024 {
        return format!("{count} bytes");
    }
    for next in ["KiB", "MiB", "GiB", "TiB", "PiB"] {
        if value < 1024.0 {
            break;
        }
        (value, unit) = (value / 1024.0, next);
    }
    format!("{value:.1} {unit} ({} bytes)", grouped(count.into()))
}

/// A time span as people read it.
pub(crate) fn span(seconds: f64) -> String {
    match seconds {
        s if s < 0.001 => "under a millisecond".into(),
        s if s < 1.0 => format!("{:.0} ms", s * 1000.0),
        s if s < 120.0 => format!("{s:.1} s"),
        s if s < 7200.0 => format!("{:.0} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.0} h", s / 3600.0),
        s => format!("{:.0} days", s / 86_400.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_line_up_and_shrink_only_flexible_columns() {
        let columns = [Column::Whole("ID"), Column::Flexible("NAME")];
        let rows = [["12345678".to_owned(), "Ünter".to_owned()], ["1".into(), String::new()]];
        let mut out = Vec::new();
        table(&mut out, columns, &rows).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "ID        NAME\n12345678  Ünter\n1\n");
        let mut widths = [30, 40];
        shrink(&columns, &mut widths, 60);
        assert_eq!(widths, [30, 28]);
        shrink(&columns, &mut widths, 10);
        assert_eq!(widths, [30, 8], "never below the least");
        assert_eq!(cut("abcdef", 4), "abc…");
    }

    #[test]
    fn what_others_wrote_forges_no_field_and_no_row_and_moves_no_cursor() {
        let mut out = Vec::new();
        let note = "fine\nread record  forged".to_owned();
        fields(&mut out, &[("note", note), ("length", "1".into())]).unwrap();
        let expected = "note    fine\n        read record  forged\nlength  1\n";
        assert_eq!(String::from_utf8(out).unwrap(), expected);
        let mut out = Vec::new();
        table(&mut out, [Column::Flexible("NAME")], &[["Eve\n\u{1b}[2JAda".to_owned()]]).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), "NAME\nEve\\n\\u{1b}[2JAda\n");
        let safe = escaped("a\n\tb\u{9b}\u{202e}", is_refused_in_note);
        assert_eq!(safe, "a\n\tb\\u{9b}\\u{202e}");
    }

    #[test]
    fn numbers_for_people() {
        assert_eq!(grouped(0), "0");
        assert_eq!(grouped(1_234_567), "1,234,567");
        assert_eq!(bytes(1023), "1023 bytes");
        assert_eq!(bytes(1536), "1.5 KiB (1,536 bytes)");
        assert_eq!(span(0.25), "250 ms");
        assert_eq!(span(90.0), "90.0 s");
        assert_eq!(span(7200.0), "2 h");
    }
}
