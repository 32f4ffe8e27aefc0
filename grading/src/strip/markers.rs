//! Finding the marker lines of a file and pairing them.

use crate::error::{Error, Result};

/// What a pair of markers asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Kind {
    /// The body of a function that the student writes.
    Lab {
        /// What the starter says in place of the body.
        hint: String,
        /// Whether the starter's body does nothing, instead of stopping the program.
        idle: bool,
    },
    /// Code that the starter does not have.
    Solution,
}

/// A pair of markers. Lines are counted from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Region {
    /// What is asked for.
    pub kind: Kind,
    /// The stage that owns the code.
    pub stage: String,
    /// The line of BEGIN.
    pub begin: usize,
    /// The line of END.
    pub end: usize,
}

enum Edge {
    Begin { kind: Kind, stage: String },
    End { word: &'static str, stage: String },
}

/// The regions of a file, in order. They do not overlap: a function belongs to one stage.
pub fn regions(file: &str, text: &str, stages: &[&str]) -> Result<Vec<Region>> {
    let fail = |line: usize, what: String| Err(Error::input(format!("{file}:{line}: {what}")));
    let mut out = Vec::new();
    let mut open: Option<Region> = None;
    for (line, content) in text.lines().enumerate().map(|(i, content)| (i + 1, content)) {
        let edge = match parse(content, stages) {
            Ok(None) => continue,
            Ok(Some(edge)) => edge,
            Err(what) => return fail(line, what),
        };
        match (edge, open.take()) {
            (Edge::Begin { kind, stage }, None) => open = Some(Region { kind, stage, begin: line, end: 0 }),
            (Edge::Begin { .. }, Some(outer)) => {
                return fail(line, format!("inside the region that begins on line {}", outer.begin));
            }
            (Edge::End { .. }, None) => return fail(line, "END without a BEGIN".to_string()),
            (Edge::End { word, stage }, Some(region)) => {
                if word != word_of(&region.kind) {
                    return fail(line, format!("{word} ends what {} began", word_of(&region.kind)));
                }
                if stage != region.stage {
                    let what =
                        format!("this ends {stage}, but line {} begins {}", region.begin, region.stage);
                    return fail(line, what);
                }
                out.push(Region { end: line, ..region });
            }
        }
    }
    match open {
        Some(r) => fail(r.begin, format!("{} {} BEGIN has no END", word_of(&r.kind), r.stage)),
        None => Ok(out),
    }
}

fn word_of(kind: &Kind) -> &'static str {
    match kind {
        Kind::Lab { .. } => "LAB",
        Kind::Solution => "SOLUTION",
    }
}

/// Reads one line: no marker, a marker, or something that was meant to be one.
fn parse(line: &str, stages: &[&str]) -> std::result::Result<Option<Edge>, String> {
    let Some((before, comment)) = line.split_once("//") else { return Ok(None) };
    let Some(word) = ["LAB", "SOLUTION"].into_iter().find(|word| opens_with(comment, word)) else {
        return Ok(None);
    };
    if !before.trim().is_empty() {
        return Err("a marker stands on a line of its own".to_string());
    }
    let hint = if word == "LAB" { ": <hint>" } else { "" };
    let form = || format!("not a marker: write `// {word} <stage> BEGIN{hint}` or `// {word} <stage> END`");
    let rest = comment.strip_prefix(' ').and_then(|c| c.strip_prefix(word)).ok_or_else(form)?.trim();
    let (stage, rest) = rest.split_once(' ').ok_or_else(form)?;
    let stage = match stages.contains(&stage) {
        true => stage.to_string(),
        false => return Err(format!("there is no stage {stage} in labs.toml")),
    };
    if rest == "END" {
        return Ok(Some(Edge::End { word, stage }));
    }
    let rest = rest.strip_prefix("BEGIN").ok_or_else(form)?;
    if word == "SOLUTION" {
        return if rest.is_empty() {
            Ok(Some(Edge::Begin { kind: Kind::Solution, stage }))
        } else {
            Err(form())
        };
    }
    let (idle, hint) = match rest.split_once(':') {
        Some(("", hint)) => (false, hint.trim()),
        Some((" idle", hint)) => (true, hint.trim()),
        None if rest.is_empty() => (false, ""),
        _ => return Err(form()),
    };
    if hint.is_empty() {
        return Err("a LAB marker has a hint: `// LAB <stage> BEGIN: <hint>`".to_string());
    }
    Ok(Some(Edge::Begin { kind: Kind::Lab { hint: hint.to_string(), idle }, stage }))
}

/// Whether a comment was meant as a marker: the word in capitals, then a word more.
fn opens_with(comment: &str, word: &str) -> bool {
    comment.trim_start().strip_prefix(word).is_some_and(|rest| rest.starts_with(' '))
}
