//! Not more snapshots than needed.

use pretty_assertions::assert_eq;
use raftkv_testkit::lab;
use raftkv_testkit::sim::{Mix, millis, secs};

use crate::story::{LIMIT, catches_up, left_behind, others_compact, setup};

/// One store was away: one snapshot is made, and one is sent, however often it answers heartbeats meanwhile.
#[test]
fn one_snapshot_is_enough() {
    let lab = lab!();
    let mut sim = setup(&lab, 3).chunks(50, 1).start();
    let away = left_behind(&mut sim);
    sim.slow_workers(away, millis(500), millis(500));
    let leader = sim.leader();
    sim.slow_workers(leader, millis(500), millis(500));
    sim.heal();
    catches_up(&mut sim, away);
    let counts = sim.counts();
    assert_eq!((counts.generated, counts.streams, counts.received), (1, 1, 1), "{counts:?}");
    sim.finish();
}

/// Clients go on writing, and the log is compacted again while the snapshot moves: a few snapshots may be needed, not
/// one for every heartbeat.
#[test]
fn a_few_are_enough_while_clients_write() {
    let lab = lab!();
    let mut sim = setup(&lab, 3).start();
    let away = left_behind(&mut sim);
    sim.heal();
    sim.clients(Mix { clients: 3, pause: millis(4), ..Mix::default() });
    sim.run(secs(3));
    sim.stop_clients();
    catches_up(&mut sim, away);
    let counts = sim.counts();
    assert!(counts.streams <= 6, "three seconds, 150 heartbeats: {counts:?}");
    sim.finish();
}

/// Clients never stop, the log is compacted all the time, and a snapshot takes long to make, to travel and to load: the
/// store catches up all the same, with a few. The entries behind a snapshot have to be there when it arrives.
#[test]
fn a_store_catches_up_with_clients_that_never_stop() {
    let lab = lab!();
    let mut sim = setup(&lab, 3).tune(|config| config.log_gc_limit = 2 * LIMIT).chunks(50, 1).start();
    let away = left_behind(&mut sim);
    (1..=3).for_each(|id| sim.slow_workers(id, millis(80), millis(80)));
    sim.clients(Mix { clients: 4, ..Mix::default() });
    sim.heal();
    sim.until("a snapshot is wanted", secs(5), |sim| sim.counts().generated > 0);
    let leader = sim.leader();
    sim.until("a store that was away catches up although clients go on (section 7)", secs(5), |sim| {
        let applied = |id: u64| sim.peer(id).apply_state().applied_index;
        sim.counts().received > 0 && applied(away) + 2 * LIMIT as u64 > applied(leader)
    });
    assert!(sim.counts().streams <= 3, "{:?}", sim.counts());
    sim.finish();
}

/// A store that is down gets none: there is nobody to take it.
#[test]
fn a_store_that_is_down_gets_none() {
    let lab = lab!();
    let mut sim = setup(&lab, 3).start();
    let leader = sim.leader();
    let away = sim.others(leader)[0];
    sim.settle();
    sim.kill(away);
    others_compact(&mut sim, away, 40);
    sim.run(secs(3));
    let counts = sim.counts();
    assert!(counts.streams <= 2, "it is down, and was sent {counts:?}");
    sim.restart(away);
    catches_up(&mut sim, away);
    sim.finish();
}

/// Two stores need the same: the snapshot is made once, and sent to both.
#[test]
fn two_stores_share_one() {
    let lab = lab!();
    let mut sim = setup(&lab, 5).start();
    sim.put("a", "1");
    let leader = sim.leader();
    let away = [sim.others(leader)[0], sim.others(leader)[1]];
    sim.settle();
    let last = sim.peer(leader).node().raft().log().last_index();
    sim.partition(&[&away]);
    for _ in 0..4 {
        (0..20).for_each(|n| sim.put(&format!("k{n}"), "1"));
        sim.run(millis(200));
    }
    assert!(sim.first_index(leader) > last + 1);
    sim.slow_workers(leader, millis(300), millis(300));
    sim.heal();
    away.into_iter().for_each(|id| catches_up(&mut sim, id));
    let counts = sim.counts();
    assert!(counts.generated <= 2, "one for both, or one each if they asked far apart: {counts:?}");
    assert!(counts.received >= 2);
    sim.finish();
}

/// Many regions at once: each store sends and receives a few at a time, the others wait for their turn; all are served
/// in the end.
#[test]
fn many_regions_wait_for_their_turn() {
    let lab = lab!();
    let starts = ["", "b", "c", "d", "e", "f"];
    let mut sim = setup(&lab, 3).regions(&starts).start();
    let keys = ["a", "b", "c", "d", "e", "f"];
    keys.iter().for_each(|key| sim.put(key, "before"));
    sim.settle();
    sim.isolate(3);
    for n in 0..40 {
        keys.iter().for_each(|key| sim.put(key, &n.to_string()));
    }
    sim.run(secs(1));
    sim.heal();
    sim.until("all regions of the store that was away catch up", secs(20), |sim| {
        keys.iter().all(|key| sim.data(3, key) == Some("39".into()))
    });
    let counts = sim.counts();
    assert!(counts.received >= 6, "each of six regions needs one: {counts:?}");
    assert!(counts.streams <= 30, "and not many more: {counts:?}");
    sim.finish();
}

/// Small chunks, six regions, two senders and one receiver that takes two at a time: who is refused tries again, and
/// all are served in the end.
#[test]
fn a_busy_receiver_gets_to_all() {
    let lab = lab!();
    let starts = ["", "b", "c", "d", "e", "f"];
    let mut sim = setup(&lab, 3).chunks(20, 1).regions(&starts).start();
    let keys = ["a", "b", "c", "d", "e", "f"];
    keys.iter().for_each(|key| sim.put(key, &"x".repeat(300)));
    sim.settle();
    sim.isolate(3);
    for n in 0..40 {
        keys.iter().for_each(|key| sim.put(key, &n.to_string()));
    }
    sim.run(secs(1));
    sim.heal();
    sim.until("all regions of the store that was away catch up", secs(30), |sim| {
        keys.iter().all(|key| sim.data(3, key) == Some("39".into()))
    });
    assert!(sim.counts().received >= 6, "each of six regions needs one: {:?}", sim.counts());
    sim.finish();
}

/// A snapshot that is still there, but behind which entries are missing by now, helps nobody: a new one is made.
#[test]
fn an_outdated_snapshot_is_made_again() {
    let lab = lab!();
    let mut sim = setup(&lab, 5).start();
    sim.put("a", "1");
    let leader = sim.leader();
    let [first, second] = [sim.others(leader)[0], sim.others(leader)[1]];
    sim.settle();
    sim.kill(first);
    sim.kill(second);
    for _ in 0..3 {
        (0..20).for_each(|n| sim.put(&format!("k{n}"), "1"));
        sim.run(millis(100));
    }
    sim.restart(first);
    sim.until("the first store gets a snapshot", secs(5), |sim| sim.counts().received >= 1);
    // So fast that the snapshot that was made for the first store is still there when the second one asks.
    let begins = sim.first_index(leader);
    sim.clients(Mix { clients: 20, keys: 20, gets: 0, swaps: 0, deletes: 0, ..Mix::default() });
    sim.until("the log is compacted again", secs(1), |sim| sim.first_index(leader) > begins);
    sim.stop_clients();
    let streams = sim.counts().streams;
    sim.restart(second);
    catches_up(&mut sim, second);
    let streams = sim.counts().streams - streams;
    assert!((1..=2).contains(&streams), "one that is good for it is enough; {streams} were sent");
    sim.finish();
}
