//! Leadership transfer in whole groups (thesis, section 3.10).

use pretty_assertions::assert_eq;
use raftkv::proto::eraftpb::MessageType;
use raftkv::raft::{RaftError, Role};
use raftkv_testkit::lab;
use raftkv_testkit::raft_net::{Direct, Driver, Fault, Net, Readied, Setup};
use rstest::rstest;

use crate::group;

/// `to` leads the next term, the others follow, and commands are taken and committed.
#[track_caller]
fn assert_handed_over<D: Driver>(net: &mut Net<D>, to: u64, term: u64) {
    assert_eq!(
        (net.role(to), net.term(to)),
        (Role::Leader, term),
        "the successor leads the next term (thesis, section 3.10)"
    );
    net.stabilise();
    let members = net.group(to).to_vec();
    assert_eq!(net.leader_among(&members), Some(to), "and the others follow it, the old leader too");
    net.propose(to, "after");
    net.stabilise();
    for id in members {
        assert_eq!(net.applied(id).last().map(String::as_str), Some("after"), "node {id}");
    }
}

fn to_an_up_to_date_follower<D: Driver>(net: &mut Net<D>) {
    net.transfer(1, 2);
    net.deliver_all();
    assert_handed_over(net, 2, 2);
}

/// Section 3.10: a successor that has the whole log is told to stand for election at once: no tick passes.
#[test]
fn to_an_up_to_date_follower_without_a_tick() {
    let lab = lab!();
    to_an_up_to_date_follower::<Direct>(&mut group(&lab, 3));
    to_an_up_to_date_follower::<Readied>(&mut group(&lab, 3));
}

/// Section 3.10, step 2: the leader brings the successor's log up to date first.
#[rstest]
#[case::one_entry(1)]
#[case::many(50)]
fn to_a_follower_that_lags(#[case] commands: u64) {
    let lab = lab!();
    let mut net: Net<Direct> = group(&lab, 3);
    net.isolate(3);
    (0..commands).for_each(|n| net.propose(1, &format!("c{n}")));
    net.deliver_all();
    net.heal();
    net.transfer(1, 3);
    net.deliver_all();
    net.run_until(5, "the leader sends what its successor lacks, and hands over then", |net| {
        net.role(3) == Role::Leader
    });
    assert_handed_over(&mut net, 3, 2);
    assert_eq!(net.applied(3).len() as u64, commands + 2, "nothing got lost on the way");
}

/// What the successor needs may be compacted: then it gets the snapshot first (section 7).
#[test]
fn to_a_follower_that_needs_a_snapshot() {
    let lab = lab!();
    let mut net: Net<Readied> = group(&lab, 3);
    net.isolate(3);
    (0..20).for_each(|n| net.propose(1, &format!("c{n}")));
    net.stabilise();
    net.compact(1, 15);
    net.propose(1, "y");
    net.stabilise();
    net.heal();
    net.transfer(1, 3);
    net.deliver_all();
    net.run_until(5, "a snapshot, the rest of the log, and then the leadership", |net| {
        net.role(3) == Role::Leader
    });
    assert_eq!(net.raft(3).log().first_index(), 16);
    net.stabilise();
    assert_eq!((net.agreed_leader(), net.term(3)), (Some(3), 2));
}

/// A follower passes the wish on to its leader, whoever is wanted; it may want itself.
#[rstest]
#[case::another_follower(2, 3)]
#[case::itself(2, 2)]
fn asked_for_at_a_follower(#[case] asked: u64, #[case] to: u64) {
    let lab = lab!();
    let mut net: Net<Direct> = group(&lab, 3);
    net.transfer(asked, to);
    net.deliver_all();
    assert_handed_over(&mut net, to, 2);
}

/// A follower is asked to keep the leader: nothing changes, and a transfer that was under way is over.
#[test]
fn asked_at_a_follower_to_keep_the_leader() {
    let lab = lab!();
    let mut net: Net<Direct> = group(&lab, 3);
    net.isolate(3);
    net.transfer(1, 3);
    assert!(net.try_propose(1, "y").is_err(), "a transfer is under way");
    net.transfer(2, 1);
    net.deliver_all();
    net.propose(1, "y");
    net.deliver_all();
    assert_eq!((net.role(1), net.term(1)), (Role::Leader, 1), "1 is wanted, and leads");
    assert_eq!(net.applied(1), ["x", "y"]);
}

/// Who knows of no leader passes the wish on to nobody: it is lost, and does no harm.
#[test]
fn asked_for_where_no_leader_is_known() {
    let lab = lab!();
    let mut net: Net<Direct> = Setup::of(&lab, 3).start();
    net.transfer(2, 3);
    assert_eq!(net.deliver_all(), ());
    assert_eq!((net.role(3), net.term(3)), (Role::Follower, 0), "nobody heard of the wish");
    net.elect(2);
    net.transfer(2, 3);
    net.deliver_all();
    assert_handed_over(&mut net, 3, 2);
}

/// To the leader itself, to somebody unknown, to a node that is no member: nothing changes, and commands are taken as
/// before.
#[rstest]
#[case::itself(1)]
#[case::nobody(0)]
#[case::unknown(9)]
#[case::no_member(4)]
fn to_whom_it_cannot_go(#[case] to: u64) {
    let lab = lab!();
    let mut net: Net<Direct> = group(&lab, 3);
    net.join(4);
    net.transfer(1, to);
    net.propose(1, "y");
    net.stabilise();
    assert_eq!((net.role(1), net.term(1)), (Role::Leader, 1));
    assert_eq!(net.applied(3), ["x", "y"], "nothing was under way, so nothing was in the way");
    net.transfer(1, 3);
    net.deliver_all();
    assert_handed_over(&mut net, 3, 2);
}

/// There and back again: an earlier transfer leaves nothing behind.
#[test]
fn there_and_back() {
    let lab = lab!();
    let mut net: Net<Direct> = group(&lab, 3);
    net.transfer(1, 2);
    net.deliver_all();
    assert_handed_over(&mut net, 2, 2);
    net.transfer(2, 1);
    net.deliver_all();
    assert_handed_over(&mut net, 1, 3);
    assert_eq!(net.raft(1).lead_transferee(), 0, "the transfer of term 1 means nothing in term 3");
}

/// A second successor, while the first is out of reach: the first transfer is given up, the second one happens.
#[test]
fn to_another_one_meanwhile() {
    let lab = lab!();
    let mut net: Net<Direct> = group(&lab, 3);
    net.isolate(2);
    net.transfer(1, 2);
    assert_eq!(net.raft(1).lead_transferee(), 2);
    net.transfer(1, 3);
    assert_eq!(net.raft(1).lead_transferee(), 3);
    net.deliver_all();
    assert_eq!((net.role(3), net.term(3)), (Role::Leader, 2));
    net.heal();
    net.stabilise();
    assert_handed_over(&mut net, 3, 2);
}

/// Section 3.10: a transfer is an ordinary election, started at a good moment. So what gets lost is asked for again:
/// the append, its answer, the word to begin.
#[rstest]
#[case::the_append(MessageType::MsgAppend)]
#[case::its_answer(MessageType::MsgAppendResponse)]
#[case::the_word_to_begin(MessageType::MsgTimeoutNow)]
fn one_message_gets_lost(#[case] what: MessageType) {
    let lab = lab!();
    let mut net: Net<Direct> = group(&lab, 3);
    net.isolate(3);
    net.propose(1, "y");
    net.deliver_all();
    net.heal();
    net.lose_one(move |m| m.msg_type() == what && (m.from == 3 || m.to == 3));
    net.transfer(1, 3);
    net.deliver_all();
    assert_eq!(
        net.struck(Fault::Loss),
        1,
        "the leader sends {what:?} on the way to a successor that is behind"
    );
    net.run_until(8, "what got lost is sent again, before the transfer is given up", |net| {
        net.role(3) == Role::Leader
    });
    assert_handed_over(&mut net, 3, 2);
}

/// Section 3.10: the successor may be gone. Then the leader goes on after an election timeout, and until then it stays
/// leader: its heartbeats keep the others quiet.
#[test]
fn to_one_that_is_down() {
    let lab = lab!();
    let mut net: Net<Direct> = group(&lab, 3);
    net.crash(3);
    net.transfer(1, 3);
    for tick in 0..9 {
        let refused = net.try_propose(1, "y").expect_err("what is added now, the successor would lack");
        assert!(matches!(refused, RaftError::LeaderTransferring { to: 3 }), "tick {tick}: {refused}");
        net.run(1);
    }
    net.run(1);
    net.propose(1, "y");
    net.stabilise();
    assert_eq!((net.agreed_leader(), net.term(1)), (Some(1), 1), "nobody else stood for election");
    assert_eq!(net.applied(2), ["x", "y"]);
}

/// Given up, and then the word to begin arrives after all: an election like any other, and nothing gets lost.
#[test]
fn the_word_to_begin_comes_late() {
    let lab = lab!();
    let mut net: Net<Direct> = group(&lab, 3);
    net.hold(|m| m.msg_type() == MessageType::MsgTimeoutNow);
    net.transfer(1, 3);
    net.deliver_all();
    net.run(12);
    net.propose(1, "y");
    net.stabilise();
    assert_eq!(net.applied(3), ["x", "y"], "the leader has gone on");
    net.assert_struck(&[Fault::Delay]);
    net.release();
    net.deliver_all();
    assert_handed_over(&mut net, 3, 2);
    assert_eq!(net.applied(1), ["x", "y", "after"]);
}

/// The leader's own disk is slow. The successor has the whole log, so it can lead: the entry that it did not get from
/// any disk of the leader's is safe with it and the third.
#[test]
fn the_leaders_disk_is_slow() {
    let lab = lab!();
    let mut net: Net<Direct> = group(&lab, 3);
    net.hold_disk(1);
    net.propose(1, "y");
    net.transfer(1, 2);
    net.deliver_all();
    net.run_until(5, "2 has all that 1 has", |net| net.role(2) == Role::Leader);
    net.release_disk(1);
    net.stabilise();
    assert_handed_over(&mut net, 2, 2);
    assert_eq!(net.applied(1), ["x", "y", "after"]);
}

/// In a group of one there is nobody to hand over to.
#[test]
fn a_group_of_one() {
    let lab = lab!();
    let mut net: Net<Readied> = Setup::of(&lab, 1).start_raw_nodes();
    net.elect(1);
    for to in [1, 2, 0] {
        net.transfer(1, to);
        net.propose(1, "y");
    }
    assert_eq!((net.role(1), net.applied(1).len()), (Role::Leader, 3));
}
