//! The leader itself is removed (thesis, section 4.2.2).

use pretty_assertions::assert_eq;
use raftkv::proto::eraftpb::MessageType;
use raftkv::raft::{RaftError, Role};
use raftkv_testkit::lab;
use raftkv_testkit::raft_net::letter::{append, heartbeat, timeout_now, vote_request};
use raftkv_testkit::raft_net::{Direct, Driver, Net, Readied};
use rstest::rstest;

use crate::{ack, group, leader};

fn the_leader_goes<D: Driver>(net: &mut Net<D>, members: &[u64]) {
    net.remove(1, 1);
    assert_eq!(net.role(1), Role::Leader, "it leads until the change is applied: somebody has to commit it");
    net.deliver_all();
    assert_eq!((net.role(1), net.term(1)), (Role::Follower, 1), "and then it steps down, in its term");
    assert_eq!((net.group(1), net.leader_of(1)), (members, 0));
    let refused = net.try_propose(1, "y").expect_err("refused: it leads no more");
    assert!(matches!(refused, RaftError::ProposalDropped { .. }), "{refused}");
    for id in members {
        assert_eq!(net.group(*id), members, "node {id} has been told that the change is committed");
    }
    net.run_until(60, "the others elect one of them", |net| net.leader_among(members).is_some());
    let leader = net.leader_among(members).expect("so it is");
    net.propose(leader, "y");
    net.stabilise();
    for id in members {
        assert_eq!(net.applied(*id), ["x", "y"], "node {id}");
    }
    net.run(100);
    assert_eq!(
        (net.role(1), net.applied(1)),
        (Role::Follower, vec!["x".to_string()]),
        "it stands for election no more"
    );
}

/// Section 4.2.2: a leader that is removed commits its removal, tells the others, and steps down. They elect another
/// one.
#[rstest]
#[case::of_two(2, &[2])]
#[case::of_three(3, &[2, 3])]
#[case::of_four(4, &[2, 3, 4])]
#[case::of_five(5, &[2, 3, 4, 5])]
fn the_others_go_on(#[case] nodes: u64, #[case] members: &[u64]) {
    let lab = lab!();
    the_leader_goes::<Direct>(&mut group(&lab, nodes), members);
    the_leader_goes::<Readied>(&mut group(&lab, nodes), members);
}

/// Before it steps down, the others are told what is committed: an election later they could not ask it any more, if
/// its owner ends it.
#[test]
fn the_others_are_told_first() {
    let lab = lab!();
    let mut net = leader(&lab, 3);
    net.remove(1, 1);
    net.all_mail();
    ack(&mut net, 2, 2);
    assert_eq!((net.role(1), net.group(1)), (Role::Follower, &[2, 3][..]));
    let tells = |m: &raftkv::proto::eraftpb::Message| m.msg_type() == MessageType::MsgAppend && m.commit == 2;
    assert!(net.mail(2).iter().any(tells), "2 is told that entry 2 is committed");
}

/// Also where its own disk was the last one to get the entry, so that it is committed and applied in one go.
#[test]
fn the_others_are_told_first_by_a_slow_leader() {
    let lab = lab!();
    let mut net = leader(&lab, 3);
    net.hold_disk(1);
    net.remove(1, 1);
    ack(&mut net, 2, 2);
    assert_eq!((net.role(1), net.commit(1)), (Role::Leader, 1), "1 has not saved it: 1 of 3");
    net.all_mail();
    net.release_disk(1);
    assert_eq!((net.role(1), net.group(1)), (Role::Follower, &[2, 3][..]));
    for puppet in [2, 3] {
        assert!(net.mail(puppet).iter().any(|m| m.commit == 2), "{puppet} is told that entry 2 is committed");
    }
}

/// It is a follower like any other from then on, with no leader, until it hears of one; it does not lead by what it
/// hears.
#[test]
fn late_answers_do_not_bring_it_back() {
    let lab = lab!();
    let mut net = leader(&lab, 3);
    net.remove(1, 1);
    net.propose(1, "y");
    ack(&mut net, 2, 2);
    assert_eq!(net.role(1), Role::Follower);
    ack(&mut net, 2, 3);
    ack(&mut net, 3, 3);
    assert_eq!((net.role(1), net.commit(1)), (Role::Follower, 2), "it counts no more");
    net.ticks(1, 100);
    net.hand(timeout_now(2, 1).term(1));
    net.campaign(1);
    assert_eq!((net.role(1), net.term(1)), (Role::Follower, 1), "and stands for nothing");
    assert_eq!(net.mail(3).iter().filter(|m| m.msg_type() == MessageType::MsgRequestVote).count(), 0);
}

/// Section 4.2.2: others may not know yet that they can do without it. It gives its vote and acknowledges entries as
/// ever, and keeps its promises.
#[test]
fn it_votes_and_acknowledges_as_long_as_it_is_asked() {
    let lab = lab!();
    let mut net = leader(&lab, 3);
    net.remove(1, 1);
    ack(&mut net, 2, 2);
    assert_eq!((net.role(1), net.group(1)), (Role::Follower, &[2, 3][..]));
    let short = net.ask(vote_request(3, 1).term(2).last(1, 1));
    assert!(short.reject, "3 lacks the removal: it must not lead (section 5.4.1)");
    let good = net.ask(vote_request(2, 1).term(3).last(2, 1));
    assert!(!good.reject, "2 may need this vote, in the group of three");
    let other = net.ask(vote_request(3, 1).term(3).last(2, 1));
    assert!(other.reject, "one vote a term, member or not (section 5.2)");
    let answer = net.ask(append(2, 1).term(3).after(2, 1).entries(&[3]).commit(2));
    assert_eq!((answer.reject, answer.index), (false, 3), "and 2 may need it to commit its first entry");
    assert_eq!(net.ask(heartbeat(2, 1).term(3)).term, 3);
    assert_eq!(net.leader_of(1), 2);
}

/// The same for a follower that is removed.
#[test]
fn a_removed_follower_votes_and_acknowledges_too() {
    let lab = lab!();
    let mut net: Net<Direct> = group(&lab, 3);
    net.remove(1, 3);
    net.deliver_all();
    assert_eq!(net.group(3), [1, 2], "3 has heard that it is removed");
    net.run(40);
    net.ticks(3, 100);
    assert_eq!((net.role(3), net.term(3)), (Role::Follower, 1), "it waits for nobody, and disturbs nobody");
    assert_eq!(net.agreed_leader(), Some(1));
    net.campaign(3);
    net.deliver_all();
    assert_eq!((net.role(3), net.term(1)), (Role::Follower, 1), "also when its owner asks it to");
}

/// A leader that finds its own removal in its log, from an earlier leader, steps down for it as well.
#[test]
fn a_new_leader_finds_its_own_removal() {
    let lab = lab!();
    let mut net: Net<Direct> = group(&lab, 3);
    net.remove(1, 2);
    net.deliver_where(|m| m.to == 2);
    net.drop_all();
    net.crash(1);
    net.campaign(2);
    net.deliver_all();
    assert_eq!(
        (net.term(2), net.group(2)),
        (2, &[1, 3][..]),
        "its first entry was committed, and the removal with it"
    );
    assert_eq!(net.role(2), Role::Follower);
    net.restart(1);
    net.run_until(60, "1 and 3 elect one of them", |net| net.leader_among(&[1, 3]).is_some());
    assert_eq!((net.group(1), net.group(3)), (&[1, 3][..], &[1, 3][..]));
}

/// It was about to hand over its leadership as well: that is over, too.
#[test]
fn a_leader_that_hands_over_is_removed() {
    let lab = lab!();
    let mut net = leader(&lab, 3);
    net.remove(1, 1);
    net.transfer(1, 3);
    ack(&mut net, 2, 2);
    assert_eq!((net.role(1), net.raft(1).lead_transferee()), (Role::Follower, 0));
}
