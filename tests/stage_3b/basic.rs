//! The first steps: one change at a time, nothing fails.

use raftkv_testkit::lab;
use raftkv_testkit::sim::Setup;

/// A region gets a new member, which gets all data; the oldest member goes; its store keeps nothing.
#[test]
fn members_come_and_go() {
    let lab = lab!();
    let mut sim = Setup::of(&lab, 4).members(&[1, 2, 3]).scheduler().start();
    sim.put("a", "1");
    sim.add_peer(1, 4);
    sim.put("b", "2");
    sim.remove_peer(1, 1);
    sim.put("c", "3");
    sim.finish();
    assert_eq!(sim.data(4, "a").as_deref(), Some(&b"1"[..]));
    assert_eq!(sim.data(1, "a"), None);
}

/// Whoever is wanted, leads.
#[test]
fn a_leader_hands_over() {
    let lab = lab!();
    let mut sim = Setup::of(&lab, 3).scheduler().start();
    sim.put("a", "1");
    for store in [3, 1, 2, 3] {
        sim.transfer(1, store);
        sim.put("a", "2");
    }
    sim.finish();
}

/// A region becomes two, and those become four.
#[test]
fn a_region_splits() {
    let lab = lab!();
    let mut sim = Setup::of(&lab, 3).scheduler().start();
    for key in ["a", "b", "c", "d"] {
        sim.put(key, key);
    }
    for key in ["c", "b", "d"] {
        sim.split(key);
    }
    for key in ["a", "b", "c", "d"] {
        assert_eq!(sim.get(key).as_deref(), Some(key.as_bytes()));
        sim.put(key, "again");
    }
    sim.finish();
    assert_eq!(sim.region_map().len(), 4);
}
