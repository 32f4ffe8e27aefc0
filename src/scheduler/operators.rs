//! Operators: how a region is to change, carried out with one order after the other.
//!
//! ```text
//!   add  --->  Running  --- a heartbeat shows the goal --->  Done
//!                 |
//!                 +-------- impossible, or in vain ------->  Dropped
//! ```
//!
//! A running operator answers each heartbeat with the order that `steps.rs` finds. What has become impossible is
//! dropped, and so is what has been ordered too often. Only the wait for a new peer's data has no limit, since
//! snapshots may be large: it ends when the leader says that the peer is down.

use std::collections::BTreeMap;

use super::steps::{Dropped, Goal, Order, Step, goal, next_step};
use super::stores::Stores;
use super::{Config, RegionInfo, SchedulerError};
use crate::ids::{PeerId, RegionId, StoreId};

/// How a region is to change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Operator {
    /// One peer more, with all data.
    AddPeer {
        /// On this store.
        store_id: StoreId,
    },
    /// One peer less. If it leads, another one leads first.
    RemovePeer {
        /// The one on this store.
        store_id: StoreId,
    },
    /// Another leader.
    TransferLeader {
        /// The peer on this store.
        store_id: StoreId,
    },
    /// As many peers, one of them elsewhere. The new one has all data before the old one goes.
    MovePeer {
        /// Where the peer is.
        from_store: StoreId,
        /// Where it is to be.
        to_store: StoreId,
    },
}

/// How an operator stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperatorState {
    /// Its orders go out.
    Running,
    /// A heartbeat has shown that the region is as wanted.
    Done,
    /// It was given up. What it has done until then stays.
    Dropped(Dropped),
}

/// The last operator of a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OperatorStatus {
    /// Whose.
    pub region_id: RegionId,
    /// What is wanted.
    pub operator: Operator,
    /// How it stands.
    pub state: OperatorState,
}

#[derive(Clone, Debug)]
struct Entry {
    status: OperatorStatus,
    goal: Goal,
    /// Of the region for which the goal was made.
    conf_ver: u64,
    last_order: Option<Order>,
    /// How often the last order was sent.
    sends: u32,
}

/// The last operator of each region: one at a time.
#[derive(Clone, Debug, Default)]
pub(super) struct Operators {
    by_region: BTreeMap<RegionId, Entry>,
}

impl Operators {
    /// Begins an operator. `new_id` is called once if it needs an id, and not at all if it is refused.
    pub fn add(
        &mut self,
        info: &RegionInfo,
        operator: Operator,
        stores: &Stores,
        new_id: impl FnOnce() -> PeerId,
    ) -> Result<(), SchedulerError> {
        let region_id = info.region.id;
        let refused = |why| SchedulerError::OperatorRefused { region: region_id, why };
        if self.is_running(region_id) {
            return Err(refused("another operator is running"));
        }
        let goal = goal(operator, info, stores, new_id).map_err(refused)?;
        let status = OperatorStatus { region_id, operator, state: OperatorState::Running };
        let conf_ver = info.epoch().conf_ver;
        self.by_region.insert(region_id, Entry { status, goal, conf_ver, last_order: None, sends: 0 });
        Ok(())
    }

    /// Is one under way for this region?
    pub fn is_running(&self, region: RegionId) -> bool {
        self.by_region.get(&region).is_some_and(|entry| entry.status.state == OperatorState::Running)
    }

    /// What the region's leader is to do, now that it has sent this heartbeat.
    pub fn next(&mut self, info: &RegionInfo, config: &Config) -> Option<Order> {
        let entry = self.by_region.get_mut(&info.region.id)?;
        if entry.status.state != OperatorState::Running {
            return None;
        }
        let step = match next_step(&entry.goal, entry.conf_ver, info, config) {
            Step::Send(order) => entry.count(order, config.max_sends),
            step => step,
        };
        match step {
            Step::Send(order) => return Some(order),
            Step::Wait => {}
            Step::Done => entry.status.state = OperatorState::Done,
            Step::Drop(why) => entry.status.state = OperatorState::Dropped(why),
        }
        None
    }

    /// All, by region.
    pub fn iter(&self) -> impl Iterator<Item = OperatorStatus> {
        self.by_region.values().map(|entry| entry.status)
    }
}

impl Entry {
    fn count(&mut self, order: Order, max_sends: u32) -> Step {
        let again = self.last_order == Some(order);
        self.sends = if again { self.sends + 1 } else { 1 };
        self.last_order = Some(order);
        if self.sends > max_sends { Step::Drop(Dropped::NoProgress) } else { Step::Send(order) }
    }
}

#[cfg(test)]
mod tests {
    use super::super::Scheduler;
    use super::super::samples::{Group, bootstrapped, down, peer};
    use super::*;
    use crate::proto::eraftpb::ConfChangeType;
    use crate::proto::metapb::Peer;
    use crate::proto::pdpb::RegionHeartbeatResponse;

    /// Region 10 on stores 1, 2, 3 of 5, led by store 1, with an operator.
    fn with(operator: Operator) -> (Scheduler, Group) {
        let config = Config { max_down_seconds: 60, max_sends: 5, ..Config::default() };
        let mut scheduler = bootstrapped(config, &[1, 2, 3, 4, 5]);
        let group = Group::new(&[1, 2, 3]);
        group.report(&mut scheduler);
        scheduler.add_operator(10, operator).expect("the operator makes sense");
        (scheduler, group)
    }

    fn order(response: &RegionHeartbeatResponse) -> Option<Order> {
        let change = response.change_peer.map(|change| {
            let peer = change.peer.expect("a change names its peer");
            match change.change_type() {
                ConfChangeType::AddNode => Order::Add(peer),
                ConfChangeType::RemoveNode => Order::Remove(peer),
                other => panic!("no such change is ever ordered: {other:?}"),
            }
        });
        let transfer =
            response.transfer_leader.map(|transfer| Order::Transfer(transfer.peer.expect("to a peer")));
        assert!(change.is_none() || transfer.is_none(), "one order at a time");
        change.or(transfer)
    }

    fn next(scheduler: &mut Scheduler, group: &Group) -> Option<Order> {
        order(&group.report(scheduler))
    }

    fn state(scheduler: &Scheduler) -> OperatorState {
        let all: Vec<OperatorStatus> = scheduler.operators().collect();
        assert_eq!(all.len(), 1, "one operator a region");
        all[0].state
    }

    fn added(order: Option<Order>) -> Peer {
        match order {
            Some(Order::Add(peer)) => peer,
            other => panic!("a peer is to be added, not {other:?}"),
        }
    }

    fn dropped(scheduler: &mut Scheduler, group: &Group, why: Dropped) {
        assert_eq!(next(scheduler, group), None, "an impossible operator orders nothing");
        assert_eq!(state(scheduler), OperatorState::Dropped(why));
        assert_eq!(next(scheduler, group), None, "and does not come back");
        scheduler
            .add_operator(10, Operator::AddPeer { store_id: 5 })
            .expect("there is room for the next one");
    }

    #[test]
    fn an_order_comes_again_with_the_same_peer_until_it_is_carried_out() {
        let (mut scheduler, mut group) = with(Operator::AddPeer { store_id: 4 });
        let new = added(next(&mut scheduler, &group));
        assert_eq!(new.store_id, 4);
        assert!(![1, 2, 3, 10, 1001, 1002, 1003].contains(&new.id), "{} is in use", new.id);
        for _ in 0..3 {
            assert_eq!(
                next(&mut scheduler, &group),
                Some(Order::Add(new)),
                "the same peer as the first time"
            );
        }
        group.add(new);
        group.pending = vec![new];
        assert_eq!(next(&mut scheduler, &group), None);
        assert_eq!(state(&scheduler), OperatorState::Running, "it has no data yet");
        group.pending.clear();
        assert_eq!(next(&mut scheduler, &group), None);
        assert_eq!(state(&scheduler), OperatorState::Done);
    }

    #[test]
    fn a_move_adds_waits_hands_over_and_removes() {
        let (mut scheduler, mut group) = with(Operator::MovePeer { from_store: 1, to_store: 4 });
        let new = added(next(&mut scheduler, &group));
        group.add(new);
        group.pending = vec![new];
        for _ in 0..10 {
            assert_eq!(
                next(&mut scheduler, &group),
                None,
                "the old peer stays until the new one has the data"
            );
        }
        group.pending.clear();
        assert_eq!(next(&mut scheduler, &group), Some(Order::Transfer(new)), "the old one leads");
        group.lead(new);
        assert_eq!(next(&mut scheduler, &group), Some(Order::Remove(peer(10, 1))));
        group.lead(peer(10, 1));
        assert_eq!(next(&mut scheduler, &group), Some(Order::Transfer(new)), "it has been elected again");
        group.lead(peer(10, 2));
        assert_eq!(next(&mut scheduler, &group), Some(Order::Remove(peer(10, 1))), "anybody else may lead");
        group.remove(1);
        assert_eq!(next(&mut scheduler, &group), None);
        assert_eq!(state(&scheduler), OperatorState::Done);
        assert_eq!(group.stores(), [2, 3, 4]);
    }

    #[test]
    fn a_follower_moves_without_a_transfer() {
        let (mut scheduler, mut group) = with(Operator::MovePeer { from_store: 3, to_store: 4 });
        let new = added(next(&mut scheduler, &group));
        group.add(new);
        assert_eq!(next(&mut scheduler, &group), Some(Order::Remove(peer(10, 3))));
    }

    #[test]
    fn a_leader_is_removed_once_another_one_leads() {
        let (mut scheduler, mut group) = with(Operator::RemovePeer { store_id: 1 });
        group.down = vec![down(peer(10, 2), 3)];
        assert_eq!(
            next(&mut scheduler, &group),
            Some(Order::Transfer(peer(10, 3))),
            "store 2 does not answer"
        );
        group.lead(peer(10, 3));
        assert_eq!(next(&mut scheduler, &group), Some(Order::Remove(peer(10, 1))));
        group.remove(1);
        assert_eq!(next(&mut scheduler, &group), None);
        assert_eq!(state(&scheduler), OperatorState::Done);
    }

    #[test]
    fn a_leader_without_a_fit_successor_stays() {
        let (mut scheduler, mut group) = with(Operator::RemovePeer { store_id: 1 });
        group.down = vec![down(peer(10, 2), 3)];
        group.pending = vec![peer(10, 3)];
        dropped(&mut scheduler, &group, Dropped::NoSuccessor);
    }

    #[test]
    fn a_transfer_ends_when_the_right_one_leads() {
        let (mut scheduler, mut group) = with(Operator::TransferLeader { store_id: 3 });
        assert_eq!(next(&mut scheduler, &group), Some(Order::Transfer(peer(10, 3))));
        group.lead(peer(10, 2));
        assert_eq!(next(&mut scheduler, &group), Some(Order::Transfer(peer(10, 3))), "the wrong one leads");
        group.lead(peer(10, 3));
        assert_eq!(next(&mut scheduler, &group), None);
        assert_eq!(state(&scheduler), OperatorState::Done);
    }

    #[test]
    fn the_last_peer_is_never_removed() {
        let (mut scheduler, mut group) = with(Operator::RemovePeer { store_id: 1 });
        group.remove(2);
        group.remove(3);
        dropped(&mut scheduler, &group, Dropped::LastPeer);
        let mut scheduler = bootstrapped(Config::default(), &[1, 2]);
        Group::new(&[1]).report(&mut scheduler);
        let refused = scheduler.add_operator(10, Operator::RemovePeer { store_id: 1 });
        assert!(matches!(refused, Err(SchedulerError::OperatorRefused { .. })), "{refused:?}");
    }

    #[test]
    fn a_removed_peer_is_not_added_again_under_its_id() {
        let (mut scheduler, mut group) = with(Operator::AddPeer { store_id: 4 });
        let new = added(next(&mut scheduler, &group));
        group.add(new);
        group.remove(4);
        dropped(&mut scheduler, &group, Dropped::GroupChanged);
        assert_ne!(added(next(&mut scheduler, &group)).id, new.id);
    }

    #[test]
    fn a_peer_that_has_come_back_under_another_id_is_not_removed() {
        let (mut scheduler, mut group) = with(Operator::RemovePeer { store_id: 3 });
        assert_eq!(next(&mut scheduler, &group), Some(Order::Remove(peer(10, 3))));
        group.remove(3);
        group.add(Peer { id: 777, store_id: 3, ..Default::default() });
        assert_eq!(next(&mut scheduler, &group), None);
        assert_eq!(state(&scheduler), OperatorState::Done, "peer 1003 is gone, that was the order");
    }

    #[test]
    fn a_new_peer_that_never_answers_is_not_waited_for() {
        let (mut scheduler, mut group) = with(Operator::MovePeer { from_store: 2, to_store: 4 });
        let new = added(next(&mut scheduler, &group));
        group.add(new);
        group.pending = vec![new];
        group.down = vec![down(new, 59)];
        assert_eq!(next(&mut scheduler, &group), None);
        assert_eq!(state(&scheduler), OperatorState::Running, "a snapshot takes its time");
        group.down = vec![down(new, 60)];
        dropped(&mut scheduler, &group, Dropped::NewPeerDown);
    }

    #[test]
    fn a_successor_that_has_left_is_not_waited_for() {
        let (mut scheduler, mut group) = with(Operator::TransferLeader { store_id: 3 });
        group.remove(3);
        dropped(&mut scheduler, &group, Dropped::PeerGone);
    }

    #[test]
    fn an_order_that_is_never_carried_out_is_given_up() {
        let (mut scheduler, group) = with(Operator::TransferLeader { store_id: 3 });
        let sent = (0..5).filter(|_| next(&mut scheduler, &group).is_some()).count();
        assert_eq!(sent, 5);
        dropped(&mut scheduler, &group, Dropped::NoProgress);
    }

    #[test]
    fn each_order_of_an_operator_has_its_own_patience() {
        let (mut scheduler, mut group) = with(Operator::MovePeer { from_store: 3, to_store: 4 });
        let new = (0..5).map(|_| added(next(&mut scheduler, &group))).last().expect("five");
        group.add(new);
        for _ in 0..5 {
            assert_eq!(next(&mut scheduler, &group), Some(Order::Remove(peer(10, 3))));
        }
        assert_eq!(state(&scheduler), OperatorState::Running);
    }

    #[test]
    fn a_split_on_the_way_does_not_matter() {
        let (mut scheduler, mut group) = with(Operator::AddPeer { store_id: 4 });
        let new = added(next(&mut scheduler, &group));
        group.split("m");
        assert_eq!(next(&mut scheduler, &group), Some(Order::Add(new)));
    }

    #[test]
    fn what_makes_no_sense_is_refused_and_costs_no_id() {
        let mut scheduler = bootstrapped(Config::default(), &[1, 2, 3, 4]);
        Group::new(&[1, 2, 3]).report(&mut scheduler);
        let id = scheduler.alloc_id();
        for operator in [
            Operator::AddPeer { store_id: 3 },
            Operator::AddPeer { store_id: 99 },
            Operator::RemovePeer { store_id: 4 },
            Operator::TransferLeader { store_id: 4 },
            Operator::MovePeer { from_store: 4, to_store: 4 },
            Operator::MovePeer { from_store: 1, to_store: 2 },
            Operator::MovePeer { from_store: 1, to_store: 1 },
        ] {
            let refused = scheduler.add_operator(10, operator);
            assert!(
                matches!(refused, Err(SchedulerError::OperatorRefused { .. })),
                "{operator:?}: {refused:?}"
            );
        }
        let unknown = scheduler.add_operator(11, Operator::AddPeer { store_id: 4 });
        assert_eq!(unknown, Err(SchedulerError::RegionNotFound(11)));
        assert_eq!(scheduler.operators().count(), 0);
        assert_eq!(scheduler.alloc_id(), id + 1);
    }

    #[test]
    fn a_region_has_one_operator_at_a_time() {
        let (mut scheduler, group) = with(Operator::AddPeer { store_id: 4 });
        let refused = scheduler.add_operator(10, Operator::AddPeer { store_id: 5 });
        assert!(matches!(refused, Err(SchedulerError::OperatorRefused { .. })), "{refused:?}");
        assert_eq!(added(next(&mut scheduler, &group)).store_id, 4);
    }
}
