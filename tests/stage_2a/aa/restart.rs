//! Crashes: what a server must still know afterwards (figure 2, "Persistent state").

use raftkv::raft::Role;
use raftkv_testkit::lab;
use raftkv_testkit::raft_net::Setup;
use raftkv_testkit::raft_net::letter::{heartbeat, vote_reply, vote_request};

/// A vote survives a crash: else the same term could see it given twice (section 5.2).
#[test]
fn a_vote_survives_a_crash() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).puppets(&[2, 3]).start();
    assert!(!net.ask(vote_request(2, 1).term(4)).reject, "2 is the first to ask in term 4: granted");
    net.crash(1);
    net.restart(1);
    assert_eq!(
        (net.role(1), net.term(1), net.leader_of(1)),
        (Role::Follower, 4, 0),
        "it comes back as a follower of term 4, and has not heard who leads it: 2 may have lost (role, term, leader)"
    );
    assert!(
        net.ask(vote_request(3, 1).term(4).last(9, 4)).reject,
        "before the crash node 1 voted for 2 in term 4: it must refuse 3 (section 5.2; figure 2, votedFor)"
    );
    assert!(!net.ask(vote_request(2, 1).term(4)).reject, "2 may have it again");
}

/// So does a candidate's vote for itself.
#[test]
fn a_candidates_own_vote_survives_a_crash() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).puppets(&[2, 3]).start();
    net.campaign(1);
    net.crash(1);
    net.restart(1);
    assert_eq!(
        (net.role(1), net.term(1), net.vote(1)),
        (Role::Follower, 1, 1),
        "the candidate of term 1 comes back as a follower that has voted for itself"
    );
    assert!(
        net.ask(vote_request(2, 1).term(1).last(9, 1)).reject,
        "node 1 asked for votes of term 1, so its own is given: it must refuse 2"
    );
    net.hand(vote_reply(3, 1).term(1));
    assert_eq!(
        net.role(1),
        Role::Follower,
        "it is no candidate any more: a late vote does not make it leader"
    );
    net.campaign(1);
    assert_eq!(net.term(1), 2, "it stands again only in a new term");
}

/// A term that was heard of survives a crash, or messages of old terms would be taken seriously again.
#[test]
fn the_term_survives_a_crash() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).puppets(&[2, 3]).start();
    net.hand(heartbeat(2, 1).term(9));
    net.crash(1);
    net.restart(1);
    net.hand(heartbeat(3, 1).term(8));
    assert_eq!(
        (net.term(1), net.leader_of(1)),
        (9, 0),
        "before the crash node 1 was in term 9: the leader of term 8 is out of date (section 5.1)"
    );
}

/// A leader that crashes comes back as a follower, and with the empty entry of its term on its disk.
#[test]
fn a_leader_comes_back_as_a_follower() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).puppets(&[2, 3]).start();
    net.elect_by_puppets(1);
    net.crash(1);
    net.restart(1);
    assert_eq!(
        (net.role(1), net.term(1), net.terms(1)),
        (Role::Follower, 1, vec![1]),
        "servers start up as followers (section 5.2), with the log they had written"
    );
    net.ticks(1, 9);
    assert_eq!(net.role(1), Role::Follower, "and with a full timeout ahead");
    net.ticks(1, 10);
    assert_eq!((net.role(1), net.term(1)), (Role::Candidate, 2), "which runs out after 19 ticks at most");
}

/// The whole group loses power: it elects a leader of a new term, with one vote from each in each term.
#[test]
fn a_group_elects_a_leader_after_a_power_cut() {
    let lab = lab!();
    for _ in lab.seeds(5) {
        let mut net = Setup::of(&lab, 3).start();
        net.run_until(200, "three nodes that hear each other elect a leader (section 5.2)", |net| {
            net.leader().is_some()
        });
        let term = (1..=3).map(|id| net.term(id)).max().expect("three nodes");
        for id in 1..=3 {
            net.crash(id);
        }
        net.drop_all();
        for id in 1..=3 {
            net.restart(id);
        }
        net.run_until(200, "after a power cut the group elects a leader again", |net| {
            net.agreed_leader().is_some()
        });
        assert!(net.term(1) > term, "votes of term {term} are given: only a new term can elect a leader");
    }
}
