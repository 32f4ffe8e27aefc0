//! A region's heartbeat: what its leader says is noted, and the answer may bring an order.

use super::check::check_region;
use super::repair;
use super::steps::Order;
use super::{RegionInfo, Scheduler, SchedulerError};
use crate::ids::RegionId;
use crate::proto::eraftpb::ConfChangeType;
use crate::proto::metapb::Peer;
use crate::proto::pdpb::{ChangePeer, RegionHeartbeatRequest, RegionHeartbeatResponse, TransferLeader};

impl Scheduler {
    /// Takes in what the leader of a region says, and answers with what it is to do next, if anything.
    ///
    /// The same order comes with every answer until a heartbeat shows that it has been carried out: answers get lost.
    /// Doing it twice does no harm, since the epoch tells for which edition of the region it is meant.
    ///
    /// # Errors
    /// [`SchedulerError::Stale`] and [`SchedulerError::OldLeader`] where more is known already. The leader need not
    /// care.
    pub fn region_heartbeat(
        &mut self,
        request: &RegionHeartbeatRequest,
    ) -> Result<RegionHeartbeatResponse, SchedulerError> {
        self.check_call(request.header)?;
        let report = report(request)?;
        self.note_ids(&report.region);
        let (region, epoch, leader) = (report.region.clone(), report.region.region_epoch, report.leader);
        let taken = self.regions.heartbeat(report)?;
        self.save_region(&region, &taken);
        let order = if taken.from_leader { self.next_order(region.id) } else { None };
        let mut response = RegionHeartbeatResponse {
            header: Some(self.header()),
            region_id: region.id,
            region_epoch: epoch,
            target_peer: leader,
            ..Default::default()
        };
        match order {
            Some(Order::Add(peer)) => response.change_peer = Some(change(peer, ConfChangeType::AddNode)),
            Some(Order::Remove(peer)) => {
                response.change_peer = Some(change(peer, ConfChangeType::RemoveNode))
            }
            Some(Order::Transfer(peer)) => {
                response.transfer_leader = Some(TransferLeader { peer: Some(peer) });
            }
            None => {}
        }
        Ok(response)
    }

    /// What the region's operator needs next. A region without one is repaired, if that is wanted.
    fn next_order(&mut self, region: RegionId) -> Option<Order> {
        let info = self.regions.by_id(region)?;
        let order = self.operators.next(info, &self.config);
        if order.is_some() || self.operators.is_running(region) || !self.config.repair {
            return order;
        }
        let operator = repair::due(info, &self.config, &self.stores, &self.regions)?;
        self.add_operator(region, operator).ok()?;
        self.operators.next(self.regions.by_id(region)?, &self.config)
    }
}

fn report(request: &RegionHeartbeatRequest) -> Result<RegionInfo, SchedulerError> {
    let region = check_region(request.region.as_ref())?;
    let leader = request.leader.ok_or(SchedulerError::BadRequest("no leader"))?;
    let mut report = RegionInfo {
        region: region.clone(),
        leader: Some(leader),
        term: request.term,
        down_peers: request.down_peers.clone(),
        pending_peers: request.pending_peers.clone(),
        approximate_size: request.approximate_size,
    };
    if !report.has(leader.id) {
        return Err(SchedulerError::BadRequest("the leader is not a peer of the region"));
    }
    report.only_own_peers();
    Ok(report)
}

fn change(peer: Peer, kind: ConfChangeType) -> ChangePeer {
    ChangePeer { peer: Some(peer), change_type: kind.into() }
}

#[cfg(test)]
mod tests {
    use super::super::samples::{Group, bootstrapped, peer};
    use super::super::{Config, Operator, OperatorState};
    use super::*;
    use crate::proto::pdpb::PeerStats;

    #[test]
    fn an_answer_names_the_region_its_edition_and_who_is_meant() {
        let mut scheduler = bootstrapped(Config::default(), &[1, 2, 3]);
        let group = Group::new(&[1, 2, 3]);
        let answer = group.report(&mut scheduler);
        assert_eq!(answer.header, Some(scheduler.header()));
        assert_eq!((answer.region_id, answer.region_epoch), (10, group.region.region_epoch));
        assert_eq!(answer.target_peer, Some(peer(10, 1)));
        assert_eq!((answer.change_peer, answer.transfer_leader), (None, None), "there is nothing to do");
    }

    #[test]
    fn a_heartbeat_without_a_leader_among_the_peers_is_refused() {
        let mut scheduler = bootstrapped(Config::default(), &[1]);
        let mut request = Group::new(&[1]).request();
        for leader in [None, Some(peer(10, 2))] {
            request.leader = leader;
            let refused = scheduler.region_heartbeat(&request);
            assert!(matches!(refused, Err(SchedulerError::BadRequest(_))), "{refused:?}");
        }
        assert_eq!(scheduler.region_by_id(10).map(|info| info.leader), Some(None));
    }

    #[test]
    fn clients_hear_what_the_leader_says_of_its_peers() {
        let mut scheduler = bootstrapped(Config::default(), &[1, 2, 3]);
        let mut group = Group::new(&[1, 2, 3]);
        group.down = vec![PeerStats { peer: Some(peer(10, 2)), down_seconds: 9 }];
        group.pending = vec![peer(10, 3), peer(77, 7)];
        group.report(&mut scheduler);
        let info = scheduler.region_by_key(b"k").expect("it spans all keys");
        assert_eq!(info.leader, Some(peer(10, 1)));
        assert_eq!(info.down_peers, group.down);
        assert_eq!(info.pending_peers, [peer(10, 3)], "peer 7707 is of another region");
    }

    #[test]
    fn an_old_leader_gets_no_order() {
        let mut scheduler = bootstrapped(Config::default(), &[1, 2, 3]);
        let mut group = Group::new(&[1, 2, 3]);
        group.term = 5;
        group.report(&mut scheduler);
        scheduler.add_operator(10, Operator::TransferLeader { store_id: 2 }).expect("store 2 has a peer");
        group.term = 4;
        let late = scheduler.region_heartbeat(&group.request());
        assert_eq!(late, Err(SchedulerError::OldLeader { region: 10, term: 4, known: 5 }));
        group.region.region_epoch.as_mut().expect("it has one").conf_ver += 1;
        let ahead = scheduler.region_heartbeat(&group.request()).expect("the region is newer");
        assert_eq!(ahead.transfer_leader, None, "peer 1001 leads no more");
        let running = scheduler.operators().map(|status| status.state).collect::<Vec<_>>();
        assert_eq!(running, [OperatorState::Running]);
    }
}
