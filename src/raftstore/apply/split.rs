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

use bytes::Bytes;

use super::ApplyRound;
use crate::engine::{Cf, keys};
use crate::proto::metapb::{Peer as Member, Region};
use crate::proto::raft_serverpb::{PeerState, RegionLocalState};
use crate::raftstore::bootstrap::{decode, put_initial_region};
use crate::raftstore::command::Cut;
use crate::raftstore::lifecycle::RegionChange;
use crate::raftstore::{Peer, StoreError};

impl Peer {
    /// Carries out a split that has been checked: the region is of the edition that it was made for, all keys lie inside it, and there is
    /// an id for each peer of each new region.
    ///
    /// After: this region has its part, and each new one the rest, with a peer on each store that this one has a peer on. The version of all
    /// of them is that of before plus the number of new regions, the `conf_ver` that of before. All records, of this region and of the new
    /// ones, are in the round's batch, which will be synced: none without the others. Once it is written, the store has the peers
    /// of the new regions ([`RegionChange::Split`]).
    ///
    /// A new region whose record here says that its peer was removed again (`Tombstone`: this store is late) does not come back: nothing
    /// is left of it here, its part of the data neither. The same goes for a region without a peer on this store: a peer that was removed may
    /// still get what came behind its removal.
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
            } else if part.peer_on(self.meta.store_id).is_none() || is_gone(part, round)? {
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

fn is_gone(region: &Region, round: &ApplyRound) -> Result<bool, StoreError> {
    let record: Option<Bytes> = round.get(Cf::Raft, &keys::region_state(region.id))?;
    let Some(record) = record else { return Ok(false) };
    let state: RegionLocalState = decode(&record, &format!("state of region {}", region.id))?;
    Ok(state.state() == PeerState::Tombstone)
}
// SOLUTION 3b END
