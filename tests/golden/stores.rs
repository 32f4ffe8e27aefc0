//! Whole stores: the way of a put, a command that is overtaken, a store that loses power. And that a run of the
//! simulator is the same on every machine.

use raftkv::engine::Fault;
use raftkv_testkit::lab;
use raftkv_testkit::sim::{Mix, Nemesis, Setup, Sim, millis, put_request, secs};

/// Three stores, store by store at rest, with a leader. From here on everything is kept.
fn at_rest(seed: u64) -> (Sim, u64) {
    let mut sim = Setup::seeded(seed, 3).start();
    sim.put("color", "green");
    let leader = sim.leader();
    sim.settle();
    sim.run(millis(15));
    sim.keep_transcript();
    (sim, leader)
}

/// docs/journey-of-a-put.md, as it happens.
#[test]
fn a_put() {
    let _lab = lab!();
    let (mut sim, _) = at_rest(1);
    sim.say("A put: one entry, a majority, and the answer.");
    sim.put("color", "blue");
    sim.say("The others learn of the commit, and apply it too.");
    sim.settle();
    sim.say("A get is an entry as well.");
    sim.get("color");
    insta::assert_snapshot!(sim.transcript());
}

/// A leader that is cut off takes a command, and another leader's entry takes its place (sections 5.3 and 5.4).
#[test]
fn a_command_is_overtaken() {
    let _lab = lab!();
    let (mut sim, old) = at_rest(2);
    sim.isolate(old);
    let lost = sim.begin_at(old, put_request("", "color", "lost"));
    sim.say("The client gives up. The entry stays in the log of its leader, which cannot know.");
    sim.until("the others elect a leader", secs(2), |sim| sim.elected().is_some_and(|id| id != old));
    sim.until("a client waits for 400 ms", secs(1), |sim| sim.ending(lost).is_some());
    sim.put("color", "red");
    sim.say("The link works again. The old leader's entry gives way to the new one's.");
    sim.heal();
    sim.settle();
    insta::assert_snapshot!(sim.transcript());
}

/// Power fails right after the log is written: data that was not synced is gone, and the log brings it back.
#[test]
fn a_store_loses_power() {
    let _lab = lab!();
    let (mut sim, leader) = at_rest(3);
    let follower = sim.others(leader)[0];
    sim.crash_at_write(follower, 1, Fault::StopAfter);
    sim.put("color", "blue");
    sim.run(millis(30));
    sim.say("It comes back with the entry that it had saved, and with none of its data.");
    sim.restart(follower);
    sim.settle();
    insta::assert_snapshot!(sim.transcript());
}

/// docs/journey-of-a-snapshot.md, as it happens.
#[test]
fn a_snapshot() {
    let _lab = lab!();
    let mut sim = Setup::seeded(1, 3).tune(|config| config.log_gc_limit = 10).start();
    sim.put("color", "green");
    sim.put("shape", "round");
    let leader = sim.leader();
    let away = sim.others(leader)[0];
    sim.settle();
    sim.kill(away);
    sim.delete("shape");
    (0..12).for_each(|n| sim.put("color", &n.to_string()));
    sim.run(millis(300));
    sim.keep_transcript();
    sim.say("A store comes back whose next entry is compacted everywhere.");
    sim.restart(away);
    sim.until("it gets a snapshot, and loads it", secs(5), |sim| {
        sim.peer(away).apply_state().applied_index > 20
    });
    sim.say("An entry follows as ever; nobody needs the files any more.");
    sim.put("color", "blue");
    sim.settle();
    sim.until("the files go", secs(5), |sim| (1..=3).all(|id| sim.snapshot_files(id).is_empty()));
    insta::assert_snapshot!(sim.transcript());
}

/// A long run with everything that can go wrong.
fn long_run(seed: u64) -> Sim {
    let setup = Setup::seeded(seed, 5).regions(&["", "k2"]);
    let mut sim = setup.tune(|config| config.log_gc_limit = 10).start();
    sim.clients(Mix { clients: 8, keys: 4, cancels: 3, pause: millis(5), ..Mix::default() });
    sim.trouble(Nemesis::everything());
    sim.run(secs(10));
    sim.finish();
    sim
}

/// One seed, one history: twice here, and as it was on another machine.
#[test]
fn one_seed_one_history() {
    let _lab = lab!();
    let (mut first, mut second) = (long_run(7), long_run(7));
    assert!(first.transcript() == second.transcript(), "the last events of two runs of one seed differ");
    for sim in [&mut first, &mut second] {
        sim.say("the end");
    }
    assert_eq!(
        (first.trace_hash(), first.trace_lines()),
        (second.trace_hash(), second.trace_lines()),
        "two runs of one seed went different ways"
    );
    assert_ne!(first.trace_hash(), long_run(8).trace_hash(), "another seed gives another run");
    insta::assert_snapshot!(format!(
        "trace {:016x}, {} events, {} operations of clients, {} ms",
        first.trace_hash(),
        first.trace_lines(),
        first.operations(),
        first.now() / 1000
    ));
}

/// The whole text of a shorter run, twice: not only the hashes.
#[test]
fn the_same_text_twice() {
    let lab = lab!();
    let story = |seed| {
        let mut sim = Setup::seeded(seed, 3).start();
        sim.keep_transcript();
        sim.clients(Mix { pause: millis(5), ..Mix::default() });
        sim.trouble(Nemesis { every: millis(60), ..Nemesis::everything() });
        sim.run(secs(2));
        sim.finish();
        sim.transcript()
    };
    for seed in lab.seeds(3) {
        let first = story(seed);
        assert!(first.lines().count() > 500, "a run that is worth comparing");
        assert!(first == story(seed), "two runs of seed {seed} tell different stories");
        assert!(first != story(seed + 1), "seeds {seed} and {} tell the same story", seed + 1);
    }
}
