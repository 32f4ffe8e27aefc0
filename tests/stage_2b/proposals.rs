//! Who waits for what: every command gets one answer, and the right one.

use pretty_assertions::assert_eq;
use raftkv::error::Error;
use raftkv_testkit::lab;
use raftkv_testkit::sim::{Ending, Fault, Mix, Setup, Sim, millis, put_request, secs, swap_request};

use crate::commands::{command, put, refused};

/// A leader that is cut off, and commands that it has taken meanwhile. The others have another leader.
fn cut_off(sim: &mut Sim, commands: u64) -> (u64, Vec<u64>) {
    let old = sim.leader();
    sim.put("before", "1");
    sim.isolate(old);
    let ids = (0..commands)
        .map(|n| {
            let request = command(sim, old, vec![put(&format!("lost{n}"), "1")]);
            sim.begin_command(old, request)
        })
        .collect();
    sim.until("the others elect a leader (section 5.2)", secs(10), |sim| {
        sim.elected().is_some_and(|id| id != old)
    });
    (old, ids)
}

/// An acknowledged command is in the logs of a majority, not only on its way there.
#[test]
fn nothing_is_acknowledged_when_it_is_proposed() {
    let lab = lab!();
    let mut sim = Setup::of(&lab, 3).start();
    let leader = sim.leader();
    for follower in sim.others(leader) {
        sim.hold(leader, follower);
    }
    let request = command(&sim, leader, vec![put("a", "1")]);
    let id = sim.begin_command(leader, request);
    sim.run(millis(50));
    assert!(
        sim.take_reply(id).is_none(),
        "nobody else has the entry: it is not committed, so nobody may be told that it is"
    );
    sim.release();
    sim.until("the followers have it now, so it is answered", secs(5), |sim| sim.peer(leader).pending() == 0);
    assert!(sim.take_reply(id).is_some_and(|reply| reply.is_ok()), "the command is carried out");
    sim.finish();
    sim.assert_struck(&[Fault::Hold]);
}

/// A command whose place in the log another leader's entry has taken is answered with StaleCommand, as soon as the old
/// leader learns of it; and it is never carried out.
#[test]
fn overtaken_commands_are_answered() {
    let lab = lab!();
    let mut sim = Setup::of(&lab, 3).start();
    let (old, ids) = cut_off(&mut sim, 3);
    sim.put("after", "1");
    assert!(
        ids.iter().all(|id| sim.take_reply(*id).is_none()),
        "cut off, it cannot know what becomes of its entries"
    );
    sim.heal();
    sim.until("the old leader learns what stands in its entries' place", secs(10), |sim| {
        sim.peer(old).pending() == 0
    });
    for id in ids {
        let error = refused(sim.take_reply(id));
        assert!(error.stale_command.is_some(), "StaleCommand, so that the client may ask again: {error:?}");
    }
    sim.finish();
    assert_eq!(
        sim.scan("", "", 10),
        "after=1 before=1 the end=reached",
        "what was answered as stale is never carried out"
    );
}

/// The overtaken commands are more than what has taken their place: the surplus is answered, too.
#[test]
fn commands_behind_the_end_of_the_new_log_are_answered() {
    let lab = lab!();
    let mut sim = Setup::of(&lab, 3).start();
    let (old, ids) = cut_off(&mut sim, 20);
    sim.heal();
    sim.until(
        "the new leader's first entry is of a later term, so no place is left for any of the old ones",
        secs(10),
        |sim| sim.peer(old).pending() == 0,
    );
    for id in ids {
        assert!(refused(sim.take_reply(id)).stale_command.is_some(), "StaleCommand");
    }
    sim.finish();
}

/// The same index is not the same entry: the new leader's command at the old one's index is not the answer to the old
/// one's client.
#[test]
fn an_answer_belongs_to_index_and_term() {
    let lab = lab!();
    let mut sim = Setup::of(&lab, 3).start();
    let (old, ids) = cut_off(&mut sim, 5);
    for n in 0..8 {
        sim.put(&format!("new{n}"), "1");
    }
    sim.heal();
    sim.settle();
    for id in ids {
        let reply = sim.take_reply(id).unwrap_or_else(|| {
            panic!("command {id} has no answer, although another entry has its place: it is overtaken, and has to be told")
        });
        assert!(
            reply.is_err(),
            "the command is not in the log; store {old} must not take another entry for it"
        );
    }
    for n in 0..5 {
        assert_eq!(sim.get(&format!("lost{n}")), None, "it is not carried out");
    }
    sim.finish();
}

/// A command may outlive its leader's term: the entry is on a majority, so the next leader commits it. It is carried
/// out, once, and whoever hears anything hears that.
#[test]
fn a_command_may_be_committed_by_the_next_leader() {
    let lab = lab!();
    for seed in lab.seeds(5) {
        let mut sim = Setup::seeded(seed, 3).start();
        let old = sim.leader();
        assert_eq!(sim.swap("n", None, "0"), (true, None));
        // The others get the entry, and their answers are lost.
        for other in sim.others(old) {
            sim.cut(other, old);
        }
        let call = sim.begin_at(old, swap_request("n", Some("0"), "1"));
        sim.run(millis(100));
        assert_eq!(sim.ending(call), None, "without answers nothing is committed");
        sim.isolate(old);
        sim.until("the others elect a leader", secs(10), |sim| sim.elected().is_some_and(|id| id != old));
        assert_eq!(
            sim.get("n"),
            Some("1".into()),
            "the entry is on a majority: the next leader has it (section 5.4)"
        );
        sim.heal();
        sim.finish();
        assert_eq!(sim.get("n"), Some("1".into()), "and it was carried out once");
    }
}

/// At shutdown everyone who waits is told that nobody knows: the command may be in another log. A region error would be
/// wrong, for it promises that the command is never carried out.
#[test]
fn at_shutdown_everyone_is_answered() {
    let lab = lab!();
    let mut sim = Setup::of(&lab, 3).start();
    let leader = sim.leader();
    for follower in sim.others(leader) {
        sim.cut(follower, leader);
    }
    let ids: Vec<u64> = (0..3)
        .map(|n| {
            let request = command(&sim, leader, vec![put(&format!("k{n}"), "1")]);
            sim.begin_command(leader, request)
        })
        .collect();
    sim.shut_down(leader);
    for id in ids {
        match sim.take_reply(id) {
            Some(Err(Error::Undetermined(_))) => {}
            other => panic!("a command that waits at shutdown is undetermined, not {other:?}"),
        }
    }
    sim.finish();
}

/// A client that goes away takes nothing with it: its command is carried out, and the store serves the others.
#[test]
fn a_client_may_go_away() {
    let lab = lab!();
    for seed in lab.seeds(3) {
        let mut sim = Setup::seeded(seed, 3).start();
        let leader = sim.leader();
        let call = sim.begin_at(leader, put_request("", "a", "1"));
        sim.run(millis(1));
        sim.cancel(call);
        assert_eq!(sim.ending(call), Some(&Ending::Unknown));
        sim.run(millis(100));
        assert_eq!(sim.get("a"), Some("1".into()), "the command was on its way, and is carried out");
        sim.clients(Mix { cancels: 30, ..Mix::default() });
        assert!(sim.until_answered(200, secs(60)), "the others are served");
        sim.finish();
        sim.assert_struck(&[Fault::Cancel]);
    }
}

/// A leader that is cut off takes commands until it learns of its successor. What it collects is bounded; beyond that
/// it is busy, and says so at once.
#[test]
fn waiting_commands_are_bounded() {
    let lab = lab!();
    let mut sim = Setup::of(&lab, 3).tune(|config| config.max_pending_proposals = 10).start();
    let leader = sim.leader();
    sim.settle();
    sim.isolate(leader);
    let mut busy = 0;
    for n in 0..15 {
        let request = command(&sim, leader, vec![put(&format!("k{n}"), "1")]);
        let id = sim.begin_command(leader, request);
        if let Some(reply) = sim.take_reply(id) {
            assert!(refused(Some(reply)).server_is_busy.is_some(), "ServerIsBusy");
            busy += 1;
        }
    }
    assert_eq!((busy, sim.peer(leader).pending()), (5, 10), "ten wait, the other five are refused");
    let log = sim.peer(leader).node().raft().log();
    assert_eq!(log.last_index() - log.committed(), 10, "a refused command is not in the log");
    sim.finish();
}

/// The leader's empty entry of a new term (section 8) is applied like any other: it changes no data, and nobody is
/// answered for it.
#[test]
fn the_empty_entry_is_applied() {
    let lab = lab!();
    let mut sim = Setup::of(&lab, 3).start();
    for round in 0..3 {
        let leader = sim.leader();
        sim.settle();
        for id in 1..=3 {
            let peer = sim.peer(id);
            let last = peer.node().raft().log().last_index();
            assert_eq!(
                peer.apply_state().applied_index,
                last,
                "round {round}: store {id} has applied all entries"
            );
        }
        sim.crash(leader);
        sim.leader();
        sim.restart(leader);
    }
    sim.finish();
}
