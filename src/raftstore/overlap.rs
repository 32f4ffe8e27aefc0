//! Whose keys a snapshot may bring (stage 3b).

use super::region::region_of;
use super::{Peer, Store};
use crate::ids::RegionId;
use crate::proto::metapb::Region;

impl Store {
    /// May a snapshot of this region be taken over here? Not while another region here holds some of its keys, or is
    /// going to: its data would be overwritten. That happens where one store is late: the other region has still to be
    /// split here, or its peer was removed and does not know.
    ///
    /// What the other regions hold is what [`StoreMeta`](super::StoreMeta) says, and what those hold that have accepted
    /// a snapshot and not saved it yet.
    ///
    /// # Errors
    /// With the other region's id: the snapshot is dropped. The leader sends another, and by then things may have
    /// changed.
    pub(super) fn check_snapshot(&self, region: &Region) -> Result<(), RegionId> {
        // LAB 3b BEGIN idle: StoreMeta::overlapping; pending snapshots
        let range = region.range();
        let pending = self.peers.values().filter_map(pending_region);
        let wanted = pending.filter(|other| other.range().overlaps(&range)).map(|other| other.id);
        let mut others = self.meta.overlapping(&range).chain(wanted).filter(|other| *other != region.id);
        if let Some(other) = others.next() {
            return Err(other);
        }
        // LAB 3b END
        Ok(())
    }
}

/// The region of a snapshot that the peer has accepted and not saved yet.
fn pending_region(peer: &Peer) -> Option<Region> {
    region_of(peer.node.raft().log().pending_snapshot()?)
}
