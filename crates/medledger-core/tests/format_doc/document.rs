//! Reads `docs/format.md`: the first table below a heading, and the named values of the example.

use std::collections::BTreeMap;

pub(crate) fn text() -> String {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/format.md");
    std::fs::read_to_string(path).unwrap()
}

/// The cells of the first table below the heading that ends in `heading`, without its head.
pub(crate) fn table(heading: &str) -> Vec<Vec<String>> {
    let text = text();
    let mut lines = text.lines().skip_while(|line| {
        !(line.starts_with('#') && line.trim_start_matches(['#', ' ']) == heading)
    });
    assert!(lines.next().is_some(), "docs/format.md has no heading {heading:?}");
    let rows: Vec<_> = lines
        .take_while(|line| !line.starts_with('#'))
        .skip_while(|line| !line.starts_with('|'))
        .take_while(|line| line.starts_with('|'))
        .skip(2)
        .map(cells)
        .collect();
    assert!(!rows.is_empty(), "docs/format.md has no table below {heading:?}");
    rows
}

fn cells(line: &str) -> Vec<String> {
    let inner = line.trim().trim_matches('|');
    inner.split(" | ").map(|cell| cell.trim().replace('`', "")).collect()
}

/// Compares the first columns of a table with what the code says, row by row.
pub(crate) fn expect_table(heading: &str, expected: &[Vec<String>]) {
    let found: Vec<Vec<String>> = table(heading);
    for (row, expected) in found.iter().zip(expected) {
        assert_eq!(&row[..expected.len()], expected, "docs/format.md, {heading:?}");
    }
    assert_eq!(found.len(), expected.len(), "rows below {heading:?} in docs/format.md");
}

/// The first column of a table.
pub(crate) fn names(heading: &str) -> Vec<String> {
    table(heading).into_iter().map(|mut row| row.swap_remove(0)).collect()
}

/// The values of the worked example: lines `name = value`, continued where lines are indented.
pub(crate) fn example() -> BTreeMap<String, String> {
    let text = text();
    let mut values = BTreeMap::new();
    let mut last: Option<String> = None;
    let blocks = text.split("```").skip(1).step_by(2).filter_map(|b| b.strip_prefix("example\n"));
    for line in blocks.flat_map(str::lines) {
        if let Some(rest) = line.strip_prefix("    ") {
            let name = last.as_ref().expect("a value goes on without a name");
            values.entry(name.clone()).or_insert_with(String::new).push_str(rest.trim());
        } else if let Some((name, value)) = line.split_once(" = ") {
            values.insert(name.trim().to_owned(), value.trim().to_owned());
            last = Some(name.trim().to_owned());
        }
    }
    assert!(!values.is_empty(), "docs/format.md has no worked example");
    values
}
