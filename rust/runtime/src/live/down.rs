//! Words for a connection that is down.

use std::fmt::Write;

use xtrader_core::engine::{ConnDown, DownReason};

/// Longest text of a peer that is kept, in bytes.
pub const MAX_DETAIL: usize = 256;

/// A connection that is down without a code.
#[must_use]
pub fn down(reason: DownReason, detail: &str) -> ConnDown {
    ConnDown { reason, code: None, detail: escaped(detail), retry_after_ms: None }
}

/// A peer's words on one line: control characters (and what could pass for an escape) escaped, cut to
/// [`MAX_DETAIL`] bytes. A terminal or a log that shows them shows text and nothing else.
#[must_use]
pub fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len().min(MAX_DETAIL));
    for c in text.chars() {
        let before = out.len();
        if c == '\\' || c.is_control() || is_invisible(c) {
            let written = write!(out, "{}", c.escape_default());
            debug_assert!(written.is_ok(), "writing to memory does not fail");
        } else {
            out.push(c);
        }
        if out.len() > MAX_DETAIL {
            out.truncate(before);
            break;
        }
    }
    out
}

/// Characters that reorder or hide the text around them.
fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}' | '\u{FEFF}')
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    // Fault: B14
    #[test]
    fn a_peers_words_are_shown_and_not_obeyed() {
        assert_eq!(escaped("Too many requests"), "Too many requests");
        assert_eq!(escaped("a\x1b[31mb\r\nc\u{202E}d\\e"), "a\\u{1b}[31mb\\r\\nc\\u{202e}d\\\\e");
        assert_eq!(escaped(&"é".repeat(300)).len(), MAX_DETAIL);
        assert_eq!(escaped(&"\0".repeat(300)).len() % "\\u{0}".len(), 0, "never half an escape");
    }

    proptest! {
        // Fault: B14
        #[test]
        fn never_longer_and_never_a_control_character(text in any::<String>()) {
            let out = escaped(&text);
            prop_assert!(out.len() <= MAX_DETAIL);
            prop_assert!(!out.chars().any(char::is_control));
        }
    }
}
