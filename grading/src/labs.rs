//! `labs/labs.toml`: which stages there are, what a student edits in each, and what each is worth.
//!
//! Invariants, checked on reading:
//! - stages stand in teaching order, and their ids are unique;
//! - a file is editable in exactly one stage, and its path stays inside the kit;
//! - a test belongs to exactly one suite of one stage, and its path starts with the suite's filter.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::Deserialize;

use crate::error::{Error, Result};
use crate::text;

/// Where the file lies in a kit.
pub const PATH: &str = "labs/labs.toml";

/// The recipe that runs the tests of the programs, of all stages.
pub const PROGRAMS: &str = "test-programs";

/// The whole file.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Labs {
    /// Wall time of one build of the suites, in seconds, before it counts as failed.
    pub build_limit: u64,
    /// Files and folders that starter code does not contain.
    #[serde(default)]
    pub leave_out: Vec<String>,
    /// What the source check lets pass, by editable file.
    #[serde(default)]
    pub allow: BTreeMap<String, Vec<String>>,
    /// The stages, in teaching order.
    #[serde(rename = "stage")]
    pub stages: Vec<Stage>,
}

/// One stage: the unit in which work is handed out and graded.
#[derive(Debug, Clone, Deserialize)]
#[serde(from = "Written")]
pub struct Stage {
    /// "2ab": as in the markers and in the recipe `just test-2ab`.
    pub id: String,
    /// What the stage is about, in a few words.
    pub title: String,
    /// What full marks are worth.
    pub points: u32,
    /// The text that is handed out with the stage.
    pub handout: String,
    /// The files that the student writes in this stage.
    pub editable: Vec<String>,
    /// What the paths of the tests begin with that gain from many seeds, for `raftkv-grade soak`; all when empty.
    pub soak: Vec<String>,
    /// The tests that call what was written.
    pub suite: Suite,
    /// The tests that start the programs with what was written in them, where the stage has any.
    pub programs: Option<Suite>,
}

/// Tests of a stage: a part of one test target, under the same limits.
#[derive(Debug, Clone, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Suite {
    /// The recipe of the justfile that runs them: it follows from where the suite stands in the file.
    #[serde(skip)]
    pub recipe: String,
    /// The cargo features that open the test target, with a comma between two.
    pub features: String,
    /// The test target.
    pub target: String,
    /// What the paths of these tests start with; the rest of the target belongs to other stages.
    pub filter: String,
    /// Processor time of one process, in seconds. Wall time may be three times as much.
    pub time_limit: u64,
    /// Address space of one process, in MB.
    pub memory_limit: u64,
    /// Every test, sorted. `raftkv-grade tests` compares this with what the target holds.
    pub tests: Vec<String>,
    /// What a test counts.
    #[serde(default = "one")]
    pub weight: u32,
    /// Tests that count more or less than that.
    #[serde(default)]
    pub weights: BTreeMap<String, u32>,
}

/// A stage as it is written down: what concerns its suite stands in the stage's own table.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    id: String,
    title: String,
    points: u32,
    features: String,
    target: String,
    filter: String,
    handout: String,
    time_limit: u64,
    memory_limit: u64,
    editable: Vec<String>,
    tests: Vec<String>,
    #[serde(default)]
    soak: Vec<String>,
    #[serde(default)]
    weights: BTreeMap<String, u32>,
    programs: Option<Suite>,
}

impl From<Written> for Stage {
    fn from(written: Written) -> Stage {
        let Written { id, title, points, features, target, filter, handout, .. } = written;
        let Written { time_limit, memory_limit, editable, tests, soak, weights, programs, .. } = written;
        let recipe = format!("test-{id}");
        let suite = Suite {
            recipe,
            features,
            target,
            filter,
            time_limit,
            memory_limit,
            tests,
            weight: one(),
            weights,
        };
        let programs = programs.map(|suite| Suite { recipe: PROGRAMS.to_string(), ..suite });
        Stage { id, title, points, handout, editable, soak, suite, programs }
    }
}

fn one() -> u32 {
    1
}

impl Labs {
    /// Reads the file of the kit at `root`.
    pub fn read(root: &Path) -> Result<Labs> {
        let path = root.join(PATH);
        let text = std::fs::read_to_string(&path).map_err(|e| Error::input_io(&path, &e))?;
        Labs::parse(&text)
    }

    /// Parses and checks; a message names the line.
    pub fn parse(text: &str) -> Result<Labs> {
        let labs: Labs = toml_edit::de::from_str(text).map_err(|e| toml_error(PATH, text, &e))?;
        labs.check().map_err(|problem| Error::input(format!("{PATH}: {problem}")))?;
        Ok(labs)
    }

    /// The ids of all stages, in order.
    pub fn ids(&self) -> Vec<&str> {
        self.stages.iter().map(|s| s.id.as_str()).collect()
    }

    /// The stages that a name stands for: its own, or, for a group such as "2a", those it begins.
    pub fn select(&self, name: &str) -> Result<Vec<&Stage>> {
        let exact: Vec<&Stage> = self.stages.iter().filter(|s| s.id == name).collect();
        if !exact.is_empty() {
            return Ok(exact);
        }
        let group: Vec<&Stage> =
            self.stages.iter().filter(|s| !name.is_empty() && s.id.starts_with(name)).collect();
        if group.is_empty() {
            let known = self.ids().join(", ");
            return Err(Error::input(format!(
                "there is no stage {}: choose from {known}",
                text::one_line(name)
            )));
        }
        Ok(group)
    }

    /// The stages that several names stand for, each once and in order; all when there are no names.
    pub fn select_all(&self, names: &[String]) -> Result<Vec<&Stage>> {
        if names.is_empty() {
            return Ok(self.stages.iter().collect());
        }
        let mut wanted = BTreeSet::new();
        for name in names {
            wanted.extend(self.select(name)?.into_iter().map(|s| s.id.as_str()));
        }
        Ok(self.stages.iter().filter(|s| wanted.contains(s.id.as_str())).collect())
    }

    /// Every editable file of every stage, in the order of the stages. A submission has all of them: the
    /// parts of stages that are not yet written are what the starter left there.
    pub fn editable(&self) -> Vec<&str> {
        self.stages.iter().flat_map(|s| s.editable.iter().map(String::as_str)).collect()
    }

    fn check(&self) -> std::result::Result<(), String> {
        if self.stages.is_empty() {
            return Err("there is no [[stage]]".to_string());
        }
        let mut ids = BTreeSet::new();
        let mut files = BTreeMap::new();
        let mut tests = BTreeSet::new();
        for stage in &self.stages {
            let id = &stage.id;
            if id.is_empty() || !id.chars().all(|c| c.is_ascii_alphanumeric()) {
                return Err(format!("stage id {id:?}: use letters and digits"));
            }
            if !ids.insert(id) {
                return Err(format!("stage {id} stands twice"));
            }
            if stage.points == 0 {
                return Err(format!("stage {id}: points must be above 0"));
            }
            for file in &stage.editable {
                if !is_inside(file) {
                    return Err(format!("stage {id}: editable {file:?} must be a plain path inside the kit"));
                }
                if let Some(other) = files.insert(file, id) {
                    return Err(format!("{file} is editable in stage {other} and again in {id}"));
                }
            }
            for suite in stage.suites() {
                suite.check(&mut tests).map_err(|problem| format!("stage {id}: {problem}"))?;
            }
            if stage.programs.as_ref().is_some_and(|programs| programs.target == stage.suite.target) {
                return Err(format!("stage {id}: its suite and its programs must be different targets"));
            }
            let filter = &stage.suite.filter;
            if let Some(prefix) = stage.soak.iter().find(|prefix| !prefix.starts_with(filter)) {
                return Err(format!("stage {id}: soak {prefix} does not start with {filter}"));
            }
        }
        match self.allow.keys().find(|file| !files.contains_key(file)) {
            Some(file) => Err(format!("[allow]: {file} is not editable in any stage")),
            None => Ok(()),
        }
    }
}

impl Stage {
    /// Its own suite, and that of the programs if it has one.
    pub fn suites(&self) -> impl Iterator<Item = &Suite> {
        std::iter::once(&self.suite).chain(&self.programs)
    }

    /// All its tests, with their suites, in the order of a report.
    pub fn tests(&self) -> impl Iterator<Item = (&Suite, &str)> {
        self.suites().flat_map(Suite::tests)
    }
}

impl Suite {
    /// Its tests.
    pub fn tests(&self) -> impl Iterator<Item = (&Suite, &str)> {
        self.tests.iter().map(move |test| (self, test.as_str()))
    }

    /// What a test counts within its stage.
    pub fn weight(&self, test: &str) -> u32 {
        self.weights.get(test).copied().unwrap_or(self.weight)
    }

    /// `tests` are those of other suites, with their targets.
    fn check<'a>(&'a self, tests: &mut BTreeSet<(&'a str, &'a str)>) -> std::result::Result<(), String> {
        if self.time_limit == 0 || self.memory_limit == 0 || self.weight == 0 {
            return Err("time_limit, memory_limit and weight must be above 0".to_string());
        }
        for test in &self.tests {
            if !test.starts_with(&self.filter) {
                return Err(format!("test {test} does not start with {}", self.filter));
            }
            if !tests.insert((&self.target, test)) {
                return Err(format!("test {test} stands twice"));
            }
        }
        match self.weights.iter().find(|(test, weight)| !self.tests.contains(test) || **weight == 0) {
            Some((test, _)) => Err(format!("weight of {test}: no such test, or weight 0")),
            None => Ok(()),
        }
    }
}

/// A TOML error as `file:line: what`, on one line.
pub fn toml_error(file: &str, text: &str, error: &toml_edit::de::Error) -> Error {
    let line = error.span().map_or(1, |span| text[..span.start.min(text.len())].matches('\n').count() + 1);
    Error::input(format!("{file}:{line}: {}", text::one_line(error.message())))
}

/// Whether a path is relative, has no `.` or `..` in it, and so cannot lead out of the folder it is joined to.
pub fn is_inside(path: &str) -> bool {
    !path.is_empty() && !path.contains('\\') && path.split('/').all(|part| !matches!(part, "" | "." | ".."))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STAGE: &str = r#"
[[stage]]
id = "1"
title = "one"
points = 10
features = "stage-1"
target = "stage_1"
filter = "a::"
handout = "labs/1.md"
time_limit = 5
memory_limit = 100
editable = ["src/a.rs"]
tests = ["a::b"]
"#;

    fn error(extra: &str) -> String {
        Labs::parse(&format!("build_limit = 9\n{STAGE}{extra}")).expect_err("this is refused").to_string()
    }

    #[test]
    fn an_unknown_key_is_refused_with_its_line() {
        let message = error("colour = 1\n");
        assert!(message.starts_with("labs/labs.toml:15: unknown field `colour`"), "{message}");
        assert!(!message.contains('\n'), "{message}");
    }

    #[test]
    fn a_syntax_error_is_refused_with_its_line() {
        let message = error("weights = {\n");
        assert!(message.starts_with("labs/labs.toml:1"), "{message}");
    }

    #[test]
    fn stages_files_and_tests_are_unique_and_stay_inside() {
        assert!(error(STAGE).contains("stage 1 stands twice"));
        let second = STAGE.replace("id = \"1\"", "id = \"2\"");
        assert!(error(&second).contains("src/a.rs is editable in stage 1 and again in 2"));
        assert!(error(&second.replace("src/a.rs", "../a.rs")).contains("plain path inside the kit"));
        assert!(error(&second.replace("src/a.rs", "/a.rs")).contains("plain path inside the kit"));
        assert!(error("weights = { \"a::c\" = 2 }\n").contains("weight of a::c"));
        assert!(error("soak = [\"b::\"]\n").contains("soak b:: does not start with a::"));
    }

    const PROGRAMS: &str = r#"
[stage.programs]
features = "server,stage-1"
target = "programs"
filter = "stage_1::"
time_limit = 20
memory_limit = 4096
weight = 4
tests = ["stage_1::x", "stage_1::y"]
"#;

    #[test]
    fn programs_are_a_suite_like_the_stages_own() {
        let labs = Labs::parse(&format!("build_limit = 9\n{STAGE}{PROGRAMS}")).expect("a good file");
        let stage = &labs.stages[0];
        let tests: Vec<(&str, &str, u32)> =
            stage.tests().map(|(suite, test)| (suite.recipe.as_str(), test, suite.weight(test))).collect();
        let wanted =
            [("test-1", "a::b", 1), ("test-programs", "stage_1::x", 4), ("test-programs", "stage_1::y", 4)];
        assert_eq!(tests, wanted);
        for (from, to, wanted) in [
            ("weight = 4", "wieght = 4", "unknown field `wieght`"),
            ("weight = 4", "weight = 0", "stage 1: time_limit, memory_limit and weight must be above 0"),
            ("time_limit = 20", "time_limit = 0", "stage 1: time_limit, memory_limit and weight"),
            ("stage_1::y", "stage_2::y", "stage 1: test stage_2::y does not start with stage_1::"),
            ("stage_1::y", "stage_1::x", "stage 1: test stage_1::x stands twice"),
            ("target = \"programs\"", "target = \"stage_1\"", "must be different targets"),
            ("target = \"programs\"", "", "missing field `target`"),
        ] {
            let message = error(&PROGRAMS.replace(from, to));
            assert!(message.contains(wanted) && !message.contains('\n'), "{message}");
        }
    }

    #[test]
    fn a_group_stands_for_its_stages() {
        let second = STAGE.replace("\"1\"", "\"2aa\"").replace("src/a", "src/b").replace("a::b", "a::c");
        let third = STAGE.replace("\"1\"", "\"2ab\"").replace("src/a", "src/c").replace("a::b", "a::d");
        let labs = Labs::parse(&format!("build_limit = 9\n{STAGE}{second}{third}")).expect("a good file");
        let ids = |names: &[&str]| -> Vec<String> {
            let names: Vec<String> = names.iter().map(|n| n.to_string()).collect();
            labs.select_all(&names).expect("known stages").iter().map(|s| s.id.clone()).collect()
        };
        assert_eq!(ids(&["2a", "1"]), ["1", "2aa", "2ab"]);
        assert_eq!(ids(&[]), ["1", "2aa", "2ab"]);
        assert!(labs.select("3").is_err());
    }
}
