//! What a region says of itself.

use crate::engine::KeyRange;
use crate::ids::StoreId;
use crate::proto::metapb::{Peer, Region};

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
