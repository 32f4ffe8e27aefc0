//! Every write to a disk is a point at which a machine may stop. Each of these tests visits them all: while logs are
//! compacted, while a snapshot is made, sent, received, accepted and loaded; and again on the way back.

use raftkv_testkit::lab;
use raftkv_testkit::sim::{Fault, Sim, Stop, millis, secs, sweep};
use rstest::rstest;

use crate::story::{LIMIT, catches_up, left_behind, seeded};

/// A story has fewer writes than this on any one disk.
const BOUND: u64 = 150;

/// A store that was away gets its snapshot, and stops in the middle. False if it had caught up before the write came.
fn receives(seed: u64, stop: Stop, again: Option<u64>) -> bool {
    let mut sim = seeded(seed, 3).start();
    let away = left_behind(&mut sim);
    stop.plan(&mut sim, away);
    sim.heal();
    let stopped = |sim: &Sim| sim.struck(Fault::CrashAtWrite) > 0;
    sim.until("it catches up, or stops", secs(20), |sim| {
        stopped(sim) || crate::story::has_caught_up(sim, away) && sim.snapshot_files(away).is_empty()
    });
    let struck = stopped(&sim);
    if let (true, Some(write)) = (struck, again) {
        Stop { write, ..stop }.plan(&mut sim, away);
        sim.restart(away);
        sim.run(millis(500));
    }
    sim.restart(away);
    catches_up(&mut sim, away);
    sim.finish();
    struck
}

/// The receiver stops: in the middle of a file, between two names, between the two engines, while it loads, before it
/// says that it has loaded, before it removes the files. It always comes back, and catches up.
#[test]
fn the_receiver_stops_at_every_write() {
    let lab = lab!();
    for seed in lab.seeds(1) {
        let points = sweep(BOUND, |stop| receives(seed, stop, None));
        assert!(points >= 60, "there are {points} points: too few to be all of a snapshot's");
    }
}

/// And once more on its way back: a repair that is interrupted is done again.
#[rstest]
#[case::at_the_first_write(1)]
#[case::at_the_second(2)]
#[case::at_the_third(3)]
#[case::at_the_fifth(5)]
fn the_receiver_stops_again_on_the_way_back(#[case] again: u64) {
    let lab = lab!();
    for seed in lab.seeds(1) {
        sweep(BOUND, |stop| receives(seed, stop, Some(again)));
    }
}

/// The leader stops while it makes and sends: the others elect another one, which makes its own.
#[test]
fn the_sender_stops_at_every_write() {
    let lab = lab!();
    for seed in lab.seeds(1) {
        let points = sweep(BOUND, |stop| {
            let mut sim = seeded(seed, 3).start();
            let away = left_behind(&mut sim);
            sim.heal();
            sim.until("a snapshot is wanted", secs(10), |sim| sim.counts().generated > 0);
            let leader = sim.leader();
            stop.plan(&mut sim, leader);
            sim.until("a snapshot has been loaded, or the sender stops", secs(20), |sim| {
                sim.struck(Fault::CrashAtWrite) > 0
                    || crate::story::has_caught_up(sim, away) && sim.snapshot_files(leader).is_empty()
            });
            let struck = sim.struck(Fault::CrashAtWrite) > 0;
            sim.run(millis(100));
            sim.restart(leader);
            sim.finish();
            struck
        });
        assert!(points >= 20, "there are {points} points: too few to be all of a snapshot's");
    }
}

/// A store stops while it compacts its log: when the command is applied, when the entries are deleted. It always finds
/// a log that goes on behind its data.
#[rstest]
#[case::of_a_leader(true)]
#[case::of_a_follower(false)]
fn compaction_stops_at_every_write(#[case] of_leader: bool) {
    let lab = lab!();
    for seed in lab.seeds(1) {
        let points = sweep(BOUND, |stop| {
            let mut sim = seeded(seed, 3).start();
            for n in 0..LIMIT - 2 {
                sim.put(&format!("k{}", n % 5), &n.to_string());
            }
            let leader = sim.leader();
            let victim = if of_leader { leader } else { sim.others(leader)[0] };
            let first = sim.first_index(victim);
            stop.plan(&mut sim, victim);
            for n in 0..6 {
                sim.put(&format!("k{}", n % 5), "more");
                sim.run(millis(40));
            }
            let struck = sim.struck(Fault::CrashAtWrite) > 0;
            if !struck {
                assert!(sim.first_index(victim) > first, "in the end its log is compacted");
            }
            sim.restart(victim);
            sim.finish();
            struck
        });
        assert!(points >= 16, "there are {points} points: too few to be all of a compaction's");
    }
}
