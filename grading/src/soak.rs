//! The same tests under many seeds: what strikes once in a thousand runs is found here, and not by a class.
//!
//! The suite is built once. Then each seed gets a process of its own, one on each core, which runs all chosen
//! tests with `SIM_SEED` set to it: a test that hangs or ends the process is known with its seed, like one that
//! fails. After the first failures no new process starts.
//!
//! A simulator may add a line `ops=N virtual_ms=N` for each run to the file that `RAFTKV_SIM_STATS` names; the
//! totals are set against the processor time of all tests.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::signal::Signal;

use crate::build::{build, needs, own_suites};
use crate::cargo;
use crate::error::{Error, Result};
use crate::grade::in_parallel;
use crate::kit::Kit;
use crate::labs::Stage;
use crate::limit::{FAILED, FAILED_PREFIX, Limits};
use crate::process::{Ended, set_apart, supervise};
use crate::progress::{bar, say_if_hidden};
use crate::report::rerun;
use crate::scratch::Scratch;
use crate::text;

/// What is kept of each end of a process's output: the reports of several failing tests.
const OUTPUT_CAP: usize = 512 << 10;
/// What a simulated disk of real files may fill, in MB a file.
const FILE_MB: u64 = 256;
/// So many failures are shown.
const SHOWN_FAILURES: usize = 5;
/// A long report is shown without its middle: the broken rule is at the top, what happened last at the end.
const HEAD_LINES: usize = 30;
const TAIL_LINES: usize = 30;
const WIDTH: usize = 400;

/// What to run.
#[derive(Debug, Clone)]
pub struct Options {
    /// A stage ("2ab"), or a group of stages of one suite ("2a").
    pub stage: String,
    /// The first seed.
    pub first: u64,
    /// How many seeds, counted up from the first.
    pub seeds: u64,
    /// How many processes run at the same time.
    pub jobs: usize,
    /// Only the tests whose names contain one of these, also such that are not soaked otherwise.
    pub filters: Vec<String>,
}

/// One failing test, under one seed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The test; nothing where the process ended before or after all tests.
    pub test: Option<String>,
    /// The seed of its process.
    pub seed: u64,
    /// Why; safe to show.
    pub report: String,
}

/// What the simulator tells of its runs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Figures {
    /// Runs that came to their end.
    pub runs: u64,
    /// Operations of simulated clients.
    pub ops: u64,
    /// Virtual time, in thousandths of a second.
    pub virtual_ms: u64,
}

/// What came out.
#[derive(Debug)]
pub struct Soak<'a> {
    /// The stages, for the commands that run a test again.
    stages: Vec<&'a Stage>,
    /// The tests that ran under each seed.
    pub tests: Vec<String>,
    /// How many seeds were visited.
    pub seeds: u64,
    /// What failed, by seed.
    pub failures: Vec<Failure>,
    /// What the simulators said.
    pub figures: Figures,
    /// Wall time, without the build.
    pub took: Duration,
    /// Processor time of the test processes.
    pub cpu: Duration,
}

/// A test program, and what each process of it may use.
struct Runner {
    program: PathBuf,
    /// Where the processes' current folders are made.
    folder: PathBuf,
    tests: Vec<String>,
    limits: Limits,
    wall: Duration,
}

/// Runs the tests of a stage, as the kit's sources stand now, under many seeds.
pub fn soak<'a>(kit: &'a Kit, options: &Options) -> Result<Soak<'a>> {
    let stages = kit.labs.select(&options.stage)?;
    let folder = tempfile::tempdir().map_err(|e| Error::infra_io(&std::env::temp_dir(), &e))?;
    let runner = prepare(kit, &stages, options, folder.path())?;
    let last = options.first.saturating_add(options.seeds.max(1) - 1);
    let seeds: Vec<u64> = (options.first..=last).collect();
    let bar = bar(seeds.len() as u64);
    let what = format!("running {} tests under {} seeds", runner.tests.len(), seeds.len());
    say_if_hidden(&bar, &what);
    let (start, cpu) = (Instant::now(), cpu_of_children()?);
    let (stop, done) = (AtomicBool::new(false), AtomicU64::new(0));
    let results = in_parallel(&seeds, options.jobs, |&seed| {
        if stop.load(Ordering::Relaxed) {
            return Ok(None);
        }
        let result = runner.run(seed);
        if !matches!(&result, Ok((failures, _)) if failures.is_empty()) {
            stop.store(true, Ordering::Relaxed);
        }
        bar.inc(1);
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        if bar.is_hidden() && done.is_multiple_of((seeds.len() as u64 / 10).max(1)) {
            eprintln!("{done} of {} seeds, {} s", seeds.len(), start.elapsed().as_secs());
        }
        result.map(Some)
    })?;
    bar.finish_and_clear();
    let mut out = Soak {
        stages,
        tests: runner.tests,
        seeds: done.into_inner(),
        failures: Vec::new(),
        figures: Figures::default(),
        took: start.elapsed(),
        cpu: cpu_of_children()?.saturating_sub(cpu),
    };
    for result in results {
        let Some((failures, figures)) = result? else { continue };
        out.failures.extend(failures);
        out.figures.runs += figures.runs;
        out.figures.ops += figures.ops;
        out.figures.virtual_ms += figures.virtual_ms;
    }
    Ok(out)
}

/// Builds the suite, and takes its program out of the folder where the next build happens: a soak is long, and
/// nobody is to wait for it.
fn prepare(kit: &Kit, stages: &[&Stage], options: &Options, folder: &Path) -> Result<Runner> {
    let suites = own_suites(stages);
    let (_, targets) = needs(&suites);
    let &[target] = targets.as_slice() else {
        let ids: Vec<&str> = stages.iter().map(|s| s.id.as_str()).collect();
        return Err(Error::input(format!(
            "{} stands for {}, which are in several suites: soak one after the other",
            text::one_line(&options.stage),
            ids.join(", ")
        )));
    };
    let scratch = Scratch::open(kit, 0)?;
    let workshop = scratch.lay_out(&kit.pristine()?, kit.labs.build_limit)?;
    let build = build(&workshop, &scratch, &suites)?;
    let program = folder.join(target);
    fs::copy(build.program(target)?, &program).map_err(|e| Error::infra_io(&program, &e))?;
    let tests = choose(&cargo::list_tests(&program, folder)?, stages, &options.filters)?;
    // A test that does not end is ended by the harness. These limits are for what stops that too.
    let seconds = stages.iter().map(|s| s.suite.time_limit).max().unwrap_or(1) * tests.len() as u64;
    let memory_mb = stages.iter().map(|s| s.suite.memory_limit).max();
    Ok(Runner {
        program,
        folder: folder.to_path_buf(),
        tests,
        limits: Limits { cpu: Some(seconds), memory_mb, file_mb: Some(FILE_MB) },
        wall: Duration::from_secs(seconds * 3),
    })
}

/// The tests to run. A filter that no test matches is a mistake: nothing ran, so nothing was shown.
fn choose(all: &[String], stages: &[&Stage], filters: &[String]) -> Result<Vec<String>> {
    let soaked = |stage: &Stage, test: &str| {
        stage.soak.is_empty() || stage.soak.iter().any(|prefix| test.starts_with(prefix))
    };
    let chosen: Vec<String> = all
        .iter()
        .filter(|test| match stages.iter().find(|s| test.starts_with(&s.suite.filter)) {
            None => false,
            Some(stage) if filters.is_empty() => soaked(stage, test),
            Some(_) => filters.iter().any(|filter| test.contains(filter)),
        })
        .cloned()
        .collect();
    if chosen.is_empty() {
        let names = text::one_line(&filters.join(" "));
        return Err(Error::input(format!("no test to run: no name in this stage has {names:?} in it")));
    }
    Ok(chosen)
}

fn cpu_of_children() -> Result<Duration> {
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).map_err(|e| Error::infra(format!("getrusage: {e}")))?;
    let sum = |time: nix::sys::time::TimeVal| {
        Duration::new(time.tv_sec() as u64, 0) + Duration::from_micros(time.tv_usec() as u64)
    };
    Ok(sum(usage.user_time()) + sum(usage.system_time()))
}

impl Runner {
    /// All tests under one seed.
    fn run(&self, seed: u64) -> Result<(Vec<Failure>, Figures)> {
        let folder = tempfile::Builder::new().prefix("seed-").tempdir_in(&self.folder);
        let folder = folder.map_err(|e| Error::infra_io(&self.folder, &e))?;
        let figures = folder.path().join("figures");
        let mut command = self.limits.command(&self.program)?;
        set_apart(&mut command, folder.path())
            .args(["--exact", "--test-threads=1"])
            .args(&self.tests)
            .env("SIM_SEED", seed.to_string())
            .env("SIM_SEEDS", "1")
            .env("RAFTKV_SIM_STATS", &figures);
        let ended = supervise(command, "", self.wall, OUTPUT_CAP)?;
        let told = fs::read_to_string(&figures).unwrap_or_default();
        Ok((judge(&ended, seed, self.tests.len())?, read_figures(&told)))
    }
}

/// What failed in one process. It is no failure only if all its tests are known to have passed.
fn judge(ended: &Ended, seed: u64, tests: usize) -> Result<Vec<Failure>> {
    let code = ended.status.code();
    if code == Some(FAILED) && ended.stderr.contains(FAILED_PREFIX) {
        return Err(Error::infra(text::one_line(&ended.stderr)));
    }
    let summary = ended.stdout.lines().rfind(|line| line.starts_with("test result: ")).unwrap_or_default();
    if code == Some(0) && summary.starts_with(&format!("test result: ok. {tests} passed; 0 failed;")) {
        return Ok(Vec::new());
    }
    let failed = reports(&ended.stdout, seed);
    if !failed.is_empty() {
        return Ok(failed);
    }
    let how = match ended.signal() {
        _ if ended.timed_out => format!("it was still running after {} s", ended.took.as_secs()),
        Some(Signal::SIGXCPU) => "its processor time was over: look for an endless loop".to_string(),
        Some(signal) => format!("the process was ended by {signal}"),
        None => format!("the process ended early, with exit status {}", code.unwrap_or(-1)),
    };
    let report = shorten(&format!("{}\n{how}", ended.stderr.trim()));
    Ok(vec![Failure { test: unfinished(&ended.stdout), seed, report }])
}

/// The reports of failing tests, as the test runner shows them: each under a headline of its own.
fn reports(stdout: &str, seed: u64) -> Vec<Failure> {
    let headline = |line: &str| line.strip_prefix("---- ")?.strip_suffix(" stdout ----").map(str::to_string);
    let mut out: Vec<(String, Vec<&str>)> = Vec::new();
    for line in stdout.lines() {
        match (headline(line), out.last_mut()) {
            (Some(test), _) => out.push((test, Vec::new())),
            (None, Some(_)) if line == "failures:" => break,
            (None, Some((_, lines))) => lines.push(line),
            (None, None) => {}
        }
    }
    // The last lines of a report name test, seed and command. So does what is printed around it.
    let known = ["test:   ", "seed:   ", "replay: "];
    out.into_iter()
        .map(|(test, mut lines)| {
            lines.retain(|line| !known.iter().any(|k| line.starts_with(k)));
            Failure { test: Some(test), seed, report: shorten(&lines.join("\n")) }
        })
        .collect()
}

/// The test that had begun and has no result: with one thread, its name is printed first.
fn unfinished(stdout: &str) -> Option<String> {
    let (name, result) = stdout.lines().rfind(|line| line.starts_with("test "))?.split_once(" ... ")?;
    result.trim().is_empty().then(|| name["test ".len()..].to_string())
}

fn shorten(report: &str) -> String {
    let report = text::neutralise(report);
    let lines: Vec<&str> = report.trim().lines().collect();
    if lines.len() <= HEAD_LINES + TAIL_LINES {
        return text::trim(&report, lines.len() + 1, WIDTH).trim().to_string();
    }
    let left_out = lines.len() - HEAD_LINES - TAIL_LINES;
    let head = text::trim(&lines[..HEAD_LINES].join("\n"), HEAD_LINES, WIDTH);
    let tail = text::trim(&lines[lines.len() - TAIL_LINES..].join("\n"), TAIL_LINES, WIDTH);
    format!("{head}\n[{left_out} lines left out]\n{tail}")
}

fn read_figures(text: &str) -> Figures {
    let mut out = Figures::default();
    for line in text.lines() {
        let value = |name: &str| -> Option<u64> {
            line.split_whitespace().find_map(|word| word.strip_prefix(name)?.parse().ok())
        };
        if let (Some(ops), Some(virtual_ms)) = (value("ops="), value("virtual_ms=")) {
            out.runs += 1;
            out.ops += ops;
            out.virtual_ms += virtual_ms;
        }
    }
    out
}

/// The failures, if any, and the totals.
pub fn render(soak: &Soak<'_>) -> String {
    let mut out = String::new();
    for failure in soak.failures.iter().take(SHOWN_FAILURES) {
        let test = failure.test.as_deref().unwrap_or("no test of its own");
        let _ = writeln!(out, "FAILED under seed {}: {test}", failure.seed);
        let _ = writeln!(out, "{}", indent(&failure.report));
        let stage = soak.stages.iter().find(|s| test.starts_with(&s.suite.filter));
        if let (Some(stage), Some(test)) = (stage, &failure.test) {
            let _ = writeln!(out, "replay: {}", rerun(&stage.suite, test, failure.seed));
        }
        out.push('\n');
    }
    if soak.failures.len() > SHOWN_FAILURES {
        let _ = writeln!(out, "[{} more failures]\n", soak.failures.len() - SHOWN_FAILURES);
    }
    let wall = soak.took.as_secs_f64();
    let cpu = soak.cpu.as_secs_f64();
    let runs = soak.seeds * soak.tests.len() as u64;
    let _ = writeln!(
        out,
        "{} seeds, {} tests each, {runs} test runs: {}",
        soak.seeds,
        soak.tests.len(),
        match soak.failures.len() {
            0 => "no failure".to_string(),
            n => format!("{n} FAILED, stopped there"),
        }
    );
    let _ = writeln!(out, "{wall:.1} s of wall time, {cpu:.1} s of processor time");
    let Figures { runs, ops, virtual_ms } = soak.figures;
    if runs > 0 && cpu > 0.0 {
        let virtual_s = virtual_ms as f64 / 1000.0;
        let _ = writeln!(
            out,
            "{runs} simulations: {ops} client operations, {:.0} a CPU-second; {virtual_s:.0} s of virtual time, \
             {:.1} s a CPU-second",
            ops as f64 / cpu,
            virtual_s / cpu
        );
    }
    out
}

fn indent(text: &str) -> String {
    text.lines().map(|line| format!("  {line}").trim_end().to_string()).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    use super::*;

    fn failures(raw: i32, stdout: &str, stderr: &str) -> Vec<Failure> {
        let ended = Ended {
            status: ExitStatus::from_raw(raw),
            timed_out: false,
            took: Duration::ZERO,
            stdout: stdout.to_string(),
            stderr: stderr.to_string(),
        };
        judge(&ended, 7, 2).expect("a verdict")
    }

    #[test]
    fn all_tests_must_be_known_to_have_passed() {
        let good = "\nrunning 2 tests\ntest a ... ok\ntest b ... ok\n\ntest result: ok. 2 passed; 0 failed; 0 ignored\n";
        assert_eq!(failures(0, good, ""), []);
        assert_eq!(failures(0, &good.replace("2 passed", "1 passed"), "").len(), 1, "one did not run");
        assert_eq!(failures(0, "", "").len(), 1, "ended before the summary");
        assert_eq!(failures(1 << 8, good, "").len(), 1, "the exit status");
    }

    #[test]
    fn failing_tests_come_with_their_reports() {
        let stdout = "\nrunning 2 tests\ntest a::b ... FAILED\ntest a::c::case_1 ... FAILED\n\nfailures:\n\n\
                      ---- a::b stdout ----\n\nthread 'a::b' panicked at x.rs:1:2:\nno leader\n\ntest:   s::a::b\n\
                      seed:   7\nreplay: x\n\n---- a::c::case_1 stdout ----\nlost\n\n\nfailures:\n    a::b\n    \
                      a::c::case_1\n\ntest result: FAILED. 0 passed; 2 failed;\n";
        let failed = |test: &str, report: &str| Failure {
            test: Some(test.to_string()),
            seed: 7,
            report: report.to_string(),
        };
        let wanted = [
            failed("a::b", "thread 'a::b' panicked at x.rs:1:2:\nno leader"),
            failed("a::c::case_1", "lost"),
        ];
        assert_eq!(failures(101 << 8, stdout, ""), wanted);
    }

    #[test]
    fn a_process_that_dies_names_the_test_it_was_at() {
        let stdout = "\nrunning 2 tests\ntest a::b ... ok\ntest a::c ... ";
        for (raw, stderr, wanted) in [
            (6, "memory allocation failed\n", "memory allocation failed\nthe process was ended by SIGABRT"),
            (24, "", "its processor time was over: look for an endless loop"),
            (
                102 << 8,
                "c is still running\n",
                "c is still running\nthe process ended early, with exit status 102",
            ),
        ] {
            let failed = failures(raw, stdout, stderr);
            assert_eq!(failed[0].test.as_deref(), Some("a::c"));
            assert_eq!(failed[0].report, wanted);
        }
    }

    #[test]
    fn a_long_report_keeps_its_beginning_and_its_end() {
        let long = (0..100).map(|i| i.to_string()).collect::<Vec<_>>().join("\n");
        let short = shorten(&long);
        assert_eq!(short.lines().count(), HEAD_LINES + TAIL_LINES + 1);
        assert!(short.starts_with("0\n1\n") && short.ends_with("\n98\n99"), "{short}");
        assert!(short.contains("\n29\n[40 lines left out]\n70\n"), "{short}");
    }

    #[test]
    fn figures_add_up_and_half_a_line_counts_nothing() {
        let figures = read_figures("ops=10 virtual_ms=2000\nops=5 virtual_ms=100\nops=7 virt");
        assert_eq!(figures, Figures { runs: 2, ops: 15, virtual_ms: 2100 });
    }
}
