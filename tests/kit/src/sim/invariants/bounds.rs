//! Applied, committed, there: in this order.

use raftkv::raftstore::Peer;

use super::{Disks, Invariant, Place, Verdict, check};

/// Nothing is applied that is not committed, or committed that is not in the log.
pub struct Bounds;

impl Invariant for Bounds {
    fn rule(&self) -> &'static str {
        "applied <= commit <= last index (section 5.3; figure 2, \"lastApplied\")"
    }

    fn after_step(&mut self, _disks: &Disks<'_>, _at: Place, peer: &Peer) -> Verdict {
        let raft = peer.node().raft();
        let (applied, commit, last) =
            (peer.apply_state().applied_index, raft.commit(), raft.log().last_index());
        check(applied <= commit && commit <= last, || {
            format!("applied {applied}, commit {commit}, the log ends at {last}")
        })
    }
}
