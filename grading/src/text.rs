//! Output of submitted code, made safe to show.
//!
//! What a student's program prints reaches an instructor's terminal and, through the JSON file, web pages.
//! It is data: escape sequences must not move a cursor, and hidden characters must not reorder a line.

use std::path::Path;

/// The text without colours and with every other control or direction character spelled out.
pub fn neutralise(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        if let Some(after) = colour(rest) {
            rest = after;
            continue;
        }
        rest = &rest[c.len_utf8()..];
        match c {
            '\n' | '\t' => out.push(c),
            // A carriage return before a newline is a line end from another system, alone it overwrites.
            '\r' if rest.starts_with('\n') => {}
            c if c.is_control() || is_hidden(c) => out.extend(c.escape_unicode()),
            c => out.push(c),
        }
    }
    out
}

/// The same on a single line, for messages that must be one.
pub fn one_line(text: &str) -> String {
    neutralise(text).split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A path that can be shown: names of files in a submission are chosen by its author.
pub fn path(path: &Path) -> String {
    neutralise(&path.to_string_lossy()).replace('\n', "\\n")
}

/// At most `lines` lines of at most `width` characters, with a note on what was left out.
pub fn trim(text: &str, lines: usize, width: usize) -> String {
    let all: Vec<&str> = text.trim_matches('\n').lines().collect();
    let mut out: Vec<String> = Vec::new();
    for line in all.iter().take(lines) {
        match line.char_indices().nth(width) {
            Some((cut, _)) => out.push(format!("{} [...]", &line[..cut])),
            None => out.push((*line).trim_end().to_string()),
        }
    }
    if all.len() > lines {
        out.push(format!("[{} more lines]", all.len() - lines));
    }
    out.join("\n")
}

/// What follows a sequence that only sets colours, which diffs in assertion messages are full of.
fn colour(text: &str) -> Option<&str> {
    let body = text.strip_prefix("\u{1b}[")?;
    let after = body.trim_start_matches(|c: char| c.is_ascii_digit() || c == ';' || c == ':');
    after.strip_prefix('m')
}

/// Characters that change how their neighbours are shown, and are not seen themselves.
fn is_hidden(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_go_and_other_escapes_are_spelled_out() {
        assert_eq!(neutralise("\u{1b}[1;31mleft\u{1b}[0m"), "left");
        assert_eq!(neutralise("\u{1b}]0;title\u{7}\u{1b}[2J"), "\\u{1b}]0;title\\u{7}\\u{1b}[2J");
        assert_eq!(neutralise("a\rb\r\nc\td"), "a\\u{d}b\nc\td");
        assert_eq!(neutralise("abc\u{202e}def"), "abc\\u{202e}def");
    }

    #[test]
    fn long_text_is_cut_and_says_so() {
        assert_eq!(trim("a\nb\nc\n", 2, 10), "a\nb\n[1 more lines]");
        assert_eq!(trim("abcdef", 2, 3), "abc [...]");
    }
}
