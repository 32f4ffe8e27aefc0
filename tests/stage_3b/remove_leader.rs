//! The leader is removed (thesis, section 4.2.2): down to two members, and to one.

use pretty_assertions::assert_eq;
use raftkv::error::Error;
use raftkv::proto::eraftpb::ConfChangeType::RemoveNode;
use raftkv::proto::metapb::Peer;
use raftkv_testkit::sim::{Mix, Setup, Sim, change_peer, millis, secs};
use raftkv_testkit::{Lab, lab};
use rstest::rstest;

/// Again and again the leader goes, until one member is left; the others elect a new one each time, and clients lose
/// nothing.
#[rstest]
fn down_to_one(#[values(2, 3, 5)] stores: u64) {
    let lab = lab!();
    let mut sim = Setup::of(&lab, stores).scheduler().start();
    for left in (1..stores).rev() {
        sim.put("a", &left.to_string());
        let leader = sim.leader();
        sim.remove_peer(1, leader);
        assert_eq!(sim.get("a"), Some(left.to_string().into()), "with {left} members left");
        sim.until("the removed leader is told to go", secs(10), |sim| sim.peer_of(leader, 1).is_none());
        assert_eq!(sim.data(leader, "a"), None);
        assert_eq!(sim.newest(1).peers.len() as u64, left);
    }
    let last = sim.leader();
    let peer = sim.newest(1).peers[0];
    let answer = sim.admin(last, 1, change_peer(RemoveNode, peer)).expect("it is answered");
    assert!(matches!(answer, Err(Error::Rejected(_))), "the last one stays: {answer:?}");
    sim.finish();
    assert_eq!(sim.get("a"), Some("1".into()));
}

/// The leader removes itself while clients wait for it: each hears something, once, and what they hear has an order.
#[test]
fn clients_wait_for_it() {
    let lab = lab!();
    for seed in lab.seeds(3) {
        let mut sim = Setup::seeded(seed, 4).scheduler().start();
        sim.clients(Mix { clients: 8, ..Mix::default() });
        for _ in 0..2 {
            sim.until_answered(40, secs(5));
            let leader = sim.leader();
            sim.slow_disk(leader, millis(8), millis(8));
            sim.remove_peer(1, leader);
            assert!(sim.until_answered(40, secs(5)), "the others serve");
        }
        sim.finish();
        assert_eq!(sim.newest(1).peers.len(), 2);
    }
}

/// A leader of three that has applied its own removal and is cut off then; the others have gone on without it. Its
/// store, and who it was.
fn removed_and_cut_off(lab: &Lab) -> (Sim, u64, Peer) {
    let mut sim = Setup::of(lab, 3).scheduler().start();
    sim.put("a", "1");
    let leader = sim.leader();
    sim.settle();
    let peer = *sim.newest(1).peer_on(leader).expect("it is a member");
    let request = sim.admin_request(leader, 1, change_peer(RemoveNode, peer));
    sim.begin_command(leader, request);
    sim.until("it applies its own removal", secs(5), |sim| sim.newest(1).peers.len() == 2);
    sim.isolate(leader);
    sim.put("a", "2");
    (sim, leader, peer)
}

/// The removed leader is cut off before anybody knows that its removal is committed. The others go on without it: with
/// it they were three, and two of them have the entry.
#[test]
fn it_is_cut_off() {
    let lab = lab!();
    let (mut sim, leader, _) = removed_and_cut_off(&lab);
    sim.run(secs(1));
    assert!(sim.peer_of(leader, 1).is_some(), "nobody can tell it to go");
    sim.heal();
    sim.until("it asks, and is told to go", secs(10), |sim| sim.peer_of(leader, 1).is_none());
    sim.finish();
}

/// The removed leader's store stops and starts while it waits to be told: it is the same peer then, and asks again.
#[rstest]
fn it_restarts(#[values(false, true)] power_cut: bool) {
    let lab = lab!();
    let (mut sim, leader, peer) = removed_and_cut_off(&lab);
    for _ in 0..3 {
        if power_cut {
            sim.crash(leader)
        } else {
            sim.kill(leader)
        }
        sim.restart(leader);
        sim.run(millis(400));
        assert_eq!(
            sim.peer(leader).id(),
            peer.id,
            "it knows who it is, although its region does not name it"
        );
        assert!(sim.peer(leader).is_removed() && !sim.peer(leader).is_leader());
    }
    sim.heal();
    sim.until("it asks, and is told to go", secs(10), |sim| sim.peer_of(leader, 1).is_none());
    sim.finish();
}

/// It has just made a snapshot for somebody, and goes: the files go with it.
#[test]
fn it_has_made_a_snapshot() {
    let lab = lab!();
    let mut sim = Setup::of(&lab, 4).members(&[1, 2, 3]).scheduler().start();
    sim.put("a", "1");
    sim.transfer(1, 1);
    sim.add_peer(1, 4);
    sim.until("a new member gets a snapshot", secs(5), |sim| sim.counts().received > 0);
    assert!(!sim.snapshot_files(1).is_empty(), "others may need it, too: it stays for a while");
    sim.remove_peer(1, 1);
    sim.until("the removed leader is told to go", secs(5), |sim| sim.peer_of(1, 1).is_none());
    sim.run(secs(2));
    assert_eq!(sim.snapshot_files(1), [] as [String; 0], "nobody needs them any more");
    sim.finish();
}
