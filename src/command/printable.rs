//! Text of others, safe to show on a terminal.

use std::fmt::Write as _;

/// The text on one line: what moves the cursor, colours, hides or turns text is written out.
pub(super) fn printable(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for character in text.chars() {
        if is_plain(character) {
            shown.push(character);
        } else {
            shown.extend(character.escape_unicode());
        }
    }
    shown
}

/// A body's text, its lines kept; bytes that are no text are written out.
pub(super) fn printable_body(body: &[u8]) -> String {
    let mut shown = String::with_capacity(body.len());
    for chunk in body.utf8_chunks() {
        let mut lines = chunk.valid().split('\n');
        shown.extend(lines.next().map(printable));
        for line in lines {
            shown.push('\n');
            shown.push_str(&printable(line));
        }
        for byte in chunk.invalid() {
            // Writing to a text does not fail.
            let _ = write!(shown, "\\x{byte:02x}");
        }
    }
    shown
}

/// JSON that says the same, with everything in its texts that a terminal would obey escaped.
pub(super) fn printable_json(json: &str) -> String {
    let mut shown = String::with_capacity(json.len());
    for character in json.chars() {
        if character == '\n' || is_plain(character) {
            shown.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                // Writing to a text does not fail.
                let _ = write!(shown, "\\u{unit:04x}");
            }
        }
    }
    shown
}

fn is_plain(character: char) -> bool {
    !character.is_control()
        // Marks of direction, and what has no width: they make a text look like another.
        && !matches!(character,
            '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_written_out() {
        assert_eq!(printable("team/app é 日本"), "team/app é 日本");
        assert_eq!(printable("a\u{1b}[2Jb\r\n\u{202e}c\u{9b}1m\u{7f}"), {
            "a\\u{1b}[2Jb\\u{d}\\u{a}\\u{202e}c\\u{9b}1m\\u{7f}"
        });
        let json = "[\n  \"a\u{9b}\u{202e}\u{e0001}é\"\n]";
        let shown = printable_json(json);
        assert_eq!(shown, "[\n  \"a\\u009b\\u202e\\udb40\\udc01é\"\n]");
        let text = |json: &str| serde_json::from_str::<[String; 1]>(json).unwrap();
        assert_eq!(text(&shown), text(json));
        assert_eq!(printable_body(b"{\n\t\xff\x1b\n"), "{\n\\u{9}\\xff\\u{1b}\n");
    }
}
