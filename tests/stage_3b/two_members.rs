//! Groups of two: each decision needs both, also the one that removes either.

use raftkv_testkit::lab;
use raftkv_testkit::sim::{Fault, Setup, Sim, millis, secs};
use rstest::rstest;

fn pair(lab: &raftkv_testkit::Lab, leader: u64) -> Sim {
    let mut sim = Setup::of(lab, 2).start();
    sim.put("a", "1");
    sim.settle();
    sim.transfer(1, leader);
    sim.put("b", "1");
    sim
}

fn stays_alone(sim: &mut Sim, stays: u64, leaves: u64) {
    sim.until("the one that stays can go on alone", secs(10), |sim| sim.leader_of(1) == Some(stays));
    sim.put("a", "2");
    sim.until("the other one is told to go", secs(10), |sim| sim.peer_of(leaves, 1).is_none());
    assert_eq!(sim.data(leaves, "a"), None);
}

/// Either may go, the leader or the other one; the one that stays serves alone.
#[rstest]
fn either_may_go(#[values(1, 2)] leader: u64, #[values(1, 2)] leaves: u64) {
    let lab = lab!();
    let mut sim = pair(&lab, leader);
    sim.remove_peer(1, leaves);
    stays_alone(&mut sim, 3 - leaves, leaves);
    sim.finish();
}

/// The leader removes itself, and what it says to the other one is lost: the other one has the entry, and does not know
/// that it is committed. It needs the removed peer once more, which therefore has not gone.
#[rstest]
fn the_removed_leader_is_needed_once_more(#[values(false, true)] down: bool) {
    let lab = lab!();
    let mut sim = pair(&lab, 1);
    let peer = sim.newest(1).peer_on(1).copied().expect("it is a member");
    let kind = raftkv::proto::eraftpb::ConfChangeType::RemoveNode;
    let request = sim.admin_request(1, 1, raftkv_testkit::sim::change_peer(kind, peer));
    sim.settle();
    let last = |sim: &Sim| sim.peer(2).node().raft().log().last_index();
    let before = last(&sim);
    sim.begin_command(1, request);
    sim.until("the other one gets the entry", secs(5), |sim| last(sim) > before);
    sim.cut(1, 2);
    sim.until("the leader applies its removal", secs(5), |sim| sim.newest(1).peers.len() == 1);
    assert_eq!(sim.peer(2).region().peers.len(), 2, "the other one does not know that it is committed");
    if down {
        sim.crash(2);
    }
    sim.run(secs(2));
    assert!(sim.peer_of(1, 1).is_some(), "who has applied its own removal waits until it is told to go");
    sim.restart(2);
    sim.heal();
    stays_alone(&mut sim, 2, 1);
    sim.finish();
    sim.assert_struck(&[Fault::Cut]);
}

/// The power fails on the store that stays, right after the other one has gone. It must not have forgotten: with the
/// old membership, it would wait for a vote that nobody can give any more. So the region's state is synced before
/// anybody is told to go.
#[rstest]
fn what_is_told_is_safe(#[values(1, 2)] leader: u64, #[values(1, 2)] leaves: u64) {
    let lab = lab!();
    let mut sim = pair(&lab, leader);
    let stays = 3 - leaves;
    sim.remove_peer(1, leaves);
    sim.until("the other one is told to go", secs(10), |sim| sim.peer_of(leaves, 1).is_none());
    sim.crash(stays);
    sim.restart(stays);
    assert_eq!(
        sim.peer(stays).region().peers.len(),
        1,
        "a power cut does not bring the old membership back: the removed peer has gone, and cannot vote any more (must_sync)"
    );
    stays_alone(&mut sim, stays, leaves);
    sim.finish();
    sim.assert_struck(&[Fault::Crash]);
}

/// The same where the removed one goes while the power of both fails, again and again.
#[test]
fn the_power_fails_on_both() {
    let lab = lab!();
    for after in 0..12 {
        let mut sim = pair(&lab, 1);
        let peer = sim.newest(1).peer_on(2).copied().expect("it is a member");
        let kind = raftkv::proto::eraftpb::ConfChangeType::RemoveNode;
        let request = sim.admin_request(1, 1, raftkv_testkit::sim::change_peer(kind, peer));
        sim.begin_command(1, request);
        sim.run(millis(after) / 3);
        [1, 2].into_iter().for_each(|store| sim.crash(store));
        [1, 2].into_iter().for_each(|store| sim.restart(store));
        sim.remove_peer(1, 2);
        stays_alone(&mut sim, 1, 2);
        sim.finish();
    }
}

/// From one to two to one to two, on either store, and the data is always there.
#[test]
fn to_and_fro() {
    let lab = lab!();
    let mut sim = Setup::of(&lab, 2).members(&[1]).scheduler().start();
    sim.put("a", "0");
    for round in 0..6 {
        let (from, to) = if round % 2 == 0 { (1, 2) } else { (2, 1) };
        sim.add_peer(1, to);
        sim.put("a", &round.to_string());
        sim.remove_peer(1, from);
        stays_alone(&mut sim, to, from);
    }
    assert_eq!(sim.get("a"), Some("2".into()));
    sim.finish();
}
