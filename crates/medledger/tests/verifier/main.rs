//! The receipt verifier for browsers: its text, its core under Node.js, the page in Chromium; each
//! verdict is compared with that of the Rust code.
#![forbid(unsafe_code)]

mod browser;
mod cases;
mod chromium;
mod handed_over;
mod node;
mod paced;
mod page;
mod tree;

/// The value of a peer's variable; without it, says past the harness's capturing that the test is
/// skipped.
fn peer(test: &str, variable: &str) -> Option<String> {
    use std::io::Write;
    let value = std::env::var(variable).ok().filter(|value| !value.is_empty());
    if value.is_none() {
        let _ = writeln!(std::io::stderr(), "SKIPPED {test}: {variable} is not set");
    }
    value
}
