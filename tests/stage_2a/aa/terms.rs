//! Terms: how a server learns that it has missed something, and tells those who have (section 5.1).

use raftkv::ids::{PeerId, Term};
use raftkv::proto::eraftpb::{Message, MessageType};
use raftkv::raft::Role;
use raftkv_testkit::lab;
use raftkv_testkit::raft_net::letter::{
    Letter, append, append_reply, heartbeat, heartbeat_reply, vote_reply, vote_request,
};
use raftkv_testkit::raft_net::{Direct, Net, Setup};
use rstest::rstest;

/// Node 1 in this role, in term 3; 2 to 5 are puppets.
fn node_in_term_3(lab: &raftkv_testkit::Lab, role: Role) -> Net<Direct> {
    let mut net = Setup::of(lab, 5).puppets(&[2, 3, 4, 5]).term(1, 2, 0).start();
    match role {
        Role::Follower => net.hand(heartbeat(5, 1).term(3)),
        Role::Candidate => net.campaign(1),
        Role::Leader => net.elect_by_puppets(1),
    }
    assert_eq!((net.role(1), net.term(1)), (role, 3), "the test begins with a {role:?} of term 3");
    net.all_mail();
    net
}

fn kind(letter: &Letter) -> String {
    let m: Message = letter.clone().into();
    format!("{:?}", m.msg_type())
}

/// Section 5.1: a server that hears of a higher term, in a request or an answer, is a follower of that term.
/// Only a leader's message says who leads it.
#[rstest]
#[case::follower(Role::Follower)]
#[case::candidate(Role::Candidate)]
#[case::leader(Role::Leader)]
fn a_higher_term_makes_a_follower_of_that_term(#[case] role: Role) {
    let lab = lab!();
    let messages: [(Letter, PeerId); 7] = [
        (append(2, 1), 2),
        (heartbeat(2, 1), 2),
        (append_reply(2, 1).rejected(0, 0, 0), 0),
        (heartbeat_reply(2, 1), 0),
        (vote_request(2, 1), 0),
        (vote_reply(2, 1), 0),
        (vote_reply(2, 1).refused(), 0),
    ];
    for (letter, leader) in messages {
        let mut net = node_in_term_3(&lab, role);
        let what = kind(&letter);
        net.hand(letter.term(8));
        let leader_now = if leader == 0 { "knows no leader of it" } else { "its sender leads it" };
        assert_eq!(
            (net.role(1), net.term(1), net.leader_of(1)),
            (Role::Follower, 8, leader),
            "a {role:?} of term 3 gets a {what} of term 8: it is a follower of term 8, and {leader_now} (section 5.1)"
        );
    }
}

/// Section 5.1: who sends a message of an old term is told the current one, and changes nothing. A leader or
/// candidate that was away learns that way that it has been replaced.
#[rstest]
#[case::follower(Role::Follower)]
#[case::candidate(Role::Candidate)]
#[case::leader(Role::Leader)]
fn a_request_of_an_old_term_changes_nothing_and_is_told_the_new_one(#[case] role: Role) {
    let lab = lab!();
    let requests =
        [append(2, 1).entries(&[2]).commit(1), heartbeat(2, 1).commit(1), vote_request(2, 1).last(9, 2)];
    for letter in requests {
        let what = kind(&letter);
        let mut net = node_in_term_3(&lab, role);
        let before = (net.role(1), net.term(1), net.leader_of(1), net.vote(1), net.log(1));
        net.hand(letter.term(2));
        assert_eq!(
            (net.role(1), net.term(1), net.leader_of(1), net.vote(1), net.log(1)),
            before,
            "a {what} of term 2 is out of date in term 3 (role, term, leader, vote, log; section 5.1)"
        );
        let answers = net.mail(2);
        assert!(
            answers.iter().any(|m| m.term == 3),
            "the sender of a {what} is stuck in term 2: it must be answered in term 3, so that it steps down \
             (section 5.1); it got {answers:?}"
        );
        let consents = |m: &&Message| {
            let t = m.msg_type();
            !m.reject && (t == MessageType::MsgAppendResponse || t == MessageType::MsgRequestVoteResponse)
        };
        assert_eq!(
            answers.iter().find(consents),
            None,
            "a {what} of term 2 must be refused in term 3 (figure 2: \"reply false if term < currentTerm\")"
        );
    }
}

/// Answers of an old term change nothing.
#[rstest]
#[case::candidate(Role::Candidate)]
#[case::leader(Role::Leader)]
fn answers_of_an_old_term_are_dropped(#[case] role: Role) {
    let lab = lab!();
    for letter in [vote_reply(2, 1), heartbeat_reply(2, 1), append_reply(2, 1).accepted(1)] {
        let what = kind(&letter);
        let mut net = node_in_term_3(&lab, role);
        let before = (net.role(1), net.term(1), net.log(1), net.commit(1));
        for _ in 0..3 {
            net.hand(letter.clone().term(2));
        }
        assert_eq!(
            (net.role(1), net.term(1), net.log(1), net.commit(1)),
            before,
            "a {what} of term 2, in term 3"
        );
    }
}

/// A leader that was cut off steps down as soon as it hears from anybody who has moved on.
#[test]
fn a_deposed_leader_learns_of_it_from_the_answers() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).start();
    net.elect(1);
    net.isolate(1);
    // The others elect one of themselves.
    net.run_until(200, "2 and 3 are a majority and elect a leader (section 5.2)", |net| {
        [2, 3].iter().any(|id| net.role(*id) == Role::Leader)
    });
    assert_eq!(net.role(1), Role::Leader, "cut off, node 1 cannot know that it is deposed");
    net.heal();
    net.ticks(1, 2);
    net.deliver_all();
    let term: Term = net.term(2).max(net.term(3));
    assert_eq!(
        (net.role(1), net.term(1)),
        (Role::Follower, term),
        "its heartbeats are answered with the new term: it must step down (section 5.1)"
    );
}
