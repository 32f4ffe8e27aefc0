//! Trying mutants: apply, build, run the stage's suite, see which tests notice.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::{Kill, Mutant, read, sample};
use crate::cargo::{Build, Workshop};
use crate::error::{Error, Result};
use crate::kit::Kit;
use crate::labs::Stage;
use crate::limit::Limits;
use crate::process::{Ended, supervise};
use crate::progress::bar;
use crate::scratch::Scratch;
use crate::text;
use crate::tree::Tree;

/// Which mutants to try and how.
#[derive(Debug, Clone)]
pub struct Options {
    /// Stages or groups of stages; all when empty.
    pub stages: Vec<String>,
    /// Try only so many, chosen by `seed`.
    pub sample: Option<usize>,
    /// The seed of the choice.
    pub seed: u64,
    /// How many are built and run at the same time.
    pub jobs: usize,
    /// Run the whole suite over each mutant, to see every test that notices.
    pub all_tests: bool,
}

/// What became of a mutant.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// The expected tests fail.
    Killed,
    /// No test fails.
    Survived,
    /// It is no program.
    DoesNotCompile(String),
    /// Other tests fail, but these do not.
    NotExpected(Vec<String>),
    /// A test does not end, and no assertion of an expected one fails.
    OnlyTimeout,
}

/// What the tests say of a mutant.
#[derive(Debug, Clone)]
pub struct Noticed {
    /// What became of it.
    pub fate: Fate,
    /// The tests that failed, the expected ones first.
    pub failed: Vec<String>,
    /// Where in `src/` the first of them panicked, if it did: the rule is not broken by an assertion then.
    pub panic: Option<String>,
}

impl Default for Noticed {
    fn default() -> Noticed {
        Noticed { fate: Fate::Survived, failed: Vec::new(), panic: None }
    }
}

/// What all mutants of a run share.
struct Trial<'a> {
    /// The tree without a mutant.
    tree: &'a Tree,
    /// How long each stage's suite takes over it.
    baseline: BTreeMap<String, Duration>,
    all_tests: bool,
}

/// The result of one mutant.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// The mutant.
    pub id: String,
    /// Its stage.
    pub stage: String,
    /// What became of it.
    pub noticed: Noticed,
    /// Building and running.
    pub took: Duration,
}

/// Tries the mutants that are asked for, after showing that the suites pass without one.
pub fn run(kit: &Kit, options: &Options) -> Result<Vec<Verdict>> {
    let tree = kit.pristine()?;
    let mut mutants = read(kit, &tree, &options.stages)?;
    if let Some(count) = options.sample {
        mutants = sample(mutants, count, options.seed);
    }
    if mutants.is_empty() {
        return Err(Error::input("there is no mutant of these stages"));
    }
    let first = Scratch::open(kit, 0)?;
    let baseline = baseline(kit, &first, &tree, &mutants)?;
    let trial = Trial { tree: &tree, baseline, all_tests: options.all_tests };
    let mut scratches = vec![first];
    for at in 1..options.jobs.clamp(1, mutants.len()) {
        scratches.push(Scratch::open(kit, at)?);
    }
    let bar = bar(mutants.len() as u64);
    let next = AtomicUsize::new(0);
    let (tx, rx) = mpsc::channel();
    thread::scope(|scope| {
        for scratch in &scratches {
            let (tx, next, bar, mutants, trial) = (tx.clone(), &next, &bar, &mutants, &trial);
            scope.spawn(move || {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(mutant) = mutants.get(at) else { break };
                    let result = try_one(kit, scratch, mutant, trial);
                    bar.inc(1);
                    let failed = result.is_err();
                    let _ = tx.send((at, result));
                    if failed {
                        next.store(mutants.len(), Ordering::Relaxed);
                    }
                }
            });
        }
    });
    drop(tx);
    bar.finish_and_clear();
    let mut results: Vec<(usize, Result<Verdict>)> = rx.into_iter().collect();
    results.sort_by_key(|(at, _)| *at);
    results.into_iter().map(|(_, result)| result).collect()
}

/// How long each stage's suite takes on the tree as it is. It must pass.
fn baseline(
    kit: &Kit,
    scratch: &Scratch,
    tree: &Tree,
    mutants: &[Mutant],
) -> Result<BTreeMap<String, Duration>> {
    let stages: Vec<&Stage> =
        kit.labs.stages.iter().filter(|s| mutants.iter().any(|m| m.stage == s.id)).collect();
    let workshop = scratch.lay_out(tree, kit.labs.build_limit)?;
    let mut out = BTreeMap::new();
    for stage in stages {
        let build = build(&workshop, scratch, stage)?;
        let program = build.program(&stage.suite.target)?;
        let limit = Duration::from_secs(kit.labs.build_limit);
        let ended = run_suite(program, scratch, stage, &[&stage.suite.filter], limit)?;
        if !ended.status.success() {
            let failed = failed_tests(&ended.stdout).join(", ");
            return Err(Error::input(format!("stage {} fails without a mutant: {failed}", stage.id)));
        }
        out.insert(stage.id.clone(), ended.took);
    }
    Ok(out)
}

/// Builds a stage's suite over what is laid out.
fn build(workshop: &Workshop, scratch: &Scratch, stage: &Stage) -> Result<Build> {
    let build = workshop.build_quickly(&[&stage.suite.features], &stage.suite.target);
    scratch.built()?;
    build
}

fn try_one(kit: &Kit, scratch: &Scratch, mutant: &Mutant, trial: &Trial<'_>) -> Result<Verdict> {
    let start = Instant::now();
    let stage = mutant.stage(&kit.labs)?;
    let workshop = scratch.lay_out(&mutant.apply(trial.tree)?, kit.labs.build_limit)?;
    let build = build(&workshop, scratch, stage)?;
    let noticed = match build.programs.get(&stage.suite.target) {
        None => {
            let why = build.errors.first().and_then(|e| e.lines().next()).unwrap_or_default();
            Noticed { fate: Fate::DoesNotCompile(text::one_line(why)), ..Noticed::default() }
        }
        Some(program) => judge(mutant, stage, program, scratch, trial)?,
    };
    Ok(Verdict { id: mutant.id.clone(), stage: stage.id.clone(), noticed, took: start.elapsed() })
}

/// Runs the expected tests over a mutant, each in a process of its own. The whole suite runs only where they
/// do not all fail, or `all_tests` asks for it: a mutant's other tests may loop until their time is over.
fn judge(
    mutant: &Mutant,
    stage: &Stage,
    program: &Path,
    scratch: &Scratch,
    trial: &Trial<'_>,
) -> Result<Noticed> {
    let grace = Duration::from_secs(stage.suite.time_limit);
    let mut noticed = Noticed::default();
    let mut missed = Vec::new();
    let mut stuck = false;
    for test in mutant.expected.tests() {
        let ended = run_suite(program, scratch, stage, &["--exact", test], grace)?;
        if ended.timed_out || ended.signal() == Some(Signal::SIGXCPU) {
            stuck = true;
        } else if ended.status.success() {
            missed.push(test.clone());
        } else {
            noticed.panic = noticed.panic.or_else(|| panic_in_src(&ended.stdout, test));
            noticed.failed.push(test.clone());
        }
    }
    noticed.fate = match (stuck, missed.is_empty()) {
        (true, _) if mutant.kill == Kill::Timeout => Fate::Killed,
        (true, _) => Fate::OnlyTimeout,
        (false, true) => Fate::Killed,
        (false, false) => Fate::NotExpected(missed),
    };
    if trial.all_tests || matches!(noticed.fate, Fate::NotExpected(_)) {
        let usual = trial.baseline.get(&stage.id).copied().unwrap_or_default();
        let ended = run_suite(program, scratch, stage, &[&stage.suite.filter], usual * 4 + grace)?;
        let others = failed_tests(&ended.stdout).into_iter();
        let others: Vec<String> = others.filter(|test| !noticed.failed.contains(test)).collect();
        noticed.failed.extend(others);
        if noticed.failed.is_empty() && ended.status.success() {
            noticed.fate = Fate::Survived;
        }
    }
    Ok(noticed)
}

/// Runs tests for at most `limit` of processor time. Wall time may be three times as much: the other workers
/// keep the machine busy.
fn run_suite(
    program: &Path,
    scratch: &Scratch,
    stage: &Stage,
    args: &[&str],
    limit: Duration,
) -> Result<Ended> {
    let limits = Limits {
        cpu: Some(limit.as_secs() + 1),
        memory_mb: Some(stage.suite.memory_limit),
        file_mb: Some(64),
    };
    let folder = scratch.run_dir()?;
    let mut command = limits.command(program)?;
    command
        .args(args.iter().filter(|arg| !arg.is_empty()))
        .arg("--test-threads=1")
        .current_dir(folder.path());
    command.env_clear().env("TMPDIR", folder.path()).env("RUST_BACKTRACE", "0").env("SIM_SEED", "1");
    supervise(command, "", limit * 3, 4 << 20)
}

fn failed_tests(stdout: &str) -> Vec<String> {
    let name = |line: &str| Some(line.strip_prefix("test ")?.strip_suffix(" ... FAILED")?.to_string());
    stdout.lines().filter_map(name).collect()
}

/// The place in `src/` where a failed test panicked, from what the test runner shows of it at the end.
fn panic_in_src(stdout: &str, test: &str) -> Option<String> {
    let (_, own) = stdout.split_once(&format!("---- {test} stdout ----"))?;
    let own = own.split("\n---- ").next()?;
    let (_, at) = own.split_once(" panicked at ")?;
    let place = at.split(':').next()?;
    place.starts_with("src/").then(|| text::one_line(place))
}

/// The table, and below it what to do about each mutant that was not killed as it should be.
pub fn render(verdicts: &[Verdict]) -> String {
    let mut out = String::new();
    let width = verdicts.iter().map(|v| v.id.len()).max().unwrap_or(0).max(6);
    let _ = writeln!(out, "{:<width$}  {:<5}  {:>6}  killed by", "mutant", "stage", "time");
    for v in verdicts {
        let mut by = match (&v.noticed.fate, v.noticed.failed.as_slice()) {
            (Fate::Killed, []) => "a test that does not end".to_string(),
            (Fate::Killed, [first]) => first.clone(),
            (Fate::Killed, [first, more @ ..]) => format!("{first} (+{})", more.len()),
            (Fate::Survived, _) => "NOTHING".to_string(),
            (Fate::DoesNotCompile(_), _) => "DOES NOT COMPILE".to_string(),
            (Fate::NotExpected(_), _) => "OTHER TESTS".to_string(),
            (Fate::OnlyTimeout, _) => "TIMEOUT".to_string(),
        };
        if let Some(place) = &v.noticed.panic {
            by.push_str(&format!(", a panic in {place}"));
        }
        let _ = writeln!(out, "{:<width$}  {:<5}  {:>4.1} s  {by}", v.id, v.stage, v.took.as_secs_f64());
    }
    for v in verdicts {
        let failed = v.noticed.failed.join(", ");
        let _ = match &v.noticed.fate {
            Fate::Killed => Ok(()),
            Fate::Survived => writeln!(out, "\n{}: no test of stage {} notices", v.id, v.stage),
            Fate::DoesNotCompile(why) => writeln!(out, "\n{}: {why}", v.id),
            Fate::NotExpected(missed) => {
                writeln!(out, "\n{}: passes {}; fails {failed}", v.id, missed.join(", "))
            }
            Fate::OnlyTimeout => writeln!(
                out,
                "\n{}: an expected test does not end, where an assertion should name the broken rule",
                v.id
            ),
        };
    }
    let killed = verdicts.iter().filter(|v| v.noticed.fate == Fate::Killed).count();
    let _ = writeln!(out, "\n{killed} of {} mutants killed", verdicts.len());
    out
}

/// Whether all is as it should be.
pub fn all_killed(verdicts: &[Verdict]) -> bool {
    verdicts.iter().all(|v| v.noticed.fate == Fate::Killed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_test_runners_output_is_read() {
        let stdout = "test a::b ... FAILED\ntest a::c ... ok\ntest a::d ... FAILED\n\n---- a::b stdout ----\n\n\
                      thread 'a::b' (1) panicked at src/x.rs:1:2:\nno\n\n---- a::d stdout ----\n\
                      thread 'a::d' (1) panicked at tests/x.rs:1:2:\n";
        assert_eq!(failed_tests(stdout), ["a::b", "a::d"]);
        assert_eq!(panic_in_src(stdout, "a::b").as_deref(), Some("src/x.rs"));
        assert_eq!(panic_in_src(stdout, "a::d"), None);
    }
}
