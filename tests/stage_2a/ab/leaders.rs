//! Logs across changes of leadership (sections 5.3 and 5.4).

use pretty_assertions::assert_eq as assert_same;
use raftkv::proto::eraftpb::MessageType;
use raftkv::raft::Role;
use raftkv_testkit::lab;
use raftkv_testkit::raft_net::letter::{append, heartbeat};
use raftkv_testkit::raft_net::{Driver, Fault, Setup};
use rstest::rstest;

use super::{ack, puppets};

/// Every node can lead, and the log goes on from one to the next.
#[rstest]
#[case::three(3)]
#[case::four(4)]
#[case::five(5)]
fn leadership_goes_round(#[case] nodes: u64) {
    let lab = lab!();
    let mut net = Setup::of(&lab, nodes).start();
    let mut expected = Vec::new();
    for round in 0..2 {
        for leader in 1..=nodes {
            net.elect(leader);
            let text = format!("r{round}n{leader}");
            net.propose(leader, &text);
            net.stabilise();
            expected.push(text);
            for id in 1..=nodes {
                assert_same!(
                    net.applied(id),
                    expected,
                    "node {id}, when {leader} leads term {}",
                    net.term(leader)
                );
            }
        }
    }
}

/// Section 5.4.1: after an election, committed entries are kept and the new leader goes on from them.
#[test]
fn a_new_leader_commits_what_the_old_one_left() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 5).start();
    net.elect(1);
    net.partition(&[1, 2]);
    for text in ["x", "y"] {
        net.propose(1, text);
    }
    net.stabilise();
    assert_eq!(net.commit(1), 1, "x and y are on 1 and 2 only");
    net.heal();
    // Nothing of the leader reaches the others until 2 has been elected.
    net.lose(|m| m.from == 1);
    net.campaign(2);
    net.deliver_all();
    net.heal();
    net.stabilise();
    assert_eq!(net.role(2), Role::Leader, "2 has the best log of all: 3, 4 and 5 may vote for it");
    for id in 1..=5 {
        assert_same!(
            net.applied(id),
            ["x", "y"],
            "2's own empty entry is committed, so x and y are: node {id}"
        );
    }
}

/// Section 5.3: entries that no majority has may be overwritten by the next leader, and are.
#[test]
fn uncommitted_entries_of_a_lost_leader_give_way() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).start();
    net.elect(1);
    net.propose(1, "kept");
    net.stabilise();
    net.isolate(1);
    for text in ["gone", "gone too"] {
        net.propose(1, text);
    }
    net.ticks(1, 5);
    net.run_until(300, "2 and 3 elect a leader", |net| [2, 3].iter().any(|id| net.role(*id) == Role::Leader));
    let leader = if net.role(2) == Role::Leader { 2 } else { 3 };
    net.propose(leader, "new");
    net.run(3);
    assert_same!(net.applied(leader), ["kept", "new"], "2 and 3 go on without 1");
    assert_same!(net.applied(1), ["kept"], "and 1 has committed nothing alone");
    net.heal();
    net.run(10);
    assert_same!(
        net.log(1),
        net.log(leader),
        "1 is back: its own entries give way to the leader's (section 5.3)"
    );
    assert_same!(net.applied(1), ["kept", "new"], "and it applies what was committed");
    net.assert_struck(&[Fault::Cut]);
}

/// A candidate that was cut off has the higher term but the worse log: it cannot win, yet its term makes the
/// others elect again; in the end it has everything (sections 5.1 and 5.4.1).
#[test]
fn a_candidate_with_an_old_log_ends_as_a_follower_with_a_new_one() {
    let lab = lab!();
    for _ in lab.seeds(3) {
        let mut net = Setup::of(&lab, 3).start();
        net.elect(1);
        net.isolate(3);
        net.propose(1, "x");
        net.run(60);
        assert!(net.term(3) > net.term(1), "cut off, 3 has stood for election again and again");
        net.heal();
        net.campaign(3);
        net.deliver_all();
        assert_ne!(
            net.role(3),
            Role::Leader,
            "3 lacks x, which is committed: it must not win (section 5.4.1)"
        );
        net.run_until(300, "a leader with x, and all follow it", |net| net.agreed_leader().is_some());
        net.run(5);
        assert_same!(net.applied(3), ["x"], "3 has been given x");
        assert_same!(net.log(3), net.log(1), "and all logs are the same");
    }
}

/// A candidate that loses to a leader of its own term gives way and gets the leader's log (section 5.2).
#[test]
fn a_beaten_candidate_takes_the_leaders_log() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).start();
    net.isolate(1);
    net.campaign(1);
    net.campaign(3);
    net.deliver_all();
    assert_eq!((net.role(1), net.role(3)), (Role::Candidate, Role::Leader), "2 hears only 3");
    net.propose(3, "x");
    net.heal();
    net.heartbeat(3);
    net.stabilise();
    assert_eq!(
        (net.role(1), net.term(1)),
        (Role::Follower, 1),
        "candidate 1 gives way to the leader of its term"
    );
    for id in 1..=3 {
        assert_same!(net.log(id), ["1@1", "2@1=x"], "node {id} has the leader's log");
    }
    net.assert_struck(&[Fault::Cut]);
}

/// Two leaders at a time, of different terms: only the one with a majority gets anything committed, and the
/// other's entries give way.
#[test]
fn of_two_leaders_only_one_gets_anything_done() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 5).start();
    net.elect(1);
    net.partition(&[1, 2]);
    net.campaign(3);
    net.deliver_all();
    assert_eq!((net.role(1), net.role(3)), (Role::Leader, Role::Leader), "1 leads term 1, 3 leads term 2");
    for i in 0..4 {
        net.propose(1, &format!("minority {i}"));
        net.propose(3, &format!("majority {i}"));
        net.deliver_all();
    }
    assert_eq!((net.commit(1), net.applied(1).len()), (1, 0), "1 and 2 are no majority of five");
    assert_eq!(net.applied(3).len(), 4, "3, 4 and 5 are");
    net.heal();
    net.run(10);
    for id in 1..=5 {
        assert_same!(net.applied(id), net.applied(3), "node {id}: one history, that of the majority");
        assert_same!(net.log(id), net.log(3), "node {id}: one log");
    }
    net.assert_struck(&[Fault::Cut]);
}

/// Figure 2, matchIndex: what followers acknowledged to an earlier leadership counts nothing in the next one.
/// Their logs, and the leader's own, may have been replaced in between.
#[test]
fn acknowledgements_of_an_earlier_leadership_count_nothing() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 5).puppets(&puppets(5)).start();
    net.elect_by_puppets(1);
    for text in ["a", "b", "c"] {
        net.propose(1, text);
    }
    ack(&mut net, 2, 4);
    assert_eq!(net.commit(1), 0, "1 and 2 are no majority of five");
    // 5 leads term 2 and replaces everything.
    assert!(!net.ask(append(5, 1).term(2).entries(&[2])).reject, "entry 1@2 replaces all of term 1");
    net.elect_by_puppets(1);
    for text in ["d", "e"] {
        net.propose(1, text);
    }
    assert_same!(net.terms(1), [2, 3, 3, 3], "the log now, of term 3");
    ack(&mut net, 3, 4);
    assert_eq!(
        net.commit(1),
        0,
        "in term 3 only 3 has acknowledged entry 4. What 2 acknowledged in term 1 was another entry 4 (figure 2, \
         matchIndex: reinitialized after election)"
    );
    ack(&mut net, 4, 4);
    assert_eq!(net.commit(1), 4, "1, 3 and 4 have entry 4@3: committed");
}

/// A leader that takes a command and is deposed before it could send anything sends no appends any more: it
/// would speak as a leader of a term that it does not lead.
#[test]
fn a_leader_that_is_deposed_sends_no_more_appends() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).puppets(&[2, 3]).start();
    net.elect_by_puppets(1);
    ack(&mut net, 2, 1);
    net.all_mail();
    net.at_once(1, |node| {
        node.propose(bytes::Bytes::from("x"))?;
        node.step(heartbeat(3, 1).term(2).into())
    });
    let late = net.all_mail().into_iter().find(|m| m.msg_type() == MessageType::MsgAppend && m.term == 2);
    assert!(late.is_none(), "3 leads term 2: node 1 must not send appends in it, as it did with {late:?}");
    let answer = net.ask(append(3, 1).term(2).after(1, 1).entries(&[2]));
    assert!(!answer.reject, "it follows 3 now");
    assert_same!(net.terms(1), [1, 2], "and its own command gives way");
}

/// A leader that comes back finds other entries in place of its own, on its disk too.
#[test]
fn a_crashed_leader_comes_back_to_another_log() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).start();
    net.elect(1);
    net.isolate(1);
    for i in 0..5 {
        net.propose(1, &format!("own {i}"));
    }
    net.crash(1);
    net.heal();
    net.elect(2);
    net.propose(2, "x");
    net.stabilise();
    net.restart(1);
    assert_eq!(net.last(1), 6, "node 1 finds its own five entries on its disk");
    net.stabilise();
    assert_same!(net.log(1), net.log(2), "and takes the leader's instead (section 5.3)");
    net.crash(1);
    net.restart(1);
    assert_same!(net.log(1), net.log(2), "on its disk too");
}
