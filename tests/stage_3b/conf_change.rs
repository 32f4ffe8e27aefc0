//! Members come and go while nothing fails (thesis, section 4.1).

use pretty_assertions::assert_eq;
use raftkv::proto::eraftpb::ConfChangeType::{AddNode, RemoveNode};
use raftkv::proto::metapb::Peer;
use raftkv_testkit::lab;
use raftkv_testkit::sim::{Fault, Mix, Setup, change_peer, millis, secs};
use rstest::rstest;

/// From one member to five, and back to one, with data that comes in all the time; each member has all of it while it
/// is one, and nothing after.
#[test]
fn grows_and_shrinks() {
    let lab = lab!();
    let mut sim = Setup::of(&lab, 5).members(&[1]).scheduler().start();
    sim.put("a", "0");
    for new in 2..=5 {
        sim.add_peer(1, new);
        sim.put("a", &new.to_string());
        sim.put(&format!("k{new}"), "1");
    }
    sim.settle();
    for store in 1..=5 {
        assert_eq!(sim.data(store, "a"), Some("5".into()), "store {store} is a member");
    }
    for old in [2, 4, 1, 5] {
        sim.remove_peer(1, old);
        sim.put("a", &format!("without {old}"));
        sim.delete(&format!("k{old}"));
    }
    sim.finish();
    assert_eq!(sim.data(3, "a"), Some("without 5".into()));
    assert_eq!(sim.newest(1).region_epoch.map(|epoch| epoch.conf_ver), Some(9), "eight changes");
    for store in [1, 2, 4, 5] {
        assert!(sim.peer_of(store, 1).is_none(), "store {store} is a member no more");
        assert_eq!(sim.data(store, "k3"), None, "and keeps nothing");
    }
}

/// A member that came by a change counts: with it, entries are committed that without it would not be, and without the
/// removed ones, too.
#[test]
fn new_members_count() {
    let lab = lab!();
    let mut sim = Setup::of(&lab, 5).members(&[1, 2, 3]).scheduler().start();
    sim.put("a", "1");
    sim.add_peer(1, 4);
    sim.add_peer(1, 5);
    sim.settle();
    sim.transfer(1, 4);
    sim.crash(1);
    sim.crash(2);
    sim.put("a", "2");
    assert_eq!(sim.get("a"), Some("2".into()), "stores 3, 4 and 5 are a majority of five");
    sim.restart(1);
    sim.restart(2);
    sim.settle();
    sim.remove_peer(1, 1);
    sim.remove_peer(1, 2);
    sim.crash(3);
    sim.put("a", "3");
    assert_eq!(sim.get("a"), Some("3".into()), "stores 4 and 5 are a majority of three");
    sim.restart(3);
    sim.finish();
}

/// Removed and added again, on the same store, under a new id: it begins with nothing, and gets all.
#[rstest]
fn there_and_back(#[values(1, 2, 3)] store: u64) {
    let lab = lab!();
    let mut sim = Setup::of(&lab, 3).scheduler().start();
    sim.put("a", "0");
    sim.put("b", "0");
    for round in 1..4 {
        sim.remove_peer(1, store);
        sim.put("a", &round.to_string());
        sim.delete("b");
        let id = sim.add_peer(1, store);
        sim.put("c", &round.to_string());
        sim.settle();
        assert_eq!(sim.peer(store).id(), id);
        assert_eq!((sim.data(store, "a"), sim.data(store, "b")), (Some(round.to_string().into()), None));
    }
    sim.finish();
}

/// The other regions of a store do not notice that one of them comes or goes: their data is theirs.
#[test]
fn neighbours_do_not_notice() {
    let lab = lab!();
    let mut sim = Setup::of(&lab, 4).members(&[1, 2, 3]).scheduler().start();
    sim.put("a", "0");
    let right = sim.split("p");
    let middle = sim.split("g");
    for key in ["a", "h", "q"] {
        sim.put(key, "1");
        sim.put_cf("lock", key, "1");
    }
    for store in [1, 2, 3] {
        sim.add_peer(middle, 4);
        sim.remove_peer(middle, store);
        sim.put("h", "2");
        sim.until("the removed peer goes", secs(10), |sim| sim.peer_of(store, middle).is_none());
        assert_eq!((sim.data(store, "a"), sim.data(store, "q")), (Some("1".into()), Some("1".into())));
        assert_eq!((sim.data(store, "h"), sim.data_cf(store, "lock", "h")), (None, None));
        sim.add_peer(middle, store);
        sim.remove_peer(middle, 4);
    }
    sim.finish();
    assert_eq!(
        sim.newest(right).region_epoch.map(|epoch| epoch.conf_ver),
        Some(1),
        "nothing has changed there"
    );
    assert_eq!(sim.get("h"), Some("2".into()));
}

/// Asked for at a leader, answered when it is done, on every member.
#[test]
fn answered_when_done() {
    let lab = lab!();
    let mut sim = Setup::of(&lab, 4).members(&[1, 2, 3]).start();
    sim.put("a", "1");
    let leader = sim.leader();
    let new = Peer { id: 44, store_id: 4, ..Default::default() };
    let answer = sim.admin(leader, 1, change_peer(AddNode, new)).expect("it is answered");
    assert!(answer.is_ok(), "{answer:?}");
    assert!(
        sim.peer(leader).region().peers.contains(&new),
        "the answer comes when the leader has applied it"
    );
    sim.settle();
    for store in 1..=4 {
        assert!(sim.peer(store).region().peers.contains(&new));
        assert_eq!(sim.store(store).meta().region(1), Some(sim.peer(store).region()));
    }
    let answer = sim.admin(leader, 1, change_peer(RemoveNode, new)).expect("it is answered");
    assert!(answer.is_ok(), "{answer:?}");
    sim.finish();
    sim.assert_struck(&[Fault::MembersChanged]);
}

/// Clients work while the members of their region are replaced, one after the other: they are served, and what they
/// hear has an order.
#[rstest]
fn under_way(#[values(1, 6)] clients: u64) {
    let lab = lab!();
    for seed in lab.seeds(2) {
        let mut sim = Setup::seeded(seed, 6).members(&[1, 2, 3]).scheduler().start();
        sim.clients(Mix { clients, pause: millis(2), ..Mix::default() });
        for (new, old) in [(4, 1), (5, 2), (6, 3), (1, 4), (2, 5)] {
            sim.add_peer(1, new);
            sim.remove_peer(1, old);
            assert!(sim.until_answered(10 * clients, secs(5)), "clients are served after each change");
        }
        sim.finish();
        assert!(sim.newest(1).region_epoch.is_some_and(|epoch| epoch.conf_ver == 11), "ten changes");
    }
}
