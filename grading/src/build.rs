//! Building what some stages need: their suites, and then the tests of the programs.
//!
//! These are two builds. The programs bring in sockets, JSON and much else, and a crate more in the graph can make code
//! ambiguous that compiles without it (`bytes == []`, where another type comes to be comparable with bytes). What the
//! suites say of a submission must not depend on that, so they are built as a student builds them; and whoever grades
//! a stage without programs does not wait for a server.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::cargo::{Build, Workshop};
use crate::error::Result;
use crate::labs::{PROGRAMS, Stage, Suite};
use crate::progress::{say_if_hidden, spinner};
use crate::scratch::Scratch;
use crate::text;

/// What was built, and why the rest was not.
#[derive(Debug, Default)]
pub struct Built {
    /// The test programs, by target.
    pub programs: BTreeMap<String, PathBuf>,
    /// What the compiler says, safe to show.
    pub errors: Vec<String>,
    /// Why a target is not there, in one line.
    why_not: BTreeMap<String, String>,
}

impl Built {
    /// The test program of a suite, or why there is none.
    pub fn program(&self, suite: &Suite) -> std::result::Result<&Path, &str> {
        let why = self.why_not.get(&suite.target).map_or("it does not compile", String::as_str);
        self.programs.get(&suite.target).map(PathBuf::as_path).ok_or(why)
    }

    fn add(&mut self, build: Build, targets: &[&str], prefix: &str) {
        let errors: Vec<String> = build.errors.iter().map(|error| shown(error)).collect();
        let first = errors.first().and_then(|error| error.lines().next()).unwrap_or("it does not compile");
        for target in targets.iter().filter(|target| !build.programs.contains_key(**target)) {
            self.why_not.insert(target.to_string(), format!("{prefix}{first}"));
        }
        self.programs.extend(build.programs);
        // Where the library does not compile, both builds say so.
        let new: Vec<String> = errors.into_iter().filter(|error| !self.errors.contains(error)).collect();
        self.errors.extend(new.into_iter().map(|error| format!("{prefix}{error}")));
    }
}

fn shown(error: &str) -> String {
    text::trim(&text::neutralise(error), 40, 400)
}

/// Builds everything that these stages need.
pub fn build_all(workshop: &Workshop, scratch: &Scratch, stages: &[&Stage]) -> Result<Built> {
    let mut built = Built::default();
    let suites = own_suites(stages);
    built.add(build(workshop, scratch, &suites)?, &needs(&suites).1, "");
    let programs = program_suites(stages);
    if programs.is_empty() {
        return Ok(built);
    }
    let prefix = format!("in the build of the programs, which `just {PROGRAMS}` does, too: ");
    let mut build = build(workshop, scratch, &programs)?;
    if !build.success {
        // The tests may be there without the programs, and would start the ones of the submission before this.
        build.programs.clear();
    }
    built.add(build, &needs(&programs).1, &prefix);
    Ok(built)
}

/// Builds the test targets of some suites, all at once.
pub fn build(workshop: &Workshop, scratch: &Scratch, suites: &[&Suite]) -> Result<Build> {
    let (features, targets) = needs(suites);
    let what = format!("building {}", targets.join(", "));
    let bar = spinner(what.clone());
    say_if_hidden(&bar, &what);
    let build = workshop.build(&features, &targets);
    bar.finish_and_clear();
    scratch.built()?;
    build
}

/// The stages' own suites.
pub fn own_suites<'a>(stages: &[&'a Stage]) -> Vec<&'a Suite> {
    stages.iter().map(|stage| &stage.suite).collect()
}

/// The suites of the programs, of the stages that have one.
pub fn program_suites<'a>(stages: &[&'a Stage]) -> Vec<&'a Suite> {
    stages.iter().filter_map(|stage| stage.programs.as_ref()).collect()
}

/// The features and test targets of some suites, each once.
pub fn needs<'a>(suites: &[&'a Suite]) -> (Vec<&'a str>, Vec<&'a str>) {
    let mut features: Vec<&str> = Vec::new();
    let mut targets: Vec<&str> = Vec::new();
    for suite in suites {
        features.extend(
            suite.features.split(',').filter(|feature| !features.contains(feature)).collect::<Vec<_>>(),
        );
        if !targets.contains(&suite.target.as_str()) {
            targets.push(&suite.target);
        }
    }
    (features, targets)
}
