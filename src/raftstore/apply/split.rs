//! What a split does: one region becomes several, on every peer at the same place in the log.
//!
//! ```text
//!   before   region 1  [a ------------------------------- z)   version 3
//!   cut at h and p, new regions 7 and 8
//!   after    region 1  [a ---- h)  region 7 [h --- p)  region 8 [p --- z)   version 5, each
//!   or, with right_derive
//!            region 7  [a ---- h)  region 8 [h --- p)  region 1 [p --- z)
//! ```
//!
//! No key moves: the data lies where it lay, and only the records say whose it is.

use prost::Message;

use super::ApplyRound;
use crate::engine::{Cf, keys};
use crate::proto::metapb::{Peer as Member, Region};
use crate::proto::raft_serverpb::{PeerState, RegionLocalState};
use crate::raftstore::bootstrap::{decode, put_initial_region};
use crate::raftstore::command::Cut;
use crate::raftstore::lifecycle::RegionChange;
use crate::raftstore::{Peer, StoreError};

impl Peer {
    /// Carries out a split that has been checked: the region is of the edition that it was made for, all keys lie
    /// inside it, and there is an id for each peer of each new region.
    ///
    /// After: this region has its part, and each new one the rest, with a peer on each store that this one has a peer
    /// on. The version of all of them is that of before plus the number of new regions, the `conf_ver` that of before.
    /// All records, of this region and of the new ones, are in the round's batch, which will be synced: none without
    /// the others. Once it is written, the store has the peers of the new regions ([`RegionChange::Split`]).
    ///
    /// This store may be late. A new region's peer that was removed here already (there is a tombstone), or that was
    /// replaced by a later one (its name is on the disk, [`keys::unnamed_peer`]), does not come back: nothing is left
    /// of it here, its part of the data neither. The same goes for a region without a peer on this store: a peer that
    /// was removed may still get what came behind its removal.
    ///
    /// Returns all regions, from left to right.
    pub(super) fn execute_split(
        &mut self,
        cuts: &[Cut],
        right_derive: bool,
        round: &mut ApplyRound,
    ) -> Result<Vec<Region>, StoreError> {
        // LAB 3b BEGIN: the ranges first; then epochs and peers; PeerStorage::set_region, put_initial_region; `changes`
        let old = self.region().clone();
        let mut epoch = old.region_epoch.unwrap_or_default();
        epoch.version += cuts.len() as u64;
        let bounds = || cuts.iter().map(|cut| cut.key.clone());
        let starts = std::iter::once(old.start_key.clone()).chain(bounds());
        let ends = bounds().chain([old.end_key.clone()]);
        let place_of_old = if right_derive { cuts.len() } else { 0 };
        let mut new = cuts.iter();
        let mut parts = Vec::new();
        for (place, (start_key, end_key)) in starts.zip(ends).enumerate() {
            let (id, peers) = if place == place_of_old {
                (old.id, old.peers.clone())
            } else {
                let cut = new.next().expect("there is one part more than there are cuts");
                (cut.region, members(cut, &old))
            };
            parts.push(Region { id, start_key, end_key, region_epoch: Some(epoch), peers });
        }
        let mut created = Vec::new();
        for part in &parts {
            if part.id == old.id {
                self.node.storage_mut().set_region(part.clone(), round.batch());
            } else if self.is_over(part, round)? {
                Cf::DATA.into_iter().for_each(|cf| round.batch().delete_range(cf, part.range()));
            } else {
                put_initial_region(round.batch(), part);
                created.push(part.clone());
            }
        }
        round.must_sync();
        self.changes.push(RegionChange::Split { parts: parts.clone(), created });
        Ok(parts)
        // LAB 3b END
    }
}

// SOLUTION 3b BEGIN
fn members(cut: &Cut, old: &Region) -> Vec<Member> {
    old.peers.iter().zip(&cut.peers).map(|(peer, &id)| Member { id, ..*peer }).collect()
}

impl Peer {
    /// True if this store has no peer of a new region, or does not have it any more.
    fn is_over(&self, region: &Region, round: &ApplyRound) -> Result<bool, StoreError> {
        let Some(peer) = region.peer_on(self.meta.store_id) else { return Ok(true) };
        let state: Option<RegionLocalState> = read(&keys::region_state(region.id), round)?;
        let named: Option<Member> = read(&keys::unnamed_peer(region.id), round)?;
        let is_buried = state.is_some_and(|state| state.state() == PeerState::Tombstone);
        Ok(is_buried || named.is_some_and(|named| named.id > peer.id))
    }
}

fn read<M: Message + Default>(key: &[u8], round: &ApplyRound) -> Result<Option<M>, StoreError> {
    round.get(Cf::Raft, key)?.map(|bytes| decode(&bytes, "record of a region")).transpose()
}
// SOLUTION 3b END
