//! Tells the story: paragraphs and facts for people, or one JSON object a step for programs.

use serde_json::map::Entry;
use serde_json::{Map, Value, json};
use std::fmt::Display;
use std::io::{self, Write};
use std::time::{Duration, Instant};

/// Columns that lines keep within, the 64 characters of a hash included.
const WIDTH: usize = 79;
const INDENT: usize = 4;
const LABEL: usize = 10;

/// How the story is told.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Format {
    /// In words, for people.
    #[default]
    Text,
    /// One JSON object a line and step, for programs.
    Json,
}

/// Writes the steps as they happen.
pub(super) struct Narrator<'a> {
    out: &'a mut dyn Write,
    format: Format,
    number: u32,
    step: Option<Telling>,
    last: Last,
}

/// What the last line was: words and facts stand apart.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Last {
    Title,
    Words,
    Fact,
}

/// The step being told.
struct Telling {
    name: &'static str,
    title: String,
    begun: Instant,
    said: Vec<String>,
    facts: Map<String, Value>,
}

impl<'a> Narrator<'a> {
    pub(super) fn new(out: &'a mut dyn Write, format: Format) -> Self {
        Self { out, format, number: 0, step: None, last: Last::Title }
    }

    /// Words before and after the numbered steps; JSON has no need of them.
    pub(super) fn words(&mut self, words: &str) -> io::Result<()> {
        if self.format == Format::Text {
            for line in wrap(words, WIDTH) {
                writeln!(self.out, "{line}")?;
            }
        }
        Ok(())
    }

    /// A line of its own, never wrapped: a path or a command to copy.
    pub(super) fn line(&mut self, line: &str) -> io::Result<()> {
        if self.format == Format::Text {
            writeln!(self.out, "{line}")?;
        }
        Ok(())
    }

    /// Begins a step; `name` is for programs, `title` for people.
    pub(super) fn step(&mut self, name: &'static str, title: &str) -> io::Result<()> {
        self.end()?;
        self.number += 1;
        if self.format == Format::Text {
            writeln!(self.out, "\n{:>2}  {title}", self.number)?;
            self.out.flush()?;
        }
        self.last = Last::Title;
        self.step = Some(Telling {
            name,
            title: title.to_owned(),
            begun: Instant::now(),
            said: Vec::new(),
            facts: Map::new(),
        });
        Ok(())
    }

    /// What happens, in plain words.
    pub(super) fn say(&mut self, words: &str) -> io::Result<()> {
        match (self.format, &mut self.step) {
            (Format::Json, Some(step)) => step.said.push(words.to_owned()),
            _ => {
                self.apart(Last::Words)?;
                for line in wrap(words, WIDTH - INDENT) {
                    writeln!(self.out, "{:INDENT$}{line}", "")?;
                }
                self.out.flush()?;
            }
        }
        Ok(())
    }

    /// Something that can be looked up; programs get it as text.
    pub(super) fn fact(&mut self, label: &str, value: impl Display) -> io::Result<()> {
        let value = value.to_string();
        self.fact_as(label, &value, json!(value))
    }

    /// The same, with another value for programs.
    pub(super) fn fact_as(&mut self, label: &str, shown: &str, value: Value) -> io::Result<()> {
        match (self.format, &mut self.step) {
            (Format::Json, Some(step)) => {
                // What is told several times becomes a list.
                match step.facts.entry(label.replace(' ', "_")) {
                    Entry::Vacant(place) => {
                        place.insert(value);
                    }
                    Entry::Occupied(mut place) => match place.get_mut() {
                        Value::Array(values) => values.push(value),
                        first => *first = Value::Array(vec![first.take(), value]),
                    },
                }
            }
            _ => {
                self.apart(Last::Fact)?;
                let mut label = label;
                for line in wrap(shown, WIDTH - INDENT - LABEL - 1) {
                    writeln!(self.out, "{:INDENT$}{label:<LABEL$} {line}", "")?;
                    label = "";
                }
            }
        }
        Ok(())
    }

    /// An empty line between words and facts.
    fn apart(&mut self, next: Last) -> io::Result<()> {
        if self.last != next && self.last != Last::Title {
            writeln!(self.out)?;
        }
        self.last = next;
        Ok(())
    }

    /// Name of the step that is being told.
    pub(super) fn current(&self) -> &'static str {
        self.step.as_ref().map_or("begin", |step| step.name)
    }

    /// Ends the step that is being told.
    pub(super) fn end(&mut self) -> io::Result<()> {
        if let Some(step) = self.step.take()
            && self.format == Format::Json
        {
            let object = json!({
                "step": self.number,
                "name": step.name,
                "title": step.title,
                "seconds": seconds(step.begun.elapsed()),
                "said": step.said,
                "facts": step.facts,
            });
            writeln!(self.out, "{object}")?;
        }
        self.out.flush()
    }
}

/// Seconds to the microsecond.
pub(super) fn seconds(time: Duration) -> f64 {
    (time.as_secs_f64() * 1e6).round() / 1e6
}

/// A duration as people read it.
pub(super) fn show_duration(time: Duration) -> String {
    let seconds = time.as_secs_f64();
    if seconds < 0.001 {
        format!("{:.0} us", seconds * 1e6)
    } else if seconds < 0.1 {
        format!("{:.1} ms", seconds * 1e3)
    } else {
        format!("{seconds:.2} s")
    }
}

/// Breaks words into lines; a word longer than a line stays whole.
fn wrap(words: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in words.split(' ') {
        let line = lines.last_mut().expect("there is always a line");
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_readable() {
        let durations = [12, 1_500, 250_000, 61_000_000].map(Duration::from_micros);
        assert_eq!(durations.map(show_duration), ["12 us", "1.5 ms", "0.25 s", "61.00 s"]);
    }

    #[test]
    fn lines_are_wrapped_between_words_only() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("abcdefghij k", 4), ["abcdefghij", "k"]);
        assert_eq!(wrap("", 4), [""]);
    }

    #[test]
    fn a_step_is_one_json_object() {
        let mut out = Vec::new();
        let mut tell = Narrator::new(&mut out, Format::Json);
        tell.words("left out").unwrap();
        tell.step("first", "The first").unwrap();
        tell.say("It happens.").unwrap();
        tell.fact("block id", "00ff").unwrap();
        tell.fact_as("size", "3 bytes", json!(3)).unwrap();
        for who in ["a", "b", "c"] {
            tell.fact("read by", who).unwrap();
        }
        tell.end().unwrap();
        let value: Value = serde_json::from_slice(&out).unwrap();
        assert_eq!(value["name"], "first");
        let facts = json!({"block_id": "00ff", "size": 3, "read_by": ["a", "b", "c"]});
        assert_eq!(value["facts"], facts);
        assert_eq!(value["said"], json!(["It happens."]));
    }
}
