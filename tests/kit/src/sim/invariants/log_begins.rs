//! Where a log begins.

use std::collections::BTreeMap;

use raftkv::ids::Index;
use raftkv::raftstore::Peer;

use super::{Disks, Invariant, Place, Verdict, check};

/// The truncated state and the log in memory agree; what is truncated is applied, or being loaded; and it never comes
/// back.
#[derive(Default)]
pub struct LogBegins {
    truncated: BTreeMap<Place, Index>,
}

impl Invariant for LogBegins {
    fn forget(&mut self, at: Place) {
        self.truncated.remove(&at);
    }

    fn rule(&self) -> &'static str {
        "a log begins behind its truncated entry, in memory as on the disk; only what is applied is dropped, or what a snapshot replaces; \
         and the beginning never moves back (section 7)"
    }

    fn after_step(&mut self, _disks: &Disks<'_>, at: Place, peer: &Peer) -> Verdict {
        let storage = peer.node().storage();
        let truncated = storage.truncated_state().index;
        let log = peer.node().raft().log();
        check(log.first_index() == truncated + 1, || {
            format!(
                "the log in memory begins with entry {}, and the truncated state is {truncated} (RaftLog is compacted when the storage has \
                 moved on: RawNode::advance)",
                log.first_index()
            )
        })?;
        let applied = peer.apply_state().applied_index;
        check(truncated <= applied || storage.loading().is_some(), || {
            format!("the log is truncated up to {truncated}, and only {applied} is applied")
        })?;
        check(storage.loading().is_none_or(|key| key.index == truncated), || {
            format!(
                "it loads the {}, and its log is truncated up to {truncated}",
                storage.loading().expect("so it is")
            )
        })?;
        let before = self.truncated.insert(at, truncated).unwrap_or_default();
        check(before <= truncated, || format!("the truncated index was {before} and is {truncated}"))
    }

    fn on_start(&mut self, _disks: &Disks<'_>, at: Place, peer: &Peer) -> Verdict {
        // Unsynced, a compaction may be lost in a crash.
        self.truncated.insert(at, peer.node().storage().truncated_state().index);
        Ok(())
    }
}
