//! What can go wrong, and a count of what has.

/// A kind of trouble. Those that strike are counted, so that a test can show that its faults were real.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A message was lost.
    Loss,
    /// A message arrived twice.
    Duplicate,
    /// A message came much too late.
    Delay,
    /// A message was sent into a cut link.
    Cut,
    /// A message was held.
    Hold,
    /// A store went down without warning.
    Crash,
    /// A store went down in the middle of its work, at a write to its disk.
    CrashAtWrite,
    /// A store went down while it started.
    CrashAtStart,
    /// A store came back.
    Restart,
    /// A write took long.
    SlowDisk,
    /// A write failed, and the store had to stop.
    DiskError,
    /// A store's clock runs too fast or too slow.
    Drift,
    /// A request of a client, or the answer to it, was lost.
    ClientLoss,
    /// A stream with a snapshot broke.
    StreamCut,
    /// A chunk of a snapshot was lost.
    ChunkLost,
    /// A chunk of a snapshot was damaged.
    ChunkDamaged,
    /// A snapshot was refused, because its receiver had enough to do.
    StreamRefused,
    /// A write of a worker failed: of a snapshot that was made, received or loaded.
    WorkerDiskError,
    /// A region got a member, or lost one.
    MembersChanged,
    /// A leader was told to hand over.
    LeaderHandedOver,
    /// A region became two.
    RegionSplit,
    /// A client went away without waiting for its answer.
    Cancel,
}
