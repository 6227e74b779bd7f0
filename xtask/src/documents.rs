//! Promises of the documents, held against the sources.

use crate::tools::root;
use std::collections::BTreeSet;
use std::path::Path;

/// Names of all functions in the Rust and Python sources of the repository.
fn functions() -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    for folder in ["crates", "src", "tests", "xtask", "fuzz", "examples"] {
        collect(&root().join(folder), &mut names);
    }
    names
}

fn collect(path: &Path, names: &mut BTreeSet<String>) {
    let Ok(entries) = std::fs::read_dir(path) else { return };
    for path in entries.map(|entry| entry.unwrap().path()) {
        if path.is_dir() {
            if path.file_name().is_some_and(|name| name != "target" && name != ".venv") {
                collect(&path, names);
            }
        } else if path.extension().is_some_and(|e| e == "rs" || e == "py") {
            let text = std::fs::read_to_string(&path).unwrap();
            for keyword in ["fn ", "def "] {
                names.extend(text.split(keyword).skip(1).map(|rest| {
                    rest.chars()
                        .take_while(|c| c.is_alphanumeric() || *c == '_')
                        .collect::<String>()
                }));
            }
        }
    }
}

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// Rows of the table of known attacks: number, status, names of tests.
fn attacks() -> Vec<(u32, String, Vec<String>)> {
    read("docs/threat-model.md")
        .lines()
        .filter(|line| {
            line.starts_with("| ") && line[2..].starts_with(|c: char| c.is_ascii_digit())
        })
        .map(|line| {
            let cells: Vec<_> = line.trim_matches('|').split(" | ").map(str::trim).collect();
            assert_eq!(cells.len(), 5, "{line}");
            let tests = cells[4].split('`').skip(1).step_by(2).map(str::to_owned).collect();
            (cells[0].parse().unwrap(), cells[2].to_owned(), tests)
        })
        .collect()
}

#[test]
fn every_known_attack_is_answered_and_every_test_named_exists() {
    let functions = functions();
    let rows = attacks();
    let numbers: Vec<u32> = rows.iter().map(|(number, ..)| *number).collect();
    assert_eq!(numbers, (1..=55).collect::<Vec<_>>());
    for (number, status, tests) in rows {
        assert!(
            ["mitigated", "partly", "by design", "not yet"].contains(&status.as_str()),
            "row {number}: {status}"
        );
        assert!(status != "mitigated" || !tests.is_empty(), "row {number} names no test");
        assert!(status != "not yet" || tests.is_empty(), "row {number} names tests");
        for test in tests {
            assert!(functions.contains(&test), "row {number}: there is no test {test}");
        }
        let prefix = format!("pitfall_{number:02}_");
        let tested = functions.iter().find(|name| name.starts_with(&prefix));
        assert!(
            tested.is_none() || status != "not yet",
            "row {number} is said to be open, but {tested:?} tests it"
        );
    }
}

/// The claims of the protocol: each is numbered, says against whom, and names tests that are there.
#[test]
fn every_claim_of_the_protocol_names_tests_that_exist() {
    let functions = functions();
    let text = read("docs/protocol.md");
    let claims: Vec<&str> = text.split("\n### C").skip(1).collect();
    assert!(!claims.is_empty());
    for (number, claim) in (1..).zip(claims) {
        let claim = claim.split("\n## ").next().unwrap();
        assert!(claim.starts_with(&format!("{number}. ")), "claim {number} is out of order");
        assert!(claim.contains("\n*Against:* "), "claim {number} names no attacker");
        let tests = claim.split("\n*Tests:* ").nth(1).unwrap_or_default();
        assert!(tests.contains('`'), "claim {number} names no test");
    }
    // Elsewhere in the text, too, what looks like the name of a test is one.
    for name in text.split('`').skip(1).step_by(2).filter(|name| name.matches('_').count() > 2) {
        let known = name.contains('/') || functions.contains(name);
        assert!(known, "docs/protocol.md: there is no test {name}");
    }
}

#[test]
fn links_between_documents_lead_somewhere() {
    let mut documents =
        vec!["README.md".to_owned(), "CONTRIBUTING.md".into(), "CHANGELOG.md".into()];
    for folder in ["docs", "docs/decisions", "tests/vectors"] {
        for entry in std::fs::read_dir(root().join(folder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            if name.ends_with(".md") {
                documents.push(format!("{folder}/{name}"));
            }
        }
    }
    for document in documents {
        let text = read(&document);
        let folder = root().join(&document).parent().unwrap().to_path_buf();
        for target in text.split("](").skip(1).filter_map(|rest| rest.split(')').next()) {
            let (path, anchor) = target.split_once('#').unwrap_or((target, ""));
            if target.contains("://") {
                continue;
            }
            let file = if path.is_empty() { root().join(&document) } else { folder.join(path) };
            assert!(file.exists(), "{document} links to {target}");
            if !anchor.is_empty() {
                let linked = std::fs::read_to_string(&file).unwrap();
                let found = linked.lines().filter(|line| line.starts_with('#')).any(|line| {
                    let heading = line.trim_start_matches(['#', ' ']).to_lowercase();
                    let plain: String = heading
                        .chars()
                        .filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'))
                        .collect();
                    plain.replace(' ', "-") == anchor
                });
                assert!(found, "{document} links to {target}, which is no heading");
            }
        }
    }
}

#[test]
fn decisions_are_numbered_without_gaps_and_say_the_same_things() {
    let mut names: Vec<String> = std::fs::read_dir(root().join("docs/decisions"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name != "README.md")
        .collect();
    names.sort();
    let index = read("docs/decisions/README.md");
    for (number, name) in (1..).zip(&names) {
        assert!(name.starts_with(&format!("{number:04}-")), "{name} is not number {number}");
        assert!(index.contains(name.as_str()), "{name} is missing in docs/decisions/README.md");
        let text = read(&format!("docs/decisions/{name}"));
        for heading in ["## Context", "## Options discarded", "## Decision", "## Consequences"] {
            assert!(text.contains(heading), "{name} has no {heading:?}");
        }
    }
}

/// The fenced blocks of a language in README.md, without the indentation of lists.
fn snippets(language: &str) -> Vec<Vec<String>> {
    let text = read("README.md");
    let mut blocks = Vec::new();
    let mut open: Option<Vec<String>> = None;
    for line in text.lines().map(str::trim) {
        if let Some(lines) = &mut open {
            if line == "```" {
                blocks.extend(open.take());
            } else if !line.is_empty() {
                lines.push(line.to_owned());
            }
        } else if line.strip_prefix("```") == Some(language) {
            open = Some(Vec::new());
        }
    }
    assert!(!blocks.is_empty(), "README.md has no snippet in {language}");
    blocks
}

/// Whether the lines stand in this order in the source, with others between them or not.
fn expect_lines(lines: &[String], source: &str) {
    let mut rest = source.lines().map(|line| line.trim_start_matches(['/', '!', '#']).trim());
    for line in lines {
        assert!(rest.any(|found| found == line), "README.md shows what is nowhere tested: {line}");
    }
}

#[test]
fn snippets_of_the_readme_are_taken_from_tested_code() {
    let documentation = read("crates/medledger/src/lib.rs");
    for lines in snippets("rust") {
        expect_lines(&lines, &documentation);
    }
    let example = read("examples/upload.py");
    for lines in snippets("python") {
        expect_lines(&lines, &example);
    }
}

#[test]
fn commands_in_the_readme_exist() {
    for line in snippets("sh").concat() {
        for command in line.split("medledger ").skip(1).filter_map(|rest| rest.split(' ').next()) {
            let file = |name: String| root().join("src/commands").join(name).exists();
            let known = file(format!("{command}.rs")) || file(format!("{command}/mod.rs"));
            assert!(known, "README.md: there is no command {command}: {line}");
        }
    }
}
