//! The way of a submission: read, check, overlay, build, run every test, report.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;

use crate::build::{Built, build_all, own_suites, program_suites};
use crate::cargo;
use crate::error::{Error, Result};
use crate::kit::Kit;
use crate::labs::{Stage, Suite};
use crate::progress::{bar, say_if_hidden};
use crate::report::{Report, StageReport, uniform};
use crate::run::{Outcome, Status, run_test};
use crate::scan;
use crate::scratch::Scratch;
use crate::submission;
use crate::text;

/// So many names of tests are shown where a list is wrong.
const SHOWN_TESTS: usize = 3;
/// So many tests of the programs run at once, however many others may.
const CLUSTERS: usize = 2;
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
    let built = build_all(&scratch.lay_out(&tree, kit.labs.build_limit)?, &scratch, &stages)?;
    let trouble = compare_lists(&scratch, &stages, &built)?;
    if !trouble.is_empty() {
        return Ok(Report::not_graded(name, options.seed, &stages, trouble));
    }
    let reports = run_all(&scratch, &stages, &built, options)?;
    Ok(Report::new(name, options.seed, first_few(built.errors), reports))
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

/// What differs between the tests that exist and the ones that labs.toml counts: a test that never runs,
/// or that nobody expects, makes every number doubtful.
fn compare_lists(scratch: &Scratch, stages: &[&Stage], built: &Built) -> Result<Vec<String>> {
    let mut trouble = Vec::new();
    for (target, program) in &built.programs {
        let listed = cargo::list_tests(program, &scratch.dir)?;
        let suites = stages.iter().flat_map(|stage| stage.suites().map(move |suite| (stage, suite)));
        for (stage, suite) in suites.filter(|(_, suite)| suite.target == *target) {
            let exist: Vec<&str> =
                listed.iter().map(String::as_str).filter(|t| t.starts_with(&suite.filter)).collect();
            trouble.extend(difference(&stage.id, suite, &exist));
        }
    }
    Ok(trouble)
}

/// The differences between a suite's tests that exist and those that labs.toml lists.
pub fn difference(stage: &str, suite: &Suite, exist: &[&str]) -> Vec<String> {
    let mut out = Vec::new();
    let missing = suite.tests.iter().map(String::as_str).filter(|t| !exist.contains(t));
    let unknown = exist.iter().copied().filter(|t| !suite.tests.iter().any(|s| s == t));
    for (names, what) in [
        (missing.collect::<Vec<_>>(), "in labs.toml but not in the suite"),
        (unknown.collect::<Vec<_>>(), "in the suite but not in labs.toml"),
    ] {
        if !names.is_empty() {
            let more = if names.len() > SHOWN_TESTS { ", ..." } else { "" };
            let first = names.iter().take(SHOWN_TESTS).copied().collect::<Vec<_>>().join(", ");
            let count = names.len();
            out.push(format!(
                "stage {stage}: {count} {what}: {first}{more}. Who maintains the kit runs `just lists`"
            ));
        }
    }
    out
}

/// Runs the tests of all suites that were built. Those of the others are build errors.
fn run_all(
    scratch: &Scratch,
    stages: &[&Stage],
    built: &Built,
    options: &Options,
) -> Result<Vec<StageReport>> {
    let count = stages.iter().map(|stage| stage.tests().count()).sum::<usize>();
    let run_dir = scratch.run_dir()?;
    let bar = bar(count as u64);
    say_if_hidden(&bar, &format!("running {count} tests"));
    let run = |&(suite, test): &(&Suite, &str)| {
        let outcome = match built.program(suite) {
            Ok(program) => run_test(program, suite, test, options.seed, run_dir.path()),
            Err(why) => Outcome::of(Status::BuildError, options.seed, why),
        };
        bar.inc(1);
        outcome
    };
    // The programs need real time, and each test is several processes: they do not run beside the suites.
    let own = in_parallel(&tests_of(own_suites(stages)), options.jobs, run)?;
    let of_programs = in_parallel(&tests_of(program_suites(stages)), options.jobs.min(CLUSTERS), run)?;
    bar.finish_and_clear();
    let (mut own, mut of_programs) = (own.into_iter(), of_programs.into_iter());
    let report = |stage: &&Stage| {
        let mut outcomes: Vec<Outcome> = own.by_ref().take(stage.suite.tests.len()).collect();
        let programs = stage.programs.iter().flat_map(|suite| &suite.tests).count();
        outcomes.extend(of_programs.by_ref().take(programs));
        StageReport::new(stage, outcomes)
    };
    Ok(stages.iter().map(report).collect())
}

fn tests_of(suites: Vec<&Suite>) -> Vec<(&Suite, &str)> {
    suites.into_iter().flat_map(Suite::tests).collect()
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
