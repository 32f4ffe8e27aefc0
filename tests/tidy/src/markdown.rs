//! As much of Markdown as the rules need: links, code spans, code blocks and the anchors of headings.

/// What a piece of a page is.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// The target of a link.
    Link,
    /// Text between backticks.
    Code,
    /// One line of a fenced block.
    Fenced,
    /// A heading's text.
    Heading,
}

/// One piece, with its line number.
#[derive(Debug, PartialEq)]
pub struct Piece<'a> {
    /// Counted from 1.
    pub line: usize,
    /// What it is.
    pub kind: Kind,
    /// Without the markup.
    pub text: &'a str,
}

/// The pieces of a page, in order.
pub fn pieces(page: &str) -> Vec<Piece<'_>> {
    let mut found = Vec::new();
    let mut fence: Option<&str> = None;
    for (i, whole) in page.lines().enumerate() {
        let line = i + 1;
        let text = whole.trim_start();
        let ticks = &text[..text.len() - text.trim_start_matches(['`', '~']).len()];
        match fence {
            Some(open) if ticks.starts_with(open) => fence = None,
            Some(_) => found.push(Piece { line, kind: Kind::Fenced, text: whole }),
            None if ticks.len() >= 3 => fence = Some(ticks),
            None => {
                if let Some(heading) = text.strip_prefix('#') {
                    let text = heading.trim_start_matches('#').trim();
                    found.push(Piece { line, kind: Kind::Heading, text });
                }
                spans(text, line, &mut found);
            }
        }
    }
    found
}

/// Code spans and link targets of one line.
fn spans<'a>(text: &'a str, line: usize, found: &mut Vec<Piece<'a>>) {
    let mut rest = text;
    while let Some(at) = rest.find(['`', ']']) {
        let after = &rest[at + 1..];
        let (kind, close, start) = match (&rest[at..=at], after.as_bytes().first()) {
            ("`", _) => (Kind::Code, '`', 0),
            (_, Some(b'(')) => (Kind::Link, ')', 1),
            _ => {
                rest = after;
                continue;
            }
        };
        let inside = &after[start..];
        let Some(end) = inside.find(close) else { return };
        found.push(Piece { line, kind, text: &inside[..end] });
        rest = &inside[end + 1..];
    }
}

/// The anchors that a page's headings make, as the common renderers name them.
pub fn anchors(page: &str) -> Vec<String> {
    let mut anchors: Vec<String> = Vec::new();
    for heading in pieces(page).into_iter().filter(|piece| piece.kind == Kind::Heading) {
        let plain: String = heading.text.to_lowercase().chars().filter_map(anchor_char).collect();
        let twins = anchors.iter().filter(|a| **a == plain || a.starts_with(&format!("{plain}-"))).count();
        anchors.push(if twins == 0 { plain } else { format!("{plain}-{twins}") });
    }
    anchors
}

fn anchor_char(c: char) -> Option<char> {
    match c {
        ' ' => Some('-'),
        '-' | '_' => Some(c),
        _ => c.is_alphanumeric().then_some(c),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_falls_into_its_pieces() {
        let page = "# Raft: `log`\nsee [log](raft.md#log) and `src/a.rs`, a [note]\n```sh\njust test\n```\nend [`x`](y.md)";
        let found: Vec<_> = pieces(page).into_iter().map(|p| (p.line, p.kind, p.text)).collect();
        let expected = [
            (1, Kind::Heading, "Raft: `log`"),
            (1, Kind::Code, "log"),
            (2, Kind::Link, "raft.md#log"),
            (2, Kind::Code, "src/a.rs"),
            (4, Kind::Fenced, "just test"),
            (6, Kind::Code, "x"),
            (6, Kind::Link, "y.md"),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn headings_become_anchors() {
        assert_eq!(
            anchors("# 2a: Raft, again\n## `RaftLog`\n## `RaftLog`"),
            ["2a-raft-again", "raftlog", "raftlog-1"]
        );
    }
}
