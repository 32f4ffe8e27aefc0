//! Runs the phases and prints what they took.
//!
//! Each phase is a process of its own: this program, started again. Memory is then that process's peak (`VmHWM`) from
//! its first instruction to its end, with everything it had to open. To reset the mark between phases in one process
//! (`clear_refs`) would be less honest: it begins with what the phase before has left in malloc's hands and in
//! RocksDB's caches, so a large figure could be somebody else's, and growth could hide in room that somebody else had
//! made.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use crate::phases::Phase;

/// What one phase took.
struct Cost {
    time: Duration,
    peak: u64,
}

/// What is printed on a phase's own standard output, for [`Cost::of`] to read.
pub fn report(time: Duration, peak: u64) {
    println!("{} {peak}", time.as_micros());
}

impl Cost {
    /// Carries a phase out in another process.
    fn of(phase: Phase, scratch: &Path, mib: u64) -> Cost {
        let program = std::env::current_exe().expect("the program knows where it is");
        let mut command = Command::new(program);
        command.args(["--phase", phase.name(), "--mib", &mib.to_string(), "--dir"]).arg(scratch);
        let output = command.stderr(Stdio::inherit()).output().expect("the program starts again");
        assert!(output.status.success(), "phase {} of {mib} MiB has failed: {}", phase.name(), output.status);
        let text = String::from_utf8_lossy(&output.stdout);
        let mut numbers = text.split_whitespace().filter_map(|word| word.parse().ok());
        let (Some(micros), Some(peak)) = (numbers.next(), numbers.next()) else {
            panic!("phase {} has reported {text:?}", phase.name());
        };
        Cost { time: Duration::from_micros(micros), peak }
    }

    /// Three cells: time, data per second, memory.
    fn cells(&self, mib: u64) -> String {
        let peak = self.peak >> 20;
        if self.time.is_zero() {
            return format!("{:>8} {:>7} {peak:>9}", "-", "-");
        }
        let seconds = self.time.as_secs_f64();
        format!("{seconds:>8.2} {:>7.0} {peak:>9}", mib as f64 / seconds)
    }
}

/// Measures a region of each size, and prints a row for each phase.
pub fn print(sizes: &[u64], dir: &Path) {
    let mut columns = Vec::new();
    for &mib in sizes {
        let scratch = tempfile::Builder::new().prefix("raftkv-bench-").tempdir_in(dir);
        let scratch = scratch.expect("the folder takes another one (see --dir)");
        let mut costs = Vec::new();
        for phase in Phase::ALL {
            eprintln!("{mib} MiB: {}", phase.name());
            costs.push(Cost::of(phase, scratch.path(), mib));
        }
        columns.push(costs);
    }

    print!("{:<12}", "");
    sizes.iter().for_each(|mib| print!(" | {:>26}", format!("{mib} MiB")));
    print!("\n{:<12}", "phase");
    sizes.iter().for_each(|_| print!(" | {:>8} {:>7} {:>9}", "seconds", "MiB/s", "peak MiB"));
    println!();
    for (row, phase) in Phase::ALL.into_iter().enumerate().filter(|(_, phase)| phase.is_measured()) {
        print!("{:<12}", phase.name());
        for (costs, &mib) in columns.iter().zip(sizes) {
            print!(" | {}", costs[row].cells(mib));
        }
        println!();
    }
}
