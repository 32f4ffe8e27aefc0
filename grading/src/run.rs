//! One test, one process, one verdict.
//!
//! A pass takes three things together, and each stops a different trick or accident:
//! - the process exits with status 0;
//! - its output has, once and as a line of its own, the harness's completion record with the nonce of this
//!   very run. The harness reads the nonce from standard input before any submitted code runs and prints
//!   it after the last check. An `exit(0)` halfway, or a printed "test result: ok", has no nonce;
//! - the test runner says that exactly one test passed.

use std::fs;
use std::io::Read;
use std::path::Path;
use std::time::Duration;

use serde::Serialize;

use crate::error::{Error, Result};
use crate::labs::Suite;
use crate::limit::{FAILED, FAILED_PREFIX, Limits};
use crate::process::{Ended, set_apart, supervise};
use crate::text;

/// What is kept of each end of a test's output.
const OUTPUT_CAP: usize = 64 << 10;
/// No test of a lab writes files worth mentioning.
const FILE_MB: u64 = 64;
/// The exit status of the harness's own watchdog.
const WATCHDOG: i32 = 102;
/// What an instructor or student wants to read of one failure.
const MESSAGE_LINES: usize = 40;
const MESSAGE_WIDTH: usize = 400;

/// The verdict on one test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The harness says that the test came to its end.
    Pass,
    /// An assertion failed, or the program ended early.
    Fail,
    /// It did not end in time.
    Timeout,
    /// The submission does not compile, or holds what is not allowed.
    BuildError,
    /// The grader is in trouble: no verdict.
    InfraError,
}

impl std::fmt::Display for Status {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Status::Pass => "pass",
            Status::Fail => "fail",
            Status::Timeout => "timeout",
            Status::BuildError => "build_error",
            Status::InfraError => "infra_error",
        })
    }
}

/// How one test went.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// The verdict.
    pub status: Status,
    /// Wall time.
    pub took: Duration,
    /// The seed that a failure names, else the one that was given.
    pub seed: u64,
    /// Why it is no pass; safe to show.
    pub message: String,
}

impl Outcome {
    /// Of a test that was not run.
    pub fn of(status: Status, seed: u64, why: &str) -> Outcome {
        Outcome { status, took: Duration::ZERO, seed, message: why.to_string() }
    }
}

/// Runs `test` of `suite` from `binary`. `scratch` is where its empty current folder is made.
pub fn run_test(binary: &Path, suite: &Suite, test: &str, seed: u64, scratch: &Path) -> Outcome {
    match attempt(binary, suite, test, seed, scratch) {
        Ok((ended, nonce)) => judge(&ended, &nonce, seed, suite.time_limit),
        Err(e) => Outcome::of(Status::InfraError, seed, &e.to_string()),
    }
}

fn attempt(binary: &Path, suite: &Suite, test: &str, seed: u64, scratch: &Path) -> Result<(Ended, String)> {
    let folder = tempfile::Builder::new().prefix("cwd-").tempdir_in(scratch);
    let folder = folder.map_err(|e| Error::infra_io(scratch, &e))?;
    let nonce = nonce()?;
    let limits =
        Limits { cpu: Some(suite.time_limit), memory_mb: Some(suite.memory_limit), file_mb: Some(FILE_MB) };
    let mut command = limits.command(binary)?;
    set_apart(&mut command, folder.path())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env("RAFTKV_GRADED", "1")
        .env("SIM_SEED", seed.to_string());
    // Processor time is the limit that counts; wall time is for what sleeps, and is generous because the
    // machine may be busy.
    let wall = Duration::from_secs(suite.time_limit * 3);
    Ok((supervise(command, &format!("{nonce}\n"), wall, OUTPUT_CAP)?, nonce))
}

/// 128 bits that submitted code cannot know.
fn nonce() -> Result<String> {
    let mut bytes = [0; 16];
    let source = Path::new("/dev/urandom");
    let mut file = fs::File::open(source).map_err(|e| Error::infra_io(source, &e))?;
    file.read_exact(&mut bytes).map_err(|e| Error::infra_io(source, &e))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

fn judge(ended: &Ended, nonce: &str, seed: u64, limit: u64) -> Outcome {
    let outcome = |status, message: &str| Outcome {
        status,
        took: ended.took,
        seed: failing_seed(&ended.stderr).unwrap_or(seed),
        message: text::trim(&text::neutralise(message), MESSAGE_LINES, MESSAGE_WIDTH),
    };
    let code = ended.status.code();
    if code == Some(FAILED) && ended.stderr.contains(FAILED_PREFIX) {
        return outcome(Status::InfraError, ended.stderr.trim());
    }
    let by_signal = ended.signal();
    if ended.timed_out || by_signal == Some(nix::sys::signal::Signal::SIGXCPU) || code == Some(WATCHDOG) {
        let what = format!(
            "still running after {limit} s of processor time or {} s of wall time; a test takes far less: \
             look for an endless loop\n{}",
            limit * 3,
            excerpt(&ended.stderr)
        );
        return outcome(Status::Timeout, &what);
    }
    if code == Some(0) && has_record(&ended.stdout, nonce) && one_passed(&ended.stdout) {
        return Outcome { status: Status::Pass, took: ended.took, seed, message: String::new() };
    }
    let mut message = excerpt(&ended.stderr);
    if let Some(signal) = by_signal {
        message.push_str(&format!("\nthe program was ended by {signal}"));
    } else if code == Some(0) {
        message.push_str(
            "\nthe program ended before the test did (exit status 0, but the harness never saw the last check)",
        );
    } else if message.is_empty() {
        message = format!("the program ended with exit status {} and no message", code.unwrap_or(-1));
    }
    outcome(Status::Fail, &message)
}

fn has_record(stdout: &str, nonce: &str) -> bool {
    let record = format!("raftkv-record {nonce}");
    stdout.lines().filter(|line| *line == record).count() == 1
}

fn one_passed(stdout: &str) -> bool {
    let summary = stdout.lines().rfind(|line| line.starts_with("test result: "));
    summary.is_some_and(|line| line.starts_with("test result: ok. 1 passed; 0 failed;"))
}

/// The part of the error output that says what went wrong: from the first panic on, without what is the
/// same for every failure.
fn excerpt(stderr: &str) -> String {
    let is_panic = |line: &str| line.starts_with("thread '") && line.contains(" panicked at ");
    let lines: Vec<&str> = stderr.lines().collect();
    let from = lines.iter().position(|line| is_panic(line)).unwrap_or(0);
    let mut out = String::new();
    for line in &lines[from..] {
        let known = ["note: run with `RUST_BACKTRACE", "test:   ", "seed:   ", "replay: "];
        if known.iter().any(|k| line.starts_with(k)) {
            continue;
        }
        match line.split_once(" panicked at ") {
            // The thread's name is the test's, and its number differs from run to run.
            Some((_, at)) if is_panic(line) => out.push_str(&format!("panicked at {at}")),
            _ => out.push_str(line),
        }
        out.push('\n');
    }
    out.trim().to_string()
}

/// The seed that the harness names below a failure: a test may visit several.
fn failing_seed(stderr: &str) -> Option<u64> {
    stderr
        .lines()
        .rev()
        .find_map(|line| line.strip_prefix("seed:   "))
        .and_then(|seed| seed.trim().parse().ok())
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    use super::*;

    const GOOD: &str = "\nrunning 1 test\n\nraftkv-record abc\ntest a::b ... ok\n\n\
                        test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured\n";

    fn status(raw: i32, stdout: &str, stderr: &str) -> Outcome {
        let ended = Ended {
            status: ExitStatus::from_raw(raw),
            timed_out: false,
            took: Duration::ZERO,
            stdout: stdout.to_string(),
            stderr: stderr.to_string(),
        };
        judge(&ended, "abc", 7, 20)
    }

    #[test]
    fn a_pass_needs_status_record_and_summary() {
        assert_eq!(status(0, GOOD, "").status, Status::Pass);
        assert_eq!(status(1 << 8, GOOD, "").status, Status::Fail, "exit status");
        for (from, to) in [
            ("raftkv-record abc\n", ""),
            ("raftkv-record abc", "raftkv-record abd"),
            ("raftkv-record abc", "print raftkv-record abc"),
            ("raftkv-record abc", "raftkv-record abc\nraftkv-record abc"),
            ("1 passed", "0 passed"),
            ("1 passed", "2 passed"),
        ] {
            assert_eq!(status(0, &GOOD.replace(from, to), "").status, Status::Fail, "{from:?} -> {to:?}");
        }
        let early = status(0, "test result: ok. 1 passed; 0 failed;\n", "");
        assert!(early.message.contains("before the test did"), "{}", early.message);
    }

    #[test]
    fn a_failure_shows_the_assertion_and_its_own_seed() {
        let stderr = "chatter\n\nthread 'a::b' (123) panicked at src/x.rs:1:2:\nnot \u{1b}[31myet\u{1b}[0m\n\
                      note: run with `RUST_BACKTRACE=1` environment variable\n\ntest:   t::a::b\nseed:   9\nreplay: x\n";
        let out = status(101 << 8, "", stderr);
        assert_eq!((out.status, out.seed), (Status::Fail, 9));
        assert_eq!(out.message, "panicked at src/x.rs:1:2:\nnot yet");
    }

    #[test]
    fn time_limits_signals_and_grader_trouble_have_their_words() {
        assert_eq!(status(24, "", "").status, Status::Timeout, "SIGXCPU");
        assert_eq!(status(102 << 8, "", "").status, Status::Timeout, "the harness's watchdog");
        let aborted = status(6, "", "memory allocation of 9 bytes failed\n");
        assert_eq!(aborted.status, Status::Fail);
        assert!(aborted.message.contains("memory allocation") && aborted.message.contains("SIGABRT"));
        assert_eq!(status(125 << 8, "", "raftkv-grade __limit: x: no\n").status, Status::InfraError);
        assert_eq!(status(125 << 8, "", "").status, Status::Fail, "a status alone is no excuse");
    }
}
