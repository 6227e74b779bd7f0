//! Looks for secrets in whatever lies on the disk.

use medledger::AccessKey;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Every file below a folder, with its bytes.
pub(crate) type Files = BTreeMap<PathBuf, Vec<u8>>;

/// Reads all files below `folder`, leaving out what lies below one of `except`.
pub(crate) fn read(folder: &Path, except: &[&str]) -> Files {
    fn walk(folder: &Path, except: &[PathBuf], files: &mut Files) {
        for entry in std::fs::read_dir(folder).expect("a folder of the ledger") {
            let path = entry.expect("an entry").path();
            if except.contains(&path) {
                continue;
            }
            if path.is_dir() {
                walk(&path, except, files);
            } else {
                let bytes = std::fs::read(&path).expect("a file of the ledger");
                files.insert(path, bytes);
            }
        }
    }
    let mut files = Files::new();
    let except: Vec<_> = except.iter().map(|name| folder.join(name)).collect();
    walk(folder, &except, &mut files);
    files
}

/// What must not be found, with a name to report it by.
#[derive(Default)]
pub(crate) struct Secrets {
    patterns: Vec<(String, Vec<u8>)>,
}

impl Secrets {
    /// Bytes that must not be found as they are.
    pub(crate) fn add(&mut self, name: &str, bytes: &[u8]) {
        assert!(bytes.len() >= 4, "too short to be found only where it is meant: {name}");
        self.patterns.push((name.to_owned(), bytes.to_vec()));
    }

    /// An access key in every form it could be written in.
    pub(crate) fn add_key(&mut self, name: &str, key: &AccessKey) {
        self.add(name, key.expose());
        self.add_text_of(name, key.expose());
        let text = key.to_text();
        let plain = text.replace('-', "");
        for form in [text.to_lowercase(), text.to_string(), plain.to_lowercase(), plain] {
            self.add(name, form.as_bytes());
        }
    }

    /// Secret bytes written as hexadecimal, base 32, base 64, or as a debug list of numbers.
    pub(crate) fn add_text_of(&mut self, name: &str, bytes: &[u8]) {
        use data_encoding::{BASE32_NOPAD, BASE64_NOPAD, BASE64URL_NOPAD, HEXLOWER, HEXUPPER};
        for encoding in [HEXLOWER, HEXUPPER, BASE32_NOPAD, BASE64_NOPAD, BASE64URL_NOPAD] {
            self.add(name, encoding.encode(bytes).as_bytes());
        }
        let list = format!("{bytes:?}");
        self.add(name, list.trim_matches(['[', ']']).as_bytes());
    }

    /// The names of what is found in `bytes`.
    pub(crate) fn find(&self, bytes: &[u8]) -> Vec<&str> {
        self.find_by(&self.by_start(), bytes)
    }

    /// The patterns by their first two bytes: they rule most places out.
    fn by_start(&self) -> Vec<Vec<usize>> {
        let mut by_start: Vec<Vec<usize>> = vec![Vec::new(); 1 << 16];
        for (index, (_, pattern)) in self.patterns.iter().enumerate() {
            by_start[usize::from(u16::from_be_bytes([pattern[0], pattern[1]]))].push(index);
        }
        by_start
    }

    fn find_by(&self, by_start: &[Vec<usize>], bytes: &[u8]) -> Vec<&str> {
        let mut found = Vec::new();
        let mut start = 0;
        for (at, byte) in bytes.iter().enumerate() {
            start = (start << 8 | usize::from(*byte)) & 0xffff;
            if at == 0 || by_start[start].is_empty() {
                continue;
            }
            for index in &by_start[start] {
                let (name, pattern) = &self.patterns[*index];
                if bytes[at - 1..].starts_with(pattern) && !found.contains(&name.as_str()) {
                    found.push(name);
                }
            }
        }
        found
    }

    /// Fails when any secret lies in any of the files.
    pub(crate) fn assert_none_in(&self, files: &Files) {
        let by_start = self.by_start();
        for (path, bytes) in files {
            let found = self.find_by(&by_start, bytes);
            assert!(found.is_empty(), "in clear in {}: {found:?}", path.display());
        }
    }
}

#[test]
fn secrets_are_found_in_every_form() {
    let key = AccessKey::from_bytes(*b"0123456789abcdef");
    let mut secrets = Secrets::default();
    secrets.add_key("key", &key);
    for form in [
        key.to_text().to_string(),
        key.to_text().replace('-', "").to_lowercase(),
        "0123456789abcdef".to_owned(),
        "30313233343536373839616263646566".to_owned(),
        "MDEyMzQ1Njc4OWFiY2RlZg==".to_owned(),
        format!("AccessKey({:?})", key.expose()),
    ] {
        assert_eq!(secrets.find(format!("xx{form}yy").as_bytes()), ["key"], "{form}");
    }
    assert!(secrets.find(b"0123456789abcdeg").is_empty());
}
