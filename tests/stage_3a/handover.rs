//! What a leader does that hands over, seen by followers for whom the test speaks (thesis, section 3.10).

use pretty_assertions::assert_eq;
use raftkv::proto::eraftpb::{Message, MessageType};
use raftkv::raft::{RaftError, Role};
use raftkv_testkit::lab;
use raftkv_testkit::raft_net::letter::{
    add_node, append_reply, change_proposal, heartbeat_reply, proposal, remove_node, vote_request, wish,
};
use raftkv_testkit::raft_net::{Direct, Net, Setup};
use rstest::rstest;

use crate::{ack, leader};

/// How often these letters tell somebody to stand for election.
fn words_to_begin(mail: &[Message]) -> usize {
    mail.iter().filter(|m| m.msg_type() == MessageType::MsgTimeoutNow).count()
}

#[track_caller]
fn assert_refused(net: &mut Net<Direct>, to: u64) {
    let last = net.last(1);
    let refusals = [
        net.try_propose(1, "y"),
        net.try_change(1, &add_node(4)),
        net.inject(proposal(2, 1, &["y"])),
        net.inject(change_proposal(2, 1, &[remove_node(3)])),
    ];
    for refused in refusals {
        let error =
            refused.expect_err("the successor would lack what is added now: refused, and not silently");
        assert!(matches!(error, RaftError::LeaderTransferring { to: named } if named == to), "{error}");
        assert!(!error.is_fatal(), "the caller may try again; the peer goes on");
    }
    assert_eq!(net.last(1), last, "nothing was added to the log");
}

/// Section 3.10, step 3: told to begin, at once, if it has the whole log; and nobody else is told.
#[test]
fn a_successor_that_has_all_is_told_at_once() {
    let lab = lab!();
    let mut net = leader(&lab, 3);
    net.transfer(1, 2);
    assert!(words_to_begin(&net.mail(2)) > 0, "2 has acknowledged the whole log");
    ack(&mut net, 3, 1);
    assert_eq!(words_to_begin(&net.mail(3)), 0, "3 is not meant");
}

/// Section 3.10, step 2: not before it has the whole log. An acknowledgement of less is none of all.
#[test]
fn a_successor_that_lags_is_not_told_before_it_has_all() {
    let lab = lab!();
    let mut net = leader(&lab, 3);
    net.propose(1, "a");
    net.propose(1, "b");
    ack(&mut net, 3, 3);
    net.all_mail();
    net.transfer(1, 2);
    ack(&mut net, 2, 1);
    ack(&mut net, 2, 2);
    net.hand(heartbeat_reply(2, 1).term(1));
    net.hand(append_reply(2, 1).term(1).rejected(3, 2, 1));
    assert_eq!(
        words_to_begin(&net.mail(2)),
        0,
        "2 lacks entry 3: as leader it would have to get it first, or never be elected"
    );
    ack(&mut net, 2, 3);
    assert!(words_to_begin(&net.mail(2)) > 0, "and now it has all");
}

/// A leader does not know yet what a successor has: it asks, instead of waiting for the next command.
#[test]
fn a_successor_of_whom_nothing_is_known_is_asked() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).puppets(&[2, 3]).start();
    net.elect_by_puppets(1);
    ack(&mut net, 3, 1);
    net.hand(heartbeat_reply(2, 1).term(1));
    net.all_mail();
    net.transfer(1, 2);
    net.hand(heartbeat_reply(2, 1).term(1));
    let mail = net.mail(2);
    assert_eq!(words_to_begin(&mail), 0);
    assert!(
        mail.iter().any(|m| m.msg_type() == MessageType::MsgAppend),
        "an append, whose answer tells what 2 has"
    );
    ack(&mut net, 2, 1);
    assert!(words_to_begin(&net.mail(2)) > 0);
}

/// A word that got lost is said again, when the successor shows that it is alive and still follows.
#[test]
fn a_lost_word_is_said_again() {
    let lab = lab!();
    let mut net = leader(&lab, 3);
    net.transfer(1, 2);
    for round in 1..=4 {
        assert!(words_to_begin(&net.mail(2)) > 0, "round {round}");
        net.tick(1);
        net.all_mail();
        net.hand(heartbeat_reply(2, 1).term(1));
    }
}

/// Section 3.10, step 1: the leader takes no commands and no changes meanwhile, neither its own clients' nor what
/// followers pass on. The caller hears of it.
#[test]
fn nothing_is_taken_meanwhile() {
    let lab = lab!();
    let mut net = leader(&lab, 3);
    net.transfer(1, 2);
    assert_refused(&mut net, 2);
    net.ticks(1, 9);
    assert_refused(&mut net, 2);
}

/// Section 3.10: after about an election timeout it is over. `Config::election_tick` ticks: not one less, or slow
/// successors never make it, and not many more.
#[rstest]
#[case::common(10)]
#[case::longer(25)]
fn given_up_after_an_election_timeout(#[case] election_tick: u32) {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).puppets(&[2, 3]).tune(move |c| c.election_tick = election_tick).start();
    net.elect_by_puppets(1);
    ack(&mut net, 2, 1);
    net.transfer(1, 2);
    net.ticks(1, u64::from(election_tick) - 1);
    assert_refused(&mut net, 2);
    net.tick(1);
    assert_eq!(net.raft(1).lead_transferee(), 0, "it has failed");
    net.propose(1, "y");
    assert_eq!((net.role(1), net.last(1)), (Role::Leader, 2), "the leader leads on");
    net.all_mail();
    ack(&mut net, 2, 2);
    assert_eq!(words_to_begin(&net.mail(2)), 0, "and wants nobody any more");
}

/// A transfer begins with a whole election timeout, whatever has happened before.
#[test]
fn a_later_transfer_has_its_own_time() {
    let lab = lab!();
    let mut net = leader(&lab, 3);
    net.transfer(1, 2);
    net.ticks(1, 10);
    net.propose(1, "y");
    net.transfer(1, 3);
    net.ticks(1, 9);
    assert_refused(&mut net, 3);
    net.tick(1);
    net.propose(1, "z");
}

/// The same wish again changes nothing: who asks every second must not keep a leader from its clients for ever.
#[test]
fn the_same_wish_again_gives_no_more_time() {
    let lab = lab!();
    let mut net = leader(&lab, 3);
    net.transfer(1, 2);
    for _ in 0..9 {
        net.tick(1);
        net.transfer(1, 2);
        net.hand(wish(2, 1).term(1));
    }
    assert_refused(&mut net, 2);
    net.tick(1);
    net.propose(1, "y");
}

/// Another successor: the first transfer is over, with its time, and its successor is not told any more.
#[test]
fn another_successor_takes_its_place() {
    let lab = lab!();
    let mut net = leader(&lab, 3);
    net.propose(1, "a");
    net.transfer(1, 2);
    net.ticks(1, 6);
    net.transfer(1, 3);
    net.all_mail();
    ack(&mut net, 2, 2);
    assert_eq!(words_to_begin(&net.mail(2)), 0, "2 is wanted no more");
    net.ticks(1, 9);
    assert_refused(&mut net, 3);
    net.hand(append_reply(3, 1).term(1).accepted(2));
    assert!(words_to_begin(&net.mail(3)) > 0);
    net.tick(1);
    net.propose(1, "y");
}

/// To itself: it stays. A transfer under way is given up.
#[test]
fn the_leader_itself_is_wanted_after_all() {
    let lab = lab!();
    let mut net = leader(&lab, 3);
    net.transfer(1, 2);
    assert_refused(&mut net, 2);
    net.transfer(1, 1);
    net.all_mail();
    net.propose(1, "y");
    ack(&mut net, 2, 2);
    assert_eq!(words_to_begin(&net.mail(2)), 0);
    assert_eq!((net.role(1), net.commit(1)), (Role::Leader, 2));
}

/// Who is no member cannot lead, so wanting it changes nothing: a transfer under way goes on.
#[rstest]
#[case::unknown(9)]
#[case::nobody(0)]
#[case::no_member(4)]
fn no_member_is_wanted(#[case] to: u64) {
    let lab = lab!();
    let mut net = leader(&lab, 3);
    net.transfer(1, 2);
    net.transfer(1, to);
    assert_refused(&mut net, 2);
    net.ticks(1, 10);
    net.transfer(1, to);
    net.propose(1, "y");
    assert_eq!(net.raft(1).lead_transferee(), 0);
}

/// A higher term ends the leadership (section 5.1), and the transfer with it: when the peer leads again, it takes
/// commands.
#[test]
fn a_higher_term_ends_it() {
    let lab = lab!();
    let mut net = leader(&lab, 3);
    net.propose(1, "a");
    net.transfer(1, 2);
    assert_refused(&mut net, 2);
    net.hand(vote_request(3, 1).term(2).last(0, 0));
    assert_eq!(
        (net.role(1), net.raft(1).lead_transferee()),
        (Role::Follower, 0),
        "who does not lead hands nothing over"
    );
    net.elect_by_puppets(1);
    assert_eq!(net.raft(1).lead_transferee(), 0, "the transfer was of an earlier term");
    net.propose(1, "y");
    net.all_mail();
    let last = net.last(1);
    ack(&mut net, 2, last);
    assert_eq!(words_to_begin(&net.mail(2)), 0);
}

/// The transfer of an earlier leadership does not count the ticks of a later one.
#[test]
fn an_earlier_transfer_takes_no_time_from_a_later_one() {
    let lab = lab!();
    let mut net = leader(&lab, 3);
    net.transfer(1, 2);
    net.ticks(1, 8);
    net.hand(vote_request(3, 1).term(2).last(0, 0));
    net.elect_by_puppets(1);
    net.transfer(1, 2);
    net.ticks(1, 9);
    assert_refused(&mut net, 2);
}

/// The successor is removed from the group: the transfer is given up, for it will never lead.
#[test]
fn the_successor_is_removed() {
    let lab = lab!();
    let mut net = leader(&lab, 4);
    net.remove(1, 2);
    net.transfer(1, 2);
    assert_refused(&mut net, 2);
    ack(&mut net, 3, 2);
    ack(&mut net, 4, 2);
    assert_eq!(net.group(1), [1, 3, 4]);
    net.propose(1, "y");
    assert_eq!((net.raft(1).lead_transferee(), net.role(1)), (0, Role::Leader));
}

/// Somebody else is removed: the transfer goes on.
#[test]
fn somebody_else_is_removed() {
    let lab = lab!();
    let mut net = leader(&lab, 4);
    net.remove(1, 4);
    net.transfer(1, 2);
    ack(&mut net, 3, 2);
    net.all_mail();
    ack(&mut net, 2, 2);
    assert_eq!(net.group(1), [1, 2, 3]);
    assert!(words_to_begin(&net.mail(2)) > 0);
    assert_refused(&mut net, 2);
}
