//! Members come and go in whole groups (thesis, section 4.1).

use pretty_assertions::assert_eq;
use raftkv::proto::eraftpb::{ConfChange, ConfChangeType};
use raftkv::raft::{RaftError, Role};
use raftkv_testkit::lab;
use raftkv_testkit::raft_net::letter::{add_node, remove_node};
use raftkv_testkit::raft_net::{Direct, Driver, Net, Readied, Setup};
use rstest::rstest;

use crate::{group, leader};

fn one_comes<D: Driver>(net: &mut Net<D>) {
    net.join(4);
    net.add(1, 4);
    assert_eq!(net.group(1), [1, 2, 3], "it counts when it is applied, not before");
    net.stabilise();
    for id in 1..=4 {
        assert_eq!(net.group(id), [1, 2, 3, 4], "node {id}");
        assert_eq!(net.applied(id), ["x"], "node {id}: the new one gets all that was before");
    }
    net.propose(1, "y");
    net.stabilise();
    assert_eq!(net.applied(4), ["x", "y"], "and all that comes after");
}

/// Section 4.1: a member is added by an entry of the log, and takes part from then on.
#[test]
fn one_is_added() {
    let lab = lab!();
    one_comes::<Direct>(&mut group(&lab, 3));
    one_comes::<Readied>(&mut group(&lab, 3));
}

fn one_goes<D: Driver>(net: &mut Net<D>) {
    net.remove(1, 3);
    net.stabilise();
    assert_eq!((net.group(1), net.group(2)), (&[1, 2][..], &[1, 2][..]));
    net.propose(1, "y");
    net.stabilise();
    assert_eq!(
        (net.applied(1), net.applied(2)),
        (vec!["x".into(), "y".to_string()], vec!["x".into(), "y".to_string()])
    );
    assert_eq!(net.applied(3), ["x"], "who is removed gets nothing any more");
}

/// Section 4.1: a member is removed; the others go on without it.
#[test]
fn one_is_removed() {
    let lab = lab!();
    one_goes::<Direct>(&mut group(&lab, 3));
    one_goes::<Readied>(&mut group(&lab, 3));
}

/// One after the other, a group can become any other group.
#[test]
fn one_after_the_other() {
    let lab = lab!();
    let mut net: Net<Direct> = group(&lab, 3);
    (4..=6).for_each(|id| net.join(id));
    for (comes, goes) in [(4, 2), (5, 3)] {
        net.add(1, comes);
        net.stabilise();
        net.remove(1, goes);
        net.stabilise();
    }
    net.add(1, 6);
    net.stabilise();
    assert_eq!(net.group(1), [1, 4, 5, 6]);
    net.crash(1);
    net.elect(5);
    net.propose(5, "y");
    net.stabilise();
    for id in 4..=6 {
        assert_eq!(net.applied(id), ["x", "y"], "node {id}: nobody of the first group is needed any more");
    }
}

/// From one to five, and back to one.
#[test]
fn grow_and_shrink() {
    let lab = lab!();
    let mut net: Net<Readied> = Setup::of(&lab, 1).start_raw_nodes();
    net.elect(1);
    for id in 2..=5 {
        net.join(id);
        net.add(1, id);
        net.stabilise();
    }
    assert_eq!(net.group(5), [1, 2, 3, 4, 5]);
    for id in 2..=5 {
        net.remove(1, id);
        net.stabilise();
    }
    assert_eq!(net.group(1), [1]);
    net.propose(1, "y");
    assert_eq!(net.applied(1), ["y"], "alone it is a majority");
}

/// Who is added and who is removed already: nothing changes, and nobody is harmed. A caller that got no answer may ask
/// again.
#[rstest]
#[case::added_again(add_node(3))]
#[case::a_stranger_removed(remove_node(9))]
fn what_is_so_already(#[case] change: ConfChange) {
    let lab = lab!();
    let mut net: Net<Direct> = group(&lab, 3);
    let before = net.raft(1).progress(3).cloned();
    net.hold_applying(1);
    net.try_change(1, &change).expect("it is a change like others");
    net.deliver_all();
    let matched = net.raft(1).progress(3).map(|p| p.matched);
    net.release_applying(1);
    assert_eq!(net.group(1), [1, 2, 3]);
    assert_eq!(net.raft(1).progress(3).map(|p| p.matched), matched, "what is known of a member stays known");
    assert!(matched > before.map(|p| p.matched), "and it did go through the log");
    net.stabilise();
    assert_eq!(net.commit(3), net.commit(1));
    net.remove(1, 3);
    net.stabilise();
    assert_eq!(net.group(2), [1, 2], "the next change is free to be made");
}

/// Removed, and added again: it catches up with what it has missed.
#[test]
fn removed_and_added_again() {
    let lab = lab!();
    let mut net: Net<Direct> = group(&lab, 3);
    net.remove(1, 3);
    net.stabilise();
    net.propose(1, "y");
    net.stabilise();
    net.add(1, 3);
    net.stabilise();
    assert_eq!((net.group(3), net.applied(3)), (&[1, 2, 3][..], vec!["x".to_string(), "y".to_string()]));
    net.crash(1);
    net.elect(3);
}

/// What would make no group, or is none of the two changes that there are, is refused at once, with the reason, and is
/// not in the log.
#[rstest]
#[case::nobody(1, add_node(0))]
#[case::the_last_member(1, remove_node(1))]
#[case::a_learner(3, ConfChange { change_type: ConfChangeType::AddLearnerNode.into(), ..add_node(4) })]
#[case::of_an_unknown_kind(3, ConfChange { change_type: 7, ..add_node(4) })]
fn nonsense_is_refused(#[case] nodes: u64, #[case] change: ConfChange) {
    let lab = lab!();
    let mut net: Net<Direct> = Setup::of(&lab, nodes).start();
    net.elect(1);
    net.stabilise();
    let last = net.last(1);
    let error = net.try_change(1, &change).expect_err("it can never be made");
    assert!(matches!(error, RaftError::ConfChangeRefused(_)), "{error}");
    assert!(!error.is_fatal());
    assert_eq!(net.last(1), last);
    net.propose(1, "y");
    net.stabilise();
    assert_eq!(net.applied(1).last().map(String::as_str), Some("y"), "the group goes on");
}

/// What cannot be read as a change is refused before it gets into the log, where it would have to mean something.
#[test]
fn what_cannot_be_read_is_refused() {
    let lab = lab!();
    let mut net = leader(&lab, 3);
    let mut garbled = raftkv_testkit::raft_net::letter::change_entry(0, 0, &add_node(4));
    garbled.data = bytes::Bytes::from_static(b"\xff\xff\xff");
    let letter = raftkv_testkit::raft_net::letter::proposal(2, 1, &[]).with(garbled);
    let refused = net.inject(letter).expect_err("it says nothing");
    assert!(matches!(refused, RaftError::ConfChangeRefused(_)), "{refused}");
    assert_eq!(net.last(1), 1);
}

/// In the log it must mean the same to everybody: whoever applies that the last member goes, keeps it. (No leader
/// proposes that; it may have been put there when the group was larger.)
#[test]
fn the_last_member_stays() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 1).log(1, &[1]).change(1, 1, &remove_node(1)).commit(1, 2).start();
    assert_eq!(net.raft(1).voters().collect::<Vec<_>>(), [1]);
    net.elect(1);
    net.propose(1, "y");
    assert_eq!(net.applied(1), ["e1t1", "y"]);
}

/// A follower passes a change on to its leader, as it does with a command.
#[test]
fn asked_for_at_a_follower() {
    let lab = lab!();
    let mut net: Net<Direct> = group(&lab, 3);
    net.try_change(2, &remove_node(3)).expect("it knows the leader");
    net.stabilise();
    assert_eq!((net.group(1), net.group(2)), (&[1, 2][..], &[1, 2][..]));
}

/// And refuses it where no leader is known: the caller hears of it.
#[test]
fn asked_for_where_no_leader_is_known() {
    let lab = lab!();
    let mut net: Net<Direct> = Setup::of(&lab, 3).start();
    let refused = net.try_change(2, &remove_node(3)).expect_err("there is nobody to pass it on to");
    assert!(matches!(refused, RaftError::ProposalDropped { .. }), "{refused}");
    net.elect(2);
    net.stabilise();
    net.remove(2, 3);
    net.stabilise();
    assert_eq!(net.group(1), [1, 2]);
}

/// A group of which nobody but the leader is left goes on alone, and may grow again.
#[test]
fn a_member_that_is_down_is_replaced() {
    let lab = lab!();
    let mut net: Net<Direct> = group(&lab, 3);
    net.crash(3);
    net.join(4);
    net.remove(1, 3);
    net.stabilise();
    net.add(1, 4);
    net.stabilise();
    net.crash(2);
    net.propose(1, "y");
    net.stabilise();
    assert_eq!(
        (net.applied(1), net.applied(4)),
        (vec!["x".into(), "y".to_string()], vec!["x".into(), "y".to_string()])
    );
    assert_eq!(net.role(1), Role::Leader);
}
