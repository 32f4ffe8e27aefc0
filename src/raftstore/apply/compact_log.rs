//! What a CompactLog does: it says where the log begins from now on.

use super::ApplyRound;
use crate::ids::Index;
use crate::raftstore::{Peer, Task};

impl Peer {
    /// Carries out a CompactLog up to `index`, which stands in the log at `at`. Every peer that still has these entries
    /// comes to the same truncated state.
    ///
    /// After: the truncated state is that entry's index and term, in the round's batch, and a task to delete the
    /// entries from the disk leaves after the write. The entries themselves are still there: the disk's are the
    /// worker's business, those in memory Raft's.
    ///
    /// Nothing changes if the log is compacted that far already (an older command, or one that came twice), or for an
    /// index that does not lie before `at`: only what is applied may go.
    pub(super) fn execute_compact_log(&mut self, index: Index, at: Index, round: &mut ApplyRound) {
        // LAB 2c BEGIN: PeerStorage::set_truncated, ApplyRound::schedule
        let truncated = self.node.storage().truncated_state();
        if index <= truncated.index || index >= at {
            return;
        }
        let Some(term) = self.node.raft().log().term(index) else { return };
        self.node.storage_mut().set_truncated(index, term, round.batch());
        round.schedule(Task::DeleteLog { region: self.region_id(), end: index + 1 });
        // LAB 2c END
    }
}
