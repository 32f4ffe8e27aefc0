//! The scheduler's settings.

/// What the scheduler wants of the regions, and how long it waits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// How many peers a region should have. 0 counts as 1.
    pub replicas: usize,
    /// Are regions brought to that many peers, and peers replaced that are down? Off by default: whoever changes groups
    /// by hand would work against it.
    pub repair: bool,
    /// A peer that its leader has not heard from for so long is down for good.
    pub max_down_seconds: u64,
    /// So often is one order sent again before its operator is dropped.
    pub max_sends: u32,
    /// A store is silent after so many rounds of store heartbeats without one of its own. Nothing new is put there: a
    /// new peer that never answers can cost a group its majority.
    pub max_silent_rounds: u64,
}

impl Default for Config {
    fn default() -> Config {
        Config { replicas: 3, repair: false, max_down_seconds: 30 * 60, max_sends: 100, max_silent_rounds: 3 }
    }
}
