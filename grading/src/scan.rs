//! What submitted code may not name, found among its tokens before anything is built.
//!
//! A verdict does not rest on this check: see [`run`](crate::run) for what a pass takes. It shuts the doors
//! that a lab never needs (the file system, other processes, the build machine's files), and says so
//! plainly instead of letting a student wonder why the grader disagrees. Comments and strings are no
//! tokens, so talking about `unsafe` is fine.

use std::str::FromStr;

use proc_macro2::{Delimiter, Spacing, TokenStream, TokenTree};

use crate::submission::Source;

/// Something forbidden, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hit {
    /// The file.
    pub file: String,
    /// The line, counted from 1.
    pub line: usize,
    /// What was found: also its name in the allow-list of labs.toml.
    pub what: String,
    /// Why it is forbidden.
    pub why: &'static str,
}

impl std::fmt::Display for Hit {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            f,
            "{}:{}: `{}` is not allowed in submitted files because {}",
            self.file, self.line, self.what, self.why
        )
    }
}

const PROCESS: &str = "a test's process is not the code under test's to end or to multiply";
const DISK: &str = "the only disk of a lab is the one it is handed (Engine, LogStorage)";
const MACHINE: &str = "the result must not depend on where it runs, or on which test calls";
const ALONE: &str = "the code of these stages is synchronous: time is ticks, and the network is messages";
const FILES: &str = "the submission is compiled from its own files only";
const SHARED: &str = "peers share no memory: keep state in the struct, and tables in a `const`";
const LINKER: &str = "it reaches past the language into the linker";
const UNCHECKED: &str = "every lab can be done in safe Rust";
const PROGRAMS: &str =
    "it belongs to the programs around the store, which the code of these stages knows nothing of";
const WHOLE: &str = "it hides which part of the library is used: name the module";

/// Modules of the standard library.
const MODULES: [(&str, &str); 9] = [
    ("process", PROCESS),
    ("fs", DISK),
    ("env", MACHINE),
    ("backtrace", MACHINE),
    ("os", MACHINE),
    ("arch", UNCHECKED),
    ("thread", ALONE),
    ("net", ALONE),
    ("include", FILES),
];

/// Words that are forbidden wherever they stand.
const WORDS: [(&str, &str); 11] = [
    ("unsafe", UNCHECKED),
    ("asm", UNCHECKED),
    ("global_asm", UNCHECKED),
    ("naked_asm", UNCHECKED),
    ("extern", LINKER),
    ("include", FILES),
    ("include_str", FILES),
    ("include_bytes", FILES),
    ("option_env", MACHINE),
    ("static", SHARED),
    ("thread_local", SHARED),
];

/// Crates that are there only where the programs are built: with sockets, processes, threads and a clock.
const CRATES: [&str; 16] = [
    "axum",
    "clap",
    "mimalloc",
    "nix",
    "prometheus",
    "rocksdb",
    "serde",
    "serde_json",
    "tempfile",
    "tokio",
    "tokio_stream",
    "toml",
    "tonic",
    "tonic_prost",
    "tracing_subscriber",
    "ureq",
];

/// Words that are forbidden in attributes. What differs from one build to the next, a suite could not judge.
const ATTRIBUTES: [(&str, &str); 11] = [
    ("feature", MACHINE),
    ("path", FILES),
    ("macro_export", FILES),
    ("no_mangle", LINKER),
    ("export_name", LINKER),
    ("link_section", LINKER),
    ("link", LINKER),
    ("proc_macro", LINKER),
    ("global_allocator", SHARED),
    ("track_caller", MACHINE),
    ("panic_handler", PROCESS),
];

/// Everything forbidden in a submitted file, in the order of its lines. `allow` names what the kit lets pass.
pub fn scan(source: &Source, allow: &[String]) -> Vec<Hit> {
    let mut scan = Scan { file: &source.path, hits: Vec::new() };
    match TokenStream::from_str(&source.text) {
        Ok(tokens) => scan.stream(tokens, false),
        Err(e) => {
            let line = e.span().start().line;
            scan.hit(
                line,
                "this text",
                "it cannot be read as Rust: look for a quote or a bracket that is not closed",
            );
        }
    }
    let mut hits = scan.hits;
    hits.retain(|hit| !allow.contains(&hit.what));
    hits.sort_by_key(|hit| hit.line);
    hits.dedup();
    hits
}

struct Scan<'a> {
    file: &'a str,
    hits: Vec<Hit>,
}

impl Scan<'_> {
    fn hit(&mut self, line: usize, what: impl Into<String>, why: &'static str) {
        self.hits.push(Hit { file: self.file.to_string(), line, what: what.into(), why });
    }

    fn stream(&mut self, tokens: TokenStream, attribute: bool) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        for (at, token) in tokens.iter().enumerate() {
            match token {
                TokenTree::Group(group) => {
                    let inside = attribute
                        || (group.delimiter() == Delimiter::Bracket && opens_attribute(&tokens, at));
                    self.stream(group.stream(), inside);
                }
                TokenTree::Ident(_) => self.word(&tokens, at, attribute),
                TokenTree::Punct(p) if attribute && p.as_char() == '$' => {
                    self.hit(p.span().start().line, "#[$...]", FILES);
                }
                TokenTree::Punct(_) | TokenTree::Literal(_) => {}
            }
        }
    }

    fn word(&mut self, tokens: &[TokenTree], at: usize, attribute: bool) {
        let line = tokens[at].span().start().line;
        let word = name(&tokens[at]);
        // `'static` is a quote and a word.
        if at > 0 && punct(&tokens[at - 1]) == Some('\'') {
            return;
        }
        if word == "std" {
            self.library(tokens, at, line);
        }
        let found =
            |list: &[(&str, &'static str)]| list.iter().find(|(w, _)| *w == word).map(|(_, why)| *why);
        if let Some(why) = found(&WORDS) {
            self.hit(line, word.clone(), why);
        } else if attribute && let Some(why) = found(&ATTRIBUTES) {
            self.hit(line, format!("#[{word}]"), why);
        } else if matches!(word.as_str(), "env" | "cfg") && is_macro(tokens, at) {
            self.hit(line, format!("{word}!"), MACHINE);
        } else if CRATES.contains(&word.as_str()) || (word == "server" && is_module(tokens, at)) {
            self.hit(line, word, PROGRAMS);
        } else if let Some(why) = found(&MODULES)
            && after_path(tokens, at).is_some_and(|next| punct(&tokens[next]) != Some('<'))
        {
            // However it came into scope: `core::arch::x`, `super::fs::read`, or `fs::read` after an import.
            self.hit(line, format!("std::{word}"), why);
        }
    }

    /// `std` is followed by `::` and a module, or by a group of them; a renamed or whole library would make
    /// the rest of this check blind.
    fn library(&mut self, tokens: &[TokenTree], at: usize, line: usize) {
        match after_path(tokens, at).map(|next| &tokens[next..]) {
            Some([TokenTree::Ident(_), ..]) => self.module(&tokens[at + 3], line),
            Some([TokenTree::Group(group), ..]) => {
                let mut first = true;
                for token in group.stream() {
                    if first {
                        self.module(&token, token.span().start().line);
                    }
                    first = punct(&token) == Some(',');
                }
            }
            _ => self.hit(line, name(&tokens[at]), WHOLE),
        }
    }

    fn module(&mut self, token: &TokenTree, line: usize) {
        let module = name(token);
        if let Some((_, why)) = MODULES.iter().find(|(m, _)| *m == module) {
            self.hit(line, format!("std::{module}"), why);
        } else if !matches!(token, TokenTree::Ident(_)) || module == "self" {
            self.hit(line, "std", WHOLE);
        }
    }
}

/// The word itself: `r#fs` is `fs`.
fn name(token: &TokenTree) -> String {
    let text = token.to_string();
    text.strip_prefix("r#").unwrap_or(&text).to_string()
}

fn punct(token: &TokenTree) -> Option<char> {
    match token {
        TokenTree::Punct(p) => Some(p.as_char()),
        _ => None,
    }
}

/// Where the token after `tokens[at]::` is, if a path goes on there.
fn after_path(tokens: &[TokenTree], at: usize) -> Option<usize> {
    let colon = |i: usize| tokens.get(i).and_then(punct) == Some(':');
    (colon(at + 1) && colon(at + 2) && tokens.len() > at + 3).then_some(at + 3)
}

/// `word::`, `::word` or `word as`: the module of that name, and no variable.
fn is_module(tokens: &[TokenTree], at: usize) -> bool {
    let before = at.checked_sub(1).and_then(|i| punct(&tokens[i])) == Some(':') && at >= 2;
    let in_path = before && punct(&tokens[at - 2]) == Some(':');
    in_path || after_path(tokens, at).is_some() || tokens.get(at + 1).is_some_and(|next| name(next) == "as")
}

/// `word!`, but not `word != other`.
fn is_macro(tokens: &[TokenTree], at: usize) -> bool {
    match tokens.get(at + 1) {
        Some(TokenTree::Punct(p)) if p.as_char() == '!' => {
            p.spacing() == Spacing::Alone || tokens.get(at + 2).and_then(punct) != Some('=')
        }
        _ => false,
    }
}

/// `#[` or `#![`.
fn opens_attribute(tokens: &[TokenTree], at: usize) -> bool {
    let before = |n: usize| at.checked_sub(n).and_then(|i| punct(&tokens[i]));
    before(1) == Some('#') || (before(1) == Some('!') && before(2) == Some('#'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        let source = Source { path: "src/x.rs".to_string(), text: text.to_string() };
        scan(&source, &["std::path".to_string(), "std::net".to_string()])
            .into_iter()
            .map(|h| h.what)
            .collect()
    }

    #[test]
    fn ordinary_code_passes() {
        for text in [
            "use std::collections::{BTreeMap, btree_map::Entry};",
            "use std::{cmp, fmt, mem, sync::Arc};",
            "fn f(x: &'static str) -> std::fmt::Result { let env = 1; if env != 2 { panic!() } Ok(()) }",
            "// unsafe { std::process::exit(0) }\n/// `include_str!`\nconst S: &str = \"std::fs unsafe\";",
            "#[derive(Debug)]\n#![allow(dead_code)]\nstruct S { process: u8, path: u8 }",
            "fn f(s: S) { s.process += 1; log(s.path) }",
            "fn f(server: Server) { server.start(); }\n#[cfg(test)] mod tests {}",
            "const RAW: &str = r#\"static mut X\"#; const C: char = '\"';",
            "fn f(s: S) { s.core.step(); s.alloc::<u8>(); s.process::<u8>(); let core = 1; }",
        ] {
            assert_eq!(found(text), Vec::<String>::new(), "{text}");
        }
    }

    #[test]
    fn every_way_to_name_a_module_is_seen() {
        for text in [
            "fn f() { std::process::exit(0) }",
            "fn f() { ::std::process::exit(0) }",
            "fn f() { std :: process\n:: exit(0) }",
            "use std::process;",
            "use std::{fmt, process as p};",
            "use std::{io, process::{exit, abort}};",
            "use core::process::exit;",
            "use std::r#process::exit;",
            "use super::process::exit;",
            "macro_rules! m { () => { std::process::exit(0) } }",
        ] {
            assert!(found(text).contains(&"std::process".to_string()), "{text}: {:?}", found(text));
        }
        for text in ["use std as s;", "use std::*;", "use std::{self as s};", "m!(std);", "use std::{*};"] {
            assert_eq!(found(text), ["std"], "{text}");
        }
        assert_eq!(found("macro_rules! m { ($a:ident) => { std::$a::exit(0) } }"), ["std"]);
    }

    #[test]
    fn doors_out_of_the_language_are_shut() {
        let cases = [
            ("unsafe { f() }", "unsafe"),
            ("const T: &str = include_str!(\"/etc/passwd\");", "include_str"),
            ("include!{\"x.rs\"}", "include"),
            ("use std::include as i;", "include"),
            ("#[path = \"../x.rs\"] mod x;", "#[path]"),
            ("#[cfg_attr(all(), path = \"../x.rs\")] mod x;", "#[path]"),
            ("macro_rules! m { ($p:meta) => { #[$p] mod x; } }", "#[$...]"),
            ("extern \"C\" { }", "extern"),
            ("use core::arch::asm;", "asm"),
            ("fn f() { std::backtrace::Backtrace::force_capture(); }", "std::backtrace"),
            ("#[track_caller] fn f() {}", "#[track_caller]"),
            ("fn f() { asm!(\"nop\") }", "asm"),
            ("const A: &str = env!(\"HOME\");", "env!"),
            ("const A: Option<&str> = option_env!(\"HOME\");", "option_env"),
            ("const A: bool = cfg!(feature = \"server\");", "cfg!"),
            ("#[cfg(feature = \"server\")] mod x;", "#[feature]"),
            ("use tokio::process as p;", "tokio"),
            ("fn f() { nix::sys::signal::kill(p, s); }", "nix"),
            ("use crate::server::start;", "server"),
            ("use crate::{raft, server as s};", "server"),
            ("static mut N: u8 = 0;", "static"),
            ("thread_local! { }", "thread_local"),
            ("#[no_mangle] fn f() {}", "#[no_mangle]"),
            ("#[unsafe(link_section = \".init_array\")] fn f() {}", "#[link_section]"),
        ];
        for (text, wanted) in cases {
            assert!(found(text).contains(&wanted.to_string()), "{text}: {:?}", found(text));
        }
    }

    #[test]
    fn the_kit_can_allow_and_a_hit_names_its_line() {
        assert_eq!(found("use std::net::TcpStream;"), Vec::<String>::new());
        let source = Source { path: "src/x.rs".to_string(), text: "\n\nuse std::fs;\n".to_string() };
        assert_eq!(
            scan(&source, &[])[0].to_string(),
            format!("src/x.rs:3: `std::fs` is not allowed in submitted files because {DISK}")
        );
        let source = Source { path: "src/x.rs".to_string(), text: "fn f() {\n \"".to_string() };
        assert!(scan(&source, &[])[0].to_string().contains("cannot be read as Rust"));
    }
}
