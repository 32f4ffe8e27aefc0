//! One store gets one snapshot.

use pretty_assertions::assert_eq;
use raftkv_testkit::lab;
use raftkv_testkit::sim::{Fault, millis, secs};
use rstest::rstest;

use crate::story::{catches_up, left_behind, others_compact, setup};

/// The whole story: what was put is there, what was deleted is not, in all three column families; then entries follow
/// as before.
#[test]
fn a_store_that_was_away_gets_a_snapshot() {
    let lab = lab!();
    let mut sim = setup(&lab, 3).start();
    let away = left_behind(&mut sim);
    sim.heal();
    catches_up(&mut sim, away);
    assert!(sim.counts().received >= 1, "what it lacked is compacted: only a snapshot has it");
    assert_eq!(
        sim.data(away, "old0"),
        None,
        "deleted while it was away: a snapshot brings nothing of that back"
    );
    assert_eq!(sim.data(away, "old1"), Some("after".into()));
    assert_eq!(sim.data(away, "old2"), None, "a range was deleted");
    let in_cf = |cf: &str, key: &str| sim.data_cf(away, cf, key);
    assert_eq!(in_cf("lock", "new"), Some("after".into()), "column family lock");
    assert_eq!(in_cf("write", "new"), Some("after".into()), "column family write");
    assert_eq!(in_cf("lock", "old2"), Some("before".into()), "the range was deleted in `default` only");
    sim.put("old1", "still later");
    sim.settle();
    assert_eq!(sim.data(away, "old1"), Some("still later".into()), "entries follow behind the snapshot");
    sim.finish();
}

/// While the snapshot is loaded, the store says that it is; its log and its term are those of the snapshot already.
#[test]
fn the_peer_goes_by_the_snapshot_at_once() {
    let lab = lab!();
    let mut sim = setup(&lab, 3).start();
    let away = left_behind(&mut sim);
    sim.slow_workers(away, secs(2), secs(2));
    sim.heal();
    sim.until("the snapshot arrives and is accepted", secs(10), |sim| {
        sim.peer(away).node().storage().loading().is_some()
    });
    let key = sim.peer(away).node().storage().loading().expect("so it is");
    let storage = sim.peer(away).node().storage();
    assert_eq!((storage.truncated_state().index, storage.truncated_state().term), (key.index, key.term));
    assert!(
        storage.apply_state().applied_index < key.index,
        "its data is not there yet, so it is not applied"
    );
    assert!(storage.raft_state().last_index >= key.index);
    catches_up(&mut sim, away);
    let storage = sim.peer(away).node().storage();
    assert!(storage.apply_state().applied_index >= key.index);
    sim.finish();
}

/// The store has to load for a long time. Meanwhile it counts for majorities: with a third store down, entries are
/// committed by the leader and the one that loads. Nothing is applied there before its data is complete.
#[test]
fn who_loads_still_acknowledges() {
    let lab = lab!();
    let mut sim = setup(&lab, 3).start();
    let away = left_behind(&mut sim);
    sim.slow_workers(away, secs(3), secs(3));
    sim.heal();
    sim.until("the snapshot arrives and is accepted", secs(10), |sim| {
        sim.peer(away).node().storage().loading().is_some()
    });
    let leader = sim.leader();
    assert_ne!(leader, away);
    let third = sim.others(leader).into_iter().find(|id| *id != away).expect("there are three");
    sim.crash(third);
    sim.put("meanwhile", "1");
    assert!(
        sim.peer(away).node().storage().loading().is_some(),
        "it is still loading, and has acknowledged the put"
    );
    assert_eq!(sim.data(away, "meanwhile"), None, "and has not applied it");
    sim.restart(third);
    catches_up(&mut sim, away);
    assert_eq!(sim.data(away, "meanwhile"), Some("1".into()));
    sim.finish();
}

/// The same, and then all others go down but one, so that the loading store leads: it serves what is asked of it when
/// its data is there, and no old value before.
#[test]
fn who_loads_may_lead_and_says_nothing_old() {
    let lab = lab!();
    let mut sim = setup(&lab, 3).start();
    let away = left_behind(&mut sim);
    sim.slow_workers(away, secs(2), secs(2));
    sim.heal();
    sim.until("the snapshot arrives and is accepted", secs(10), |sim| {
        sim.peer(away).node().storage().loading().is_some()
    });
    sim.settle_logs(away);
    let leader = sim.leader();
    sim.crash(leader);
    let third = sim.others(away).into_iter().find(|id| *id != leader).expect("there are three");
    sim.drift(third, 20);
    assert_eq!(sim.get("old1"), Some("after".into()), "whoever leads now");
    assert_eq!(sim.get("old0"), None);
    sim.drift(third, 100);
    sim.restart(leader);
    sim.finish();
}

/// A store that has an empty disk but its first records is brought up by a snapshot alone.
#[test]
fn a_store_that_never_heard_anything() {
    let lab = lab!();
    let mut sim = setup(&lab, 3).start();
    sim.kill(3);
    sim.put("a", "1");
    sim.put_cf("lock", "a", "2");
    others_compact(&mut sim, 3, 10);
    sim.restart(3);
    catches_up(&mut sim, 3);
    assert_eq!(sim.data(3, "a"), Some("1".into()));
    assert_eq!(sim.data_cf(3, "lock", "a"), Some("2".into()));
    sim.finish();
    sim.assert_struck(&[Fault::Restart]);
}

/// A region's snapshot has the keys of the region, and loading it leaves the neighbours alone.
#[test]
fn neighbours_are_left_alone() {
    let lab = lab!();
    let mut sim = setup(&lab, 3).regions(&["", "m"]).start();
    sim.put("z", "before");
    let away = left_behind(&mut sim);
    sim.heal();
    sim.put("z", "after");
    catches_up(&mut sim, away);
    assert!(sim.counts().received >= 1);
    sim.settle();
    assert_eq!(sim.data(away, "z"), Some("after".into()), "z is in region 2, which was never compacted");
    sim.finish();
}

/// An empty region has a snapshot, too: it says that there is nothing.
#[test]
fn a_snapshot_of_nothing() {
    let lab = lab!();
    let mut sim = setup(&lab, 3).start();
    sim.put("a", "1");
    let leader = sim.leader();
    let away = sim.others(leader)[0];
    sim.settle();
    let last = sim.peer(away).node().raft().log().last_index();
    sim.isolate(away);
    others_compact(&mut sim, away, last);
    sim.delete_range("a", "zz");
    sim.run(millis(300));
    sim.heal();
    catches_up(&mut sim, away);
    assert_eq!(sim.data(away, "a"), None);
    sim.finish();
}

/// Large values, many chunks, and values that are as large as a chunk.
#[rstest]
#[case::small_chunks(100)]
#[case::one_byte_chunks(1)]
#[case::large_chunks(1 << 20)]
fn chunks_of_any_size(#[case] chunk: usize) {
    let lab = lab!();
    let mut sim = setup(&lab, 3).chunks(chunk, 10).start();
    let away = left_behind(&mut sim);
    sim.put("large", &"x".repeat(if chunk == 1 { 50 } else { 2500 }));
    sim.run(millis(200));
    sim.heal();
    catches_up(&mut sim, away);
    assert!(sim.counts().largest_chunk as usize <= chunk);
    sim.finish();
}

/// The store restarts when all is over: it begins behind the snapshot, as it did before.
#[rstest]
#[case::killed(false)]
#[case::power_cut(true)]
fn a_restart_after_a_snapshot(#[case] power_cut: bool) {
    let lab = lab!();
    let mut sim = setup(&lab, 3).start();
    let away = left_behind(&mut sim);
    sim.heal();
    catches_up(&mut sim, away);
    let before = (sim.first_index(away), sim.peer(away).term());
    if power_cut {
        sim.crash(away)
    } else {
        sim.kill(away)
    }
    sim.restart(away);
    assert_eq!(sim.peer(away).node().storage().loading(), None, "what is loaded is not loaded again");
    assert_eq!((sim.first_index(away), sim.peer(away).term()), before);
    sim.finish();
}

/// No files are left: not at the sender, not at the receiver.
#[test]
fn files_go_when_nobody_needs_them() {
    let lab = lab!();
    let mut sim = setup(&lab, 3).start();
    let away = left_behind(&mut sim);
    sim.heal();
    catches_up(&mut sim, away);
    sim.until("the files of a snapshot that nobody needs are removed", secs(5), |sim| {
        (1..=3).all(|id| sim.snapshot_files(id).is_empty())
    });
    sim.finish();
}
