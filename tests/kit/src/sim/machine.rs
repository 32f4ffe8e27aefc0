//! One machine: its disk, its clock, and whether it runs.

use super::Micros;
use super::disk::{Crash, Disk};
use super::events::Happening;

/// How long a tick is on a clock that runs right.
pub const TICK: Micros = 10_000;

/// A machine. Its store, while it runs, is in `Sim::stores`.
pub(super) struct Machine {
    /// Survives everything.
    pub disk: Disk,
    /// How often it has been started. Ticks of an earlier life mean nothing.
    pub boot: u64,
    /// The time between two ticks.
    pub tick: Micros,
    /// The least and the most time that a round with writes takes.
    pub disk_latency: (Micros, Micros),
    /// The store waits for its disk until then, and takes in nothing.
    pub busy_until: Micros,
    /// What has come meanwhile.
    pub inbox: Vec<Happening>,
    /// Why the store stopped by itself, if it did.
    pub stopped: Option<String>,
    /// What becomes of unsynced writes when it comes back from a stop at a write.
    pub crash: Crash,
}

impl Machine {
    /// A machine that has never run.
    pub fn new(disk: Disk, disk_latency: (Micros, Micros)) -> Machine {
        Machine {
            disk,
            boot: 0,
            tick: TICK,
            disk_latency,
            busy_until: 0,
            inbox: Vec::new(),
            stopped: None,
            crash: Crash::PowerCut,
        }
    }
}
