//! Nobody asks an old group for votes: rule 3 of src/raft/membership.rs.

use pretty_assertions::assert_eq;
use raftkv::proto::eraftpb::MessageType;
use raftkv::raft::Role;
use raftkv_testkit::lab;
use raftkv_testkit::raft_net::letter::{
    add_node, append, change_entry, heartbeat, remove_node, timeout_now, vote_reply,
};
use raftkv_testkit::raft_net::{Direct, Driver, Net, Readied, Setup};
use rstest::rstest;

use crate::group;

/// Node 1 follows 2. Entry 2 adds 4; it is committed, and 1 has not applied it.
fn knows_a_change<D: Driver>(lab: &raftkv_testkit::Lab) -> Net<D> {
    let mut net = Setup::of(lab, 3).puppets(&[2, 3, 4]).log(1, &[1]).start_as();
    net.hold_applying(1);
    net.hand(append(2, 1).term(1).after(1, 1).with(change_entry(2, 1, &add_node(4))).commit(2));
    assert_eq!((net.commit(1), net.group(1)), (2, &[1, 2, 3][..]));
    net.all_mail();
    net
}

fn not_before_it_is_applied<D: Driver>(net: &mut Net<D>) {
    net.ticks(1, 60);
    net.campaign(1);
    assert_eq!((net.role(1), net.term(1)), (Role::Follower, 1), "it would ask a group that is gone");
    assert!(!net.all_mail().iter().any(|m| m.msg_type() == MessageType::MsgRequestVote));
    net.release_applying(1);
    net.ticks(1, 20);
    assert_eq!(
        (net.role(1), net.term(1)),
        (Role::Candidate, 2),
        "once it is applied, the timer works as ever"
    );
    net.hand(vote_reply(2, 1).term(2));
    assert_eq!(net.role(1), Role::Candidate, "2 of 4 are no majority of the new group");
    net.hand(vote_reply(4, 1).term(2));
    assert_eq!(net.role(1), Role::Leader, "and the new member's vote counts");
}

/// Who knows that a change is committed, and has not applied it, stands for nothing: neither when its timer runs out
/// nor when it is asked to.
#[test]
fn a_known_change_is_applied_first() {
    let lab = lab!();
    not_before_it_is_applied(&mut knows_a_change::<Direct>(&lab));
    not_before_it_is_applied(&mut knows_a_change::<Readied>(&lab));
}

/// The leader's word to begin does not help either; and when the change is applied, the word is said again, for the
/// leader still wants it.
#[test]
fn the_word_to_begin_comes_too_early() {
    let lab = lab!();
    let mut net = knows_a_change::<Direct>(&lab);
    net.hand(timeout_now(2, 1).term(1));
    assert_eq!((net.role(1), net.term(1)), (Role::Follower, 1));
    net.release_applying(1);
    net.hand(timeout_now(2, 1).term(1));
    assert_eq!((net.role(1), net.term(1)), (Role::Candidate, 2));
}

/// In a whole group: a transfer to a slow state machine succeeds as soon as that has caught up.
#[test]
fn a_transfer_waits_for_a_slow_state_machine() {
    let lab = lab!();
    let mut net: Net<Direct> = group(&lab, 4);
    net.hold_applying(2);
    net.remove(1, 4);
    net.stabilise();
    net.transfer(1, 2);
    net.deliver_all();
    net.run(2);
    assert_eq!(net.role(1), Role::Leader, "2 knows a group that is gone");
    net.release_applying(2);
    net.run_until(5, "the word to begin is said again", |net| net.role(2) == Role::Leader);
}

/// A change that is in the log, and not known to be committed, is in nobody's way: an election may be what it needs.
#[rstest]
#[case::add(add_node(4))]
#[case::remove(remove_node(3))]
fn an_undecided_change_is_in_nobodys_way(#[case] change: raftkv::proto::eraftpb::ConfChange) {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).puppets(&[2, 3, 4]).log(1, &[1]).start();
    net.hand(append(2, 1).term(1).after(1, 1).with(change_entry(2, 1, &change)).commit(1));
    net.campaign(1);
    assert_eq!((net.role(1), net.raft(1).pending_conf_index()), (Role::Candidate, Some(2)));
    net.hand(vote_reply(2, 1).term(2));
    assert_eq!(net.role(1), Role::Leader, "2 of 3: the old group counts, for the change is not made");
}

/// Commands that are committed and not applied are in nobody's way.
#[test]
fn commands_are_in_nobodys_way() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).puppets(&[2, 3, 4]).log(1, &[1]).start();
    net.hand(append(2, 1).term(1).after(1, 1).with(change_entry(2, 1, &add_node(4))).commit(2));
    net.hold_applying(1);
    net.hand(append(2, 1).term(1).after(2, 1).entries(&[1, 1]).commit(4));
    assert_eq!((net.commit(1), net.group(1).len()), (4, 4));
    net.campaign(1);
    assert_eq!(net.role(1), Role::Candidate);
}

/// A peer that restarts knows the commit index from its disk, and the changes up to there that it has not applied.
#[test]
fn a_restart_does_not_forget_it() {
    let lab = lab!();
    let mut net = knows_a_change::<Direct>(&lab);
    net.hand(heartbeat(2, 1).term(1).commit(2));
    net.crash(1);
    net.restart(1);
    assert_eq!(net.group(1), [1, 2, 3, 4], "it is applied when the peer starts, before anything else");
    net.campaign(1);
    net.hand(vote_reply(2, 1).term(2));
    assert_eq!(net.role(1), Role::Candidate, "and counts: 2 of 4");
}

/// What would happen otherwise. 3 is two changes behind: it has both in its log, and knows that the first is committed.
/// In the group of three that it still has, 3 and 2 would be a majority, and 1, 4 and 5 one of the group of five.
#[test]
fn two_groups_that_share_nobody() {
    let lab = lab!();
    let mut net: Net<Direct> = group(&lab, 3);
    net.join(4);
    net.join(5);
    net.hold_applying(3);
    net.hold_applying(2);
    net.add(1, 4);
    net.stabilise();
    net.add(1, 5);
    net.stabilise();
    assert_eq!((net.group(1).len(), net.group(3).len(), net.last(3)), (5, 3, net.last(1)));
    net.partition(&[2, 3]);
    for _ in 0..60 {
        net.run(1);
        assert_eq!(net.role(3), Role::Follower, "3 knows a group that is two steps old");
        assert_eq!(net.role(2), Role::Follower, "and so does 2");
    }
    net.propose(1, "y");
    net.stabilise();
    assert_eq!(net.applied(5), ["x", "y"], "1, 4 and 5 are three of five");
    net.release_applying(2);
    net.release_applying(3);
    net.run(60);
    assert_ne!(net.role(3), Role::Leader, "2 of 5");
    net.heal();
    net.run_until(100, "together they go on", |net| net.agreed_leader().is_some());
}
