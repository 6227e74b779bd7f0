//! The files of `tests/vectors/`: what is in them is what this code writes, and what they expect is
//! what this code does. Other implementations read the same files.
//!
//! `MEDLEDGER_WRITE_VECTORS=1 cargo test -p medledger-core --test vectors` writes them anew, for a
//! change of format only.

mod case;
mod chain;
mod keys;
mod proofs;
mod receipts;
mod records;
mod sealing;
mod text;
mod world;

use case::File;

/// A test for each file: it is not stale, and every case in it holds.
macro_rules! files {
    ($($name:ident: $module:ident;)*) => {
        $(#[test]
        fn $name() {
            $module::$name().check(stringify!($name));
        })*

        #[test]
        fn every_file_is_read_by_some_test() {
            let mut known = vec![$(stringify!($name).to_owned()),*];
            known.extend(ELSEWHERE.map(str::to_owned));
            known.sort();
            assert_eq!(case::names(), known);
        }
    };
}

/// Read and written by the tests of `medledger-ipfs`.
const ELSEWHERE: [&str; 1] = ["unixfs"];

files! {
    access_keys: keys;
    blocks: chain;
    cbor: text;
    checkpoints: text;
    cids: text;
    envelopes: sealing;
    receipts: receipts;
    records: records;
    seal: sealing;
    slots: keys;
    tokens: keys;
}

type Judge = fn(&case::Case) -> String;

/// The name of an error's kind: that of its variant in snake case.
fn kind(error: &dyn std::fmt::Debug) -> String {
    let text = format!("{error:?}");
    let variant = text.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
    let mut name = String::new();
    for c in variant.chars() {
        if c.is_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.extend(c.to_lowercase());
    }
    name
}

fn hex(bytes: impl AsRef<[u8]>) -> String {
    data_encoding::HEXLOWER.encode(bytes.as_ref())
}

/// A file with nothing in it yet.
fn file(about: &'static str, judge: Judge) -> File {
    File { about, judge, cases: Vec::new() }
}
