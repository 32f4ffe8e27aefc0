//! Rules for source files.

use crate::Repo;

/// See [`file_length`].
const MAX_LINES: usize = 500;

/// What the synchronous core never names. Clippy's list (clippy.toml) covers calls and types; whole modules
/// and crates are covered here.
const BANNED_IN_CORE: [&str; 14] = [
    "HashMap",
    "HashSet",
    "Instant",
    "SystemTime",
    "std::thread",
    "std::net",
    "std::fs",
    "std::env",
    "std::process",
    "std::io",
    "tokio",
    "rand::",
    "println!",
    "clippy::disallowed",
];

/// What stands nowhere, and what to do instead.
const BANNED: [(&str, &str); 3] = [
    ("#[ignore", "mend the test or delete it"),
    ("|| true", "let the command's failure through"),
    ("||true", "let the command's failure through"),
];

/// What the product and its tests never do. The grader waits for processes and may.
const SLEEPS: [&str; 2] = ["thread::sleep", "time::sleep"];

/// How a path on one person's machine begins.
const MACHINE_PATHS: [&str; 3] = ["/root/", "/home/", "/Users/"];

/// The core of rule 1 in docs/architecture.md.
const CORE: [&str; 4] = ["src/raft/", "src/raftstore/", "src/scheduler/", "src/worker/"];

/// Which of our modules each folder may use.
const LAYERS: [(&str, &[&str]); 5] = [
    ("src/engine/", &["engine", "ids", "proto"]),
    ("src/raft/", &["ids", "proto", "raft"]),
    ("src/raftstore/", &["engine", "error", "ids", "proto", "raft", "raftstore"]),
    ("src/scheduler/", &["engine", "ids", "proto"]),
    ("src/worker/", &["engine", "ids", "proto", "raftstore", "worker"]),
];

/// The protocol's Rust is made by a tool from files that have their own limits.
fn is_generated(path: &str) -> bool {
    let folders = ["src/proto/", "src/server/rpc/"];
    folders.iter().any(|folder| path.starts_with(folder)) && !path.ends_with("/mod.rs")
}

/// This crate has to spell out what it bans.
fn is_tidy(path: &str) -> bool {
    path.starts_with("tests/tidy/")
}

/// Every file opens by saying what it is about.
pub fn module_docs(repo: &Repo) -> Vec<String> {
    repo.files("", ".rs")
        .filter(|(_, text)| !text.trim_start().starts_with("//!"))
        .map(|(path, _)| format!("{path}:1: start with `//!`: what this file is about, in one sentence"))
        .collect()
}

/// No file grows past 500 lines: longer than this, it has more than one topic.
pub fn file_length(repo: &Repo) -> Vec<String> {
    repo.files("", ".rs")
        .filter(|(path, _)| !is_generated(path))
        .map(|(path, text)| (path, text.lines().count()))
        .filter(|(_, lines)| *lines >= MAX_LINES)
        .map(|(path, lines)| format!("{path}: {lines} lines: split it by topic, under {MAX_LINES}"))
        .collect()
}

/// A feature opens a module or a dependency, never a line in the middle of code, and never a stage.
pub fn features(repo: &Repo) -> Vec<String> {
    let mut findings = Vec::new();
    for (path, text) in repo.files("src/", ".rs") {
        let mut lines = code_lines(text).peekable();
        while let Some((number, line)) = lines.next() {
            if !line.contains("cfg") || !line.contains("feature") {
                continue;
            }
            let item = lines.peek().map_or("", |(_, next)| next);
            let at_the_door = ["mod ", "pub mod ", "use ", "pub use "].iter().any(|i| item.starts_with(i));
            if !at_the_door || line.contains("cfg!") || line.contains("\"stage-") {
                findings.push(format!(
                    "{path}:{number}: a cargo feature stands on a `mod` or `use` line only, and is never a \
                     stage: move what it opens into a module of its own"
                ));
            }
        }
    }
    findings
}

/// Rule 1: the core has no clock, thread, socket, file or unordered map of its own.
pub fn core_purity(repo: &Repo) -> Vec<String> {
    let mut findings = Vec::new();
    for (path, text) in CORE.iter().flat_map(|folder| repo.files(folder, ".rs")) {
        for (number, line) in code_lines(text) {
            for banned in BANNED_IN_CORE.iter().filter(|banned| line.contains(*banned)) {
                findings.push(format!(
                    "{path}:{number}: `{banned}` in the synchronous core: ticks, the seed in the config, the \
                     Engine trait and ordered maps serve here (docs/architecture.md, rule 1)"
                ));
            }
        }
    }
    findings
}

/// Raft can be read, tested and measured without a store around it, an engine without either, and the raftstore
/// without a service above it: each folder knows those below it.
pub fn layers(repo: &Repo) -> Vec<String> {
    let mut findings = Vec::new();
    for (folder, known) in LAYERS {
        for (path, text) in repo.files(folder, ".rs") {
            for (number, line) in code_lines(text) {
                let elsewhere = |rest: &str| {
                    let module = rest.split(|c: char| !c.is_alphanumeric() && c != '_').next();
                    !known.contains(&module.unwrap_or_default())
                };
                if line.split("crate::").skip(1).any(elsewhere) {
                    findings.push(format!(
                        "{path}:{number}: `{line}`: of ours, {folder} knows {} and nothing else \
                         (docs/architecture.md, \"Who may know whom\")",
                        known.join(", ")
                    ));
                }
            }
        }
    }
    findings
}

/// What is banned everywhere.
pub fn banned(repo: &Repo) -> Vec<String> {
    let mut findings = Vec::new();
    for (path, text) in repo.files("", "").filter(|(path, _)| is_ours_to_run(path)) {
        for (i, line) in text.lines().enumerate() {
            for (words, instead) in BANNED.iter().filter(|(words, _)| line.contains(words)) {
                findings.push(format!("{path}:{}: `{words}`: {instead}", i + 1));
            }
            for place in MACHINE_PATHS.iter().filter(|place| line.contains(*place)) {
                findings.push(format!("{path}:{}: {place}...: no path of one machine belongs here", i + 1));
            }
        }
    }
    findings
}

/// Nothing waits for wall time, so nothing is slow or flaky for it.
pub fn sleeps(repo: &Repo) -> Vec<String> {
    let mut findings = Vec::new();
    for (path, text) in ["src/", "tests/"].iter().flat_map(|f| repo.files(f, ".rs")).filter(|f| !is_tidy(f.0))
    {
        for (number, line) in code_lines(text).filter(|(_, line)| SLEEPS.iter().any(|s| line.contains(s))) {
            findings.push(format!("{path}:{number}: `{line}`: wait for an event or count ticks"));
        }
    }
    findings
}

fn is_ours_to_run(path: &str) -> bool {
    let script = path == "setup" || path == "justfile" || path.starts_with(".ci/");
    !is_tidy(path) && (script || [".rs", ".toml", ".md"].iter().any(|ending| path.ends_with(ending)))
}

/// A file that no `mod` names is not compiled: its tests never run.
pub fn orphans(repo: &Repo) -> Vec<String> {
    let mut findings = Vec::new();
    for (path, _) in repo.files("", ".rs") {
        let (folder, file) = path.rsplit_once('/').unwrap_or(("", path));
        if matches!(file, "main.rs" | "lib.rs" | "build.rs") || is_target_folder(folder) {
            continue;
        }
        // `a/b/mod.rs` is named where `a/b.rs` would be.
        let (folder, name) = match file {
            "mod.rs" => folder.rsplit_once('/').unwrap_or(("", folder)),
            _ => (folder, file.trim_end_matches(".rs")),
        };
        let is_parent = |other: &str| match other.strip_prefix(folder) {
            Some(".rs" | "/mod.rs" | "/lib.rs" | "/main.rs") => true,
            Some(rest) => is_target_folder(folder) && rest.matches('/').count() == 1,
            None => false,
        };
        let named =
            repo.files(folder, ".rs").any(|(other, text)| is_parent(other) && names_module(text, name));
        if !named {
            findings.push(format!("{path}: no `mod {name};` names it, so it is never compiled"));
        }
    }
    findings
}

/// Cargo takes each file here for a program of its own.
fn is_target_folder(folder: &str) -> bool {
    folder.ends_with("src/bin") || folder.ends_with("/tests")
}

fn names_module(text: &str, name: &str) -> bool {
    text.lines().any(|line| line.trim().strip_suffix(&format!("mod {name};")).is_some())
}

/// Every clippy.toml sets the length of a function: clippy takes the nearest file and merges nothing.
pub fn clippy_configs(repo: &Repo) -> Vec<String> {
    repo.files("", "clippy.toml")
        .filter(|(_, text)| !text.lines().any(|line| line == "too-many-lines-threshold = 70"))
        .map(|(path, _)| format!("{path}: add `too-many-lines-threshold = 70`"))
        .collect()
}

/// The lines that are not comments, trimmed, with their numbers.
fn code_lines(text: &str) -> impl Iterator<Item = (usize, &str)> {
    text.lines()
        .map(str::trim)
        .enumerate()
        .map(|(i, line)| (i + 1, line))
        .filter(|(_, l)| !l.starts_with("//"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::assert_clean;

    #[test]
    fn the_repository_keeps_the_rules_for_sources() {
        let repo = Repo::here();
        let rules = [
            module_docs,
            file_length,
            features,
            core_purity,
            layers,
            banned,
            sleeps,
            orphans,
            clippy_configs,
        ];
        assert_clean(&rules.iter().flat_map(|rule| rule(&repo)).collect::<Vec<_>>());
    }

    fn fires(rule: fn(&Repo) -> Vec<String>, path: &str, text: &str) -> bool {
        !rule(&Repo::of(&[(path, text)])).is_empty()
    }

    #[test]
    fn a_file_without_module_docs_is_found() {
        assert!(fires(module_docs, "src/a.rs", "fn f() {}\n"));
        assert!(!fires(module_docs, "src/a.rs", "//! About f.\nfn f() {}\n"));
    }

    #[test]
    fn a_long_file_is_found() {
        assert!(fires(file_length, "src/a.rs", &"\n".repeat(MAX_LINES)));
        assert!(!fires(file_length, "src/a.rs", &"\n".repeat(MAX_LINES - 1)));
        assert!(!fires(file_length, "src/proto/tikvpb.rs", &"\n".repeat(MAX_LINES)));
    }

    #[test]
    fn a_feature_in_the_middle_of_code_is_found() {
        assert!(fires(features, "src/a.rs", "#[cfg(feature = \"rocksdb\")]\nfn f() {}\n"));
        assert!(fires(features, "src/a.rs", "if cfg!(feature = \"rocksdb\") {\nmod b;\n"));
        assert!(fires(features, "src/a.rs", "#[cfg(feature = \"stage-2a\")]\nmod b;\n"));
        assert!(!fires(features, "src/a.rs", "#[cfg(feature = \"rocksdb\")]\nmod rocks;\n"));
    }

    #[test]
    fn a_clock_or_an_unordered_map_in_the_core_is_found() {
        assert!(fires(core_purity, "src/raft/a.rs", "let t = std::time::Instant::now();\n"));
        assert!(fires(core_purity, "src/scheduler/a.rs", "use std::time::SystemTime;\n"));
        assert!(fires(core_purity, "src/raftstore/apply/a.rs", "use std::collections::HashMap;\n"));
        assert!(fires(core_purity, "src/raft/a.rs", "#![expect(clippy::disallowed_types)]\n"));
        assert!(!fires(core_purity, "src/raft/a.rs", "// An Instant would make it depend on the clock.\n"));
        assert!(!fires(core_purity, "src/server/a.rs", "use std::thread;\n"));
    }

    #[test]
    fn reaching_upwards_is_found() {
        assert!(fires(layers, "src/raft/a.rs", "use crate::engine::Engine;\n"));
        assert!(fires(layers, "src/raft/a.rs", "use crate::raftstore::Peer;\n"));
        assert!(!fires(
            layers,
            "src/raft/a.rs",
            "use crate::ids::Term;\nuse crate::proto::eraftpb::Entry;\n"
        ));
        assert!(fires(layers, "src/engine/a.rs", "use crate::error::Error;\n"));
        assert!(fires(layers, "src/raftstore/a.rs", "use crate::storage::Storage;\n"));
        assert!(!fires(layers, "src/raftstore/a.rs", "use crate::raft;\n"));
        assert!(fires(layers, "src/scheduler/a.rs", "use crate::raftstore::StoreMeta;\n"));
    }

    #[test]
    fn a_sleep_an_ignored_test_and_a_swallowed_failure_are_found() {
        assert!(fires(sleeps, "tests/stage_1/a.rs", "std::thread::sleep(d);\n"));
        assert!(fires(banned, "tests/stage_1/a.rs", "#[ignore]\n"));
        assert!(fires(banned, "justfile", "    cargo test || true\n"));
        assert!(fires(banned, "README.md", "it is in /home/me/raftkv\n"));
    }

    #[test]
    fn a_file_that_no_mod_line_names_is_found() {
        let program = ("grading/tests/cheats.rs", "mod fake;\n");
        assert_eq!(orphans(&Repo::of(&[program, ("grading/tests/fake/mod.rs", "")])).len(), 0);
        let main = ("tests/stage_1/main.rs", "mod get;\nmod scan;\n");
        assert_eq!(
            orphans(&Repo::of(&[main, ("tests/stage_1/get.rs", ""), ("tests/stage_1/scan/mod.rs", "")]))
                .len(),
            0
        );
        assert_eq!(orphans(&Repo::of(&[main, ("tests/stage_1/put.rs", "")])).len(), 1);
        assert_eq!(
            orphans(&Repo::of(&[main, ("tests/stage_1/scan/mod.rs", ""), ("tests/stage_1/scan/a.rs", "")]))
                .len(),
            1
        );
    }
}
