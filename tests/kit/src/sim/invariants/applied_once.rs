//! Nothing is carried out twice.

use raftkv::raftstore::Peer;

use super::{Disks, Invariant, Place, Verdict, check};

/// A store that starts goes on behind the last entry that is in its data. That the applied index on the disk is the one
/// in memory, [`OnDisk`](super::on_disk::OnDisk) sees; that data and index are of the same moment, the crash sweeps.
pub struct AppliedOnce;

impl Invariant for AppliedOnce {
    fn rule(&self) -> &'static str {
        "each entry is applied once: a store that starts goes on behind the applied index on its disk (figure 2, \"lastApplied\"; \
         section 8)"
    }

    fn on_start(&mut self, _disks: &Disks<'_>, _at: Place, peer: &Peer) -> Verdict {
        let (told, applied) = (peer.node().raft().log().applied(), peer.apply_state().applied_index);
        check(told == applied, || {
            format!("its data has the entries up to {applied}, and Raft hands out those behind {told}")
        })
    }
}
