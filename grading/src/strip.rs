//! From the reference to starter code: what the comment markers in `src/` mean.
//!
//! - `// LAB 2ab BEGIN: hint` ... `// LAB 2ab END` around a whole function body: the body becomes the hint
//!   as a comment and a `todo!`.
//! - `// LAB 2ab BEGIN idle: hint`: the body becomes the hint only. For a function that code of an earlier
//!   stage calls already: it does nothing until its stage is written. It returns nothing, or ends in an
//!   `Ok(())` that stays behind the END.
//! - `// SOLUTION 2ab BEGIN` ... `// SOLUTION 2ab END`: removed, with all between.
//!
//! What stands outside the markers is kept as it is; doc comments are the contract that students work
//! from. Code of stages that are kept loses its marker lines only.

mod functions;
mod markers;

use crate::error::{Error, Result};

pub use markers::{Kind, Region, regions};

/// What a missing body does not use is no news in a starter.
const QUIET: &str = "#![allow(unused_imports, unused_mut, unused_variables, clippy::todo)]";
/// Nor is code, given or written, that only a missing body would call. It may be in any file.
const QUIET_CRATE: &str = "#![allow(dead_code)]";

/// What stripping made of one file.
#[derive(Debug)]
pub struct Stripped {
    /// The new text, not yet formatted.
    pub text: String,
    /// Whether anything was taken out of it.
    pub changed: bool,
}

/// Strips `text`, the content of `file`, of every stage for which `keep` says no. `stages` are the ids that
/// a marker may name.
pub fn strip(file: &str, text: &str, stages: &[&str], keep: impl Fn(&str) -> bool) -> Result<Stripped> {
    let regions = regions(file, text, stages)?;
    if regions.is_empty() {
        return Ok(Stripped { text: text.to_string(), changed: false });
    }
    let names = functions::check(file, text, &regions)?;
    let lines: Vec<&str> = text.lines().collect();
    let mut out: Vec<String> = Vec::new();
    let mut next = 0;
    let mut changed = false;
    for (region, name) in regions.iter().zip(names) {
        out.extend(lines[next..region.begin - 1].iter().map(|line| line.to_string()));
        if keep(&region.stage) {
            out.extend(lines[region.begin..region.end - 1].iter().map(|line| line.to_string()));
        } else {
            out.extend(stub(region, &name));
            changed = true;
        }
        next = region.end;
    }
    out.extend(lines[next..].iter().map(|line| line.to_string()));
    let mut text = out.join("\n") + "\n";
    if changed {
        text = with_attribute(&text, QUIET);
    }
    if let Err(e) = syn::parse_file(&text) {
        let begin = regions.first().map_or(1, |r| r.begin);
        return Err(Error::input(format!(
            "{file}:{begin}: what the markers leave is not Rust any more: {e}"
        )));
    }
    Ok(Stripped { text, changed })
}

/// What stands in place of a region.
fn stub(region: &Region, name: &str) -> Vec<String> {
    match &region.kind {
        Kind::Solution => Vec::new(),
        Kind::Lab { hint, idle: true } => vec![format!("// Lab {}: {hint}", region.stage)],
        Kind::Lab { hint, idle: false } => {
            vec![
                format!("// Lab {}: {hint}", region.stage),
                format!("todo!(\"lab {}: {name}\")", region.stage),
            ]
        }
    }
}

/// The crate's root file, for a starter in which bodies are missing.
pub fn quiet_crate(text: &str) -> String {
    with_attribute(text, QUIET_CRATE)
}

/// Puts an attribute behind the module's docs and its own attributes.
fn with_attribute(text: &str, attribute: &str) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    let header = |line: &&str| line.starts_with("//!") || line.starts_with("#![") || line.trim().is_empty();
    let end = lines.iter().position(|line| !header(line)).unwrap_or(lines.len());
    let at = lines[..end].iter().rposition(|line| !line.trim().is_empty()).map_or(0, |last| last + 1);
    let own = format!("\n{attribute}\n");
    lines.insert(at, &own);
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAGES: [&str; 3] = ["1", "2aa", "2ab"];

    fn stripped(text: &str) -> String {
        strip("src/x.rs", text, &STAGES, |_| false).expect("good markers").text
    }

    fn refused(text: &str) -> String {
        strip("src/x.rs", text, &STAGES, |_| false).expect_err("bad markers").to_string()
    }

    const BODY: &str = "\
//! Docs.

impl Raft {
    /// The contract.
    fn tick(&mut self) -> u32 {
        // LAB 2aa BEGIN: count up.
        let n = 1;
        n + 1
        // LAB 2aa END
    }
}
";

    #[test]
    fn a_body_becomes_a_hint_and_a_todo() {
        let out = stripped(BODY);
        assert!(out.contains("/// The contract.\n"), "the contract stays: {out}");
        assert!(out.contains("// Lab 2aa: count up.\ntodo!(\"lab 2aa: Raft::tick\")\n"), "{out}");
        assert!(!out.contains("let n"), "{out}");
        assert!(out.starts_with(&format!("//! Docs.\n\n{QUIET}\n")), "{out}");
    }

    #[test]
    fn an_idle_body_becomes_the_hint_only() {
        let out = stripped(&BODY.replace("BEGIN: count", "BEGIN idle: count").replace(" -> u32", ""));
        assert!(out.contains("// Lab 2aa: count up.\n    }\n"), "{out}");
        assert!(!out.contains("todo!(\""), "{out}");
    }

    #[test]
    fn an_idle_body_returns_nothing() {
        let message = refused(&BODY.replace("BEGIN: count", "BEGIN idle: count"));
        assert!(message.starts_with("src/x.rs:6: Raft::tick returns a value"), "{message}");
    }

    #[test]
    fn an_idle_body_may_leave_an_ok_behind() {
        let text = "fn f() -> Result<(), E> {\n    // LAB 1 BEGIN idle: x\n    g()?;\n    // LAB 1 END\n    Ok(())\n}\n";
        assert!(stripped(text).ends_with("{\n// Lab 1: x\n    Ok(())\n}\n"), "{}", stripped(text));
        assert!(refused(&text.replace(" idle", "")).contains("a whole function body"));
        assert!(refused(&text.replace("Ok(())", "Ok(1)")).contains("a whole function body"));
    }

    #[test]
    fn a_kept_stage_loses_only_its_marker_lines() {
        let out = strip("src/x.rs", BODY, &STAGES, |stage| stage == "2aa").expect("good markers");
        assert!(!out.changed);
        let lines: Vec<&str> = BODY.lines().filter(|line| !line.contains("LAB")).collect();
        assert_eq!(out.text, lines.join("\n") + "\n");
    }

    #[test]
    fn a_solution_is_removed() {
        let out = stripped(
            "struct S {\n    a: u8,\n    // SOLUTION 2ab BEGIN\n    b: u8,\n    // SOLUTION 2ab END\n}\n\
             // SOLUTION 1 BEGIN\nfn helper() {}\n// SOLUTION 1 END\n",
        );
        assert_eq!(out, format!("\n{QUIET}\n\nstruct S {{\n    a: u8,\n}}\n"));
    }

    #[test]
    fn a_file_without_markers_is_left_alone() {
        let text = "fn f() {}";
        let out = strip("src/x.rs", text, &STAGES, |_| false).expect("no markers");
        assert!(!out.changed && out.text == text);
    }

    #[test]
    fn bad_markers_are_refused_with_file_and_line() {
        let cases = [
            ("fn f() {\n// LAB 2aa BEGIN: x\n}\n", "src/x.rs:2: LAB 2aa BEGIN has no END"),
            ("fn f() {\n// LAB 2aa END\n}\n", "src/x.rs:2: END without a BEGIN"),
            (
                "// LAB 2aa BEGIN: x\n// SOLUTION 2ab BEGIN\n",
                "src/x.rs:2: inside the region that begins on line 1",
            ),
            ("// LAB 2aa BEGIN: x\n// LAB 2ab END\n", "src/x.rs:2: this ends 2ab, but line 1 begins 2aa"),
            ("// LAB 2aa BEGIN: x\n// SOLUTION 2aa END\n", "src/x.rs:2: SOLUTION ends what LAB began"),
            ("// LAB 9 BEGIN: x\n// LAB 9 END\n", "src/x.rs:1: there is no stage 9"),
            ("// LAB 2aa BEGIN\n// LAB 2aa END\n", "src/x.rs:1: a LAB marker has a hint"),
            ("// SOLUTION 2aa BEGIN: x\n", "src/x.rs:1: not a marker"),
            ("// LAB 2aa START: x\n", "src/x.rs:1: not a marker"),
            ("//LAB 2aa BEGIN: x\n", "src/x.rs:1: not a marker"),
            ("let a = 1; // LAB 2aa END\n", "src/x.rs:1: a marker stands on a line of its own"),
        ];
        for (text, wanted) in cases {
            let message = refused(text);
            assert!(message.starts_with(wanted), "{text}\ngave: {message}");
        }
    }

    #[test]
    fn a_marker_covers_a_whole_body_or_nothing() {
        let part = "fn f() -> u8 {\n    let a = 1;\n    // LAB 1 BEGIN: x\n    a\n    // LAB 1 END\n}\n";
        assert!(refused(part).starts_with("src/x.rs:3: LAB stands around a whole function body"));
        let arms = "fn f(a: u8) {\n    match a {\n        // LAB 1 BEGIN: x\n        0 => {}\n        // LAB 1 END\n        _ => {}\n    }\n}\n";
        assert!(refused(arms).starts_with("src/x.rs:3: LAB stands around a whole function body"));
        let arms = arms.replace("LAB 1 BEGIN: x", "SOLUTION 1 BEGIN").replace("LAB 1 END", "SOLUTION 1 END");
        assert!(refused(&arms).starts_with("src/x.rs:3: a marker may not stand around match arms"));
        let opaque =
            "fn f() -> impl Iterator<Item = u8> {\n    // LAB 1 BEGIN: x\n    0..1\n    // LAB 1 END\n}\n";
        assert!(refused(opaque).starts_with("src/x.rs:2: f returns impl Trait"));
    }

    #[test]
    fn a_solution_that_cuts_an_item_in_two_is_refused() {
        let message = refused("// SOLUTION 1 BEGIN\nfn f() {\n// SOLUTION 1 END\n}\n");
        assert!(message.contains("not Rust any more"), "{message}");
    }
}
