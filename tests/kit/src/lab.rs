//! The frame around one test: its seed, its watchdog, its completion record.

use std::cell::Cell;
use std::io::{IsTerminal, Read, Write};
use std::sync::Once;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

/// How long a test may take before the watchdog ends it. Tests take milliseconds: only an endless loop in
/// the code under test comes here, so the exact figure decides nothing.
const WATCHDOG: Duration = Duration::from_secs(60);

/// How often the watchdog looks up.
const LOOK: Duration = Duration::from_millis(100);

/// So much memory no test needs: only an endless loop that collects something comes here, and it would have
/// the whole machine within seconds.
const MEMORY_MB: u64 = 1500;

/// Opens a test: `let lab = lab!();` is the first line of every one.
#[macro_export]
macro_rules! lab {
    () => {{
        fn here() {}
        $crate::Lab::start(::std::any::type_name_of_val(&here))
    }};
}

/// One running test.
///
/// - The seed is `SIM_SEED`, or 1: a run without the variable is the same run every time.
/// - A test that reaches its end says so to the grader with the nonce it was handed on standard input.
///   The nonce is read here, before any code under test runs, and standard input is then empty: an
///   `exit(0)` in submitted code, or a line it prints, is no proof of a pass.
/// - A failing test prints the seed and the one command that replays it.
pub struct Lab {
    /// Target, modules, function, and the case where there are several.
    name: String,
    seed: Cell<u64>,
    nonce: Option<String>,
    // Dropping the sender tells the watchdog that the test has ended.
    _watchdog: Sender<()>,
}

impl Lab {
    /// Use [`lab!`](crate::lab), which fills in the name.
    pub fn start(path: &'static str) -> Lab {
        let name = full_name(path.strip_suffix("::here").unwrap_or(path));
        if !std::io::stdout().is_terminal() {
            // Diffs end up in a grader's report or a log file: no escapes there.
            yansi::disable();
        }
        static HOOK: Once = Once::new();
        HOOK.call_once(report_panics_alike);
        let (tx, rx) = mpsc::channel();
        let seed = Cell::new(env_number("SIM_SEED", 1));
        let lab = Lab { name: name.clone(), seed, nonce: read_nonce(), _watchdog: tx };
        let advice = lab.replay();
        thread::spawn(move || watch(&rx, &name, &advice));
        lab
    }

    /// The seed of the run at hand.
    pub fn seed(&self) -> u64 {
        self.seed.get()
    }

    /// The seeds that a randomised test visits: `default` of them, or `SIM_SEEDS`, counted up from
    /// `SIM_SEED`. The one that was last handed out is the one a failure names.
    pub fn seeds(&self, default: u64) -> impl Iterator<Item = u64> + '_ {
        let first = env_number("SIM_SEED", 1);
        let count = env_number("SIM_SEEDS", default).max(1);
        (0..count).map(move |i| {
            self.seed.set(first.wrapping_add(i));
            self.seed.get()
        })
    }

    /// The command that runs this test again with this seed.
    pub fn replay(&self) -> String {
        let mut parts = self.name.splitn(3, "::");
        let target = parts.next().unwrap_or_default();
        let module = parts.next().unwrap_or_default();
        let stage = target.strip_prefix("stage_").unwrap_or(target);
        // The modules of stage 2a are its three sub-stages, each with a recipe of its own.
        let recipe = match (stage, module) {
            ("2a", "aa" | "ab" | "ac") => format!("2{module}"),
            _ => stage.to_string(),
        };
        let test = self.name.split_once("::").map_or(&*self.name, |(_, rest)| rest);
        format!("replay: SIM_SEED={} SIM_SEEDS=1 just test-{recipe} {test}", self.seed.get())
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("\ntest:   {}\nseed:   {}\n{}", self.name, self.seed.get(), self.replay());
        } else if let Some(nonce) = &self.nonce {
            // Straight to the descriptor: what goes through `print!` lands in libtest's capture buffer.
            let mut out = std::io::stdout().lock();
            let written = writeln!(out, "\nraftkv-record {nonce}").and_then(|()| out.flush());
            written.expect("the completion record reaches the grader");
        }
    }
}

/// The name of a test, with its case: `rstest` runs one function for all cases, and the test runner names the
/// thread by the case. (With one thread for all tests it is "main", and the function has to do.)
fn full_name(function: &str) -> String {
    let thread = thread::current();
    let (target, test) = function.split_once("::").unwrap_or(("", function));
    match thread.name() {
        Some(case) if case.starts_with(test) => format!("{target}::{case}"),
        _ => function.to_string(),
    }
}

/// The same failure must read the same in every run, and the standard report names the thread by a number that
/// the system draws. With `RUST_BACKTRACE` the standard one comes, with its backtrace.
fn report_panics_alike() {
    if std::env::var_os("RUST_BACKTRACE").is_some_and(|v| v != "0") {
        return;
    }
    std::panic::set_hook(Box::new(|panic| {
        let thread = thread::current();
        let name = thread.name().unwrap_or("without a name");
        let place = panic.location().map_or("an unknown place".to_string(), ToString::to_string);
        let text = panic.payload_as_str().unwrap_or("(no text)");
        let text = if std::io::stdout().is_terminal() { text.to_string() } else { without_colours(text) };
        eprintln!("\nthread '{name}' panicked at {place}:\n{text}");
    }));
}

/// `pretty_assertions` colours a difference within a line even where colours are switched off.
fn without_colours(text: &str) -> String {
    let mut parts = text.split("\x1b[");
    let first = parts.next().unwrap_or_default().to_string();
    parts.fold(first, |plain, part| plain + part.split_once('m').map_or(part, |(_, rest)| rest))
}

/// Ends the process if the test does not end, or fills the memory.
fn watch(test_ended: &Receiver<()>, name: &str, advice: &str) {
    let looks = WATCHDOG.as_millis() / LOOK.as_millis();
    for _ in 0..looks {
        if test_ended.recv_timeout(LOOK) != Err(RecvTimeoutError::Timeout) {
            return;
        }
        if let Some(mb) = memory_mb().filter(|mb| *mb > MEMORY_MB) {
            let what = format!("{name}, or a test beside it, has filled {mb} MB of memory");
            give_up(&format!(
                "{what}: look for an endless loop that collects messages or entries.\n{advice}"
            ));
        }
    }
    give_up(&format!(
        "{name} is still running after {} s of wall time. Tests run in virtual time and take milliseconds: look \
         for an endless loop in the code under test.\n{advice}",
        WATCHDOG.as_secs()
    ));
}

fn give_up(text: &str) {
    // Straight to the descriptor: the test runner keeps what goes through `eprintln!`, and would not come to
    // show it.
    let _ = writeln!(std::io::stderr().lock(), "\n{text}");
    std::process::exit(102);
}

/// The memory that this process holds, where the system tells (Linux; pages are taken for 4 KiB).
fn memory_mb() -> Option<u64> {
    let statm = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = statm.split_whitespace().nth(1)?.parse().ok()?;
    Some(pages * 4 / 1024)
}

/// The grader's nonce: the first line of standard input, where the grader says that there is one.
fn read_nonce() -> Option<String> {
    std::env::var_os("RAFTKV_GRADED")?;
    let mut line = String::new();
    std::io::stdin().lock().read_to_string(&mut line).expect("the grader writes a nonce and closes the pipe");
    let nonce = line.trim();
    (!nonce.is_empty()).then(|| nonce.to_string())
}

fn env_number(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(text) => text.parse().unwrap_or_else(|_| panic!("{name}={text}: not a whole number")),
        Err(_) => default,
    }
}

#[cfg(test)]
mod tests {
    use super::without_colours;

    #[test]
    fn colours_are_taken_out() {
        assert_eq!(without_colours("plain"), "plain");
        assert_eq!(without_colours("\x1b[31m<a\x1b[0m\x1b[1;48;5;52;31m0\x1b[0mm"), "<a0m");
    }
}
