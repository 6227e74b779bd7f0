//! Commands that somebody is told to type.

/// One argument as a shell takes it.
pub(crate) fn word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+:\\".contains(c);
    if text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', "'\\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::word;

    #[test]
    fn paths_are_quoted_for_a_shell() {
        assert_eq!(word("/tmp/a-b"), "/tmp/a-b");
        assert_eq!(word("/tmp/it's here"), r"'/tmp/it'\''s here'");
    }
}
