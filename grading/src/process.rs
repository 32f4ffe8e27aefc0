//! Running a program that is not trusted to end, to be quiet, or to clean up after itself.

use std::io::{Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;

use crate::error::{Error, Result};

/// How long to wait for the end of the output of a process that is already gone. Only a process that left
/// its group holds the pipe longer; it gets no more of our time.
const DRAIN: Duration = Duration::from_secs(2);

/// How a program ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit status.
    pub status: ExitStatus,
    /// Whether it was killed because its wall time was over.
    pub timed_out: bool,
    /// Wall time.
    pub took: Duration,
    /// What it wrote to standard output, without the middle if that is long.
    pub stdout: String,
    /// The same for standard error.
    pub stderr: String,
}

impl Ended {
    /// The signal that ended it.
    pub fn signal(&self) -> Option<Signal> {
        self.status.signal().and_then(|number| Signal::try_from(number).ok())
    }
}

/// Gives a test program a folder to itself, and nothing of the caller's environment: what it does must not depend on
/// who runs it.
pub fn set_apart<'a>(command: &'a mut Command, folder: &Path) -> &'a mut Command {
    command
        .current_dir(folder)
        .env_clear()
        .env("HOME", folder)
        .env("TMPDIR", folder)
        .env("LC_ALL", "C.UTF-8")
        .env("RUST_BACKTRACE", "0")
}

/// Runs `command` for at most `wall`, with `input` on its standard input, keeping at most the first and the
/// last `cap` bytes of what it writes.
///
/// The program leads a process group of its own, and the whole group is killed when the program has ended
/// or its time is over: what it left running dies with it.
pub fn supervise(mut command: Command, input: &str, wall: Duration, cap: usize) -> Result<Ended> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
    let start = Instant::now();
    let name = command.get_program().to_string_lossy().into_owned();
    let mut child = command.spawn().map_err(|e| Error::infra(format!("starting {name}: {e}")))?;
    let group = Pid::from_raw(child.id() as i32);
    let stdout = Capture::start(child.stdout.take(), cap);
    let stderr = Capture::start(child.stderr.take(), cap);
    if let Some(mut stdin) = child.stdin.take() {
        // A program that ended without reading is judged by what it did, not by this pipe.
        let _ = stdin.write_all(input.as_bytes());
    }
    let ended = wait(child);
    let first = ended.recv_timeout(wall);
    let timed_out = first.is_err();
    let took = start.elapsed();
    let _ = killpg(group, Signal::SIGKILL);
    let status = match first {
        Ok(status) => status,
        Err(_) => ended.recv().map_err(|_| Error::infra(format!("waiting for {name}")))?,
    };
    let status = status.map_err(|e| Error::infra(format!("waiting for {name}: {e}")))?;
    let deadline = Instant::now() + DRAIN;
    let (stdout, stderr) = (stdout.finish(deadline), stderr.finish(deadline));
    Ok(Ended { status, timed_out, took, stdout, stderr })
}

fn wait(mut child: Child) -> Receiver<std::io::Result<ExitStatus>> {
    let (tx, rx) = mpsc::channel();
    thread::spawn(move || {
        let _ = tx.send(child.wait());
    });
    rx
}

/// The beginning and the end of an output of any length.
#[derive(Default)]
struct Kept {
    head: Vec<u8>,
    tail: Vec<u8>,
    skipped: u64,
}

impl Kept {
    fn add(&mut self, bytes: &[u8], cap: usize) {
        let to_head = bytes.len().min(cap - self.head.len());
        self.head.extend_from_slice(&bytes[..to_head]);
        self.tail.extend_from_slice(&bytes[to_head..]);
        // Cutting at twice the cap moves each byte once on average.
        if self.tail.len() > 2 * cap {
            let cut = self.tail.len() - cap;
            self.tail.drain(..cut);
            self.skipped += cut as u64;
        }
    }

    fn text(&self) -> String {
        let mut out = String::from_utf8_lossy(&self.head).into_owned();
        if self.skipped > 0 {
            out.push_str(&format!("\n[{} bytes left out]\n", self.skipped));
        }
        out.push_str(&String::from_utf8_lossy(&self.tail));
        out
    }
}

struct Capture {
    kept: Arc<Mutex<Kept>>,
    done: Receiver<()>,
}

impl Capture {
    fn start(pipe: Option<impl Read + Send + 'static>, cap: usize) -> Capture {
        let kept = Arc::new(Mutex::new(Kept::default()));
        let (tx, done) = mpsc::channel();
        let shared = Arc::clone(&kept);
        thread::spawn(move || {
            let mut buffer = [0; 16 << 10];
            let mut pipe = pipe;
            while let Some(n @ 1..) = pipe.as_mut().and_then(|pipe| pipe.read(&mut buffer).ok()) {
                shared.lock().unwrap_or_else(PoisonError::into_inner).add(&buffer[..n], cap);
            }
            drop(tx);
        });
        Capture { kept, done }
    }

    /// What was written until the end of the output, or until `deadline` if it does not end.
    fn finish(self, deadline: Instant) -> String {
        // The sender says nothing: it is dropped at the end.
        let _ = self.done.recv_timeout(deadline.saturating_duration_since(Instant::now()));
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).text()
    }
}
