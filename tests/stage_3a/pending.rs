//! One change at a time, and none too early (thesis, section 4.1; rules 1 and 2 of src/raft/membership.rs).

use pretty_assertions::assert_eq;
use raftkv::raft::{RaftError, Role};
use raftkv_testkit::lab;
use raftkv_testkit::raft_net::letter::{
    add_node, append, append_reply, change_entry, change_proposal, proposal, remove_node,
};
use raftkv_testkit::raft_net::{Direct, Driver, Net, Readied, Setup};

use crate::{ack, group, leader};

#[track_caller]
fn assert_refused<D: Driver>(net: &mut Net<D>, why: &str) {
    let last = net.last(1);
    for change in [add_node(9), remove_node(3)] {
        let Err(error) = net.try_change(1, &change) else {
            panic!("{why}: a change was taken, and must be refused")
        };
        assert!(matches!(error, RaftError::ConfChangeRefused(_)), "{why}: {error}");
    }
    assert_eq!(net.last(1), last, "{why}: nothing is added to the log");
}

/// Section 4.1: while one change is in the log and not applied, there is no second one; and then there is.
#[test]
fn a_second_change_has_to_wait() {
    let lab = lab!();
    let mut net = leader(&lab, 4);
    net.remove(1, 4);
    assert_eq!(net.raft(1).pending_conf_index(), Some(2));
    assert_refused(&mut net, "the first one may still be replaced");
    ack(&mut net, 2, 2);
    assert_refused(&mut net, "2 of 4 have it");
    ack(&mut net, 3, 2);
    assert_eq!((net.group(1), net.raft(1).pending_conf_index()), (&[1, 2, 3][..], None));
    net.remove(1, 3);
    ack(&mut net, 2, 3);
    assert_eq!(net.group(1), [1, 2]);
}

fn committed_and_not_applied<D: Driver>(net: &mut Net<D>) {
    net.hold_applying(1);
    net.remove(1, 4);
    net.deliver_all();
    assert_eq!(
        (net.commit(1), net.group(1)),
        (3, &[1, 2, 3, 4][..]),
        "it is committed, and 1 has not applied it"
    );
    assert_refused(net, "1 still counts in the group of four, the others in that of three");
    net.release_applying(1);
    net.remove(1, 3);
    net.stabilise();
    assert_eq!(net.group(2), [1, 2]);
}

/// Committed is not applied: until then this leader counts majorities of the old group.
#[test]
fn a_committed_change_that_is_not_applied_is_in_the_way() {
    let lab = lab!();
    committed_and_not_applied::<Direct>(&mut group(&lab, 4));
    committed_and_not_applied::<Readied>(&mut group(&lab, 4));
}

/// Commands are not changes: they are taken as ever, by the leader and by way of its followers.
#[test]
fn commands_do_not_wait() {
    let lab = lab!();
    let mut net = leader(&lab, 3);
    net.add(1, 4);
    net.propose(1, "y");
    net.hand(proposal(2, 1, &["z"]));
    assert_eq!((net.last(1), net.raft(1).pending_conf_index()), (4, Some(2)));
    ack(&mut net, 3, 4);
    assert_eq!(net.applied(1), ["y", "z"], "and they are committed along with it");
}

/// Two changes in one message: none of them is taken, nor what travels along with them; the sender cannot know which
/// half was.
#[test]
fn two_at_once_are_refused_whole() {
    let lab = lab!();
    let mut net = leader(&lab, 4);
    let both = change_proposal(2, 1, &[remove_node(3), remove_node(4)]);
    let refused = net.inject(both).expect_err("one at a time");
    assert!(matches!(refused, RaftError::ConfChangeRefused(_)), "{refused}");
    assert_eq!(net.last(1), 1);
    net.hand(proposal(2, 1, &["y"]).with(change_entry(0, 0, &remove_node(4))));
    assert_eq!(net.raft(1).pending_conf_index(), Some(3), "a command and a change may travel together");
    let mixed = proposal(2, 1, &["z"]).with(change_entry(0, 0, &remove_node(3)));
    net.inject(mixed).expect_err("the change has to wait, and the command travels with it");
    assert_eq!(net.last(1), 3, "all or nothing");
}

/// A change of an earlier leader is in the log of the new one, which did not propose it, and is in the way there, too.
#[test]
fn a_new_leader_finds_a_change_in_its_log() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 4).puppets(&[2, 3, 4]).log(1, &[1]).change(1, 1, &remove_node(4)).start();
    net.elect_by_puppets(1);
    assert_eq!(net.raft(1).pending_conf_index(), Some(2), "whoever proposed it");
    assert_refused(&mut net, "it may be committed yet");
    ack(&mut net, 2, 3);
    ack(&mut net, 3, 3);
    assert_eq!(net.group(1), [1, 2, 3], "it is committed with the first entry of the new term, and counts");
    net.remove(1, 3);
}

/// The same in a group that has run all the time: the change is committed in the new term, once.
#[test]
fn a_change_outlives_its_leader() {
    let lab = lab!();
    let mut net: Net<Direct> = group(&lab, 4);
    net.cut(1, 4);
    net.remove(1, 4);
    net.deliver_where(|m| m.to == 2);
    net.drop_all();
    net.crash(1);
    net.campaign(2);
    net.deliver_all();
    assert_eq!(net.role(2), Role::Leader);
    net.stabilise();
    assert_eq!(
        (net.group(2), net.group(3)),
        (&[1, 2, 3][..], &[1, 2, 3][..]),
        "a later leader has committed it"
    );
    net.propose(2, "y");
    net.stabilise();
    assert_eq!(net.applied(3), ["x", "y"]);
}

/// A change that is replaced by another leader's entries never counts, anywhere, and is in nobody's way.
#[test]
fn a_change_that_is_replaced_never_counts() {
    let lab = lab!();
    let mut net: Net<Direct> = group(&lab, 3);
    net.isolate(1);
    net.remove(1, 3);
    net.elect(2);
    net.propose(2, "y");
    net.stabilise();
    net.heal();
    net.stabilise();
    assert_eq!((net.leader_of(1), net.applied(1)), (2, vec!["x".to_string(), "y".to_string()]));
    assert_eq!(
        (net.group(1), net.raft(1).pending_conf_index()),
        (&[1, 2, 3][..], None),
        "the change is gone from its log"
    );
    net.remove(2, 1);
    net.stabilise();
    assert_eq!(net.group(3), [2, 3]);
}

/// A follower counts nothing: a change in its log is not made before the leader says that it is committed.
#[test]
fn a_follower_waits_for_the_commit() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).puppets(&[2, 3]).log(1, &[1]).start();
    let entry = change_entry(2, 1, &add_node(4));
    net.hand(append(2, 1).term(1).after(1, 1).with(entry).commit(1));
    assert_eq!((net.raft(1).pending_conf_index(), net.group(1)), (Some(2), &[1, 2, 3][..]));
    net.hand(append(2, 1).term(1).after(2, 1).commit(2));
    assert_eq!((net.raft(1).pending_conf_index(), net.group(1)), (None, &[1, 2, 3, 4][..]));
}

/// Rule 2, as Ongaro's repair has it: a leader proposes no change before it has committed an entry of its own term.
/// Commands it does.
#[test]
fn no_change_before_the_first_commit_of_the_own_term() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 4).puppets(&[2, 3, 4]).log(1, &[1, 1]).commit(1, 2).start();
    net.elect_by_puppets(1);
    assert_refused(&mut net, "all that is committed is of an earlier term");
    net.propose(1, "y");
    ack(&mut net, 2, 2);
    assert_refused(&mut net, "entries of the own term are in the log, and not committed");
    ack(&mut net, 2, 3);
    net.hand(append_reply(3, 1).term(2).accepted(2));
    assert_refused(&mut net, "2 of 4 have the first entry of the term");
    ack(&mut net, 3, 3);
    assert_eq!(net.commit(1), 3);
    net.remove(1, 4);
    assert_eq!(net.raft(1).pending_conf_index(), Some(5));
}

/// The same, when the log is compacted up to its commit index.
#[test]
fn the_own_term_in_a_compacted_log() {
    let lab = lab!();
    let mut net: Net<Readied> = group(&lab, 3);
    (1..=3).for_each(|id| net.compact(id, 2));
    net.heartbeat(1);
    net.remove(1, 3);
    net.stabilise();
    assert_eq!(net.group(2), [1, 2]);
    let mut net = Setup::of(&lab, 3).puppets(&[2, 3]).log(1, &[1, 1]).compacted(1, 2).start();
    net.elect_by_puppets(1);
    assert_refused(&mut net, "the last compacted entry is of an earlier term");
    ack(&mut net, 2, 3);
    net.remove(1, 3);
    assert_eq!(net.raft(1).pending_conf_index(), Some(4));
}
