//! What a ChangePeer does: one peer comes or goes, on every peer at the same place in the log.

use prost::Message;

use super::ApplyRound;
use crate::engine::{Cf, keys};
use crate::proto::eraftpb::{ConfChange, ConfChangeType};
use crate::raftstore::Peer;
use crate::raftstore::command::PeerChange;
use crate::raftstore::lifecycle::RegionChange;

impl Peer {
    /// Carries out a change that has been checked: the region is of the edition that it was made for, an added peer is
    /// new to it, and a removed one is in it.
    ///
    /// After: the region has the new peers and `conf_ver` is one higher, in memory as in the round's batch, which will
    /// be synced; Raft counts the new group; and once the batch is written, the store settles the rest
    /// ([`RegionChange::Members`]). If this peer is the one that is removed, the batch also says who it was: it is
    /// needed until the others know.
    pub(super) fn execute_change_peer(&mut self, change: &PeerChange, round: &mut ApplyRound) {
        // LAB 3b BEGIN: Region and its epoch; PeerStorage::set_region; Raft; `changes`; keys::unnamed_peer
        let PeerChange { kind, peer } = *change;
        let mut region = self.region().clone();
        region.region_epoch.get_or_insert_default().conf_ver += 1;
        match kind {
            ConfChangeType::RemoveNode => region.peers.retain(|member| member.id != peer.id),
            ConfChangeType::AddNode | ConfChangeType::AddLearnerNode => region.peers.push(peer),
        }
        self.node.storage_mut().set_region(region, round.batch());
        if self.is_removed() {
            let record = self.meta.encode_to_vec();
            round.batch().put(Cf::Raft, keys::unnamed_peer(self.region_id()), record);
        }
        round.must_sync();
        let change_type = kind.into();
        self.node.apply_conf_change(&ConfChange { change_type, node_id: peer.id, ..Default::default() });
        self.changes.push(RegionChange::Members { kind, peer });
        // LAB 3b END
    }
}
