//! One machine: its disk, its clock, and whether it runs.

use std::collections::VecDeque;

use raftkv::proto::raft_serverpb::RaftMessage;
use raftkv::worker::snap::{Permits, SnapFiles, SnapReceiver};

use super::Micros;
use super::disk::{Crash, Disk};
use super::events::Happening;
use super::workers::Queues;

/// How long a tick is on a clock that runs right.
pub const TICK: Micros = 10_000;

/// How long a task of a worker takes, unless the test says otherwise.
pub const WORKER_LATENCY: (Micros, Micros) = (500, 3000);

/// So many snapshots a store sends, and so many it receives, at once.
const SNAPSHOTS: usize = 2;

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
    /// Its snapshots, while its store runs.
    pub files: Option<SnapFiles>,
    /// How many faults had struck its disk when it was started.
    pub struck_before: u64,
    /// What its workers have to do.
    pub queues: Queues,
    /// The least and the most time that a task takes.
    pub worker_latency: (Micros, Micros),
    /// Snapshots that wait to be sent.
    pub outgoing: VecDeque<RaftMessage>,
    /// How many snapshots it sends at once.
    pub sending: Permits,
    /// How many it receives at once.
    pub receiving: Permits,
    /// What it was receiving when it went down. It is looked at no more; but forgotten only when it can do no harm to
    /// the files.
    pub graveyard: Vec<SnapReceiver>,
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
            files: None,
            struck_before: 0,
            queues: Queues::default(),
            worker_latency: WORKER_LATENCY,
            outgoing: VecDeque::new(),
            sending: Permits::new(SNAPSHOTS),
            receiving: Permits::new(SNAPSHOTS),
            graveyard: Vec::new(),
        }
    }
}
