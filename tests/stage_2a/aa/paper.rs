//! The paper on elections, a sentence a test: sections 5.1, 5.2 and 5.4.1, in their order.

use raftkv::proto::eraftpb::MessageType;
use raftkv::raft::Role;
use raftkv_testkit::lab;
use raftkv_testkit::raft_net::Setup;
use raftkv_testkit::raft_net::letter::{append, heartbeat, vote_reply, vote_request};

/// 5.1: when two servers communicate and one has the smaller term, it takes over the larger one.
#[test]
fn s5_1_the_smaller_term_gives_way() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).term(1, 2, 0).term(2, 7, 0).term(3, 5, 0).start();
    net.campaign(1);
    net.deliver_all();
    assert_eq!(net.term(2), 7, "2 has the largest term and keeps it (section 5.1)");
    assert_eq!(
        net.term(1),
        7,
        "1 asked 2 and 3 for votes of term 3 and heard of term 7 from 2 (section 5.1)"
    );
    assert_eq!(net.role(1), Role::Follower, "a candidate whose term is out of date is a follower at once");
}

/// 5.1: a leader or candidate whose term is out of date becomes a follower at once.
#[test]
fn s5_1_an_outdated_leader_or_candidate_follows_at_once() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).puppets(&[2, 3]).start();
    net.elect_by_puppets(1);
    net.hand(heartbeat(2, 1).term(2));
    assert_eq!((net.role(1), net.term(1)), (Role::Follower, 2), "a leader that hears of a newer term");
    net.campaign(1);
    net.hand(vote_reply(3, 1).term(9).refused());
    assert_eq!((net.role(1), net.term(1)), (Role::Follower, 9), "a candidate that hears of a newer term");
}

/// 5.1: a request with a stale term is rejected.
#[test]
fn s5_1_a_stale_request_is_rejected() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).puppets(&[2, 3]).term(1, 4, 0).start();
    let answer = net.ask(vote_request(2, 1).term(3).last(5, 3));
    assert!(answer.reject, "a request of term 3 in term 4 must be rejected (section 5.1)");
    assert_eq!(answer.term, 4, "with the current term (figure 2: \"for candidate to update itself\")");
}

/// 5.2: servers begin as followers, and remain so as long as they hear from a leader or candidate.
#[test]
fn s5_2_servers_begin_as_followers() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).puppets(&[2, 3]).start();
    assert_eq!(
        (net.role(1), net.term(1), net.leader_of(1)),
        (Role::Follower, 0, 0),
        "servers begin as followers"
    );
    for _ in 0..9 {
        net.tick(1);
        assert_eq!(net.role(1), Role::Follower, "no election timeout is below 10 ticks");
    }
    net.ticks(1, 10);
    assert_eq!(net.role(1), Role::Candidate, "and none is above 19: it has begun an election (section 5.2)");
}

/// 5.2: to begin an election, a follower raises its term, becomes a candidate, votes for itself and asks each
/// of the other servers.
#[test]
fn s5_2_how_an_election_begins() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 4).puppets(&[2, 3, 4]).term(1, 6, 0).start();
    net.hand(heartbeat(2, 1).term(6));
    assert_eq!(net.leader_of(1), 2, "2 leads term 6, and falls silent");
    let stood = (0..20).any(|_| {
        net.tick(1);
        net.role(1) != Role::Follower || net.term(1) != 6
    });
    assert!(stood, "20 ticks without a message: it begins an election (section 5.2)");
    assert_eq!((net.role(1), net.term(1)), (Role::Candidate, 7), "it raises its term and is a candidate");
    assert_eq!(
        (net.vote(1), net.leader_of(1)),
        (1, 0),
        "it votes for itself, and knows no leader in this term: 2 led the one before"
    );
    for to in [2, 3, 4] {
        let asked = net.mail(to).iter().any(|m| m.msg_type() == MessageType::MsgRequestVote && m.term == 7);
        assert!(asked, "it asks {to} for its vote of term 7");
    }
}

/// 5.2, first outcome: a candidate with the votes of a majority for its term wins, and tells all others by a
/// heartbeat (or append), which ends their elections.
#[test]
fn s5_2_a_candidate_wins_with_a_majority() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 5).start();
    net.campaign(4);
    net.deliver_all();
    net.heartbeat(4);
    for id in [1, 2, 3, 5] {
        assert_eq!(
            (net.role(id), net.term(id), net.vote(id), net.leader_of(id)),
            (Role::Follower, 1, 4, 4),
            "node {id} voted for 4 and follows it"
        );
    }
    assert_eq!((net.role(4), net.leader_of(4)), (Role::Leader, 4), "all five voted for 4");
}

/// 5.2: each server votes for one candidate a term at most, first come, first served.
#[test]
fn s5_2_first_come_first_served() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).puppets(&[2, 3]).start();
    assert!(!net.ask(vote_request(3, 1).term(1)).reject, "3 asks first: it gets the vote of term 1");
    assert!(net.ask(vote_request(2, 1).term(1)).reject, "2 comes second: no vote in term 1");
}

/// 5.2: the majority rule makes sure that at most one candidate wins a term.
#[test]
fn s5_2_at_most_one_candidate_wins_a_term() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 5).start();
    for id in 1..=5 {
        net.campaign(id);
    }
    net.deliver_all();
    let leaders = (1..=5).filter(|id| net.role(*id) == Role::Leader).count();
    assert_eq!(leaders, 0, "all five voted for themselves in term 1: nobody has a majority (section 5.2)");
    net.run_until(400, "random timeouts resolve it: somebody wins a later term", |net| {
        net.agreed_leader().is_some()
    });
    assert!(net.term(1) >= 2, "term 1 has no leader");
}

/// 5.2, second outcome: a leader with a term at least as large as the candidate's is recognised.
#[test]
fn s5_2_a_candidate_recognises_a_legitimate_leader() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).puppets(&[2, 3]).start();
    net.campaign(1);
    net.hand(append(3, 1).term(1));
    assert_eq!((net.role(1), net.leader_of(1)), (Role::Follower, 3), "3 leads the term in which 1 stood");
}

/// 5.2, second outcome: one with a smaller term is rejected, and the candidate goes on.
#[test]
fn s5_2_a_candidate_rejects_an_outdated_leader() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).puppets(&[2, 3]).term(1, 4, 0).start();
    net.campaign(1);
    net.hand(append(3, 1).term(4));
    assert_eq!(
        (net.role(1), net.term(1)),
        (Role::Candidate, 5),
        "a leader of term 4 is of no interest in term 5"
    );
    let answered = net.mail(3).iter().any(|m| m.term == 5 && m.msg_type() != MessageType::MsgRequestVote);
    assert!(answered, "the outdated leader must get an answer of term 5, to step down");
}

/// 5.2, third outcome: nobody wins; the candidates time out and begin a new election with a higher term.
#[test]
fn s5_2_a_split_vote_leads_to_a_new_term() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).puppets(&[2, 3]).start();
    net.campaign(1);
    net.hand(vote_reply(2, 1).term(1).refused());
    net.ticks(1, 19);
    assert_eq!(
        (net.role(1), net.term(1)),
        (Role::Candidate, 2),
        "no winner in term 1: it stands again in term 2"
    );
}

/// 5.4.1: a candidate without all committed entries cannot win, for a majority has them, and some voter of
/// any majority refuses.
#[test]
fn s5_4_1_a_candidate_without_the_committed_entries_cannot_win() {
    let lab = lab!();
    let setup = Setup::of(&lab, 5).log(1, &[1, 1]).log(2, &[1, 1]).log(3, &[1, 1]).log(4, &[1]);
    let mut net = setup.start();
    for _ in 0..3 {
        for candidate in [4, 5] {
            net.campaign(candidate);
            net.deliver_all();
            assert_ne!(
                net.role(candidate),
                Role::Leader,
                "entry 2@1 is on 1, 2 and 3, and {candidate} does not have it: a majority must refuse its vote \
                 (section 5.4.1)"
            );
        }
    }
    net.campaign(2);
    net.deliver_all();
    assert_eq!(net.role(2), Role::Leader, "2 has every entry that any voter has: all may vote for it");
}

/// 5.4.1: of two logs, the one whose last term is later is more up to date, whatever their lengths; with the
/// same last term, the longer one.
#[test]
fn s5_4_1_what_up_to_date_means() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 5).puppets(&[2, 3, 4, 5]).log(1, &[2, 2, 3]).start();
    assert!(
        net.ask(vote_request(2, 1).term(4).last(9, 2)).reject,
        "longer, but its last term 2 is before our 3"
    );
    assert!(net.ask(vote_request(3, 1).term(5).last(2, 3)).reject, "last term 3 as ours, but shorter");
    assert!(
        !net.ask(vote_request(4, 1).term(6).last(3, 3)).reject,
        "just as long, same last term: good enough"
    );
    assert!(
        !net.ask(vote_request(5, 1).term(7).last(1, 4)).reject,
        "shorter, but its last term 4 is after our 3"
    );
}
