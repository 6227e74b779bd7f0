//! Which characters have no place in texts that people write and others read.
//!
//! A name goes into tables, terminals and the headers of letters: it is one line, and what is stored
//! is what is seen. Letters of every script pass, the joiners some of them need included.
//! Lists are fixed here, not by a version of Unicode, since stored metadata obeys them: see
//! `docs/format.md`.

/// Whether a character ends a line or controls what shows it: the control characters (Cc) and the line
/// and paragraph separators.
#[must_use]
pub fn is_control(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

/// Whether a character makes text appear in another order than it is stored in: embeddings, overrides
/// and isolates. Plain marks of direction are none of these.
#[must_use]
pub const fn is_reordering(c: char) -> bool {
    matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Whether a character may not stand in a name: a control, or a format character nobody sees.
///
/// The non-joiner (U+200C), the joiner (U+200D) and the Mongolian vowel separator (U+180E) pass:
/// Persian, several scripts of India, and Mongolian are not written without them.
///
/// ```
/// use medledger_core::text::is_refused_in_name;
/// assert!("Zoë 李雷 نرگس\u{200c}سادات".chars().all(|c| !is_refused_in_name(c)));
/// assert!(is_refused_in_name('\n') && is_refused_in_name('\u{202e}'));
/// ```
#[must_use]
pub fn is_refused_in_name(c: char) -> bool {
    is_control(c)
        || is_reordering(c)
        || matches!(
            c,
            '\u{ad}'
                | '\u{61c}'
                | '\u{200b}'
                | '\u{200e}'
                | '\u{200f}'
                | '\u{2060}'..='\u{2064}'
                | '\u{206a}'..='\u{206f}'
                | '\u{feff}'
                | '\u{fff9}'..='\u{fffb}'
                | '\u{1bca0}'..='\u{1bca3}'
                | '\u{1d173}'..='\u{1d17a}'
                | '\u{e0001}'
                | '\u{e0020}'..='\u{e007f}'
        )
}

/// Whether a text shows nothing: it is empty, or holds only spaces of some kind, joiners and fillers.
///
/// ```
/// use medledger_core::text::is_blank;
/// assert!(is_blank(" \u{a0}\u{3000}\u{200d}\u{3164}") && is_blank("") && !is_blank(" x"));
/// ```
#[must_use]
pub fn is_blank(text: &str) -> bool {
    let shows_nothing = |c: char| {
        c.is_whitespace()
            || matches!(
                c,
                '\u{34f}'
                    | '\u{115f}'
                    | '\u{1160}'
                    | '\u{17b4}'
                    | '\u{17b5}'
                    | '\u{180b}'..='\u{180e}'
                    | '\u{200c}'
                    | '\u{200d}'
                    | '\u{2800}'
                    | '\u{3164}'
                    | '\u{fe00}'..='\u{fe0f}'
                    | '\u{ffa0}'
            )
    };
    text.chars().all(shows_nothing)
}

/// Whether a text begins or ends with a space of some kind: beside one without, nobody sees the difference.
///
/// ```
/// use medledger_core::text::has_outer_spaces;
/// assert!(has_outer_spaces(" Ada") && has_outer_spaces("Ada\u{a0}") && !has_outer_spaces("Ada L"));
/// ```
#[must_use]
pub fn has_outer_spaces(text: &str) -> bool {
    text.trim() != text
}

/// Whether a character may not stand in a note of several lines: line feed and tab may, and marks of
/// direction, which word processors leave in text of right-to-left scripts.
#[must_use]
pub fn is_refused_in_note(c: char) -> bool {
    (is_control(c) && !matches!(c, '\n' | '\t')) || is_reordering(c)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Names of many scripts, with the joiners they need.
    const NAMES: [&str; 12] = [
        "Zoë Müller-Lüdenscheidt",
        "Nguyễn Thị Minh Khai",
        "Жанна д’Арк",
        "Ελένη Παπαδοπούλου",
        "李雷",
        "さくら 山田",
        "김민준",
        "فاطمه سادات حسینی‌نژاد",
        "דוד בן־גוריון",
        "ක්\u{200d}රිෂ්ණ",
        "สมชาย ใจดี",
        "ᠰᠠᠷᠠᠨ\u{180e}ᠠ",
    ];

    #[test]
    fn names_of_every_script_pass() {
        for name in NAMES {
            assert_eq!(name.chars().find(|c| is_refused_in_name(*c)), None, "{name}");
            assert_eq!(name.chars().find(|c| is_refused_in_note(*c)), None, "{name}");
        }
    }

    #[test]
    fn what_breaks_lines_controls_or_hides_is_refused_in_names() {
        let refused = "\0\t\n\r\u{1b}\u{7f}\u{85}\u{9b}\u{2028}\u{2029}\u{202a}\u{202e}\u{2066}\u{2069}\
                       \u{200b}\u{200e}\u{200f}\u{61c}\u{ad}\u{2060}\u{feff}\u{e0041}";
        for c in refused.chars() {
            assert!(is_refused_in_name(c), "{c:?}");
        }
    }

    #[test]
    fn notes_have_lines_and_marks_of_direction_but_keep_their_order() {
        for c in "\n\t\u{200e}\u{200f}\u{61c}\u{ad}".chars() {
            assert!(!is_refused_in_note(c), "{c:?}");
        }
        for c in "\0\r\u{1b}\u{7f}\u{85}\u{9b}\u{2028}\u{2029}\u{202e}\u{2066}\u{2069}".chars() {
            assert!(is_refused_in_note(c), "{c:?}");
        }
    }
}
