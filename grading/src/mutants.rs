//! Mutants: small wrong versions of the reference, which the suite of their own stage must fail.
//!
//! A test that no wrong program fails shows nothing. Each file in `grading/mutants/` says what is replaced,
//! which rule that breaks, and the test that is expected to notice.

mod run;

use serde::Deserialize;

use crate::error::{Error, Result};
use crate::kit::Kit;
use crate::labs::{Labs, Stage, toml_error};
use crate::text;
use crate::tree::{self, Tree};

pub use run::{Fate, Noticed, Options, Verdict, all_killed, render, run};

/// Where mutants lie in a kit.
pub const FOLDER: &str = "grading/mutants";

/// One mutant.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mutant {
    /// A short name, unique.
    pub id: String,
    /// The stage whose suite must notice.
    pub stage: String,
    /// The file that is changed.
    pub file: String,
    /// The rule that is broken, with its section of the paper or its contract.
    pub rule: String,
    /// The test, or tests, that must fail.
    pub expected: Expected,
    /// `"timeout"` where a test that does not end is what the mutant is about.
    #[serde(default)]
    pub kill: Kill,
    /// What is replaced, in order.
    #[serde(rename = "edit")]
    pub edits: Vec<Edit>,
}

/// The tests that must fail.
#[derive(Debug, Clone, Deserialize)]
#[serde(untagged)]
pub enum Expected {
    /// One.
    One(String),
    /// All of several.
    All(Vec<String>),
}

impl Expected {
    /// The tests, however they were written.
    pub fn tests(&self) -> &[String] {
        match self {
            Expected::One(test) => std::slice::from_ref(test),
            Expected::All(tests) => tests,
        }
    }
}

/// What counts as noticing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kill {
    /// An assertion fails.
    #[default]
    Assertion,
    /// A test does not end.
    Timeout,
}

/// One replacement.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Edit {
    /// Another file than the mutant's.
    pub file: Option<String>,
    /// The text to replace. It stands exactly once in the file.
    pub find: String,
    /// The text to put there.
    pub replace: String,
}

impl Mutant {
    /// Reads one file.
    pub fn parse(path: &str, content: &str) -> Result<Mutant> {
        let mutant: Mutant = toml_edit::de::from_str(content).map_err(|e| toml_error(path, content, &e))?;
        if mutant.edits.is_empty() || mutant.expected.tests().is_empty() {
            return Err(Error::input(format!("{path}: a mutant has an [[edit]] and an expected test")));
        }
        Ok(mutant)
    }

    /// The mutated copy of a tree.
    pub fn apply(&self, tree: &Tree) -> Result<Tree> {
        let mut out = tree.clone();
        for edit in &self.edits {
            let file = edit.file.as_ref().unwrap_or(&self.file);
            let fail = |what: String| Err(Error::input(format!("mutant {}: {file}: {what}", self.id)));
            let Some(content) = out.text(file) else { return fail("no such file".to_string()) };
            let first = text::trim(edit.find.trim(), 1, 60).lines().next().unwrap_or_default().to_string();
            match content.matches(edit.find.as_str()).count() {
                1 => {}
                n => return fail(format!("`{first}` stands there {n} times, and must exactly once")),
            }
            if edit.find == edit.replace {
                return fail(format!("`{first}` is replaced by itself"));
            }
            let changed = content.replacen(&edit.find, &edit.replace, 1);
            out.put(file, changed);
        }
        Ok(out)
    }

    /// The mutant's stage.
    pub fn stage<'a>(&self, labs: &'a Labs) -> Result<&'a Stage> {
        labs.stages.iter().find(|s| s.id == self.stage).ok_or_else(|| {
            Error::input(format!("mutant {}: there is no stage {}", self.id, text::one_line(&self.stage)))
        })
    }
}

/// The mutants of some stages or groups (all if none is named), in the order of stages and ids. Each applies
/// to the tree and expects tests that exist.
pub fn read(kit: &Kit, tree: &Tree, names: &[String]) -> Result<Vec<Mutant>> {
    let wanted = kit.labs.select_all(names)?;
    let folder = kit.root.join(FOLDER);
    if !folder.is_dir() {
        return Err(Error::input(format!(
            "{FOLDER}: no such folder: mutants are in an instructor's kit only"
        )));
    }
    let mut out: Vec<Mutant> = Vec::new();
    for path in tree::list(&folder)?.iter().filter(|path| path.ends_with(".toml")) {
        let full = folder.join(path);
        let content = std::fs::read_to_string(&full).map_err(|e| Error::input_io(&full, &e))?;
        let mutant = Mutant::parse(&format!("{FOLDER}/{path}"), &content)?;
        let stage = mutant.stage(&kit.labs)?;
        if !wanted.iter().any(|s| s.id == stage.id) {
            continue;
        }
        mutant.apply(tree)?;
        if let Some(test) = mutant.expected.tests().iter().find(|test| !stage.suite.tests.contains(test)) {
            let what = format!("mutant {}: stage {} has no test {test}", mutant.id, stage.id);
            return Err(Error::input(what));
        }
        if out.iter().any(|other| other.id == mutant.id) {
            return Err(Error::input(format!("{FOLDER}/{path}: there is another mutant {}", mutant.id)));
        }
        out.push(mutant);
    }
    let place = |m: &Mutant| kit.labs.stages.iter().position(|s| s.id == m.stage);
    out.sort_by(|a, b| (place(a), &a.id).cmp(&(place(b), &b.id)));
    Ok(out)
}

/// A choice of `count` mutants that depends on `seed` alone, in their order.
pub fn sample(mutants: Vec<Mutant>, count: usize, seed: u64) -> Vec<Mutant> {
    let mut ranked: Vec<(u64, usize)> =
        mutants.iter().enumerate().map(|(at, m)| (mix(seed, &m.id), at)).collect();
    ranked.sort_unstable();
    let mut chosen: Vec<usize> = ranked.into_iter().take(count).map(|(_, at)| at).collect();
    chosen.sort_unstable();
    chosen.into_iter().map(|at| mutants[at].clone()).collect()
}

/// A number that a seed gives to a name: splitmix64 over its bytes.
fn mix(seed: u64, name: &str) -> u64 {
    name.bytes().fold(seed, |state, byte| {
        let mut x = (state ^ u64::from(byte)).wrapping_add(0x9e37_79b9_7f4a_7c15);
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        x ^ (x >> 31)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"
id = "m"
stage = "1"
file = "src/a.rs"
rule = "a rule"
expected = "t::x"
[[edit]]
find = "a < b"
replace = "a <= b"
"#;

    fn apply(text: &str) -> Result<Tree> {
        let mut tree = Tree::default();
        tree.put("src/a.rs", text);
        Mutant::parse("m.toml", GOOD).expect("a good mutant").apply(&tree)
    }

    #[test]
    fn the_text_is_replaced_once() {
        assert_eq!(apply("if a < b {}").expect("once").text("src/a.rs"), Some("if a <= b {}"));
    }

    #[test]
    fn text_that_is_not_there_or_not_unique_is_refused() {
        for (text, times) in [("", 0), ("a < b; a < b", 2)] {
            let message = apply(text).expect_err("not once").to_string();
            let wanted =
                format!("mutant m: src/a.rs: `a < b` stands there {times} times, and must exactly once");
            assert_eq!(message, wanted);
        }
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_line() {
        let message =
            Mutant::parse("m.toml", &GOOD.replace("rule =", "rul =")).expect_err("a typo").to_string();
        assert!(message.starts_with("m.toml:5: unknown field `rul`"), "{message}");
    }

    #[test]
    fn a_sample_depends_on_its_seed_and_keeps_the_order() {
        let one = Mutant::parse("m.toml", GOOD).expect("a good mutant");
        let all: Vec<Mutant> = (0..20).map(|i| Mutant { id: format!("m{i:02}"), ..one.clone() }).collect();
        let ids = |seed| sample(all.clone(), 5, seed).into_iter().map(|m| m.id).collect::<Vec<_>>();
        assert_eq!(ids(1), ids(1));
        assert_ne!(ids(1), ids(2));
        assert!(ids(3).is_sorted() && ids(3).len() == 5);
    }
}
