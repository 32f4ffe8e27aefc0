//! The paper on replication, a sentence a test: sections 5.3, 5.4 and 5.5, in their order.

use pretty_assertions::assert_eq as assert_same;
use raftkv::proto::eraftpb::MessageType;
use raftkv::raft::Role;
use raftkv_testkit::lab;
use raftkv_testkit::raft_net::letter::append;
use raftkv_testkit::raft_net::{Fault, Setup};

use super::{ack, leader_among_puppets};

/// 5.3: the leader appends a command to its log as a new entry and sends it to each of the other servers.
#[test]
fn s5_3_the_leader_appends_and_sends_to_all() {
    let lab = lab!();
    let mut net = leader_among_puppets(&lab, 4);
    for puppet in [2, 3, 4] {
        ack(&mut net, puppet, 1);
    }
    net.all_mail();
    net.propose(1, "x");
    assert_same!(net.log(1), ["1@1", "2@1=x"], "a new entry behind the last, of the leader's term");
    for to in [2, 3, 4] {
        let mail = net.mail(to);
        let append = mail.iter().find(|m| m.msg_type() == MessageType::MsgAppend && !m.entries.is_empty());
        let append = append.unwrap_or_else(|| panic!("the entry must be sent to {to}; it was sent {mail:?}"));
        assert_eq!(
            (append.index, append.log_term, append.entries[0].index, &append.entries[0].data[..]),
            (1, 1, 2, &b"x"[..]),
            "with the index and term of the entry before it (section 5.3): previous index, term, entry, command"
        );
    }
}

/// 5.3: when the entry is safely replicated, the leader applies it.
#[test]
fn s5_3_the_leader_applies_what_is_safely_replicated() {
    let lab = lab!();
    let mut net = leader_among_puppets(&lab, 5);
    net.propose(1, "x");
    ack(&mut net, 2, 2);
    assert!(net.applied(1).is_empty(), "x is on two of five: not safely replicated");
    ack(&mut net, 3, 2);
    assert_same!(net.applied(1), ["x"], "x is on three of five: committed, so it is applied");
}

/// 5.3: if followers are slow, or packets are lost, the leader retries until all followers have all entries,
/// also after it has committed.
#[test]
fn s5_3_the_leader_retries_until_all_have_all() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).start();
    net.elect(1);
    net.lose(|m| m.to == 3);
    net.propose(1, "x");
    net.stabilise();
    assert_same!(net.applied(1), ["x"], "1 and 2 are a majority: x is committed without 3");
    net.heal();
    net.stabilise();
    assert_same!(net.applied(3), ["x"], "but the leader must go on until 3 has it too (section 5.3)");
    net.assert_struck(&[Fault::Loss]);
}

/// 5.3: an entry is committed once the leader that created it has replicated it on a majority; that commits
/// all entries before it, also those of earlier leaders.
#[test]
fn s5_3_committing_an_entry_commits_all_before_it() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).log(1, &[1, 1, 2]).log(2, &[1]).term(2, 2, 0).term(3, 2, 0).start();
    net.elect(1);
    net.stabilise();
    for id in 1..=3 {
        assert_same!(net.terms(id), [1, 1, 2, 3], "the leader's log is everywhere: node {id}");
        assert_eq!(
            net.commit(id),
            4,
            "its own entry 4@3 is committed, so are 1 to 3 of earlier leaders: node {id}"
        );
        assert_eq!(net.node(id).applied.len(), 4, "and all are applied, in the order of the log: node {id}");
    }
}

/// 5.3: the leader includes its commit index in its messages; a follower that learns of it applies the
/// entries.
#[test]
fn s5_3_followers_apply_what_the_leader_says_is_committed() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).puppets(&[2, 3]).start();
    net.ask(append(2, 1).term(1).entries(&[1, 1, 1]).commit(1));
    assert_eq!(net.node(1).applied.len(), 1, "the leader has committed 1");
    net.ask(append(2, 1).term(1).after(3, 1).commit(3));
    assert_eq!(net.node(1).applied.len(), 3, "the leader has committed 3");
}

/// 5.3: a follower that does not find the previous entry in its log refuses the new ones.
#[test]
fn s5_3_a_follower_without_the_previous_entry_refuses() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).puppets(&[2, 3]).log(1, &[1, 1]).start();
    assert!(net.ask(append(2, 1).term(2).after(3, 1).entries(&[2])).reject, "entry 3 is not there: refused");
    assert!(net.ask(append(2, 1).term(2).after(2, 2).entries(&[2])).reject, "entry 2 is of term 1: refused");
    assert!(!net.ask(append(2, 1).term(2).after(2, 1).entries(&[2])).reject, "entry 2@1 is there: accepted");
    assert_same!(net.terms(1), [1, 1, 2], "only the accepted entry is in the log");
}

/// 5.3: conflicting entries in a follower's log are overwritten with the leader's.
#[test]
fn s5_3_the_leaders_log_overwrites_conflicts() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).log(1, &[1, 3]).log(2, &[1, 2, 2, 2]).log(3, &[1]).start();
    net.elect(1);
    net.stabilise();
    for id in 2..=3 {
        assert_same!(
            net.terms(id),
            [1, 3, 4],
            "the leader's log replaces what differs: node {id} (section 5.3)"
        );
    }
}

/// 5.3: a new leader assumes that all logs end where its own does, and goes back from there until they agree.
#[test]
fn s5_3_the_leader_goes_back_until_the_logs_agree() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).puppets(&[2, 3]).log(1, &[1, 1, 2, 2]).start();
    net.elect_by_puppets(1);
    let first = net.mail(2).into_iter().find(|m| m.msg_type() == MessageType::MsgAppend);
    let first = first.expect("a new leader sends its empty entry");
    assert!(
        (4..=5).contains(&first.index),
        "the first append follows the end of the leader's own log (figure 2, nextIndex), not entry {}",
        first.index
    );
    let refusal = raftkv_testkit::raft_net::letter::append_reply(2, 1).term(3).rejected(first.index, 1, 1);
    net.hand(refusal);
    net.tick(1);
    let mail = net.mail(2);
    let next = mail.iter().filter(|m| m.msg_type() == MessageType::MsgAppend).min_by_key(|m| m.index);
    let next = next.expect("after a refusal the leader tries again");
    assert!(
        next.index < first.index,
        "2 refused entries behind {}: the leader must try an earlier place, not {} (section 5.3)",
        first.index,
        next.index
    );
}

/// 5.3: a leader never overwrites or deletes entries in its own log.
#[test]
fn s5_3_a_leader_never_touches_its_own_entries() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).log(1, &[1, 1, 2]).log(2, &[1]).log(3, &[1, 1, 1, 1, 1]).start();
    net.elect(1);
    let mut expected = vec!["1@1".to_string(), "2@1".into(), "3@2".into(), "4@3".into()];
    for i in 5..10 {
        net.propose(1, "x");
        net.stabilise();
        expected.push(format!("{i}@3=x"));
        assert_same!(net.log(1), expected, "the leader's log only grows (section 5.3, Leader Append-Only)");
    }
    assert_same!(net.log(3), expected, "the others' logs become like it");
}

/// 5.4.1: a new leader needs no entries from others: what is committed it has, by the voting rule.
#[test]
fn s5_4_1_whoever_is_elected_has_what_is_committed() {
    let lab = lab!();
    for _ in lab.seeds(5) {
        let mut net = Setup::of(&lab, 5).start();
        net.elect(1);
        net.isolate(4);
        net.isolate(5);
        net.propose(1, "x");
        net.stabilise();
        net.crash(1);
        net.heal();
        net.run_until(400, "2 to 5 elect a leader", |net| net.agreed_leader().is_some());
        let leader = net.leader().expect("just elected");
        assert!([2, 3].contains(&leader), "x is on 1, 2 and 3: neither 4 nor 5 can win (section 5.4.1)");
        net.run(10);
        assert_same!(net.applied(5), ["x"], "and x gets to the others from {leader}");
    }
}

/// 5.5: if a server is down, the leader tries for ever; messages are idempotent, so it is safe to try twice.
#[test]
fn s5_5_requests_to_a_crashed_server_are_retried() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).start();
    net.elect(1);
    net.propose(1, "x");
    // 3 gets x, and crashes before it can answer.
    net.deliver_where(|m| m.to == 3);
    net.crash(3);
    net.drop_where(|m| m.from == 3);
    net.stabilise();
    net.restart(3);
    net.stabilise();
    assert_same!(net.log(3), ["1@1", "2@1=x"], "x arrived twice, and is there once (section 5.5)");
    assert_same!(net.applied(3), ["x"], "and is applied once");
    assert_eq!(net.role(3), Role::Follower, "a server that restarts is a follower");
}
