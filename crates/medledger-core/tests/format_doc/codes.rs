//! Tables of numbers and names.

use crate::document::{expect_table, names, text};
use medledger_core::identity::LockParams;
use medledger_core::key_slot::KeySlotRole;
use medledger_core::keys::KeyAlgorithm;
use medledger_core::receipt::Reason;
use medledger_core::registry::{
    CipherSuite, Custody, FORMAT_VERSION, Kind, Purpose, Role, VoidCode, domain, limit,
};
use medledger_core::seal;
use medledger_core::slot::{SlotRole, SlotSuite};
use medledger_core::store::Drawer;

const REGISTRY: &str = include_str!("../../src/registry.rs");
const STATE: &str = include_str!("../../src/state/mod.rs");

fn yes(flag: bool) -> String {
    if flag { "yes" } else { "no" }.to_owned()
}

#[test]
fn version_is_the_one_documented() {
    assert!(text().contains(&format!("The format version is **{FORMAT_VERSION}**")));
}

#[test]
fn domains_are_documented() {
    let expected: Vec<Vec<String>> = domain::ALL
        .iter()
        .map(|domain| {
            let name = std::str::from_utf8(&domain[..domain.len() - 1]).unwrap();
            vec![format!("{name}\\0")]
        })
        .collect();
    expect_table("Domains", &expected);
    let declared = REGISTRY.matches(": &[u8] = b\"medledger/").count();
    assert_eq!(declared, expected.len(), "a domain that is not in domain::ALL");
}

#[test]
fn limits_are_documented() {
    macro_rules! limits {
        ($($name:ident),* $(,)?) => {
            vec![$(vec![stringify!($name).to_owned(), limit::$name.to_string()]),*]
        };
    }
    let expected = limits![
        RECORD_BYTES,
        BLOCK_RECORDS,
        BLOCK_BYTES,
        PAGE_BYTES,
        GENESIS_BYTES,
        ENVELOPE_BYTES,
        RECEIPT_BYTES,
        SLOT_BYTES,
        PUBLIC_IDENTITY_BYTES,
        CHECKPOINT_BYTES,
        CHECKPOINT_SIGNATURES,
        CHECKPOINT_EVIDENCE_BYTES,
        LOCKED_IDENTITY_BYTES,
        KEY_CONSENT_BYTES,
        FORMER_KEYS,
        CBOR_DEPTH,
        FILE_NAME_BYTES,
        MEDIA_TYPE_BYTES,
        NOTE_BYTES,
        METADATA_BYTES,
        IDEMPOTENCY_KEY_BYTES,
        GRANT_REPORTS,
        DELEGATIONS,
        GROUP_CHANGES,
        SLOT_REQUEST_BYTES,
        SLOT_RELEASE_BYTES,
        RELEASE_SECONDS,
        FUTURE_BLOCK_SECONDS,
        MINER_AHEAD_SECONDS,
        QUEUE_RECORDS,
        QUEUE_BYTES,
        QUEUE_OF_AUTHOR,
        QUEUE_UNSIGNED,
        QUEUE_SECONDS,
        BRANCH_BLOCKS,
        BRANCH_BYTES,
        CONDEMNED,
        MEDIAN_TIME_BLOCKS,
        VOTE_BYTES,
        CERTIFICATE_BYTES,
        VOTER_STATE_BYTES,
        EVIDENCE_BYTES,
        EVIDENCE_HEADERS,
        HOSPITAL_CARD_BYTES,
        HOSPITALS,
        PROPOSAL_BYTES,
        NEWS_BYTES,
        VOTE_ROUNDS,
        ATTEMPTS_OF_PAIR,
        ATTEMPTS_OF_PERSON,
        ATTEMPTS_SECONDS,
        ATTEMPTS_WAIT_SECONDS,
        AUDIT_REFUSALS_A_DAY,
        AUDIT_ENTRY_BYTES,
    ];
    let limits = REGISTRY.split("pub mod limit").nth(1).unwrap().split("\n}").next().unwrap();
    let declared: Vec<String> = limits
        .lines()
        .filter_map(|line| line.trim().strip_prefix("pub const ")?.split(':').next())
        .map(str::to_owned)
        .collect();
    assert_eq!(declared, expected.iter().map(|row| row[0].clone()).collect::<Vec<_>>());
    expect_table("Limits", &expected);
}

#[test]
fn kinds_are_documented() {
    let expected: Vec<_> = Kind::ALL
        .iter()
        .map(|kind| vec![kind.code().to_string(), kind.name().into(), yes(kind.in_force())])
        .collect();
    expect_table("Kinds", &expected);
}

#[test]
fn outcome_codes_are_documented() {
    let expected: Vec<_> = VoidCode::ALL
        .iter()
        .map(|code| vec![code.code().to_string(), format!("{code:?}"), code.to_string()])
        .collect();
    expect_table("Outcome codes", &expected);
}

#[test]
fn roles_custody_and_purposes_are_documented() {
    let roles: Vec<_> = Role::ALL
        .iter()
        .map(|role| vec![role.name().into(), yes(role.uploads()), yes(role.reads())])
        .collect();
    expect_table("Roles", &roles);
    let custody: Vec<_> = Custody::ALL.iter().map(|c| vec![c.name().to_owned()]).collect();
    expect_table("Custody", &custody);
    let purposes: Vec<_> = Purpose::ALL.iter().map(|p| vec![p.name().to_owned()]).collect();
    expect_table("Purposes", &purposes);
}

#[test]
fn algorithms_and_suites_are_documented() {
    let mut algorithms = Vec::new();
    let mut suites = Vec::new();
    let mut ciphers = Vec::new();
    let mut roles = Vec::new();
    for code in 0..=u8::MAX {
        if let Ok(algorithm) = KeyAlgorithm::from_code(code) {
            let in_force = algorithm != KeyAlgorithm::Secp256k1;
            algorithms.push(vec![code.to_string(), algorithm.to_string(), yes(in_force)]);
        }
        if let Ok(suite) = SlotSuite::from_code(code.into()) {
            suites.push(suite);
        }
        if CipherSuite::from_code(code.into()).is_some() {
            ciphers.push(vec![code.to_string()]);
        }
        if let Some(role) = SlotRole::from_code(code) {
            roles.push(vec![code.to_string(), format!("{role:?}").to_lowercase()]);
        }
    }
    expect_table("Key algorithms", &algorithms);
    let suites: Vec<_> = suites.iter().map(|suite| vec![suite.code().to_string()]).collect();
    expect_table("Slot suites", &suites);
    expect_table("Cipher suites", &ciphers);
    expect_table("Slot roles", &roles);
    let key_roles: Vec<_> = KeySlotRole::ALL
        .iter()
        .map(|role| vec![role.code().to_string(), format!("{role:?}").to_lowercase()])
        .collect();
    expect_table("Key slot roles", &key_roles);
}

#[test]
fn reasons_of_receipts_are_documented() {
    let expected: Vec<_> = Reason::ALL.iter().map(|(_, name)| vec![(*name).to_owned()]).collect();
    expect_table("Reasons", &expected);
}

#[test]
fn drawers_are_documented() {
    let expected: Vec<_> = Drawer::ALL
        .iter()
        .map(|drawer| vec![drawer.code().to_string(), format!("{drawer:?}").to_lowercase()])
        .collect();
    expect_table("Drawers", &expected);
}

#[test]
fn state_tables_are_documented() {
    let mut letters: Vec<String> = STATE
        .match_indices("join(b'")
        .map(|(at, found)| STATE[at + found.len()..][..1].to_owned())
        .collect();
    letters.push("c".to_owned());
    letters.sort();
    let mut documented = names("State entries");
    documented.sort();
    assert_eq!(documented, letters);
}

#[test]
fn numbers_of_the_ciphertext_and_of_locked_files_are_documented() {
    let text = text();
    for (name, value) in [
        ("chunk of plaintext", seal::CHUNK_LEN as u64),
        ("sealed chunk", seal::SEALED_CHUNK_LEN as u64),
        ("tag", seal::TAG_LEN as u64),
        ("salt", seal::SALT_LEN as u64),
        ("head", seal::HEAD_LEN as u64),
        ("longest plaintext", seal::MAX_PLAIN_LEN),
        ("padding floor", medledger_core::padding::FLOOR),
    ] {
        let row = format!("| {name} | {value} |");
        assert!(text.contains(&row), "docs/format.md lacks the row {row:?}");
    }
    for (name, range) in
        [("m", LockParams::MEMORY_KIB), ("t", LockParams::PASSES), ("p", LockParams::LANES)]
    {
        let cell = format!("from {} to {}", range.start(), range.end());
        let line = text.lines().find(|line| line.starts_with(&format!("| `kdf.{name}` |")));
        assert!(line.is_some_and(|line| line.contains(&cell)), "kdf.{name}: {cell}");
    }
}

#[test]
fn errors_of_the_vector_files_are_documented() {
    let text = text();
    let section = text.split("## Errors in vector files").nth(1).unwrap();
    let section = section.split("\n## ").next().unwrap();
    let mut known: Vec<String> = section.split('`').skip(1).step_by(2).map(str::to_owned).collect();
    known.extend(VoidCode::ALL.iter().map(|code| snake(&format!("{code:?}"))));
    known.push("ok".into());
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/vectors");
    let mut cases = 0;
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "json") {
            continue;
        }
        let file: serde_json::Value =
            serde_json::from_str(&std::fs::read_to_string(&path).unwrap()).unwrap();
        for case in file["cases"].as_array().unwrap() {
            let expect = case["expect"].as_str().unwrap();
            assert!(known.iter().any(|name| name == expect), "{}: {expect}", path.display());
            cases += 1;
        }
    }
    assert!(cases > 100);
}

fn snake(name: &str) -> String {
    let mut snake = String::new();
    for c in name.chars() {
        if c.is_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(c.to_ascii_lowercase());
    }
    snake
}
