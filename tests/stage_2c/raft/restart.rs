//! Peers with snapshots go down and come back.

use pretty_assertions::assert_eq;
use raftkv_testkit::lab;
use raftkv_testkit::raft_net::Setup;
use raftkv_testkit::raft_net::letter::{append, snapshot};

const ALL: &[u64] = &[1, 2, 3];

/// A log that begins behind a snapshot is found again: where it begins, what is committed, what follows (figure 13).
#[test]
fn a_restart_from_a_snapshot() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).puppets(&[2, 3]).start_raw_nodes();
    net.hand(snapshot(2, 1, (10, 2), ALL).term(3));
    net.hand(append(2, 1).term(3).after(10, 2).entries(&[3, 3]).commit(11));
    net.crash(1);
    net.restart(1);
    let log = net.raft(1).log();
    assert_eq!((log.first_index(), log.last_index(), log.term(10)), (11, 12, Some(2)));
    assert_eq!((net.commit(1), log.applied()), (11, 11));
    assert_eq!(net.applied(1), ["e11t3"], "what was applied is not applied again");
    let answer = net.ask(append(2, 1).term(3).after(12, 3).entries(&[3]).commit(13));
    assert_eq!((answer.reject, net.applied(1).len()), (false, 3));
}

/// Saved, but its data was not loaded when the machine stopped: it is loaded then, and nothing is applied before.
#[test]
fn a_restart_before_the_data_is_loaded() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).puppets(&[2, 3]).log(1, &[1, 1]).commit(1, 2).start_raw_nodes();
    net.hold_loading(1);
    net.hand(snapshot(2, 1, (10, 2), ALL).term(3));
    net.hand(append(2, 1).term(3).after(10, 2).entries(&[3, 3]).commit(12));
    net.crash(1);
    net.restart(1);
    assert_eq!((net.commit(1), net.raft(1).log().first_index()), (12, 11));
    assert_eq!(net.applied(1), ["e1t1", "e2t1"], "the state machine is the old one: 11 does not follow 2");
    net.release_loading(1);
    assert_eq!(net.applied(1), ["e11t3", "e12t3"], "and goes on behind the snapshot, once it is loaded");
}

/// A peer that stops before the snapshot is saved has acknowledged nothing, and has what it had.
#[test]
fn a_crash_before_the_write() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).puppets(&[2, 3]).log(1, &[1, 1]).commit(1, 1).start_raw_nodes();
    net.hold_disk(1);
    net.hand(snapshot(2, 1, (10, 2), ALL).term(3));
    net.crash(1);
    net.restart(1);
    assert_eq!((net.last(1), net.commit(1)), (2, 1));
    assert_eq!(net.mail(2), []);
    let answer = net.ask(snapshot(2, 1, (10, 2), ALL).term(3));
    assert_eq!(answer.index, 10, "the next one is taken");
}
