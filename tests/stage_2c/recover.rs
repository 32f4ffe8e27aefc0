//! Clients, restarts, bad weather and partitions, with logs that are compacted all the time.

use raftkv_testkit::lab;
use raftkv_testkit::sim::{Fault, Mix, Nemesis, Sim, millis, secs};
use rstest::rstest;

use crate::story::{outrun, seeded};

/// One store is cut off for so long that it needs a snapshot, then another, while clients work.
fn everybody_is_away_once(sim: &mut Sim, rounds: u64) {
    for round in 0..rounds {
        let away = 1 + round % 3;
        outrun(sim, away);
        let commit = sim.others(away).into_iter().map(|id| sim.peer(id).node().raft().commit()).max();
        sim.heal();
        sim.until("a store that was away catches up with what was committed without it", secs(20), |sim| {
            Some(sim.peer(away).apply_state().applied_index) >= commit
        });
    }
}

fn served(sim: &mut Sim, answers: u64) {
    let goal = sim.answered() + answers;
    sim.until("two of three stores are enough to serve clients (section 5.6)", secs(30), |sim| {
        sim.answered() >= goal
    });
}

/// Clients are served all the time, and what they hear has an order.
#[rstest]
#[case::one_client(1)]
#[case::many_clients(6)]
fn clients_work_on(#[case] clients: u64) {
    let lab = lab!();
    for seed in lab.seeds(2) {
        let mut sim = seeded(seed, 3).start();
        sim.clients(Mix { clients, ..Mix::default() });
        everybody_is_away_once(&mut sim, 4);
        sim.finish();
        assert!(sim.counts().received >= 1, "snapshots were needed: {:?}", sim.counts());
        sim.assert_struck(&[Fault::Cut]);
    }
}

/// All stores lose power, again and again.
#[rstest]
#[case::one_client(1)]
#[case::many_clients(6)]
fn all_stores_restart(#[case] clients: u64) {
    let lab = lab!();
    for seed in lab.seeds(2) {
        let mut sim = seeded(seed, 3).start();
        sim.clients(Mix { clients, ..Mix::default() });
        for round in 0..4 {
            outrun(&mut sim, 1 + round % 3);
            (1..=3).for_each(|id| sim.crash(id));
            sim.run(millis(20));
            (1..=3).for_each(|id| sim.restart(id));
            sim.heal();
            served(&mut sim, 10);
        }
        sim.finish();
        assert!(sim.counts().received >= 1, "snapshots were needed: {:?}", sim.counts());
        sim.assert_struck(&[Fault::Crash, Fault::Restart]);
    }
}

/// Messages are lost, doubled and late, chunks are lost, damaged, and streams break. With and without restarts and
/// partitions.
#[rstest]
#[case::unreliable(false, false)]
#[case::unreliable_and_restarts(true, false)]
#[case::unreliable_restarts_and_partitions(true, true)]
fn in_bad_weather(#[case] restarts: bool, #[case] cuts: bool) {
    let lab = lab!();
    for seed in lab.seeds(2) {
        let mut sim = seeded(seed, if cuts { 5 } else { 3 }).start();
        sim.clients(Mix { pause: millis(5), ..Mix::default() });
        sim.trouble(Nemesis { cuts, every: millis(80), ..Nemesis::network() });
        for round in 0..5 {
            let away = 1 + round % 3;
            sim.isolate(away);
            sim.until_answered(60, secs(8));
            if restarts {
                sim.crash(away);
                sim.run(millis(20));
                sim.restart(away);
            }
            sim.heal();
            sim.run(millis(700));
        }
        sim.finish();
        assert!(sim.answered() > 0, "somebody is served");
        assert!((1..=3).any(|id| sim.first_index(id) > 6), "no log was compacted: this has shown nothing");
        sim.assert_struck(&[Fault::Loss, Fault::Cut]);
    }
}

/// The leader goes down as soon as it has begun to send a snapshot; its successor has to make one of its own.
#[test]
fn leaders_go_down_while_they_send() {
    let lab = lab!();
    for seed in lab.seeds(2) {
        let mut sim = seeded(seed, 5).start();
        let away = crate::story::left_behind(&mut sim);
        sim.heal();
        for _ in 0..2 {
            let streams = sim.counts().streams;
            sim.until("a snapshot is sent", secs(10), |sim| sim.counts().streams > streams);
            let leader = sim.leader();
            if leader != away {
                sim.crash(leader);
            }
        }
        crate::story::catches_up(&mut sim, away);
        (1..=5).filter(|id| *id != away).for_each(|id| sim.restart(id));
        sim.finish();
        sim.assert_struck(&[Fault::Crash]);
    }
}
