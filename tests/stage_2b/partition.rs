//! Stores that do not hear each other.

use pretty_assertions::assert_eq;
use raftkv_testkit::lab;
use raftkv_testkit::sim::{Fault, Mix, Nemesis, Setup, millis, put_request, secs};
use rstest::rstest;

use crate::commands::{command, put};

fn cuts_only() -> Nemesis {
    Nemesis { weather: false, every: millis(100), ..Nemesis::network() }
}

/// The leader is in the minority: it commits nothing, the others go on under a new leader, and what it took in gives
/// way (sections 5.2 and 5.3).
#[test]
fn a_leader_in_the_minority() {
    let lab = lab!();
    let mut sim = Setup::of(&lab, 5).start();
    sim.put("a", "1");
    let old = sim.leader();
    let friend = sim.others(old)[0];
    sim.settle();
    let commit = sim.peer(old).node().raft().commit();
    sim.partition(&[&[old, friend]]);
    let lost = command(&sim, old, vec![put("a", "lost")]);
    let id = sim.begin_command(old, lost);
    sim.until("three of five elect a leader", secs(10), |sim| {
        sim.elected().is_some_and(|id| id != old && id != friend)
    });
    sim.put("a", "2");
    assert_eq!(sim.get("a"), Some("2".into()), "the majority goes on");
    assert!(sim.take_reply(id).is_none(), "two of five cannot commit, so the old leader has no answer");
    for id in [old, friend] {
        assert_eq!(
            sim.peer(id).node().raft().commit(),
            commit,
            "store {id} is in the minority: nothing is committed there"
        );
        assert_eq!(sim.data(id, "a"), Some("1".into()), "and nothing is applied");
    }
    sim.heal();
    sim.settle();
    assert_eq!(sim.data(old, "a"), Some("2".into()), "the old leader's entry has given way to the new one's");
    assert!(
        sim.take_reply(id).is_some_and(|reply| reply.is_err()),
        "the old leader's client must hear that its put was overtaken: an answer with an error, not none and not success"
    );
    sim.finish();
    sim.assert_struck(&[Fault::Cut]);
}

/// The leader is in the majority: nothing changes for the clients, and the others catch up when they are back.
#[test]
fn a_leader_in_the_majority() {
    let lab = lab!();
    let mut sim = Setup::of(&lab, 5).start();
    let leader = sim.leader();
    sim.settle();
    let others = sim.others(leader);
    sim.partition(&[&[others[0], others[1]]]);
    for n in 0..20 {
        sim.put(&format!("k{n}"), "1");
    }
    assert_eq!(sim.leader(), leader, "three of five follow it: nothing could depose it");
    assert_eq!(sim.data(others[0], "k0"), None, "store {} hears nothing", others[0]);
    sim.heal();
    sim.settle();
    assert_eq!(sim.data(others[0], "k19"), Some("1".into()), "and has caught up");
    sim.finish();
    sim.assert_struck(&[Fault::Cut]);
}

/// Where no part has a majority, nobody commits anything; when they find each other again, they go on.
#[test]
fn no_majority_anywhere() {
    let lab = lab!();
    for seed in lab.seeds(2) {
        let mut sim = Setup::seeded(seed, 5).start();
        sim.put("a", "1");
        sim.settle();
        let commit: Vec<u64> = (1..=5).map(|id| sim.peer(id).node().raft().commit()).collect();
        sim.partition(&[&[1, 2], &[3, 4], &[5]]);
        let calls: Vec<_> =
            (1..=5).map(|id| sim.begin_at(id, put_request("", "a", &format!("from {id}")))).collect();
        sim.run(secs(3));
        for (id, before) in (1..=5).zip(&commit) {
            let now = sim.peer(id).node().raft().commit();
            assert_eq!(now, *before, "store {id} hears at most one other, of five: nothing can be committed");
            assert_eq!(sim.data(id, "a"), Some("1".into()), "nor applied, on store {id}");
        }
        assert!(
            calls.iter().all(|call| sim.ending(*call).is_some()),
            "the clients were refused, or have given up"
        );
        sim.heal();
        sim.put("a", "2");
        sim.finish();
        assert_eq!(sim.get("a"), Some("2".into()));
        sim.assert_struck(&[Fault::Cut]);
    }
}

/// A leader whom nobody hears, though it hears the others, is replaced and learns of it.
#[test]
fn a_leader_that_nobody_hears() {
    let lab = lab!();
    let mut sim = Setup::of(&lab, 3).start();
    sim.put("a", "1");
    let old = sim.leader();
    for other in sim.others(old) {
        sim.cut(old, other);
    }
    sim.put("a", "2");
    assert!(sim.leader() != old, "the others hear no leader, so they elect one (section 5.2)");
    assert!(!sim.peer(old).is_leader(), "the old leader hears of the new term, and steps down (section 5.1)");
    sim.finish();
    assert_eq!(sim.get("a"), Some("2".into()));
    sim.assert_struck(&[Fault::Cut]);
}

/// A follower that is away for long comes back with an old log, and a high term if it has asked for votes in vain.
#[test]
fn a_store_comes_back_from_exile() {
    let lab = lab!();
    for seed in lab.seeds(2) {
        let mut sim = Setup::seeded(seed, 3).start();
        let leader = sim.leader();
        let exile = sim.others(leader)[1];
        sim.isolate(exile);
        for n in 0..50 {
            sim.put(&format!("k{n}"), &n.to_string());
        }
        sim.run(secs(2));
        sim.heal();
        sim.put("after", "1");
        sim.settle();
        assert_eq!(sim.data(exile, "k49"), Some("49".into()), "it has caught up");
        sim.finish();
        sim.assert_struck(&[Fault::Cut]);
    }
}

/// Partitions come and go at random, while one or many clients work.
#[rstest]
#[case::one_client(5, 1)]
#[case::many_clients(5, 8)]
#[case::many_clients_of_three_stores(3, 8)]
fn many_partitions(#[case] stores: u64, #[case] clients: u64) {
    let lab = lab!();
    for seed in lab.seeds(2) {
        let mut sim = Setup::seeded(seed, stores).start();
        sim.clients(Mix { clients, pause: millis(10), ..Mix::default() });
        sim.trouble(cuts_only());
        sim.run(secs(4));
        sim.finish();
        assert!(sim.answered() > 0, "clients are served whenever a majority hear each other");
        sim.assert_struck(&[Fault::Cut]);
    }
}
