//! A region becomes several (stage 3b): what is checked, and what the store does once it is written.
//!
//! - **Propose, apply**: an ordinary log entry; `apply/split.rs` carries it out.
//! - **After it is written**: [`Store::settle_split`] has a peer for each new region. If the old region's peer leads,
//!   the new ones campaign at once: nobody else will have the idea for an election timeout.

use super::command::Cut;
use super::{Peer, Store, StoreError, Task, region_error};
use crate::error::{Error, Rejection};
use crate::ids::RegionId;
use crate::proto::metapb::Region;

impl Peer {
    /// Can the region be cut there?
    ///
    /// # Errors
    /// `KeyNotInRegion` for a key that is not inside: the region's own start is not, for nothing would be left of it.
    /// `BadCommand` where the number of peers of a new region is not that of the region, or an id is the region's own,
    /// or that of one of its peers.
    pub(super) fn check_split(&self, cuts: &[Cut]) -> Result<(), Error> {
        // LAB 3b BEGIN: every key, every list of ids
        let region = self.region();
        for cut in cuts {
            if !region.range().contains(&cut.key) || cut.key == region.start_key {
                return Err(region_error::key_not_in_region(&cut.key, region));
            }
            if cut.peers.len() != region.peers.len() {
                let why = "a split has an id for each peer of each new region";
                return Err(Rejection::BadCommand(why).into());
            }
            let is_taken = |id: &u64| region.peers.iter().any(|peer| peer.id == *id);
            if cut.region == region.id || cut.peers.iter().any(is_taken) {
                let why = "the ids of a new region and of its peers are new";
                return Err(Rejection::BadCommand(why).into());
            }
        }
        Ok(())
        // LAB 3b END
    }
}

impl Store {
    /// A region here has become several, and that is written.
    ///
    /// After: the store's picture of the regions has all parts; there is a peer of each new region; where the old
    /// region's peer leads, the new ones campaign, and the scheduler is told. What is known of the old region's size is
    /// forgotten. A candidate's message that came too early has reached the peer that it was for, or is forgotten, if
    /// that is not to be here.
    pub(super) fn settle_split(
        &mut self,
        id: RegionId,
        parts: &[Region],
        created: Vec<Region>,
    ) -> Result<(), StoreError> {
        // LAB 3b BEGIN: `meta`; `add_peer` for each; campaign; `early`; Task::ReportSplit
        let Some(parent) = self.peers.get_mut(&id) else { return Ok(()) };
        let leads = parent.is_leader();
        (parent.written, parent.size, parent.report_due) = (0, None, true);
        self.meta.insert(parent.region());
        for region in created {
            let id = region.id;
            self.add_peer(region)?;
            if leads && let Some(peer) = self.peers.get_mut(&id) {
                peer.node.campaign();
            }
            if let Some(early) = self.early.remove(&id) {
                self.on_raft_message(early)?;
            }
        }
        parts.iter().for_each(|part| drop(self.early.remove(&part.id)));
        if leads {
            self.tasks.push(Task::ReportSplit(parts.to_vec()));
        }
        Ok(())
        // LAB 3b END
    }

    /// A peer for a region that has come out of a split, and whose records are on the disk. If a message has created it
    /// before, it is the same peer, and its vote is on the disk: it makes way.
    fn add_peer(&mut self, region: Region) -> Result<(), StoreError> {
        // LAB 3b BEGIN: `meta`; Peer::open
        let peer = Peer::open(&self.config, self.id(), &self.engines, region.clone())?;
        self.meta.insert(&region);
        self.peers.insert(region.id, peer);
        Ok(())
        // LAB 3b END
    }
}
