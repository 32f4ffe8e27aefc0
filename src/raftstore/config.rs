//! The settings of a store.

use super::StoreError;
use crate::ids::PeerId;
use crate::raft;

/// What holds for all peers of a store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// See [`raft::Config::election_tick`].
    pub election_ticks: u32,
    /// See [`raft::Config::heartbeat_tick`].
    pub heartbeat_ticks: u32,
    /// See [`raft::Config::max_bytes_per_msg`].
    pub max_bytes_per_msg: usize,
    /// See [`raft::Config::max_inflight_msgs`].
    pub max_inflight_msgs: usize,
    /// From which the peers draw their election timeouts.
    pub seed: u64,
    /// The largest command, in bytes as encoded in the log. A larger one is refused: it would hold up the heartbeats
    /// behind it, on every link, and the memory of every peer.
    pub entry_max_size: usize,
    /// How many commands of one peer may wait for their answer. A leader that is cut off takes commands until it
    /// learns of its successor; this bounds what it collects.
    pub max_pending_proposals: usize,
    /// Every so many ticks a store looks at the length of its logs.
    pub log_gc_ticks: u32,
    /// A log with more applied entries than this is compacted. What is left serves followers that are a little behind;
    /// one that is further behind gets a snapshot.
    pub log_gc_limit: usize,
    /// A log with more bytes of applied entries than this is compacted: it is kept in memory.
    pub log_gc_bytes: usize,
    /// So many ticks are a second: the store has no clock. Only what the scheduler is told is counted in seconds.
    pub ticks_per_second: u32,
    /// Every so many ticks a leader reports its region to the scheduler, and a store itself; 0: never, also not what
    /// has changed.
    pub heartbeat_to_scheduler_ticks: u32,
    /// Every so many ticks a leader looks whether enough was written that its region may have become too large; 0:
    /// never.
    pub split_check_ticks: u32,
    /// A region with more bytes of keys and values than this is split in two halves.
    pub region_max_size: u64,
}

impl Default for Config {
    fn default() -> Config {
        Config {
            election_ticks: 10,
            heartbeat_ticks: 2,
            max_bytes_per_msg: 1 << 20,
            max_inflight_msgs: 256,
            seed: 0,
            entry_max_size: 8 << 20,
            max_pending_proposals: 4096,
            log_gc_ticks: 10,
            log_gc_limit: 10_000,
            log_gc_bytes: 64 << 20,
            ticks_per_second: 10,
            heartbeat_to_scheduler_ticks: 60,
            split_check_ticks: 10,
            region_max_size: 144 << 20,
        }
    }
}

impl Config {
    /// Refuses settings under which no peer could work.
    pub fn validate(&self) -> Result<(), StoreError> {
        self.raft(1, 0).validate()?;
        let complain = |what: &str| Err(StoreError::Config(what.to_string()));
        if self.entry_max_size == 0 {
            return complain("entry_max_size must be at least 1 byte");
        }
        if self.max_pending_proposals == 0 {
            return complain("max_pending_proposals must be at least 1");
        }
        if self.log_gc_ticks == 0 || self.log_gc_limit == 0 {
            // A limit of 0 would be passed by the very entry that compacts the log.
            return complain("log_gc_ticks and log_gc_limit must be at least 1");
        }
        if self.ticks_per_second == 0 {
            return complain("ticks_per_second must be at least 1");
        }
        if self.region_max_size == 0 {
            return complain("region_max_size must be at least 1 byte");
        }
        if self.log_gc_bytes < 4096 {
            return complain(
                "log_gc_bytes must be at least 4096, or the entries that compact a log would pass it",
            );
        }
        Ok(())
    }

    /// The settings of one peer, whose state machine has applied the entries up to `applied`.
    pub(super) fn raft(&self, id: PeerId, applied: u64) -> raft::Config {
        raft::Config {
            election_tick: self.election_ticks,
            heartbeat_tick: self.heartbeat_ticks,
            seed: self.seed,
            applied,
            max_bytes_per_msg: self.max_bytes_per_msg,
            max_inflight_msgs: self.max_inflight_msgs,
            ..raft::Config::new(id)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn impossible_settings_are_refused_with_a_reason() {
        let text = |config: Config| config.validate().unwrap_err().to_string();
        assert!(Config::default().validate().is_ok());
        assert!(text(Config { entry_max_size: 0, ..Config::default() }).contains("entry_max_size"));
        assert!(text(Config { max_pending_proposals: 0, ..Config::default() }).contains("max_pending"));
        assert!(text(Config { log_gc_ticks: 0, ..Config::default() }).contains("log_gc_ticks"));
        assert!(text(Config { election_ticks: 1, ..Config::default() }).contains("election_tick"));
    }
}
