//! Standing for election: what a candidate does, and when it has won (section 5.2).

use pretty_assertions::assert_eq as assert_same;
use raftkv::ids::{PeerId, Term};
use raftkv::proto::eraftpb::{Message, MessageType};
use raftkv::raft::Role;
use raftkv_testkit::lab;
use raftkv_testkit::raft_net::Setup;
use raftkv_testkit::raft_net::letter::{append, heartbeat, vote_reply, vote_request};
use rstest::rstest;

fn others(n: u64) -> Vec<PeerId> {
    (2..=n).collect()
}

/// Section 5.4.1: the request names the candidate's last entry, by index and term.
#[rstest]
#[case::empty_log(&[], (0, 0))]
#[case::one_entry(&[1], (1, 1))]
#[case::several_terms(&[1, 1, 4, 6], (4, 6))]
fn a_candidate_asks_everybody_and_names_its_last_entry(#[case] log: &[Term], #[case] last: (u64, u64)) {
    let lab = lab!();
    let mut net = Setup::of(&lab, 5).puppets(&others(5)).log(1, log).start();
    let term = net.term(1) + 1;
    net.campaign(1);
    for to in others(5) {
        let requests: Vec<Message> = net.mail(to);
        let names_it = |m: &Message| (m.term, m.index, m.log_term) == (term, last.0, last.1);
        assert!(
            requests.iter().any(|m| m.msg_type() == MessageType::MsgRequestVote && names_it(m)),
            "candidate 1 must ask {to} for its vote of term {term} and name its last entry {}@{} (figure 2, \
             RequestVote); it sent {requests:?}",
            last.0,
            last.1
        );
    }
}

/// Section 5.2: the votes of a majority of the whole group, the candidate's own included, make a leader. Not
/// half of them, and not more than needed.
#[rstest]
#[case::alone(1, 0)]
#[case::two(2, 1)]
#[case::three(3, 1)]
#[case::four(4, 2)]
#[case::five(5, 2)]
#[case::six(6, 3)]
#[case::seven(7, 3)]
fn exactly_a_majority_wins(#[case] nodes: u64, #[case] needed: usize) {
    let lab = lab!();
    let mut net = Setup::of(&lab, nodes).puppets(&others(nodes)).start();
    net.campaign(1);
    for (granted, voter) in others(nodes).into_iter().enumerate().take(needed) {
        assert_eq!(
            net.role(1),
            Role::Candidate,
            "{} of {nodes} votes are no majority: two candidates could have as many (section 5.2)",
            granted + 1
        );
        net.hand(vote_reply(voter, 1).term(1));
    }
    assert_eq!(
        (net.role(1), net.term(1), net.leader_of(1)),
        (Role::Leader, 1, 1),
        "{} of {nodes} votes are a majority: node 1 leads (section 5.2)",
        needed + 1
    );
}

/// A refused vote is not a granted one. Whether a candidate gives up when it cannot win any more, or waits
/// for its timeout, is its own affair.
#[rstest]
#[case::three(3, &[2, 3], &[])]
#[case::two_of_four(4, &[2, 3], &[4])]
#[case::three_of_five(5, &[2, 3, 4], &[5])]
#[case::four_of_seven(7, &[2, 3, 4, 5], &[6, 7])]
fn refusals_elect_nobody(#[case] nodes: u64, #[case] refuse: &[PeerId], #[case] grant: &[PeerId]) {
    let lab = lab!();
    let mut net = Setup::of(&lab, nodes).puppets(&others(nodes)).start();
    net.campaign(1);
    for &voter in grant {
        net.hand(vote_reply(voter, 1).term(1));
    }
    for &voter in refuse {
        net.hand(vote_reply(voter, 1).term(1).refused());
        assert_ne!(net.role(1), Role::Leader, "{voter} refused its vote: that must not count for node 1");
    }
    assert_eq!(
        (net.term(1), net.vote(1), net.leader_of(1)),
        (1, 1, 0),
        "who has lost an election stays in its term, its vote stays its own, and it knows no leader (term, vote, \
         leader; section 5.2)"
    );
    let tick = (0..20).find(|_| {
        net.tick(1);
        net.term(1) == 2
    });
    assert!(tick.is_some(), "who has lost an election stands again after a timeout (section 5.2)");
}

/// Section 5.2: a candidate wins with the votes of a majority, whoever has refused: it must not give up while
/// the votes that are still missing can make a majority.
#[rstest]
#[case::three(3, &[2], &[3])]
#[case::four(4, &[2], &[3, 4])]
#[case::five(5, &[2, 3], &[4, 5])]
#[case::seven(7, &[2, 4, 6], &[3, 5, 7])]
fn a_minority_of_refusals_decides_nothing(
    #[case] nodes: u64,
    #[case] refuse: &[PeerId],
    #[case] grant: &[PeerId],
) {
    let lab = lab!();
    let mut net = Setup::of(&lab, nodes).puppets(&others(nodes)).start();
    net.campaign(1);
    for &voter in refuse {
        net.hand(vote_reply(voter, 1).term(1).refused());
        assert_eq!(
            net.role(1),
            Role::Candidate,
            "{voter} of {nodes} nodes refused, but {grant:?} can still make node 1 the leader: it must wait for \
             their answers (section 5.2)"
        );
    }
    for &voter in grant {
        net.hand(vote_reply(voter, 1).term(1));
    }
    assert_eq!(
        (net.role(1), net.term(1)),
        (Role::Leader, 1),
        "node 1 and {grant:?} are a majority of {nodes}, although {refuse:?} refused: it leads (section 5.2)"
    );
}

/// The network may deliver an answer twice; it is still one vote.
#[test]
fn a_vote_that_arrives_twice_counts_once() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 5).puppets(&others(5)).start();
    net.campaign(1);
    for _ in 0..5 {
        net.hand(vote_reply(2, 1).term(1));
    }
    assert_eq!(net.role(1), Role::Candidate, "only 1 and 2 have voted, however often 2's answer arrives");
    net.hand(vote_reply(3, 1).term(1));
    assert_eq!(net.role(1), Role::Leader, "1, 2 and 3 are a majority of five");
}

/// Votes belong to a term: those of an earlier election elect nobody now, whenever they arrive (section 5.2).
#[test]
fn votes_of_an_earlier_term_do_not_count() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 5).puppets(&others(5)).start();
    net.campaign(1);
    net.hand(vote_reply(2, 1).term(1));
    net.campaign(1);
    assert_eq!((net.role(1), net.term(1)), (Role::Candidate, 2), "a candidate may stand again");
    for voter in [3, 4, 5] {
        net.hand(vote_reply(voter, 1).term(1));
        assert_eq!(net.role(1), Role::Candidate, "{voter}'s vote was for term 1, and this is term 2");
    }
    net.hand(vote_reply(3, 1).term(2));
    assert_eq!(
        net.role(1),
        Role::Candidate,
        "in term 2 only 1 and 3 have voted: 2's vote of term 1 must be forgotten when the new election starts"
    );
    net.hand(vote_reply(4, 1).term(2));
    assert_eq!(net.role(1), Role::Leader, "1, 3 and 4 are a majority of five in term 2");
}

/// Only the members of the group have a vote.
#[test]
fn strangers_have_no_vote() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 5).puppets(&others(5)).start();
    net.campaign(1);
    for stranger in [8, 9] {
        // Ignored with or without an error.
        let _ = net.inject(vote_reply(stranger, 1).term(1));
    }
    assert_eq!(net.role(1), Role::Candidate, "8 and 9 are no members of the group: their votes do not count");
    net.hand(vote_reply(2, 1).term(1));
    assert_eq!(net.role(1), Role::Candidate, "1 and 2 are no majority of five");
    net.hand(vote_reply(3, 1).term(1));
    assert_eq!(net.role(1), Role::Leader, "1, 2 and 3 are");
}

/// A vote that comes after the decision changes nothing: not for the leader, not for one who gave up.
#[test]
fn late_votes_change_nothing() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).puppets(&[2, 3]).start();
    net.elect_by_puppets(1);
    let log = net.log(1);
    net.hand(vote_reply(3, 1).term(1));
    assert_eq!((net.role(1), net.term(1)), (Role::Leader, 1), "the third vote finds a leader");
    assert_same!(net.log(1), log, "who leads already does not become leader again: its log stays as it is");

    net.campaign(1);
    assert_eq!((net.role(1), net.term(1)), (Role::Leader, 1), "a leader has no need to stand for election");

    let mut net = Setup::of(&lab, 3).puppets(&[2, 3]).start();
    net.campaign(1);
    net.hand(heartbeat(2, 1).term(1));
    net.hand(vote_reply(3, 1).term(1));
    assert_eq!(
        net.role(1),
        Role::Follower,
        "2 has won term 1 (it sends heartbeats): a late vote makes no leader"
    );
}

/// Section 5.1: an answer with a higher term ends the candidacy, whatever else it says.
#[rstest]
#[case::refused(true)]
#[case::granted(false)]
fn an_answer_of_a_higher_term_ends_the_candidacy(#[case] reject: bool) {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).puppets(&[2, 3]).start();
    net.campaign(1);
    let reply = vote_reply(2, 1).term(4);
    net.hand(if reject { reply.refused() } else { reply });
    assert_eq!(
        (net.role(1), net.term(1), net.vote(1)),
        (Role::Follower, 4, 0),
        "2 is in term 4: node 1 is a follower of term 4 now, and has not voted in it (section 5.1)"
    );
    net.hand(vote_reply(3, 1).term(1));
    assert_eq!(net.role(1), Role::Follower, "the election of term 1 is over for node 1");
}

/// Section 5.2, case (b): the leader of the candidate's own term is legitimate; one of an earlier term is not.
#[rstest]
#[case::append(append(2, 1), 3, Role::Follower)]
#[case::heartbeat(heartbeat(2, 1), 3, Role::Follower)]
#[case::append_of_a_higher_term(append(2, 1), 4, Role::Follower)]
#[case::heartbeat_of_a_higher_term(heartbeat(2, 1), 4, Role::Follower)]
#[case::old_append(append(2, 1), 2, Role::Candidate)]
#[case::old_heartbeat(heartbeat(2, 1), 2, Role::Candidate)]
fn a_candidate_gives_way_to_a_legitimate_leader(
    #[case] letter: raftkv_testkit::raft_net::letter::Letter,
    #[case] term: Term,
    #[case] expected: Role,
) {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).puppets(&[2, 3]).term(1, 2, 0).start();
    net.campaign(1);
    net.hand(letter.term(term));
    let leader = if expected == Role::Follower { 2 } else { 0 };
    assert_eq!(
        (net.role(1), net.term(1), net.leader_of(1)),
        (expected, term.max(3), leader),
        "candidate of term 3, message of a leader of term {term}: a term at least as high is legitimate, a lower \
         one is not (section 5.2)"
    );
}

/// A group of one elects itself as soon as its timer runs out; nobody else could (section 5.2).
#[test]
fn a_single_node_elects_itself() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 1).start();
    net.run_until(20, "the only node of a group has a majority with its own vote (section 5.2)", |net| {
        net.role(1) == Role::Leader
    });
    assert_eq!((net.term(1), net.leader_of(1), net.vote(1)), (1, 1, 1), "elected in term 1, by itself");
    assert_eq!(net.terms(1), [1], "its log ends with an empty entry of its term, like any new leader's");
    net.run(50);
    assert_eq!((net.role(1), net.term(1)), (Role::Leader, 1), "and it stays leader");
}

/// A request in the candidate's own term finds its vote given, to itself.
#[test]
fn a_candidate_refuses_its_rivals_of_the_same_term() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).puppets(&[2, 3]).start();
    net.campaign(1);
    let answer = net.ask(vote_request(2, 1).term(1).last(9, 1));
    assert!(
        answer.reject,
        "candidate 1 has voted for itself in term 1 and must refuse 2, however good its log"
    );
    assert_eq!((net.role(1), net.term(1)), (Role::Candidate, 1), "and it goes on being a candidate");
    net.hand(vote_reply(3, 1).term(1));
    assert_eq!(net.role(1), Role::Leader, "with 3's vote it wins");
    let requests = net.all_mail();
    let again =
        requests.iter().filter(|m| m.msg_type() == MessageType::MsgRequestVote && m.term != 1).count();
    assert_eq!(again, 0, "no second election was needed");

    let answer = net.ask(vote_request(2, 1).term(1).last(9, 1));
    assert!(
        answer.reject,
        "2 asks again, for term 1 still: node 1 leads that term by its own vote, and refuses"
    );
    assert_eq!(
        (net.role(1), net.term(1), net.leader_of(1)),
        (Role::Leader, 1, 1),
        "a rival of its own term deposes no leader (role, term, leader)"
    );
}
