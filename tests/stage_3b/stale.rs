//! A peer was removed and has not heard of it. It comes back late, when the region is elsewhere, and must find out.

use raftkv_testkit::lab;
use raftkv_testkit::sim::{Fault, Setup, Sim, secs};
use rstest::rstest;

fn await_gone(sim: &mut Sim, store: u64) {
    sim.until(
        "a removed peer that comes back is told to go, by a member or by a tombstone",
        secs(20),
        |sim| sim.peer_of(store, 1).is_none(),
    );
    assert_eq!(sim.data(store, "a"), None, "and it takes its data with it");
}

/// It was cut off, or down, while it was removed. The others are where they were, and tell it; its terms do not disturb
/// them.
#[rstest]
fn the_others_are_there(#[values(false, true)] down: bool) {
    let lab = lab!();
    let mut sim = Setup::of(&lab, 4).scheduler().start();
    sim.put("a", "1");
    sim.settle();
    sim.transfer(1, 1);
    if down {
        sim.crash(4)
    } else {
        sim.isolate(4)
    }
    sim.remove_peer(1, 4);
    sim.put("a", "2");
    sim.run(secs(2));
    let term = sim.peer(1).term();
    sim.restart(4);
    sim.heal();
    await_gone(&mut sim, 4);
    assert_eq!(
        sim.peer(1).term(),
        term,
        "who was removed does not disturb the others (thesis, section 4.2.3)"
    );
    sim.finish();
}

/// It comes back after the region has moved wholly to other stores: none of those that it knows is a member any more.
/// Their tombstones have to lead it on.
#[rstest]
#[case::removed_first(&[3, 1, 2])]
#[case::removed_between(&[1, 3, 2])]
#[case::removed_last(&[1, 2, 3])]
fn the_region_is_elsewhere(#[case] order: &[u64], #[values(false, true)] down: bool) {
    let lab = lab!();
    let mut sim = Setup::of(&lab, 6).members(&[1, 2, 3]).scheduler().start();
    sim.put("a", "1");
    sim.settle();
    if down {
        sim.crash(3)
    } else {
        sim.isolate(3)
    }
    for new in [4, 5, 6] {
        sim.add_peer(1, new);
        sim.put("a", &new.to_string());
    }
    for old in order {
        sim.remove_peer(1, *old);
        sim.put("b", &old.to_string());
        if *old != 3 {
            await_gone(&mut sim, *old);
        }
    }
    sim.run(secs(1));
    sim.restart(3);
    sim.heal();
    await_gone(&mut sim, 3);
    sim.finish();
    sim.assert_struck(&[if down { Fault::Crash } else { Fault::Cut }]);
}

/// The whole region moves, one store after the other, and the old ones come back together.
#[test]
fn all_come_back_together() {
    let lab = lab!();
    let mut sim = Setup::of(&lab, 6).members(&[1, 2, 3]).scheduler().start();
    sim.put("a", "1");
    sim.settle();
    for (new, old) in [(4, 1), (5, 2), (6, 3)] {
        sim.add_peer(1, new);
        sim.transfer(1, new);
        sim.crash(old);
        sim.remove_peer(1, old);
    }
    (1..=3).for_each(|store| sim.restart(store));
    sim.put("a", "2");
    (1..=3).for_each(|store| await_gone(&mut sim, store));
    sim.finish();
}

/// Each of the stores that it knows has a new peer of the region by the time it comes back.
#[test]
fn all_have_new_peers() {
    let lab = lab!();
    let mut sim = Setup::of(&lab, 4).members(&[1, 2, 3]).scheduler().start();
    sim.put("a", "1");
    sim.settle();
    sim.crash(3);
    sim.add_peer(1, 4);
    for old in [1, 2] {
        sim.remove_peer(1, old);
        sim.add_peer(1, old);
        sim.put("a", &old.to_string());
    }
    sim.remove_peer(1, 3);
    sim.restart(3);
    await_gone(&mut sim, 3);
    sim.finish();
}

/// A removed peer's store gets a new peer of the region, and the old one's messages come late: they do not count, and
/// the new one stays.
#[test]
fn its_place_is_taken() {
    let lab = lab!();
    let mut sim = Setup::of(&lab, 4).members(&[1, 2, 3]).scheduler().start();
    sim.put("a", "1");
    sim.settle();
    sim.transfer(1, 1);
    sim.isolate(3);
    sim.run(secs(1));
    sim.remove_peer(1, 3);
    let new = sim.add_peer(1, 3);
    sim.put("a", "2");
    sim.heal();
    sim.until("the new peer takes the place of the old one, which nobody has told", secs(20), |sim| {
        sim.peer_of(3, 1).is_some_and(|peer| peer.id() == new && peer.is_initialized())
    });
    sim.finish();
}
