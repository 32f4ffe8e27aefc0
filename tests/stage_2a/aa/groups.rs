//! Elections in a group: agreement, split votes, partitions, nodes that disturb (section 5.2).

use raftkv::ids::PeerId;
use raftkv::raft::Role;
use raftkv_testkit::lab;
use raftkv_testkit::raft_net::{Fault, Setup};
use rstest::rstest;

/// Section 5.2: left alone, a group elects a leader, all follow it, and it stays.
#[rstest]
#[case::one(1)]
#[case::two(2)]
#[case::three(3)]
#[case::four(4)]
#[case::five(5)]
#[case::seven(7)]
fn a_group_elects_a_leader_and_keeps_it(#[case] nodes: u64) {
    let lab = lab!();
    for _ in lab.seeds(3) {
        let mut net = Setup::of(&lab, nodes).start();
        net.run_until(400, "a leader whom all follow (section 5.2)", |net| net.agreed_leader().is_some());
        let (leader, term) = (net.leader(), net.term(1));
        net.run(100);
        assert_eq!(
            (net.agreed_leader(), net.term(1)),
            (leader, term),
            "nothing is lost and nobody is late: heartbeats keep the leader in place (section 5.2)"
        );
    }
}

/// Section 5.2, case (c): a split vote elects nobody; new elections with new timeouts do.
#[test]
fn a_split_vote_is_resolved_by_the_next_election() {
    let lab = lab!();
    for _ in lab.seeds(5) {
        let mut net = Setup::of(&lab, 4).start();
        net.cut(1, 4);
        net.cut(2, 3);
        net.campaign(1);
        net.campaign(2);
        net.deliver_all();
        assert_eq!(
            [net.role(1), net.role(2)].iter().filter(|r| **r == Role::Leader).count(),
            0,
            "1 and 3 voted for 1, 2 and 4 for 2: two of four votes elect nobody (section 5.2)"
        );
        net.heal();
        net.run_until(400, "a split vote ends by a new election: timeouts are random (section 5.2)", |net| {
            net.agreed_leader().is_some()
        });
        assert!(net.term(1) >= 2, "term 1 had no leader");
        net.assert_struck(&[Fault::Cut]);
    }
}

/// Section 5.2: a minority elects nobody, a majority does.
#[test]
fn only_the_side_with_a_majority_has_a_new_leader() {
    let lab = lab!();
    for _ in lab.seeds(3) {
        let mut net = Setup::of(&lab, 5).start();
        net.elect(1);
        net.partition(&[1, 2]);
        net.run_until(300, "3, 4 and 5 are a majority of five: they elect a leader (section 5.2)", |net| {
            [3, 4, 5].iter().any(|id| net.role(*id) == Role::Leader)
        });
        net.run(60);
        assert_ne!(net.role(2), Role::Leader, "2 hears only 1: it cannot have won an election");
        assert_eq!((net.role(1), net.term(1)), (Role::Leader, 1), "1 still hears nothing of a higher term");
        net.heal();
        net.run_until(300, "together again, they follow one leader", |net| net.agreed_leader().is_some());
        assert!(net.term(1) > 1, "the leader of term 1 has been replaced");
        net.assert_struck(&[Fault::Cut]);
    }
}

/// Two candidates in one term: at most one wins, the other gives way (section 5.2, case b).
#[test]
fn duelling_candidates_leave_one_leader() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).start();
    net.cut(1, 3);
    net.campaign(1);
    net.campaign(3);
    net.deliver_all();
    let leaders: Vec<PeerId> = (1..=3).filter(|id| net.role(*id) == Role::Leader).collect();
    assert_eq!(
        leaders.len(),
        1,
        "2 has one vote for term 1: it made one of 1 and 3 the leader, not {leaders:?}"
    );
    let loser = if leaders[0] == 1 { 3 } else { 1 };
    assert_eq!(
        net.role(loser),
        Role::Candidate,
        "{loser} got neither vote nor refusal from the winner: it waits"
    );
    net.heal();
    net.heartbeat(leaders[0]);
    assert_eq!(
        (net.role(loser), net.leader_of(loser)),
        (Role::Follower, leaders[0]),
        "a heartbeat of the same term: {loser} recognises the leader (section 5.2)"
    );
}

/// A node that was cut off comes back with a high term: the leader steps down once, and the group has a
/// leader again within a few timeouts (section 5.1).
#[test]
fn a_node_with_a_higher_term_disturbs_only_once() {
    let lab = lab!();
    for _ in lab.seeds(5) {
        let mut net = Setup::of(&lab, 3).start();
        net.elect(1);
        net.isolate(3);
        net.run(100);
        assert_eq!((net.role(1), net.term(1)), (Role::Leader, 1), "1 and 2 go on undisturbed");
        let high = net.term(3);
        assert!(
            high >= 5,
            "in 100 ticks without a leader node 3 stood at least 5 times, it is in term {high}"
        );
        net.heal();
        net.run_until(300, "a leader of a term that everybody accepts (section 5.1)", |net| {
            net.agreed_leader().is_some()
        });
        assert!(net.term(1) >= high, "nobody can lead in a term below {high}: node 3 is in it (section 5.1)");
        let term = net.term(1);
        net.run(100);
        assert_eq!(net.term(1), term, "and then there is peace");
    }
}

/// A leader that crashes is replaced; when it comes back, it follows.
#[rstest]
#[case::three(3)]
#[case::five(5)]
fn a_crashed_leader_is_replaced(#[case] nodes: u64) {
    let lab = lab!();
    for _ in lab.seeds(3) {
        let mut net = Setup::of(&lab, nodes).start();
        net.run_until(300, "a first leader", |net| net.agreed_leader().is_some());
        let old = net.leader().expect("just elected");
        net.crash(old);
        net.run_until(300, "the others are a majority: they elect another leader (section 5.2)", |net| {
            net.agreed_leader().is_some()
        });
        net.restart(old);
        net.run_until(300, "the old leader is back, and all follow one leader", |net| {
            net.agreed_leader().is_some()
        });
    }
}

/// Who cannot hear is a nuisance, not a danger: one-way cuts never make two leaders of a term, and when they
/// end there is one leader whom all follow.
#[test]
fn one_way_cuts_are_survived() {
    let lab = lab!();
    for _ in lab.seeds(3) {
        let mut net = Setup::of(&lab, 3).start();
        net.elect(1);
        net.cut_one_way(1, 3);
        net.run(100);
        assert!((1..=3).any(|id| net.term(id) > 1), "3 does not hear the leader, so it stood for election");
        net.heal();
        net.run_until(300, "one leader whom all follow", |net| net.agreed_leader().is_some());
        net.assert_struck(&[Fault::Cut]);
    }
}
