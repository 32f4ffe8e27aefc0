//! A region from one store's RocksDB to another's, through the code that the store itself uses: how long each phase
//! takes, and how much memory it needs at its peak.
//!
//! `docs/benchmarks.md` says what is measured and how to read it. [`phases`] is the snapshot's way, [`data`] what is
//! carried, [`memory`] the figure that it is about, [`table`] runs and prints.

mod args;
mod data;
mod memory;
mod phases;
mod table;

use std::process::ExitCode;

use args::Args;

/// The size that the large region is compared with: memory that depends on the size shows as a difference.
const SMALL_MIB: u64 = 64;

fn main() -> ExitCode {
    let args = match Args::parse(std::env::args().skip(1)) {
        Ok(args) => args,
        Err(message) => {
            eprintln!("{message}\n{}", args::USAGE);
            return ExitCode::from(2);
        }
    };
    let dir = args.dir.unwrap_or_else(std::env::temp_dir);
    match args.phase {
        Some(phase) => {
            let time = phase.run(&dir, args.mib);
            table::report(time, memory::peak());
        }
        None => table::print(&[SMALL_MIB, args.mib], &dir),
    }
    ExitCode::SUCCESS
}
