//! The way of a submission: read, check, overlay, build once, run every test, report.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use indicatif::{ProgressBar, ProgressStyle};

use crate::cargo::{self, Build};
use crate::error::{Error, Result};
use crate::kit::Kit;
use crate::labs::Stage;
use crate::report::{Report, StageReport, uniform};
use crate::run::{Status, run_test};
use crate::scan;
use crate::scratch::Scratch;
use crate::submission;
use crate::text;
use crate::tree::Tree;

/// So many names of tests are shown where a list is wrong.
const SHOWN_TESTS: usize = 3;
/// So many compiler errors, or source check hits, are shown.
const SHOWN_ERRORS: usize = 5;

/// What to grade and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// Stages or groups of stages; all when empty.
    pub stages: Vec<String>,
    /// The seed of every test.
    pub seed: u64,
    /// How many tests run at the same time.
    pub jobs: usize,
}

/// Grades the submission in `dir`.
pub fn grade(kit: &Kit, dir: &Path, options: &Options) -> Result<Report> {
    let stages = kit.labs.select_all(&options.stages)?;
    let sources = submission::read(dir, &kit.labs.editable())?;
    let mut tree = kit.pristine()?;
    for source in &sources {
        // Whatever copy of an editable file the kit has, it is replaced: none of it is in what is graded.
        tree.put(&source.path, source.text.as_str());
    }
    let name = text::path(dir);
    let no_allowance = Vec::new();
    let hits: Vec<String> = sources
        .iter()
        .flat_map(|s| scan::scan(s, kit.labs.allow.get(&s.path).unwrap_or(&no_allowance)))
        .map(|hit| text::neutralise(&hit.to_string()))
        .collect();
    if !hits.is_empty() {
        let reports = stages.iter().map(|s| uniform(s, Status::BuildError, options.seed, &hits[0])).collect();
        return Ok(Report::new(name, options.seed, first_few(hits), reports));
    }
    let scratch = Scratch::open(kit, 0)?;
    let build = build(kit, &scratch, &tree, &stages)?;
    let trouble = compare_lists(&scratch, &stages, &build)?;
    if !trouble.is_empty() {
        return Ok(Report::not_graded(name, options.seed, &stages, trouble));
    }
    let errors: Vec<String> =
        build.errors.iter().map(|e| text::trim(&text::neutralise(e), 40, 400)).collect();
    let reports = run_all(&scratch, &stages, &build.programs, &errors, options)?;
    Ok(Report::new(name, options.seed, first_few(errors), reports))
}

/// The report of a run that could not grade.
pub fn not_graded(kit: &Kit, dir: &Path, options: &Options, trouble: String) -> Result<Report> {
    let stages = kit.labs.select_all(&options.stages)?;
    Ok(Report::not_graded(text::path(dir), options.seed, &stages, vec![trouble]))
}

fn first_few(mut errors: Vec<String>) -> Vec<String> {
    if errors.len() > SHOWN_ERRORS {
        let more = errors.len() - SHOWN_ERRORS;
        errors.truncate(SHOWN_ERRORS);
        errors.push(format!("[{more} more]"));
    }
    errors
}

/// Builds the test targets that the stages need, all at once.
pub fn build(kit: &Kit, scratch: &Scratch, tree: &Tree, stages: &[&Stage]) -> Result<Build> {
    let workshop = scratch.lay_out(tree, kit.labs.build_limit)?;
    let (features, targets) = needs(stages);
    let what = format!("building {}", targets.join(", "));
    let bar = spinner(what.clone());
    say_if_hidden(&bar, &what);
    let build = workshop.build(&features, &targets);
    bar.finish_and_clear();
    scratch.built()?;
    build
}

/// The features and test targets of some stages, each once.
pub fn needs<'a>(stages: &[&'a Stage]) -> (Vec<&'a str>, Vec<&'a str>) {
    let mut features: Vec<&str> = Vec::new();
    let mut targets: Vec<&str> = Vec::new();
    for stage in stages {
        if !features.contains(&stage.features.as_str()) {
            features.push(&stage.features);
        }
        if !targets.contains(&stage.target.as_str()) {
            targets.push(&stage.target);
        }
    }
    (features, targets)
}

/// What differs between the tests that exist and the ones that labs.toml counts: a test that never runs,
/// or that nobody expects, makes every number doubtful.
fn compare_lists(scratch: &Scratch, stages: &[&Stage], build: &Build) -> Result<Vec<String>> {
    let mut trouble = Vec::new();
    for (target, program) in &build.programs {
        let listed = cargo::list_tests(program, &scratch.dir)?;
        for stage in stages.iter().filter(|s| s.target == *target) {
            let exist: Vec<&str> =
                listed.iter().map(String::as_str).filter(|t| t.starts_with(&stage.filter)).collect();
            trouble.extend(difference(stage, &exist));
        }
    }
    Ok(trouble)
}

/// The differences between a stage's tests that exist and those that labs.toml lists.
pub fn difference(stage: &Stage, exist: &[&str]) -> Vec<String> {
    let mut out = Vec::new();
    let missing = stage.tests.iter().map(String::as_str).filter(|t| !exist.contains(t));
    let unknown = exist.iter().copied().filter(|t| !stage.tests.iter().any(|s| s == t));
    for (names, what) in [
        (missing.collect::<Vec<_>>(), "in labs.toml but not in the suite"),
        (unknown.collect::<Vec<_>>(), "in the suite but not in labs.toml"),
    ] {
        if !names.is_empty() {
            let more = if names.len() > SHOWN_TESTS { ", ..." } else { "" };
            let first = names.iter().take(SHOWN_TESTS).copied().collect::<Vec<_>>().join(", ");
            let count = names.len();
            out.push(format!(
                "stage {}: {count} {what}: {first}{more}. Who maintains the kit runs `just lists`",
                stage.id
            ));
        }
    }
    out
}

fn run_all(
    scratch: &Scratch,
    stages: &[&Stage],
    programs: &BTreeMap<String, PathBuf>,
    errors: &[String],
    options: &Options,
) -> Result<Vec<StageReport>> {
    let jobs: Vec<(&Stage, &Path, &str)> = stages
        .iter()
        .filter_map(|stage| programs.get(&stage.target).map(|program| (*stage, program.as_path())))
        .flat_map(|(stage, program)| stage.tests.iter().map(move |test| (stage, program, test.as_str())))
        .collect();
    let run_dir = scratch.run_dir()?;
    let bar = bar(jobs.len() as u64);
    say_if_hidden(&bar, &format!("running {} tests", jobs.len()));
    let outcomes = in_parallel(&jobs, options.jobs, |&(stage, program, test)| {
        let outcome = run_test(program, stage, test, options.seed, run_dir.path());
        bar.inc(1);
        outcome
    })?;
    bar.finish_and_clear();
    let mut outcomes = outcomes.into_iter();
    let mut reports = Vec::new();
    for stage in stages {
        reports.push(if programs.contains_key(&stage.target) {
            StageReport::new(stage, outcomes.by_ref().take(stage.tests.len()).collect())
        } else {
            let why = errors.first().and_then(|e| e.lines().next()).unwrap_or("it does not compile");
            uniform(stage, Status::BuildError, options.seed, why)
        });
    }
    Ok(reports)
}

/// Runs `work` on every item, at most `jobs` at a time, and returns the results in order.
pub fn in_parallel<T: Sync, R: Send>(
    items: &[T],
    jobs: usize,
    work: impl Fn(&T) -> R + Sync,
) -> Result<Vec<R>> {
    let next = AtomicUsize::new(0);
    let (tx, rx) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..jobs.clamp(1, items.len().max(1)) {
            let tx = tx.clone();
            let (next, work) = (&next, &work);
            scope.spawn(move || {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(item) = items.get(at) else { break };
                    let _ = tx.send((at, work(item)));
                }
            });
        }
    });
    drop(tx);
    let mut results: Vec<(usize, R)> = rx.into_iter().collect();
    results.sort_by_key(|(at, _)| *at);
    if results.len() != items.len() {
        return Err(Error::infra("a worker of the grader stopped early"));
    }
    Ok(results.into_iter().map(|(_, result)| result).collect())
}

/// A bar on a terminal; nothing elsewhere.
pub fn bar(length: u64) -> ProgressBar {
    let bar = ProgressBar::new(length);
    if let Ok(style) = ProgressStyle::with_template("{bar:40} {pos}/{len} {elapsed}") {
        bar.set_style(style);
    }
    bar
}

/// Where no terminal shows a bar, a line says what takes the time.
pub fn say_if_hidden(bar: &ProgressBar, what: &str) {
    if bar.is_hidden() {
        eprintln!("{what}");
    }
}

fn spinner(message: String) -> ProgressBar {
    let bar = ProgressBar::new_spinner().with_message(message);
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} {elapsed}") {
        bar.set_style(style);
    }
    bar.enable_steady_tick(std::time::Duration::from_millis(120));
    bar
}
