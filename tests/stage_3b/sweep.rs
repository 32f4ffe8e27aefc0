//! Every write to a disk is a point at which a machine may stop. Each of these tests visits them all while members come
//! and go: afterwards the group goes on, whole.

use raftkv::proto::eraftpb::ConfChangeType::{AddNode, RemoveNode};
use raftkv::proto::metapb::Peer;
use raftkv_testkit::lab;
use raftkv_testkit::sim::{Fault, Setup, Sim, Stop, change_peer, millis, secs, sweep};
use rstest::rstest;

/// A story has fewer writes than this on any one disk.
const BOUND: u64 = 80;

/// A group led by store 1, with some data; store 4 has no peer.
fn group(seed: u64, stores: u64, members: &[u64]) -> Sim {
    let mut sim = Setup::seeded(seed, stores).members(members).scheduler().start();
    for key in ["a", "b", "c"] {
        sim.put(key, "1");
    }
    sim.transfer(1, 1);
    sim.put("b", "2");
    sim.settle();
    sim
}

/// A change is asked for once, and the victim stops at a write. When it is back, the change is made in any case, and
/// the group goes on. False if all was done before the write came.
fn tell(
    mut sim: Sim,
    kind: raftkv::proto::eraftpb::ConfChangeType,
    store: u64,
    victim: u64,
    stop: Stop,
) -> bool {
    let peer = sim.newest(1).peer_on(store).copied();
    let peer = peer.unwrap_or(Peer { id: 2000, store_id: store, ..Default::default() });
    stop.plan(&mut sim, victim);
    let request = sim.admin_request(1, 1, change_peer(kind, peer));
    let asked = sim.begin_command(1, request);
    for _ in 0..20 {
        if sim.struck(Fault::CrashAtWrite) == 0 {
            sim.run(millis(20));
        }
    }
    let _ = sim.take_reply(asked);
    let struck = sim.struck(Fault::CrashAtWrite) > 0;
    sim.run(millis(if struck { 150 } else { 0 }));
    sim.end_trouble();
    if kind == AddNode {
        let mut tries = 0;
        while sim.newest(1).peer_on(store).is_none() {
            assert!(tries < 20, "{stop:?}: an addition that got lost can be asked for again");
            tries += 1;
            // The same again: the first one may be in the log.
            let leader = sim.leader();
            let _ = sim.admin(leader, 1, change_peer(kind, peer));
            sim.run(millis(100));
        }
    } else {
        sim.remove_peer(1, store);
        sim.until("a removed peer is told to go", secs(10), |sim| sim.peer_of(store, 1).is_none());
    }
    sim.finish();
    let there = sim.newest(1).peers.iter().any(|peer| peer.store_id == store);
    assert_eq!(there, kind == AddNode, "{stop:?}");
    assert_eq!(sim.get("b"), Some("2".into()), "{stop:?}: what was acknowledged is there");
    struck
}

/// A peer is added, and its first snapshot is made, sent, and loaded. The new one's store stops, or the leader's.
#[rstest]
#[case::of_the_new_one(4, 20)]
#[case::of_the_leader(1, 16)]
fn a_peer_is_added(#[case] victim: u64, #[case] least: u64) {
    let lab = lab!();
    for seed in lab.seeds(1) {
        let points = sweep(BOUND, |stop| tell(group(seed, 4, &[1, 2, 3]), AddNode, 4, victim, stop));
        assert!(points >= least, "there are {points} points: too few to be all of an addition's");
    }
}

/// A follower is removed: it stops, or the leader does.
#[rstest]
#[case::of_the_removed_one(3, 8)]
#[case::of_the_leader(1, 8)]
fn a_follower_is_removed(#[case] victim: u64, #[case] least: u64) {
    let lab = lab!();
    for seed in lab.seeds(1) {
        let points = sweep(BOUND, |stop| tell(group(seed, 3, &[1, 2, 3]), RemoveNode, 3, victim, stop));
        assert!(points >= least, "there are {points} points: too few to be all of a removal's");
    }
}

/// The leader is removed: it stops, or one of those does that stay.
#[rstest]
#[case::of_the_leader(1, 8)]
#[case::of_another_one(2, 8)]
fn the_leader_is_removed(#[case] victim: u64, #[case] least: u64) {
    let lab = lab!();
    for seed in lab.seeds(1) {
        let points = sweep(BOUND, |stop| tell(group(seed, 3, &[1, 2, 3]), RemoveNode, 1, victim, stop));
        assert!(points >= least, "there are {points} points: too few to be all of a removal's");
    }
}

/// A group of two loses either, and either stops: the one that stays always goes on alone.
#[rstest]
fn two_become_one(#[values(1, 2)] leaves: u64, #[values(1, 2)] victim: u64) {
    let lab = lab!();
    for seed in lab.seeds(1) {
        let points = sweep(BOUND, |stop| tell(group(seed, 2, &[1, 2]), RemoveNode, leaves, victim, stop));
        assert!(points >= 8, "there are {points} points: too few to be all of a removal's");
    }
}
