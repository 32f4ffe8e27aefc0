//! How much memory this process has had.

use std::fs;

/// The most bytes that were resident at any moment since the process started: code, heap and stacks. The operating
/// system's page cache is not in it: it gives that back to whoever asks.
///
/// # Panics
/// Where the system has no `/proc`: a table without the figure that it is about is worth nothing.
pub fn peak() -> u64 {
    let status = fs::read_to_string("/proc/self/status").expect("memory is read from /proc, which Linux has");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")).and_then(|kib| kib.parse::<u64>().ok());
    kib.expect("/proc/self/status has a line `VmHWM: N kB`") << 10
}
