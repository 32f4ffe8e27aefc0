//! The programs of one test: started, watched, and shown when the test fails.

use std::fmt::Display;
use std::future::Future;
use std::io::Write;
use std::path::PathBuf;
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use nix::sys::signal::{Signal, kill as send};
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio::process::Command;
use tokio::time::{interval, timeout};

use crate::process::{Log, Process, try_start};

/// What takes longer, does not come any more. What is right takes a second. A test has four such steps before its own
/// time is over, and with it what the logs would have said.
const LIMIT: Duration = Duration::from_secs(15);

/// How long a client tries. Its own words, why it has given up, come before [`LIMIT`] is over.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// How often somebody looks.
const LOOK: Duration = Duration::from_millis(10);

/// So much of a log is shown.
const LINES: usize = 15;
const WIDTH: usize = 300;

/// Short times, so that nobody waits for an election: after 200 to 400 ms of silence there is one.
const SETTINGS: &str = "[store]\ntick-ms = 20\nreport-ticks = 2\n";

const NOBODY_PANICS: &str = "nobody panics with it";

pub const SERVER: &str = env!("CARGO_BIN_EXE_raftkv-server");

/// Runs a test on a runtime with threads.
pub fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    runtime.expect("the system has threads").block_on(test);
}

/// All of them. They end with it.
pub struct Programs {
    guard: Mutex<Guard>,
    all: Mutex<Vec<Program>>,
    folder: TempDir,
}

struct Program {
    name: String,
    process: Process,
    /// The test has ended it.
    is_done: bool,
}

impl Programs {
    pub fn new() -> Programs {
        let folder = tempfile::tempdir().expect("a folder");
        std::fs::write(folder.path().join("settings.toml"), SETTINGS).expect("a file in it");
        Programs { guard: Mutex::new(Guard::start()), all: Mutex::default(), folder }
    }

    /// The settings of stores.
    pub fn settings(&self) -> String {
        self.folder.path().join("settings.toml").display().to_string()
    }

    /// Starts a program, and waits until it says where it listens.
    pub async fn start(&self, name: &str, program: &str, flags: &[&str], marker: &'static str) -> String {
        let begun = self.try_start(name, program, flags, marker).await;
        begun.unwrap_or_else(|log| panic!("{name} does not start; the end of its log:\n{}", tail(&log)))
    }

    /// The same. The error is its log.
    pub async fn try_start(
        &self,
        name: &str,
        program: &str,
        flags: &[&str],
        marker: &'static str,
    ) -> Result<String, String> {
        let own: PathBuf = self.folder.path().join(name.replace(' ', "-"));
        std::fs::create_dir_all(&own).expect("a folder in a folder");
        let mut command = Command::new(program);
        // What is set where the test runs must not change what the program does. Two threads do for what is asked of
        // it here; a machine with many cores would give it one for each, and the system's allocator reserves 64 MB of
        // addresses for each.
        command.env_clear().env("TMPDIR", &own).env("TOKIO_WORKER_THREADS", "2").current_dir(&own);
        command.args(flags).args(["--engine", "memory", "--data-dir", "data"]);
        let watch = |pid| self.guard.lock().expect(NOBODY_PANICS).watch(pid);
        let process = try_start(command, marker, watch).await?;
        let address = process.address.clone();
        let program = Program { name: name.to_string(), process, is_done: false };
        self.all.lock().expect(NOBODY_PANICS).push(program);
        Ok(address)
    }

    /// What its log says so far.
    pub fn log(&self, name: &str) -> String {
        self.with(name, |program| program.process.log.text())
    }

    /// Ends a program at once, without a word.
    pub async fn kill(&self, name: &str) {
        self.end(name, Signal::SIGKILL).await;
    }

    /// Sends a program a signal that ends it. Returns how it has ended.
    pub async fn end(&self, name: &str, signal: Signal) -> ExitStatus {
        let pid = self.with(name, |program| {
            program.is_done = true;
            program.process.child.id()
        });
        let pid = pid.unwrap_or_else(|| panic!("{name} has ended before"));
        send(Pid::from_raw(pid.cast_signed()), signal).expect("it is our child");
        self.until(&format!("{name} ends after {signal}"), async || {
            let status = self.with(name, |program| program.process.child.try_wait());
            status.expect("it is our child").ok_or_else(|| "it still runs".to_string())
        })
        .await
    }

    fn with<T>(&self, name: &str, work: impl FnOnce(&mut Program) -> T) -> T {
        let mut all = self.all.lock().expect(NOBODY_PANICS);
        work(all.iter_mut().find(|program| program.name == name).expect("it was started"))
    }

    /// Looks again and again until it finds something. What it sees instead, a failure shows.
    pub async fn until<T>(&self, what: &str, look: impl AsyncFn() -> Result<T, String>) -> T {
        let mut last = "nothing".to_string();
        let search = async {
            let mut again = interval(LOOK);
            loop {
                again.tick().await;
                self.all_run();
                match look().await {
                    Ok(found) => return found,
                    Err(seen) => last = seen,
                }
            }
        };
        let found = timeout(LIMIT, search).await;
        found.unwrap_or_else(|_| {
            panic!("expected: {what}\nhappened: not within {} s; the last that came: {last}", LIMIT.as_secs())
        })
    }

    /// What a call brings, which must not fail.
    pub async fn ask<T, E: Display>(&self, what: &str, call: impl Future<Output = Result<T, E>>) -> T {
        let mut call = pin!(timeout(LIMIT, call));
        let mut look = interval(LOOK);
        loop {
            tokio::select! {
                answer = &mut call => return match answer {
                    Ok(Ok(answer)) => answer,
                    Ok(Err(error)) => panic!("asked: {what}\ncame: {error}"),
                    Err(_) => panic!("asked: {what}\ncame: nothing within {} s", LIMIT.as_secs()),
                },
                _ = look.tick() => self.all_run(),
            }
        }
    }

    /// Whoever waits for a program that is not there any more, would wait for long.
    fn all_run(&self) {
        let mut all = self.all.lock().expect(NOBODY_PANICS);
        let ended = all.iter_mut().find_map(|program| Some((program.name.clone(), program.early_end()?)));
        drop(all);
        if let Some((name, status)) = ended {
            panic!("{name} has ended by itself ({status}): look for a panic, or an error, in its log below");
        }
    }
}

impl Program {
    fn early_end(&mut self) -> Option<ExitStatus> {
        // A child that cannot be asked is one that runs: what it does not answer, is noticed.
        self.process.child.try_wait().ok().flatten().filter(|_| !self.is_done)
    }
}

impl Drop for Programs {
    fn drop(&mut self) {
        let all = self.all.get_mut().expect(NOBODY_PANICS);
        if std::thread::panicking() {
            // A report is cut where it is long: what ended by itself comes first.
            let mut shown: Vec<(Option<ExitStatus>, &str, &Log)> = Vec::new();
            for program in all.iter_mut() {
                shown.push((program.early_end(), &program.name, &program.process.log));
            }
            shown.sort_by_key(|(early, ..)| early.is_none());
            for (early, name, log) in shown {
                let how = early.map(|status| format!(", which has ended by itself ({status})"));
                eprintln!(
                    "\nthe end of the log of {name}{}:\n{}",
                    how.unwrap_or_default(),
                    tail(&log.text())
                );
            }
        }
        self.guard.get_mut().expect(NOBODY_PANICS).dismiss();
    }
}

/// The end of a log.
pub fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    let shown = &lines[lines.len().saturating_sub(LINES)..];
    shown.iter().map(|line| format!("    {:.WIDTH$}", line)).collect::<Vec<_>>().join("\n")
}

/// A shell that kills the programs when the test's process is not there any more: when that is killed itself, or ends
/// itself because a test takes too long, nobody else would.
struct Guard(std::process::Child);

impl Guard {
    fn start() -> Guard {
        // Ctrl-C reaches it as well, and must not end it before the others.
        let script = "trap '' INT HUP TERM; while read -r pid; do all=\"$all $pid\"; done; kill -9 $all";
        let shell = std::process::Command::new("/bin/sh")
            .args(["-c", script])
            .env_clear()
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn();
        Guard(shell.expect("every system has it"))
    }

    fn watch(&mut self, pid: u32) {
        let pipe = self.0.stdin.as_mut().expect("it is piped");
        writeln!(pipe, "{pid}").expect("it reads");
    }

    /// The programs end now, and their numbers will be others'.
    fn dismiss(&mut self) {
        // It may have been killed with the test.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
