//! A read sees every write that was acknowledged before it began, whoever believes to lead.

use pretty_assertions::assert_eq;
use raftkv_testkit::lab;
use raftkv_testkit::sim::{Setup, get_request, secs};

/// A leader that is cut off does not know that it has a successor. It must not answer from its own data: the others may
/// have written since (thesis, section 6.4).
#[test]
fn a_leader_that_is_cut_off_answers_no_reads() {
    let lab = lab!();
    for seed in lab.seeds(3) {
        let mut sim = Setup::seeded(seed, 3).start();
        sim.put("a", "old");
        let old = sim.leader();
        sim.isolate(old);
        sim.put("a", "new");
        assert!(sim.peer(old).is_leader(), "nobody has told it");
        let answer = sim.ask_store(old, get_request("", "a"));
        assert_eq!(answer, None, "it cannot know whether its data is the latest, so it cannot answer");
        sim.finish();
    }
}

/// Nor does it answer later with what it knew then: when it hears of the new leader, the read has lost its place in the
/// log.
#[test]
fn a_read_that_was_overtaken_is_not_answered_with_old_data() {
    let lab = lab!();
    let mut sim = Setup::of(&lab, 3).start();
    sim.put("a", "old");
    let old = sim.leader();
    sim.isolate(old);
    let call = sim.begin(get_request("", "a"));
    sim.until("the others elect a leader", secs(10), |sim| sim.elected().is_some_and(|id| id != old));
    sim.put("a", "new");
    sim.heal();
    sim.until("the read ends", secs(10), |sim| sim.ending(call).is_some());
    sim.finish();
}

/// A new leader may hold committed writes that it has not applied. A read through the log comes after them.
#[test]
fn a_new_leader_reads_what_the_old_one_acknowledged() {
    let lab = lab!();
    for seed in lab.seeds(5) {
        let mut sim = Setup::seeded(seed, 3).start();
        for n in 0..5 {
            let value = n.to_string();
            sim.put("a", &value);
            let leader = sim.leader();
            sim.crash(leader);
            assert_eq!(
                sim.get("a"),
                Some(value.into()),
                "acknowledged by store {leader}, read from its successor"
            );
            sim.restart(leader);
        }
        sim.finish();
    }
}

/// Reads are entries of the log: each raises the applied index of every store.
#[test]
fn reads_go_through_the_log() {
    let lab = lab!();
    let mut sim = Setup::of(&lab, 3).start();
    sim.put("a", "1");
    sim.settle();
    let before = sim.peer(1).apply_state().applied_index;
    for _ in 0..5 {
        assert_eq!(sim.get("a"), Some("1".into()));
    }
    sim.settle();
    let after = sim.peer(1).apply_state().applied_index;
    assert!(after >= before + 5, "five reads, and the log has grown by {} entries only", after - before);
    sim.finish();
}
