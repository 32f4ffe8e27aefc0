//! Several regions on the same stores: each with a log, a leader and data of its own, and with the disks in common.

use pretty_assertions::assert_eq;
use raftkv_testkit::lab;
use raftkv_testkit::sim::{Fault, Mix, Nemesis, Setup, millis, put_request, secs};

const TEN: [&str; 10] = ["", "b", "c", "d", "e", "f", "g", "h", "i", "j"];

/// Waiting for the disk is what costs, so what all regions have to write in one round is one write, synced once.
#[test]
fn regions_share_a_write() {
    let lab = lab!();
    let mut sim = Setup::of(&lab, 1).regions(&TEN).start();
    for key in ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j"] {
        sim.put(key, "0");
    }
    sim.settle();
    sim.run(millis(100));
    // While the disk is busy with the first put, the others come in.
    sim.slow_disk(1, millis(5), millis(5));
    let before = sim.writes(1);
    let calls: Vec<_> =
        TEN.iter().map(|start| sim.begin(put_request("", &format!("{start}x"), "1"))).collect();
    sim.until("all ten puts are answered", secs(5), |sim| {
        calls.iter().all(|call| sim.ending(*call).is_some())
    });
    let writes = sim.writes(1) - before;
    assert!(
        writes <= 12,
        "ten puts to ten regions, all within a millisecond, took {writes} writes: entries and hard states of all regions go to \
         the raft engine in one batch, data and applied indexes to the kv engine in another"
    );
    sim.finish();
}

/// A region's keys are its own: a scan ends where the region ends, a delete does not reach over.
#[test]
fn regions_do_not_see_each_other() {
    let lab = lab!();
    let mut sim = Setup::of(&lab, 3).regions(&["", "m"]).start();
    for key in ["a", "l", "m", "z"] {
        sim.put(key, key);
    }
    assert_eq!(sim.scan("", "", 10), "a=a l=l", "region 1 ends before m");
    assert_eq!(sim.scan("m", "", 10), "m=m z=z", "region 2 begins there");
    sim.delete_range("m", "z");
    assert_eq!(sim.scan("", "", 10), "a=a l=l");
    assert_eq!(sim.scan("m", "", 10), "z=z");
    sim.finish();
}

/// Each region counts for itself: terms, logs and applied indexes have nothing to do with those of the neighbours.
#[test]
fn regions_have_logs_of_their_own() {
    let lab = lab!();
    let mut sim = Setup::of(&lab, 3).regions(&["", "m"]).start();
    sim.put("a", "1");
    sim.put("z", "1");
    sim.settle();
    let applied = |sim: &raftkv_testkit::sim::Sim, region| {
        sim.store(1).peer(region).expect("each store has a peer of each region").apply_state().applied_index
    };
    let before = (applied(&sim, 1), applied(&sim, 2));
    for n in 0..7 {
        sim.put("a", &n.to_string());
    }
    sim.settle();
    assert_eq!(
        (applied(&sim, 1) - before.0, applied(&sim, 2) - before.1),
        (7, 0),
        "seven puts, all in region 1"
    );
    sim.finish();
}

/// Everything that can go wrong, with clients in three regions; each region's history has an order.
#[test]
fn regions_in_trouble() {
    let lab = lab!();
    for seed in lab.seeds(2) {
        let mut sim = Setup::seeded(seed, 3).regions(&["", "k1", "k2"]).start();
        sim.clients(Mix { clients: 6, pause: millis(10), ..Mix::default() });
        sim.trouble(Nemesis { every: millis(100), ..Nemesis::everything() });
        sim.run(secs(5));
        sim.finish();
        assert!(sim.answered() > 0, "somebody is served");
        sim.assert_struck(&[Fault::Restart, Fault::Loss]);
    }
}

/// All regions of a store come back after a power cut, each with its own log.
#[test]
fn all_regions_come_back() {
    let lab = lab!();
    let mut sim = Setup::of(&lab, 3).regions(&TEN).start();
    for start in TEN {
        sim.put(&format!("{start}x"), start);
    }
    (1..=3).for_each(|id| sim.crash(id));
    (1..=3).for_each(|id| sim.restart(id));
    for start in TEN {
        assert_eq!(sim.get(&format!("{start}x")), Some(start.into()), "region from {start:?}");
    }
    sim.finish();
    sim.assert_struck(&[Fault::Crash, Fault::Restart]);
}
