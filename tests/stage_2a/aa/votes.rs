//! Giving a vote: to whom, and how often (sections 5.2 and 5.4.1).

use raftkv::ids::{Index, Term};
use raftkv::proto::eraftpb::MessageType;
use raftkv::raft::Role;
use raftkv_testkit::lab;
use raftkv_testkit::raft_net::Setup;
use raftkv_testkit::raft_net::letter::{heartbeat, vote_request};
use rstest::rstest;

/// Section 5.4.1: the voter refuses if its own log is more up to date than the candidate's. The later last
/// term wins; only in the same last term the longer log; equal is enough.
#[rstest]
#[case::both_empty(&[], (0, 0), true)]
#[case::ours_empty(&[], (5, 3), true)]
#[case::theirs_empty(&[1], (0, 0), false)]
#[case::equal(&[1, 2, 2], (3, 2), true)]
#[case::same_term_longer(&[1, 2, 2], (4, 2), true)]
#[case::same_term_shorter(&[1, 2, 2], (2, 2), false)]
#[case::later_term_same_length(&[1, 2, 2], (3, 3), true)]
#[case::later_term_shorter(&[1, 2, 2], (1, 3), true)]
#[case::later_term_longer(&[1, 2, 2], (9, 3), true)]
#[case::earlier_term_same_length(&[1, 2, 2], (3, 1), false)]
#[case::earlier_term_longer(&[1, 2, 2], (9, 1), false)]
#[case::earlier_term_shorter(&[1, 2, 2], (1, 1), false)]
fn only_a_log_at_least_as_up_to_date_gets_the_vote(
    #[case] ours: &[Term],
    #[case] theirs: (Index, Term),
    #[case] granted: bool,
) {
    let lab = lab!();
    let last = (ours.len(), ours.last().copied().unwrap_or(0));
    let mut net = Setup::of(&lab, 3).puppets(&[2, 3]).log(1, ours).start();
    let answer = net.ask(vote_request(2, 1).term(7).last(theirs.0, theirs.1));
    let verb = if granted { "grant" } else { "refuse" };
    assert_eq!(
        !answer.reject, granted,
        "our log ends with {}@{}, the candidate's with {}@{}: {verb} the vote (section 5.4.1)",
        last.0, last.1, theirs.0, theirs.1
    );
    assert_eq!(answer.term, 7, "the answer is of the candidate's term, which is ours now");
    assert_eq!(net.vote(1), if granted { 2 } else { 0 }, "the vote on record is the vote that was told");
}

/// Section 5.4.1: a log that is compacted has a last entry too: its index and term are what counts, also when
/// no entry is left.
#[rstest]
#[case::as_long((3, 3), true)]
#[case::shorter((2, 3), false)]
#[case::earlier_term((9, 1), false)]
#[case::later_term((1, 4), true)]
fn a_compacted_log_is_compared_by_its_last_entry(#[case] theirs: (Index, Term), #[case] granted: bool) {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).puppets(&[2, 3]).log(1, &[1, 1, 3]).compacted(1, 3).start();
    let answer = net.ask(vote_request(2, 1).term(7).last(theirs.0, theirs.1));
    assert_eq!(
        !answer.reject, granted,
        "our log is compacted up to its last entry 3@3, the candidate's ends with {}@{} (granted? section 5.4.1)",
        theirs.0, theirs.1
    );
    net.campaign(1);
    for to in [2, 3] {
        let mail = net.mail(to);
        let request = mail.iter().find(|m| m.msg_type() == MessageType::MsgRequestVote);
        assert_eq!(
            request.map(|m| (m.index, m.log_term)),
            Some((3, 3)),
            "and its own request to {to} names 3@3 as its last entry, by index and term (section 5.4.1)"
        );
    }
}

/// Section 5.2: one vote a term, first come, first served; the same candidate may ask again, for the answer
/// may have been lost.
#[test]
fn the_first_candidate_gets_the_vote_and_may_ask_again() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 5).puppets(&[2, 3, 4, 5]).start();
    assert!(!net.ask(vote_request(3, 1).term(2)).reject, "3 is the first to ask in term 2: granted");
    for rival in [2, 4, 5] {
        let answer = net.ask(vote_request(rival, 1).term(2).last(9, 2));
        assert!(answer.reject, "in term 2 the vote is 3's: {rival} must be refused, however good its log");
    }
    assert!(
        !net.ask(vote_request(3, 1).term(2)).reject,
        "3 asks again: the same answer, it may have been lost"
    );
    assert_eq!((net.term(1), net.vote(1)), (2, 3), "the vote of term 2 is 3's");
}

/// Figure 2, votedFor: a new term comes with a new vote.
#[test]
fn each_term_has_a_vote_of_its_own() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).puppets(&[2, 3]).start();
    for term in 1..8 {
        let (first, second) = if term % 2 == 0 { (2, 3) } else { (3, 2) };
        let answer = net.ask(vote_request(first, 1).term(term));
        assert!(
            !answer.reject,
            "{first} is the first to ask in term {term}: the vote of term {} is void",
            term - 1
        );
        assert_eq!((net.term(1), net.vote(1)), (term, first), "term and vote after granting");
        assert!(net.ask(vote_request(second, 1).term(term)).reject, "{second} comes too late in term {term}");
    }
}

/// A candidate or leader that learns of a higher term is a follower first and then votes like one
/// (section 5.1).
#[rstest]
#[case::follower(Role::Follower)]
#[case::candidate(Role::Candidate)]
#[case::leader(Role::Leader)]
fn a_request_of_a_higher_term_is_served_in_every_role(#[case] role: Role) {
    let lab = lab!();
    for (last, granted) in [((5, 1), true), ((0, 0), false)] {
        let mut net = Setup::of(&lab, 3).puppets(&[2, 3]).log(1, &[1]).start();
        match role {
            Role::Follower => net.hand(heartbeat(3, 1).term(2)),
            Role::Candidate => net.campaign(1),
            Role::Leader => net.elect_by_puppets(1),
        }
        assert_eq!((net.role(1), net.term(1)), (role, 2), "the test begins with a {role:?} of term 2");
        // A leader's log ends with its own empty entry: 2@2.
        let last = if role == Role::Leader && granted { (5, 2) } else { last };
        let answer = net.ask(vote_request(2, 1).term(3).last(last.0, last.1));
        assert_eq!(
            (!answer.reject, answer.term),
            (granted, 3),
            "a {role:?} of term 2 is asked for its vote of term 3, by one whose last entry is {}@{}",
            last.0,
            last.1
        );
        assert_eq!(
            (net.role(1), net.term(1), net.leader_of(1)),
            (Role::Follower, 3, 0),
            "granted or not, a higher term makes a follower of that term, who knows no leader yet (section 5.1)"
        );
    }
}

/// Refusing a stale log costs nothing: the vote of that term is still there for a better candidate.
#[test]
fn a_refused_candidate_does_not_use_up_the_vote() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).puppets(&[2, 3]).log(1, &[1, 1]).start();
    assert!(
        net.ask(vote_request(2, 1).term(2).last(1, 1)).reject,
        "2 lacks an entry that node 1 has: refused"
    );
    assert_eq!((net.term(1), net.vote(1)), (2, 0), "the term is new, the vote still free");
    assert!(
        !net.ask(vote_request(3, 1).term(2).last(2, 1)).reject,
        "3 has all entries: granted, also in term 2"
    );
}

/// Within a term the vote stands, whatever else arrives: giving it twice could elect two leaders
/// (section 5.2).
#[test]
fn hearing_the_leader_does_not_free_the_vote() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 5).puppets(&[2, 3, 4, 5]).start();
    assert!(!net.ask(vote_request(2, 1).term(1)).reject, "2 is the first to ask: granted");
    net.hand(heartbeat(2, 1).term(1));
    let answer = net.ask(vote_request(3, 1).term(1).last(9, 1));
    assert!(answer.reject, "2 got the vote of term 1, and leads it: 3 must be refused");
    assert_eq!(net.leader_of(1), 2, "and 2 leads it still: a refused rival changes nothing");

    let mut net = Setup::of(&lab, 5).puppets(&[2, 3, 4, 5]).start();
    net.campaign(1);
    net.hand(heartbeat(2, 1).term(1));
    assert_eq!((net.role(1), net.vote(1)), (Role::Follower, 1), "a candidate that gives way keeps its vote");
    let answer = net.ask(vote_request(3, 1).term(1).last(9, 1));
    assert!(
        answer.reject,
        "node 1 voted for itself in term 1; giving way to 2 does not free that vote for 3"
    );
}

/// Section 5.1: a request of an old term is refused, however good the log, and the answer names the current
/// term, so that the candidate stops.
#[test]
fn a_request_of_an_old_term_is_refused_with_the_current_term() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).puppets(&[2, 3]).term(1, 6, 0).start();
    let answer = net.ask(vote_request(2, 1).term(5).last(9, 5));
    assert_eq!((answer.reject, answer.term), (true, 6), "2 asks in term 5, and it is term 6 (section 5.1)");
    assert_eq!((net.term(1), net.vote(1)), (6, 0), "the vote of term 6 is untouched");
    assert!(!net.ask(vote_request(3, 1).term(6)).reject, "so 3 can have it");
}

/// Figure 2: the vote is on disk before the candidate hears of it, or a crash makes room for a second one.
#[test]
fn a_vote_is_saved_before_it_is_told() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).puppets(&[2, 3]).start();
    net.hold_disk(1);
    net.hand(vote_request(2, 1).term(1));
    assert!(
        net.mail(2).is_empty(),
        "node 1's disk has not written the vote yet, so nobody may hear of it (figure 2, persistent state)"
    );
    net.release_disk(1);
    let answers = net.mail(2);
    assert!(
        answers.iter().any(|m| !m.reject && m.term == 1),
        "the vote for 2 is on disk now: the answer must go out; it sent {answers:?}"
    );
}

/// Figure 2: a candidate's vote for itself is on disk before it asks others.
#[test]
fn a_candidacy_is_saved_before_it_is_told() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).puppets(&[2, 3]).start();
    net.hold_disk(1);
    net.campaign(1);
    assert!(
        net.all_mail().is_empty(),
        "node 1's disk has neither the new term nor its own vote: nobody may hear of the candidacy (figure 2)"
    );
    net.crash(1);
    net.restart(1);
    assert_eq!(net.term(1), 0, "the crash came before the write");
    net.campaign(1);
    for voter in [2, 3] {
        assert!(!net.mail(voter).is_empty(), "with a disk that works, {voter} is asked for its vote");
    }
}
