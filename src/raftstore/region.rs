//! What a region says of itself.

use prost::Message as _;

use crate::engine::KeyRange;
use crate::ids::StoreId;
use crate::proto::eraftpb::Snapshot;
use crate::proto::metapb::{Peer, Region};
use crate::proto::raft_serverpb::RaftSnapshotData;

impl Region {
    /// Its keys.
    pub fn range(&self) -> KeyRange {
        KeyRange::new(self.start_key.clone(), self.end_key.clone())
    }

    /// Its peer on a store.
    pub fn peer_on(&self, store: StoreId) -> Option<&Peer> {
        self.peers.iter().find(|peer| peer.store_id == store)
    }
}

/// The region that a snapshot says it is of.
pub(super) fn region_of(snapshot: &Snapshot) -> Option<Region> {
    RaftSnapshotData::decode(snapshot.data.clone()).ok()?.region
}
