//! `docs/format.md` against the code: a number, name or field that is missing there, or differs, fails.

mod codes;
mod document;
mod example;
mod structures;
