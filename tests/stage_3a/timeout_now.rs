//! The word to begin, at its receiver: MsgTimeoutNow (thesis, section 3.10).

use pretty_assertions::assert_eq;
use raftkv::proto::eraftpb::MessageType;
use raftkv::raft::Role;
use raftkv_testkit::lab;
use raftkv_testkit::raft_net::letter::{heartbeat, timeout_now, vote_reply, wish};
use raftkv_testkit::raft_net::{Direct, Net, Setup};

/// Node 1 follows 2, which leads term 3.
fn follower(lab: &raftkv_testkit::Lab) -> Net<Direct> {
    let mut net = Setup::of(lab, 3).puppets(&[2, 3]).log(1, &[1, 3]).start();
    net.hand(heartbeat(2, 1).term(3));
    net.all_mail();
    net
}

/// Section 3.10: it stands for election at once, in the next term, as if its timer had run out.
#[test]
fn a_follower_stands_for_election_at_once() {
    let lab = lab!();
    let mut net = follower(&lab);
    net.hand(timeout_now(2, 1).term(3));
    assert_eq!((net.role(1), net.term(1), net.vote(1)), (Role::Candidate, 4, 1));
    for puppet in [2, 3] {
        let asked = net.mail(puppet);
        assert!(
            asked
                .iter()
                .any(|m| m.msg_type() == MessageType::MsgRequestVote && (m.index, m.log_term) == (2, 3))
        );
    }
    net.hand(vote_reply(3, 1).term(4));
    assert_eq!(net.role(1), Role::Leader, "a majority makes it leader, as in any election");
}

/// The word was said twice: the second is of an old term by then, and does not disturb the election.
#[test]
fn twice_is_as_good_as_once() {
    let lab = lab!();
    let mut net = follower(&lab);
    net.hand(timeout_now(2, 1).term(3));
    net.hand(timeout_now(2, 1).term(3));
    assert_eq!((net.role(1), net.term(1)), (Role::Candidate, 4));
    net.hand(vote_reply(2, 1).term(4));
    net.hand(timeout_now(2, 1).term(3));
    assert_eq!((net.role(1), net.term(1)), (Role::Leader, 4));
}

/// A word of an old term comes from a leader that has been replaced (section 5.1).
#[test]
fn an_old_word_is_ignored() {
    let lab = lab!();
    let mut net = follower(&lab);
    net.hand(timeout_now(3, 1).term(2));
    assert_eq!((net.role(1), net.term(1), net.leader_of(1)), (Role::Follower, 3, 2));
    net.hand(timeout_now(2, 1).term(3));
    assert_eq!(net.term(1), 4, "the leader's own word counts");
}

/// A word of a higher term brings that term first (section 5.1).
#[test]
fn a_word_of_a_higher_term() {
    let lab = lab!();
    let mut net = follower(&lab);
    net.hand(timeout_now(3, 1).term(6));
    assert_eq!((net.role(1), net.term(1)), (Role::Candidate, 7));
}

/// A candidate of this term is told, too: it stands for election once more.
#[test]
fn a_candidate_begins_anew() {
    let lab = lab!();
    let mut net = follower(&lab);
    net.campaign(1);
    net.hand(timeout_now(3, 1).term(4));
    assert_eq!((net.role(1), net.term(1)), (Role::Candidate, 5));
    net.hand(vote_reply(2, 1).term(4));
    assert_eq!(net.role(1), Role::Candidate, "a vote of term 4 is none of term 5");
    net.hand(vote_reply(2, 1).term(5));
    assert_eq!(net.role(1), Role::Leader);
}

/// Who is no member of its group does not stand for election, whoever says so (section 4.2.2).
#[test]
fn who_is_no_member_does_nothing() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).puppets(&[2, 3]).log(1, &[1, 3]).group(1, &[2, 3]).start();
    net.hand(heartbeat(2, 1).term(3));
    net.hand(timeout_now(2, 1).term(3));
    assert_eq!((net.role(1), net.term(1)), (Role::Follower, 3), "it has been removed");
}

/// A wish that reaches a follower goes on to its leader, in the name of who is wanted.
#[test]
fn a_wish_is_passed_on() {
    let lab = lab!();
    let mut net = follower(&lab);
    net.hand(wish(3, 1).term(3));
    let mail = net.mail(2);
    let wishes: Vec<u64> =
        mail.iter().filter(|m| m.msg_type() == MessageType::MsgTransferLeader).map(|m| m.from).collect();
    assert_eq!(wishes, [3], "its leader has to know");
    assert_eq!((net.role(1), net.term(1)), (Role::Follower, 3));
}
