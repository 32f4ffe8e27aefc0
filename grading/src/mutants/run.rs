//! Trying mutants: apply, build, run the stage's suite, see which tests notice.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use super::{Kill, Mutant, is_wanted, read_all, sample};
use crate::cargo::Workshop;
use crate::error::{Error, Result};
use crate::grade::{bar, needs};
use crate::kit::Kit;
use crate::labs::Stage;
use crate::limit::Limits;
use crate::process::{Ended, supervise};
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

/// The result of one mutant.
#[derive(Debug, Clone)]
pub struct Verdict {
    /// The mutant.
    pub id: String,
    /// Its stage.
    pub stage: String,
    /// What became of it.
    pub fate: Fate,
    /// The tests that failed, the expected ones first.
    pub failed: Vec<String>,
    /// Where in `src/` the first of them panicked, if it did: the rule is not broken by an assertion then.
    pub panic: Option<String>,
    /// Building and running.
    pub took: Duration,
}

/// Tries the mutants that are asked for, after showing that the suites pass without one.
pub fn run(kit: &Kit, options: &Options) -> Result<Vec<Verdict>> {
    let tree = kit.pristine()?;
    let mut mutants = Vec::new();
    for mutant in read_all(kit, &tree)? {
        if is_wanted(&kit.labs, &mutant, &options.stages)? {
            mutants.push(mutant);
        }
    }
    if let Some(count) = options.sample {
        mutants = sample(mutants, count, options.seed);
    }
    if mutants.is_empty() {
        return Err(Error::input("there is no mutant of these stages"));
    }
    let first = Scratch::open(kit, 0)?;
    let baseline = baseline(kit, &first, &tree, &mutants)?;
    let mut scratches = vec![first];
    for at in 1..options.jobs.clamp(1, mutants.len()) {
        scratches.push(Scratch::open(kit, at)?);
    }
    let bar = bar(mutants.len() as u64);
    let next = AtomicUsize::new(0);
    let (tx, rx) = mpsc::channel();
    thread::scope(|scope| {
        for scratch in &scratches {
            let (tx, next, bar, mutants, tree, baseline) =
                (tx.clone(), &next, &bar, &mutants, &tree, &baseline);
            scope.spawn(move || {
                loop {
                    let at = next.fetch_add(1, Ordering::Relaxed);
                    let Some(mutant) = mutants.get(at) else { break };
                    let result = try_one(kit, scratch, tree, mutant, baseline);
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
    let (features, targets) = needs(&stages);
    let workshop = scratch.lay_out(tree, kit.labs.build_limit)?;
    let build = workshop.build(&features, &targets);
    scratch.built()?;
    let build = build?;
    let mut out = BTreeMap::new();
    for stage in stages {
        let Some(program) = build.programs.get(&stage.target) else {
            let why = build.errors.first().map_or("", String::as_str);
            return Err(Error::input(format!("{} does not compile: {}", stage.target, text::one_line(why))));
        };
        let ended = run_suite(program, scratch, &[&stage.filter], Duration::from_secs(kit.labs.build_limit))?;
        if !ended.status.success() {
            let failed = failed_tests(&ended.stdout).join(", ");
            return Err(Error::input(format!("stage {} fails without a mutant: {failed}", stage.id)));
        }
        out.insert(stage.id.clone(), ended.took);
    }
    Ok(out)
}

fn try_one(
    kit: &Kit,
    scratch: &Scratch,
    tree: &Tree,
    mutant: &Mutant,
    baseline: &BTreeMap<String, Duration>,
) -> Result<Verdict> {
    let start = Instant::now();
    let stage = mutant.stage(&kit.labs)?;
    let workshop: Workshop = scratch.lay_out(&mutant.apply(tree)?, kit.labs.build_limit)?;
    let (features, targets) = needs(&[stage]);
    let build = workshop.build(&features, &targets);
    scratch.built()?;
    let build = build?;
    let mut panic = None;
    let (fate, failed) = match build.programs.get(&stage.target) {
        None => {
            let why = build.errors.first().and_then(|e| e.lines().next()).unwrap_or_default();
            (Fate::DoesNotCompile(text::one_line(why)), Vec::new())
        }
        Some(program) => {
            let usual = baseline.get(&stage.id).copied().unwrap_or_default();
            let (fate, failed, stdout) = judge(mutant, stage, program, scratch, usual * 4)?;
            panic = failed.first().and_then(|test| panic_in_src(&stdout, test));
            (fate, failed)
        }
    };
    Ok(Verdict { id: mutant.id.clone(), stage: stage.id.clone(), fate, failed, panic, took: start.elapsed() })
}

/// Runs the stage's suite over a mutant. If the suite does not come to its end (a test hangs, or aborts the
/// process), the expected tests that were not reached get a run of their own.
fn judge(
    mutant: &Mutant,
    stage: &Stage,
    program: &Path,
    scratch: &Scratch,
    usual: Duration,
) -> Result<(Fate, Vec<String>, String)> {
    let grace = Duration::from_secs(stage.time_limit);
    let ended = run_suite(program, scratch, &[&stage.filter], usual + grace)?;
    if ended.status.success() {
        return Ok((Fate::Survived, Vec::new(), ended.stdout));
    }
    let mut failed = failed_tests(&ended.stdout);
    let mut stuck = false;
    if !ended.stdout.lines().any(|line| line.starts_with("test result: ")) {
        for test in
            mutant.expected.tests().iter().filter(|test| !failed.contains(test)).cloned().collect::<Vec<_>>()
        {
            let alone = run_suite(program, scratch, &["--exact", &test], grace)?;
            match alone.timed_out || alone.signal() == Some(Signal::SIGXCPU) {
                true => stuck = true,
                false if !alone.status.success() => failed.push(test),
                false => {}
            }
        }
    }
    let expected = mutant.expected.tests();
    let missed: Vec<String> = expected.iter().filter(|test| !failed.contains(test)).cloned().collect();
    failed.sort_by_key(|test| !expected.contains(test));
    let fate = match missed.is_empty() {
        true => Fate::Killed,
        false if stuck && mutant.kill == Kill::Timeout => Fate::Killed,
        false if stuck => Fate::OnlyTimeout,
        false => Fate::NotExpected(missed),
    };
    Ok((fate, failed, ended.stdout))
}

fn run_suite(program: &Path, scratch: &Scratch, args: &[&str], wall: Duration) -> Result<Ended> {
    let limits = Limits { cpu: Some(wall.as_secs() + 1), memory_mb: Some(4096), file_mb: Some(64) };
    let folder = scratch.run_dir()?;
    let mut command = limits.command(program)?;
    command
        .args(args.iter().filter(|arg| !arg.is_empty()))
        .arg("--test-threads=1")
        .current_dir(folder.path());
    command.env_clear().env("TMPDIR", folder.path()).env("RUST_BACKTRACE", "0").env("SIM_SEED", "1");
    supervise(command, "", wall, 4 << 20)
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
        let mut by = match (&v.fate, v.failed.as_slice()) {
            (Fate::Killed, []) => "a test that does not end".to_string(),
            (Fate::Killed, [first]) => first.clone(),
            (Fate::Killed, [first, more @ ..]) => format!("{first} (+{})", more.len()),
            (Fate::Survived, _) => "NOTHING".to_string(),
            (Fate::DoesNotCompile(_), _) => "DOES NOT COMPILE".to_string(),
            (Fate::NotExpected(_), _) => "OTHER TESTS".to_string(),
            (Fate::OnlyTimeout, _) => "TIMEOUT".to_string(),
        };
        if let Some(place) = &v.panic {
            by.push_str(&format!(", a panic in {place}"));
        }
        let _ = writeln!(out, "{:<width$}  {:<5}  {:>4.1} s  {by}", v.id, v.stage, v.took.as_secs_f64());
    }
    for v in verdicts {
        let _ = match &v.fate {
            Fate::Killed => Ok(()),
            Fate::Survived => writeln!(out, "\n{}: no test of stage {} notices", v.id, v.stage),
            Fate::DoesNotCompile(why) => writeln!(out, "\n{}: {why}", v.id),
            Fate::NotExpected(missed) => {
                writeln!(out, "\n{}: passes {}; fails {}", v.id, missed.join(", "), v.failed.join(", "))
            }
            Fate::OnlyTimeout => writeln!(
                out,
                "\n{}: the expected test does not end, where an assertion should name the broken rule",
                v.id
            ),
        };
    }
    let killed = verdicts.iter().filter(|v| v.fate == Fate::Killed).count();
    let _ = writeln!(out, "\n{killed} of {} mutants killed", verdicts.len());
    out
}

/// Whether all is as it should be.
pub fn all_killed(verdicts: &[Verdict]) -> bool {
    verdicts.iter().all(|v| v.fate == Fate::Killed)
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
