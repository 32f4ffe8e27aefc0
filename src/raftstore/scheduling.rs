//! What a store tells the scheduler, and what it does when the scheduler answers (stage 3b).
//!
//! ```text
//!   store                                          scheduler                  split_check worker
//!     |  ReportRegion: region, leader, size  --->   |  where is what?              |
//!     |  <--- Ordered: add, remove, transfer        |                              |
//!     |  CheckSplit ------------------------------------------------------------> |  how large? where is the middle?
//!     |  <--- SplitChecked ------------------------------------------------------ |
//!     |  AskSplit: ids for a new region  ------->   |
//!     |  <--- SplitIds                              |
//!     |  BatchSplit: a log entry
//!     |  ReportSplit  --------------------------->  |
//! ```
//!
//! The scheduler only suggests. Its orders are proposed like any client's command and checked like it, so that one that
//! comes late, or twice, does nothing: the region's edition has changed.

use bytes::Bytes;

use super::{Config, Peer, Store, Task};
use crate::ids::RegionId;
use crate::proto::metapb::{Peer as Member, Region, RegionEpoch};
use crate::proto::pdpb::{
    PeerStats, RegionHeartbeatRequest, RegionHeartbeatResponse, SplitId, StoreHeartbeatRequest, StoreStats,
};
use crate::proto::raft_cmdpb::{
    AdminCmdType, AdminRequest, BatchSplitRequest, ChangePeerRequest, SplitRequest, TransferLeaderRequest,
};

/// So many parts of the largest size must be written before it is worth looking again.
const PARTS: u64 = 8;

impl Store {
    /// One tick: reports that are due (at intervals, and at once where something has changed), and a look at the sizes
    /// of regions.
    pub(super) fn tick_scheduling(&mut self) {
        // LAB 3b BEGIN idle: `ticks_to_report`, `ticks_to_check`; Peer::report, Peer::check_size
        if self.config.heartbeat_to_scheduler_ticks > 0 {
            self.ticks_to_report = self.ticks_to_report.saturating_sub(1);
            let is_time = self.ticks_to_report == 0;
            if is_time {
                self.ticks_to_report = self.config.heartbeat_to_scheduler_ticks;
                self.tasks.push(Task::ReportStore(self.report()));
            }
            let reports = self.peers.values_mut().filter_map(|peer| peer.report(&self.config, is_time));
            self.tasks.extend(reports);
        }
        if self.config.split_check_ticks > 0 {
            self.ticks_to_check = self.ticks_to_check.saturating_sub(1);
            if self.ticks_to_check == 0 {
                self.ticks_to_check = self.config.split_check_ticks;
                let max_size = self.config.region_max_size;
                let looks = self.peers.values_mut().filter_map(|peer| peer.check_size(max_size));
                self.tasks.extend(looks);
            }
        }
        // LAB 3b END
    }

    fn report(&self) -> Box<StoreHeartbeatRequest> {
        let region_count = u32::try_from(self.peers.len()).unwrap_or(u32::MAX);
        let stats = StoreStats { store_id: self.id(), region_count, ..Default::default() };
        Box::new(StoreHeartbeatRequest { stats: Some(stats), ..Default::default() })
    }

    /// The scheduler wants something done: at most one of adding or removing a peer, and handing over the leadership.
    ///
    /// After: it is proposed, if it is for this edition of the region and this peer leads it.
    pub(super) fn on_order(&mut self, order: &RegionHeartbeatResponse) {
        // LAB 3b BEGIN idle: is it for now? `order_admin`
        let region = order.region_id;
        let admin = if let Some(change) = &order.change_peer {
            let change_peer = Some(ChangePeerRequest { change_type: change.change_type, peer: change.peer });
            AdminRequest { cmd_type: AdminCmdType::ChangePeer.into(), change_peer, ..Default::default() }
        } else if let Some(transfer) = &order.transfer_leader {
            let transfer_leader = Some(TransferLeaderRequest { peer: transfer.peer });
            AdminRequest {
                cmd_type: AdminCmdType::TransferLeader.into(),
                transfer_leader,
                ..Default::default()
            }
        } else {
            return;
        };
        self.order_admin(region, order.region_epoch.unwrap_or_default(), admin);
        // LAB 3b END
    }

    /// The region's size is known, and where it could be cut, if it is too large.
    ///
    /// After: the size is remembered, as long as it is of the region as it is now, and this peer leads it, which alone
    /// can do something about it; ids for a split have been asked for, if one is needed.
    pub(super) fn on_split_checked(
        &mut self,
        id: RegionId,
        epoch: RegionEpoch,
        size: u64,
        key: Option<Bytes>,
    ) {
        // LAB 3b BEGIN idle: `checking`, `size`; Task::AskSplit
        let Some(peer) = self.peers.get_mut(&id) else { return };
        peer.checking = false;
        if peer.region().region_epoch != Some(epoch) || !peer.is_leader() {
            peer.size = None;
            return;
        }
        peer.size = Some(size);
        if let Some(key) = key {
            peer.checking = true;
            self.tasks.push(Task::AskSplit { region: Box::new(peer.region().clone()), key });
        }
        // LAB 3b END
    }

    /// The scheduler has given ids for a new region, or has not. Either way what was known of the size is forgotten:
    /// the next look will lead here again, if that is still needed.
    pub(super) fn on_split_ids(&mut self, region: &Region, key: Bytes, ids: Option<SplitId>) {
        // LAB 3b BEGIN idle: `order_admin` with a BatchSplit
        if let Some(peer) = self.peers.get_mut(&region.id) {
            (peer.checking, peer.size) = (false, None);
        }
        let Some(SplitId { new_region_id, new_peer_ids }) = ids else { return };
        if self.holds(new_region_id) {
            return;
        }
        let cut = SplitRequest { split_key: key, new_region_id, new_peer_ids };
        let splits = Some(BatchSplitRequest { requests: vec![cut], right_derive: false });
        let admin = AdminRequest { cmd_type: AdminCmdType::BatchSplit.into(), splits, ..Default::default() };
        self.order_admin(region.id, region.region_epoch.unwrap_or_default(), admin);
        // LAB 3b END
    }

    /// Proposes a change of a region that nobody waits for.
    fn order_admin(&mut self, id: RegionId, epoch: RegionEpoch, admin: AdminRequest) {
        let Some(peer) = self.peers.get_mut(&id) else { return };
        let header = peer.header(epoch);
        if let Err(error) = peer.propose_admin(&self.config, header, admin) {
            tracing::debug!(region = id, %error, "an order is not carried out");
        }
    }
}

impl Peer {
    /// What a leader tells the scheduler about its region, at intervals (`is_time`) and when it has news: it leads now,
    /// or the region has changed. It names those who are down: it has not heard from them for an election timeout or
    /// longer; and those who are not known to hold anything of the log
    /// yet (`matched` is 0), as pending: the scheduler takes no old peer away for a new one that is pending.
    pub(super) fn report(&mut self, config: &Config, is_time: bool) -> Option<Task> {
        // LAB 3b BEGIN: only a leader, and once; `silent`; who waits for a snapshot is pending
        if !self.is_leader() {
            self.report_due = true;
            return None;
        }
        if !std::mem::take(&mut self.report_due) && !is_time {
            return None;
        }
        let is_pending = |id: u64| self.node.raft().progress(id).is_some_and(|p| p.matched == 0);
        let region = self.region();
        let others = || region.peers.iter().filter(|peer| peer.id != self.id());
        let pending_peers = others().filter(|peer| is_pending(peer.id)).copied().collect();
        let silent = |peer: &Member| self.silent.get(&peer.id).copied().unwrap_or_default();
        let down = |peer: &Member| PeerStats {
            peer: Some(*peer),
            down_seconds: u64::from(silent(peer) / config.ticks_per_second),
        };
        let down_peers = others().filter(|peer| silent(peer) >= config.election_ticks).map(down).collect();
        Some(Task::ReportRegion(Box::new(RegionHeartbeatRequest {
            region: Some(region.clone()),
            leader: Some(self.meta),
            down_peers,
            pending_peers,
            approximate_size: self.size.unwrap_or_default(),
            term: self.term(),
            ..Default::default()
        })))
        // LAB 3b END
    }

    /// Has a leader's region grown so much, or is so little known of its size, that a worker should look? One look at a
    /// time.
    pub(super) fn check_size(&mut self, max_size: u64) -> Option<Task> {
        // LAB 3b BEGIN: `written`, `size`, `checking`
        let is_worth_it = self.size.is_none() || self.written >= max_size / PARTS;
        if !self.is_leader() || self.checking || !is_worth_it {
            return None;
        }
        (self.checking, self.written) = (true, 0);
        let data = self.engines().kv.snapshot();
        Some(Task::CheckSplit { region: Box::new(self.region().clone()), data, max_size })
        // LAB 3b END
    }
}
