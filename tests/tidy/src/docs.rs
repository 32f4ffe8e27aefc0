//! Rules for the docs and handouts: what they point at exists.
//!
//! Docs name code by path and symbol in a code span, never by line (docs/style.md).

use std::collections::BTreeSet;

use crate::Repo;
use crate::markdown::{Kind, Piece, anchors, pieces};

/// A code span that begins like this is a path.
const TOP_FOLDERS: [&str; 9] =
    ["src/", "tests/", "docs/", "labs/", "grading/", "tools/", "bench/", ".ci/", ".config/"];

/// A relative link leads to a page that exists, and its anchor to a heading.
pub fn links(repo: &Repo) -> Vec<String> {
    each(repo, Kind::Link, |path, piece| {
        if piece.text.contains("://") || piece.text.starts_with("mailto:") {
            return None;
        }
        let (target, anchor) = piece.text.split_once('#').unwrap_or((piece.text, ""));
        let page = if target.is_empty() { path.to_string() } else { resolve(path, target)? };
        if !repo.has(&page) {
            return Some(format!("link to {target}: there is no {page}"));
        }
        let headings = anchors(repo.text(&page).unwrap_or_default());
        let found = anchor.is_empty() || headings.iter().any(|heading| heading == anchor);
        (!found).then(|| format!("link to #{anchor}: {page} has {}", headings.join(", ")))
    })
}

/// A relative link, seen from the top. None where it leaves the repository.
fn resolve(from: &str, target: &str) -> Option<String> {
    let mut parts: Vec<&str> = from.split('/').collect();
    parts.pop();
    for part in target.trim_end_matches('/').split('/') {
        match part {
            "." => {}
            ".." => drop(parts.pop()?),
            _ => parts.push(part),
        }
    }
    Some(parts.join("/"))
}

/// Code is named as `path` or `path::Symbol`; both have to exist.
pub fn code_names(repo: &Repo) -> Vec<String> {
    each(repo, Kind::Code, |_, piece| {
        let is_path = TOP_FOLDERS.iter().any(|folder| piece.text.starts_with(folder));
        // A pattern or a placeholder stands for many paths.
        if !is_path || piece.text.contains(['*', '<', '{', ' ', '…']) {
            return None;
        }
        let (path, symbols) = piece.text.split_once("::").unwrap_or((piece.text, ""));
        let Some(text) = repo.text(path) else {
            return (!repo.has(path)).then(|| format!("`{}`: there is no {path}", piece.text));
        };
        let words: BTreeSet<&str> = text.split(|c: char| !c.is_alphanumeric() && c != '_').collect();
        let missing =
            symbols.split("::").find(|s| !s.is_empty() && !words.contains(s.trim_end_matches("()")));
        missing.map(|symbol| format!("`{}`: {path} has no {symbol}", piece.text))
    })
}

/// Every recipe that a page tells the reader to run is in the justfile.
pub fn recipes(repo: &Repo) -> Vec<String> {
    let justfile = repo.text("justfile").unwrap_or_default();
    let known: BTreeSet<&str> = justfile
        .lines()
        .filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase() || c == '_'))
        .filter_map(|line| line.split([' ', ':']).next())
        .collect();
    let unknown = |_: &str, piece: &Piece<'_>| {
        let missing: Vec<&str> = named_recipes(piece.text).filter(|name| !known.contains(name)).collect();
        (!missing.is_empty()).then(|| format!("just {}: the justfile has no such recipe", missing.join(", ")))
    };
    [Kind::Code, Kind::Fenced].iter().flat_map(|kind| each(repo, *kind, unknown)).collect()
}

/// `just NAME` where a shell would see a command: at the start, after a prompt, an operator or a variable.
fn named_recipes(line: &str) -> impl Iterator<Item = &str> {
    let words: Vec<&str> = line.split_whitespace().collect();
    let starts = |word: &&str| matches!(*word, "$" | "&&" | ";" | "|" | "then") || word.contains('=');
    let mut names = Vec::new();
    for (i, pair) in words.windows(2).enumerate() {
        if pair[0] == "just" && words[..i].last().is_none_or(starts) {
            names.push(pair[1].trim_end_matches([';', ',', '.', ')']));
        }
    }
    names.into_iter().filter(|name| !name.starts_with(['-', '<', '*', '"', '#']))
}

/// Applies a rule to all pieces of one kind on all pages.
fn each(repo: &Repo, kind: Kind, rule: impl Fn(&str, &Piece<'_>) -> Option<String>) -> Vec<String> {
    let mut findings = Vec::new();
    for (path, page) in repo.files("", ".md") {
        for piece in pieces(page).iter().filter(|piece| piece.kind == kind) {
            findings.extend(rule(path, piece).map(|problem| format!("{path}:{}: {problem}", piece.line)));
        }
    }
    findings
}

/// Every page of the docs and every handout is in the book, once: mdBook refuses a second time.
pub fn summary(repo: &Repo) -> Vec<String> {
    let index = "docs/SUMMARY.md";
    let listed: Vec<String> = pieces(repo.text(index).unwrap_or_default())
        .iter()
        .filter(|piece| piece.kind == Kind::Link)
        .filter_map(|piece| resolve(index, piece.text))
        .collect();
    let pages = ["docs/", "labs/"].iter().flat_map(|folder| repo.files(folder, ".md"));
    pages
        .filter(|(path, _)| *path != index)
        .map(|(path, _)| (path, listed.iter().filter(|page| *page == path).count()))
        .filter(|(_, times)| *times != 1)
        .map(|(path, times)| format!("{path}: it is {times} times in {index}: list it once"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assert_clean;

    #[test]
    fn the_repository_keeps_the_rules_for_docs() {
        let repo = Repo::here();
        let rules = [links, code_names, recipes, summary];
        assert_clean(&rules.iter().flat_map(|rule| rule(&repo)).collect::<Vec<_>>());
    }

    fn findings(rule: fn(&Repo) -> Vec<String>, page: &str) -> usize {
        rule(&Repo::of(&[
            ("docs/a.md", page),
            ("docs/raft.md", "# The log\n"),
            ("labs/2a/README.md", ""),
            ("src/raft/log.rs", "pub struct RaftLog;\nimpl RaftLog { pub fn slice(&self) {} }\n"),
            ("justfile", "test-2a *FILTERS:\n    cargo test\ngrade := \"x\"\n"),
        ]))
        .len()
    }

    #[test]
    fn a_dead_link_is_found() {
        assert_eq!(findings(links, "[a](raft.md#the-log) [b](../labs/2a/README.md) [c](#top)\n# Top"), 0);
        assert_eq!(findings(links, "[a](paxos.md) [b](raft.md#no) [c](#no) [d](../src/raft/log.rs)"), 3);
        assert_eq!(findings(links, "[a](https://example.org/x) `[b](no.md)`"), 0);
    }

    #[test]
    fn a_name_of_code_that_is_gone_is_found() {
        assert_eq!(
            findings(code_names, "`src/raft/log.rs::RaftLog::slice` `src/raft/` `labs/*/README.md`"),
            0
        );
        assert_eq!(
            findings(code_names, "`src/raft/log.rs::truncate` `src/raft/paxos.rs` `src/raft/log.rs:12`"),
            3
        );
    }

    #[test]
    fn a_recipe_that_is_gone_is_found() {
        assert_eq!(
            findings(
                recipes,
                "`just test-2a` and `SIM_SEED=3 just test-2a x`\n```\n./setup && just test-2a\n```"
            ),
            0
        );
        assert_eq!(findings(recipes, "`just test-9`\n```\n./setup && just test-9\nit is just so\n```"), 2);
    }

    #[test]
    fn a_page_outside_the_book_or_twice_in_it_is_found() {
        let page = ("docs/raft.md", "");
        assert_eq!(summary(&Repo::of(&[page, ("docs/SUMMARY.md", "- [Raft](raft.md)")])).len(), 0);
        assert_eq!(summary(&Repo::of(&[page, ("docs/SUMMARY.md", "- [Log](log.md)")])).len(), 1);
        assert_eq!(
            summary(&Repo::of(&[page, ("docs/SUMMARY.md", "[Raft](raft.md) [Raft](raft.md)")])).len(),
            1
        );
    }
}
