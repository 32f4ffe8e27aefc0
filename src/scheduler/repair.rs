//! Repair: every region has as many peers as wanted, and none that is down for good.
//!
//! | the region has | what is due |
//! |---|---|
//! | too few peers | one more |
//! | the right number, one of them down | one more, elsewhere: then it has too many |
//! | too many | the one less that is worth least: down the longest, then without data, then the newest; the leader last |
//!
//! One thing at a time, and the new peer before the old one goes. Where a new one goes matters: as soon as it is a
//! member it counts for the majority, so on a store that does not answer it would do harm.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use super::regions::Regions;
use super::stores::Stores;
use super::{Config, Operator, RegionInfo};
use crate::ids::StoreId;

/// What this region needs, if anything can be done.
pub(super) fn due(
    info: &RegionInfo,
    config: &Config,
    stores: &Stores,
    regions: &Regions,
) -> Option<Operator> {
    let peers = &info.region.peers;
    let wanted = config.replicas.max(1);
    let is_down = |id| info.is_down(id, config.max_down_seconds);
    if peers.len() > wanted {
        return surplus(info).map(|store_id| Operator::RemovePeer { store_id });
    }
    if peers.len() < wanted || peers.iter().any(|peer| is_down(peer.id)) {
        return target(info, config, stores, regions).map(|store_id| Operator::AddPeer { store_id });
    }
    None
}

/// Where the peer is that is worth least.
fn surplus(info: &RegionInfo) -> Option<StoreId> {
    let worth = info.region.peers.iter().min_by_key(|peer| {
        let leads = info.is_led_by(peer.id);
        (leads, Reverse(info.down_seconds(peer.id)), !info.is_pending(peer.id), Reverse(peer.id))
    });
    worth.map(|peer| peer.store_id)
}

/// Where a new peer is put: of the stores that are well and have none, the one with the fewest peers.
fn target(info: &RegionInfo, config: &Config, stores: &Stores, regions: &Regions) -> Option<StoreId> {
    let (peers, suspects) = survey(regions, config);
    let free = stores.iter().map(|store| store.store.id).filter(|id| {
        stores.is_up(*id)
            && !stores.is_silent(*id, config.max_silent_rounds)
            && !suspects.contains(id)
            && info.region.peer_on(*id).is_none()
    });
    free.min_by_key(|id| (peers.get(id).copied().unwrap_or(0), *id))
}

/// How many peers each store has, and which stores have a peer that some leader takes for down.
fn survey(regions: &Regions, config: &Config) -> (BTreeMap<StoreId, usize>, BTreeSet<StoreId>) {
    let mut peers = BTreeMap::new();
    let mut suspects = BTreeSet::new();
    for info in regions.iter() {
        for peer in &info.region.peers {
            *peers.entry(peer.store_id).or_default() += 1;
            if info.is_down(peer.id, config.max_down_seconds) {
                suspects.insert(peer.store_id);
            }
        }
    }
    (peers, suspects)
}

#[cfg(test)]
mod tests {
    use super::super::Scheduler;
    use super::super::samples::{Group, beat, bootstrapped, down, peer, region};
    use super::*;
    use crate::proto::eraftpb::ConfChangeType::{AddNode, RemoveNode};
    use crate::proto::metapb::StoreState;

    fn config() -> Config {
        Config { repair: true, max_down_seconds: 60, ..Config::default() }
    }

    /// Reports, and carries out at once what is ordered. Returns whether anything was.
    fn obey(scheduler: &mut Scheduler, group: &mut Group) -> bool {
        let answer = group.report(scheduler);
        if let Some(transfer) = answer.transfer_leader {
            group.lead(transfer.peer.expect("to a peer"));
        }
        if let Some(change) = answer.change_peer {
            let peer = change.peer.expect("a change names its peer");
            match change.change_type() {
                AddNode => group.add(peer),
                RemoveNode => group.remove(peer.store_id),
                other => panic!("no such change is ever ordered: {other:?}"),
            }
        }
        answer.transfer_leader.is_some() || answer.change_peer.is_some()
    }

    /// Until nothing is ordered any more. Returns where the region is then.
    fn settle(scheduler: &mut Scheduler, group: &mut Group) -> Vec<StoreId> {
        for _ in 0..50 {
            if !obey(scheduler, group) {
                return group.stores();
            }
        }
        panic!("the orders never end: the region is on {:?}", group.stores());
    }

    #[test]
    fn a_region_grows_to_the_wanted_number_as_far_as_there_are_stores() {
        for (stores, wanted) in [(&[1, 2, 3, 4][..], &[1, 2, 3][..]), (&[1, 2], &[1, 2])] {
            let mut scheduler = bootstrapped(config(), stores);
            assert_eq!(settle(&mut scheduler, &mut Group::new(&[1])), wanted, "{} stores", stores.len());
        }
    }

    #[test]
    fn nothing_is_repaired_unless_it_is_wanted() {
        let mut scheduler = bootstrapped(Config::default(), &[1, 2, 3]);
        assert_eq!(settle(&mut scheduler, &mut Group::new(&[1])), [1]);
        assert_eq!(scheduler.operators().count(), 0);
    }

    #[test]
    fn the_leader_is_not_what_there_is_too_much_of() {
        let mut scheduler = bootstrapped(config(), &[1, 2, 3, 4, 5]);
        let mut group = Group::new(&[1, 2, 3, 4, 5]);
        group.lead(peer(10, 5));
        let before = group.term;
        assert_eq!(settle(&mut scheduler, &mut group), [1, 2, 5], "the newest go, but for the leader");
        assert_eq!(group.term, before, "nobody else had to lead");
    }

    #[test]
    fn what_is_down_goes_first_and_then_what_has_no_data() {
        let mut scheduler = bootstrapped(config(), &[1, 2, 3, 4, 5]);
        let mut group = Group::new(&[1, 2, 3, 4, 5]);
        group.down = vec![down(peer(10, 2), 61), down(peer(10, 5), 3)];
        let mut removed = Vec::new();
        for _ in 0..2 {
            let before = group.stores();
            obey(&mut scheduler, &mut group);
            removed.extend(before.into_iter().filter(|store| !group.stores().contains(store)));
            group.down.clear();
            group.pending = vec![peer(10, 3)];
        }
        assert_eq!(removed, [2, 3]);
    }

    #[test]
    fn a_peer_that_is_down_for_long_is_replaced() {
        let mut scheduler = bootstrapped(config(), &[1, 2, 3, 4]);
        let mut group = Group::new(&[1, 2, 3]);
        group.down = vec![down(peer(10, 2), 59)];
        assert_eq!(settle(&mut scheduler, &mut group), [1, 2, 3], "it may come back");
        group.down = vec![down(peer(10, 2), 60)];
        obey(&mut scheduler, &mut group);
        assert_eq!(group.stores(), [1, 2, 3, 4], "first one more");
        assert_eq!(settle(&mut scheduler, &mut group), [1, 3, 4], "then one less");
    }

    #[test]
    fn without_a_spare_store_a_peer_that_is_down_stays() {
        let mut scheduler = bootstrapped(config(), &[1, 2, 3]);
        let mut group = Group::new(&[1, 2, 3]);
        group.down = vec![down(peer(10, 2), 600)];
        assert_eq!(settle(&mut scheduler, &mut group), [1, 2, 3]);
    }

    #[test]
    fn no_peer_is_put_on_a_store_that_is_not_well() {
        let mut scheduler = bootstrapped(config(), &[1, 2, 3, 4, 5, 6]);
        scheduler.set_store_state(3, StoreState::Offline).expect("it is known");
        for _ in 0..10 {
            [1, 2, 3, 5, 6].into_iter().for_each(|store| beat(&mut scheduler, store));
        }
        // Another region's leader does not hear from store 5.
        let mut other = Group::new(&[1, 5, 6]);
        other.region = region(20, ["m", ""], [2, 1], &[1, 5, 6]);
        other.lead(peer(20, 1));
        other.down = vec![down(peer(20, 5), 60)];
        other.report(&mut scheduler);
        let mut group = Group::new(&[1, 2]);
        group.split("m");
        obey(&mut scheduler, &mut group);
        assert_eq!(group.stores(), [1, 2, 6], "3 is being emptied, 4 is silent, 5 does not answer");
    }

    #[test]
    fn a_new_peer_goes_where_the_fewest_are() {
        let mut scheduler = bootstrapped(config(), &[1, 2, 3, 4]);
        let mut other = Group::new(&[1, 2, 3]);
        other.region = region(20, ["m", ""], [2, 1], &[1, 2, 3]);
        other.lead(peer(20, 1));
        other.report(&mut scheduler);
        let mut group = Group::new(&[1, 2]);
        group.split("m");
        obey(&mut scheduler, &mut group);
        assert_eq!(group.stores(), [1, 2, 4]);
    }
}
