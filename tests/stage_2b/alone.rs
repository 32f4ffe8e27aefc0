//! A store alone: nobody to ask, and still the disk comes first.

use pretty_assertions::assert_eq;
use raftkv_testkit::lab;
use raftkv_testkit::sim::{Fault, Mix, Setup, millis, put_request, secs};

/// One of one is a majority (section 5.2): it elects itself, commits when its own disk has the entry, and needs no
/// message for that.
#[test]
fn a_store_alone_is_a_majority() {
    let lab = lab!();
    let mut sim = Setup::of(&lab, 1).start();
    assert_eq!(sim.leader(), 1);
    for n in 0..10 {
        sim.put("n", &n.to_string());
        assert_eq!(sim.get("n"), Some(n.to_string().into()));
    }
    sim.finish();
}

/// What it acknowledges is on its disk: the power may fail right after the answer.
#[test]
fn an_acknowledged_write_survives_a_power_cut() {
    let lab = lab!();
    for seed in lab.seeds(3) {
        let mut sim = Setup::seeded(seed, 1).start();
        for n in 0..5 {
            let value = n.to_string();
            sim.put("n", &value);
            sim.crash(1);
            sim.restart(1);
            assert_eq!(sim.get("n"), Some(value.into()), "it was acknowledged before the power cut");
        }
        sim.finish();
        sim.assert_struck(&[Fault::Crash, Fault::Restart]);
    }
}

/// No answer leaves before the disk is done, however slow it is.
#[test]
fn an_answer_waits_for_the_disk() {
    let lab = lab!();
    let mut sim = Setup::of(&lab, 1).start();
    sim.leader();
    sim.settle();
    sim.run(millis(50));
    sim.slow_disk(1, millis(100), millis(100));
    let call = sim.begin(put_request("", "a", "1"));
    sim.run(millis(90));
    assert_eq!(sim.ending(call), None, "the disk takes 100 ms; nothing can be promised before");
    sim.until("the disk is done, so the put is answered", secs(5), |sim| sim.ending(call).is_some());
    sim.finish();
    sim.assert_struck(&[Fault::SlowDisk]);
}

/// Many clients at one store, with power cuts and killed processes in between.
#[test]
fn clients_of_a_store_that_keeps_going_down() {
    let lab = lab!();
    for seed in lab.seeds(2) {
        let mut sim = Setup::seeded(seed, 1).start();
        sim.clients(Mix::default());
        for round in 0..6 {
            sim.until_answered(50, secs(20));
            if round % 2 == 0 {
                sim.crash(1)
            } else {
                sim.kill(1)
            }
            sim.run(millis(50));
            sim.restart(1);
        }
        sim.finish();
        assert!(sim.answered() >= 300, "the clients are served again after every start: {}", sim.answered());
        sim.assert_struck(&[Fault::Crash, Fault::Restart]);
    }
}
