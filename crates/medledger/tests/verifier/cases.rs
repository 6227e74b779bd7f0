//! Good receipts, and what becomes of them when they are changed in every way that comes to mind.

use crate::tree::Tree;
use data_encoding::{BASE64, HEXLOWER};
use medledger::{ChainId, Receipt};
use serde_json::Value;

/// A receipt and a chain id, with the verdict of the Rust code: `ok`, or the name of the reason.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) bytes: Vec<u8>,
    pub(crate) chain: String,
    pub(crate) verdict: &'static str,
}

impl Case {
    pub(crate) fn new(bytes: Vec<u8>, chain: &str) -> Self {
        let id: ChainId = chain.parse().expect("a chain id");
        let verdict = match Receipt::from_bytes(&bytes).and_then(|receipt| receipt.check(&id)) {
            Ok(_) => "ok",
            Err(error) => error.reason().name(),
        };
        Self { bytes, chain: chain.to_owned(), verdict }
    }
}

/// Every case of `tests/vectors/receipts.json`, and receipts of chains whose difficulty moves.
pub(crate) fn vectors() -> Vec<Case> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors/receipts.json");
    let file: Value = serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap();
    let text = |case: &Value, field: &str| case[field].as_str().unwrap().to_owned();
    let cases = file["cases"].as_array().unwrap().iter();
    let cases: Vec<Case> = cases
        .map(|case| {
            let bytes = HEXLOWER.decode(text(case, "bytes").as_bytes()).unwrap();
            let judged = Case::new(bytes, &text(case, "chain"));
            assert_eq!(judged.verdict == "ok", case["expect"] == "ok", "{}", case["name"]);
            judged
        })
        .collect();
    assert!(cases.iter().filter(|case| case.verdict == "ok").count() > 4);
    let changed = crate::handed_over::cases();
    crate::paced::cases().into_iter().chain(changed).chain(cases).collect()
}

/// The same sequence in each run (SplitMix64): a failure can be had again.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }

    /// A flipped bit, another byte, a cut, a gap, bytes more, two parts swapped.
    pub(crate) fn change_bytes(&mut self, bytes: &mut Vec<u8>) {
        if bytes.is_empty() {
            bytes.push(self.next() as u8);
            return;
        }
        let at = self.below(bytes.len());
        match self.below(10) {
            0..=4 => bytes[at] ^= 1 << self.below(8),
            5 => bytes[at] = self.next() as u8,
            6 => bytes.truncate(at),
            7 => drop(bytes.drain(at..(at + 1 + self.below(3)).min(bytes.len()))),
            8 => bytes.insert(at, self.next() as u8),
            _ => bytes.rotate_left(at.max(1)),
        }
    }

    /// Another character, a line less, a line twice, two lines swapped.
    pub(crate) fn change_text(&mut self, text: &str) -> String {
        let mut lines: Vec<&str> = text.split_inclusive('\n').collect();
        let odd =
            ['\0', '\r', '\t', '+', ' ', '=', '0', '\u{7f}', '\u{85}', '\u{2014}', '\u{feff}'];
        match self.below(5) {
            0 if !lines.is_empty() => drop(lines.remove(self.below(lines.len()))),
            1 if !lines.is_empty() => {
                let at = self.below(lines.len());
                lines.insert(at, lines[at]);
            }
            2 if lines.len() > 1 => {
                let (a, b) = (self.below(lines.len()), self.below(lines.len()));
                lines.swap(a, b);
            }
            n => {
                let mut chars: Vec<char> = text.chars().collect();
                let at = self.below(chars.len() + 1);
                let new = odd[self.below(odd.len())];
                match chars.get_mut(at) {
                    Some(old) if n == 3 => *old = new,
                    Some(old) => *old = char::from(b' ' + self.below(95) as u8),
                    None => chars.push(new),
                }
                return chars.into_iter().collect();
            }
        }
        lines.concat()
    }
}

/// So many changed receipts.
pub(crate) fn changed(seed: u64, count: usize) -> Vec<Case> {
    let good: Vec<Case> = vectors().into_iter().filter(|case| case.verdict == "ok").collect();
    let mut random = Random::new(seed);
    (0..count)
        .map(|_| {
            let Case { mut bytes, mut chain, .. } = good[random.below(good.len())].clone();
            let other = &good[random.below(good.len())];
            let as_text = bytes.starts_with(b"c2sp");
            match random.below(10) {
                0 => random.change_bytes(&mut bytes),
                // A part of another receipt at the same place.
                1 => {
                    let at = random.below(bytes.len().min(other.bytes.len()));
                    let end = (at + random.below(200)).min(bytes.len()).min(other.bytes.len());
                    bytes[at..end].copy_from_slice(&other.bytes[at..end]);
                }
                2 => {
                    let at = random.below(64);
                    let digit = if &chain[at..=at] == "0" { "1" } else { "0" };
                    chain.replace_range(at..=at, digit);
                }
                3 => chain.clone_from(&other.chain),
                4..=5 if as_text => {
                    let text = String::from_utf8(bytes).unwrap();
                    bytes = random.change_text(&text).into_bytes();
                }
                _ if as_text => {
                    let text = String::from_utf8(bytes).unwrap();
                    let start = text.find("extra ").unwrap() + 6;
                    let end = start + text[start..].find('\n').unwrap();
                    let extra = BASE64.decode(&text.as_bytes()[start..end]).unwrap();
                    let extra = BASE64.encode(&with_change(&extra, &mut random));
                    bytes = format!("{}{extra}{}", &text[..start], &text[end..]).into_bytes();
                }
                // A field of another receipt.
                4 => {
                    let (Some(Tree::Map(mut mine)), Some(Tree::Map(theirs))) =
                        (Tree::read(&bytes), Tree::read(&other.bytes))
                    else {
                        return Case::new(bytes, &chain);
                    };
                    let at = random.below(mine.len().min(theirs.len()));
                    mine[at].1 = theirs[at].1.clone();
                    bytes = Tree::Map(mine).write();
                }
                _ => bytes = with_change(&bytes, &mut random),
            }
            Case::new(bytes, &chain)
        })
        .collect()
}

fn with_change(cbor: &[u8], random: &mut Random) -> Vec<u8> {
    let mut tree = Tree::read(cbor).expect("good DAG-CBOR");
    tree.change(random);
    tree.write()
}

/// How many cases have which verdict.
pub(crate) fn tally(cases: &[Case]) -> std::collections::BTreeMap<&'static str, usize> {
    let mut tally = std::collections::BTreeMap::new();
    for case in cases {
        *tally.entry(case.verdict).or_insert(0) += 1;
    }
    tally
}

#[test]
fn the_changes_reach_every_verdict_and_the_tree_reads_what_it_writes() {
    for case in vectors().iter().filter(|case| case.verdict == "ok") {
        if let Some(tree) = Tree::read(&case.bytes) {
            assert_eq!(tree.write(), case.bytes);
        }
    }
    let mut cases = vectors();
    cases.extend(changed(1, 4000));
    let tally = tally(&cases);
    println!("{tally:?}");
    for (_, name) in medledger::core::receipt::Reason::ALL {
        assert!(tally.contains_key(name), "{name} is never reached: {tally:?}");
    }
}
