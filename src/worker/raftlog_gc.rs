//! The raftlog-gc worker: deletes compacted log entries from the disk.

use crate::engine::{Cf, EngineError, WriteBatch, keys};
use crate::ids::{Index, RegionId};
use crate::raftstore::Engines;

/// Deletes the entries of a region before `end`, which are compacted.
///
/// The data that they made is on the kv engine, and so is the truncated state that says that the log begins behind
/// them. But written is not yet safe there: a loss of power would bring back an older state, which needs these entries.
/// So both are made safe before the first entry goes.
///
/// After: no entry before `end` is on the raft engine, also none that an earlier task should have deleted and did not,
/// because the store stopped. The deletion itself need not be safe: an entry that comes back is deleted next time.
///
/// # Errors
/// The disk failed.
pub fn delete_log(engines: &Engines, region: RegionId, end: Index) -> Result<(), EngineError> {
    // LAB 2c BEGIN: which engine first?
    engines.kv.sync()?;
    let mut batch = WriteBatch::new();
    batch.delete_range(Cf::Default, keys::raft_log_range(region, 0, end));
    engines.raft.write(batch, false)
    // LAB 2c END
}
