//! Who refuses its vote says what is committed: a group from which a peer was removed may need that to go on without
//! it.

use pretty_assertions::assert_eq;
use raftkv::proto::eraftpb::Message;
use raftkv::proto::eraftpb::MessageType;
use raftkv::raft::Role;
use raftkv_testkit::lab;
use raftkv_testkit::raft_net::letter::{remove_node, vote_reply, vote_request};
use raftkv_testkit::raft_net::{Direct, Net, Setup};

use crate::group;

/// A refusal of 2, which knows that everything up to here is committed.
fn refusal(term: u64, commit: u64, log_term: u64) -> Message {
    let m: Message = vote_reply(2, 1).term(term).refused().into();
    Message { commit, log_term, ..m }
}

/// Node 1 is a candidate of term 2, in a group of four. Entry 2 removes 4; 1 does not know that it is committed.
fn candidate(lab: &raftkv_testkit::Lab) -> Net<Direct> {
    let setup = Setup::of(lab, 4).puppets(&[2, 3, 4]).log(1, &[1]).change(1, 1, &remove_node(4));
    let mut net = setup.commit(1, 1).start();
    net.campaign(1);
    assert_eq!((net.role(1), net.term(1), net.commit(1)), (Role::Candidate, 2, 1));
    net
}

/// A candidate learns that the change is committed: it was asking an old group, and is a follower again. In the new
/// group it can win.
#[test]
fn a_candidate_learns_of_a_change() {
    let lab = lab!();
    let mut net = candidate(&lab);
    net.hand(refusal(2, 2, 1));
    assert_eq!(
        (net.commit(1), net.group(1)),
        (2, &[1, 2, 3][..]),
        "it has the entry that 2 speaks of, so it is committed here too"
    );
    assert_eq!((net.role(1), net.term(1)), (Role::Follower, 2), "the votes of the old group count no more");
    net.hand(vote_reply(3, 1).term(2));
    net.hand(vote_reply(4, 1).term(2));
    assert_eq!(net.role(1), Role::Follower);
    net.campaign(1);
    net.hand(vote_reply(3, 1).term(3));
    assert_eq!(net.role(1), Role::Leader, "2 of 3");
}

/// It may hear of that late, as a follower, or from somebody of a later term: what is committed stays so.
#[test]
fn a_follower_learns_of_it_too() {
    let lab = lab!();
    let mut net = candidate(&lab);
    net.hand(refusal(9, 2, 1));
    assert_eq!((net.role(1), net.term(1)), (Role::Follower, 9));
    assert_eq!((net.commit(1), net.group(1)), (2, &[1, 2, 3][..]));
}

/// An entry that it does not have, or has of another term, tells it nothing about its own log.
#[test]
fn an_entry_that_is_not_here_says_nothing() {
    let lab = lab!();
    let mut net = candidate(&lab);
    net.hand(refusal(2, 3, 1));
    assert_eq!((net.commit(1), net.role(1)), (1, Role::Candidate), "its log ends at 2");
    net.hand(Message { from: 3, ..refusal(2, 2, 2) });
    assert_eq!(net.commit(1), 1, "2@2 is another entry than 2@1: that one may have been replaced");
    let mut net = candidate(&lab);
    net.hand(refusal(2, 2, 1));
    assert_eq!(net.commit(1), 2);
}

/// An old voter, who knows less, takes nothing back.
#[test]
fn what_is_known_already_is_no_news() {
    let lab = lab!();
    let mut net = candidate(&lab);
    net.hand(refusal(2, 1, 1));
    assert_eq!(
        (net.commit(1), net.role(1)),
        (1, Role::Candidate),
        "one refusal of four: the election goes on"
    );
    net.hand(Message { from: 3, ..refusal(2, 2, 1) });
    assert_eq!((net.commit(1), net.role(1)), (2, Role::Follower));
}

/// A leader counts, and is told nothing: late refusals do not bring it down.
#[test]
fn a_leader_learns_nothing() {
    let lab = lab!();
    let mut net = candidate(&lab);
    net.hand(vote_reply(3, 1).term(2));
    net.hand(vote_reply(4, 1).term(2));
    assert_eq!(net.role(1), Role::Leader);
    net.hand(refusal(2, 2, 1));
    assert_eq!(
        (net.role(1), net.commit(1)),
        (Role::Leader, 1),
        "it commits 2@1 with an entry of its own term (section 5.4.2)"
    );
    (2..=3).for_each(|id| crate::ack(&mut net, id, 3));
    assert_eq!((net.commit(1), net.group(1)), (3, &[1, 2, 3][..]));
}

/// Where a removed peer holds more than those who need it, it must not give them its vote (section 5.4.1), and will
/// never lead itself. What it says with its refusal is all that they need.
#[test]
fn a_removed_leader_that_holds_more() {
    let lab = lab!();
    let mut net: Net<Direct> = group(&lab, 2);
    net.remove(1, 1);
    // Neither y nor a last word about what is committed gets through.
    let from_the_leader = [MessageType::MsgAppend, MessageType::MsgHeartbeat];
    net.hold(move |m| {
        let is_news = m.commit > 2 || (!m.entries.is_empty() && m.index > 2);
        m.from == 1 && from_the_leader.contains(&m.msg_type()) && is_news
    });
    net.propose(1, "y");
    net.deliver_all();
    assert_eq!((net.role(1), net.group(1), net.last(1)), (Role::Follower, &[2][..], 4));
    assert_eq!(
        (net.last(2), net.commit(2)),
        (3, 2),
        "2 has not heard that the removal is committed, and has not got y"
    );
    net.campaign(2);
    net.deliver_all();
    assert_eq!(net.group(2), [2], "1 has refused, and said that 3 is committed");
    net.run_until(40, "alone, 2 is a majority", |net| net.role(2) == Role::Leader);
    net.propose(2, "z");
    assert_eq!(net.applied(2), ["x", "z"], "y was never committed");
}

/// In a group of four that becomes three, of which one is down, the same.
#[test]
fn a_group_of_three_with_one_down() {
    let lab = lab!();
    let mut net: Net<Direct> = group(&lab, 4);
    net.remove(1, 1);
    net.hold(|m| m.from == 1 && !m.entries.is_empty() && m.index > 2);
    net.propose(1, "y");
    net.deliver_all();
    assert_eq!((net.role(1), net.last(1)), (Role::Follower, 4));
    net.crash(4);
    net.run_until(100, "2 and 3 are two of three", |net| net.leader_among(&[2, 3]).is_some());
    assert_eq!((net.group(2), net.group(3)), (&[2, 3, 4][..], &[2, 3, 4][..]));
}

/// What a voter says is what it knows, also where it grants its vote or is in a later term.
#[test]
fn a_voter_says_what_it_knows() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3)
        .puppets(&[2, 3])
        .log(1, &[1, 1])
        .change(1, 2, &remove_node(3))
        .commit(1, 3)
        .start();
    assert_eq!(net.group(1), [1, 2], "it is applied");
    for letter in [
        vote_request(2, 1).term(1).last(2, 1),
        vote_request(2, 1).term(3).last(2, 1),
        vote_request(2, 1).term(4).last(3, 2),
    ] {
        let answer = net.ask(letter);
        assert_eq!((answer.commit, answer.log_term), (3, 2));
    }
}
