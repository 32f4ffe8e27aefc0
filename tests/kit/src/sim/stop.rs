//! Every write to a disk is a point at which a machine may stop: a sweep visits them all.

use raftkv::engine::Fault as WriteFault;
use raftkv::ids::StoreId;

use super::{Sim, on_rocksdb};

/// One point to stop at.
#[derive(Clone, Copy, Debug)]
pub struct Stop {
    /// At which write, counted from the moment of the plan.
    pub write: u64,
    /// Before it or after it.
    pub fault: WriteFault,
    /// What was not synced is lost, too.
    pub power_cut: bool,
}

impl Stop {
    /// The victim will stop there.
    pub fn plan(self, sim: &mut Sim, victim: StoreId) {
        if self.power_cut {
            sim.crash_at_write(victim, self.write, self.fault);
        } else {
            sim.kill_at_write(victim, self.write, self.fault);
        }
    }
}

/// Visits every write of a story, in four ways (on RocksDB every seventh). `tell` says whether the story got that far;
/// it has fewer than `bound` writes on any one disk. Returns how many points there are.
pub fn sweep(bound: u64, tell: impl Fn(Stop) -> bool) -> u64 {
    let step = if on_rocksdb() { 7 } else { 1 };
    let mut points = 0;
    for power_cut in [true, false] {
        for fault in [WriteFault::StopBefore, WriteFault::StopAfter] {
            let mut writes = (1..bound).step_by(step);
            let last = writes.find(|&write| !tell(Stop { write, fault, power_cut }));
            points += last.expect("a story has an end") - 1;
        }
    }
    points
}
