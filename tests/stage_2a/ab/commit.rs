//! When an entry is committed, and how everybody learns of it (sections 5.3 and 5.4.2).

use pretty_assertions::assert_eq as assert_same;
use raftkv::ids::Index;
use raftkv::proto::eraftpb::MessageType;
use raftkv_testkit::raft_net::Setup;
use raftkv_testkit::raft_net::letter::{append, append_reply, heartbeat};
use raftkv_testkit::{Rng, lab};
use rstest::rstest;

use super::{ack, leader_among_puppets, puppets};

/// Section 5.3: committed is what a majority holds, the leader among them. `acks` is how far the others are;
/// the leader holds ten entries.
#[rstest]
#[case::one(&[], 10)]
#[case::two_both(&[7], 7)]
#[case::two_alone(&[0], 0)]
#[case::three_one_ack(&[6, 0], 6)]
#[case::three_two_acks(&[6, 8], 8)]
#[case::three_all(&[10, 10], 10)]
#[case::four_one_ack(&[9, 0, 0], 0)]
#[case::four_two_acks(&[9, 4, 0], 4)]
#[case::four_three_acks(&[9, 4, 2], 4)]
#[case::five_two_acks(&[3, 9, 0, 0], 3)]
#[case::five_four_acks(&[9, 3, 5, 1], 5)]
#[case::six_two_acks(&[9, 9, 0, 0, 0], 0)]
#[case::six_three_acks(&[9, 9, 2, 0, 0], 2)]
#[case::seven_two_acks(&[9, 9, 0, 0, 0, 0], 0)]
#[case::seven_three_acks(&[9, 8, 7, 0, 0, 0], 7)]
#[case::seven_all(&[1, 2, 3, 4, 5, 6], 4)]
fn committed_is_what_a_majority_holds(#[case] acks: &[Index], #[case] expected: Index) {
    let lab = lab!();
    let nodes = acks.len() as u64 + 1;
    let mut net = leader_among_puppets(&lab, nodes);
    for i in 2..=10 {
        net.propose(1, &format!("c{i}"));
    }
    for (puppet, &index) in (2..).zip(acks) {
        if index > 0 {
            ack(&mut net, puppet, index);
        }
    }
    assert_eq!(
        net.commit(1),
        expected,
        "the leader holds 10 entries of its term, the others {acks:?}: a majority of {nodes} holds {expected} \
         (section 5.3)"
    );
}

/// The same for random groups and acknowledgements, after each of them, in any order, with repeats.
#[test]
fn committed_is_what_a_majority_holds_after_every_acknowledgement() {
    let lab = lab!();
    for seed in lab.seeds(20) {
        let mut rng = Rng::new(seed);
        let nodes = 2 + rng.below(6);
        let mut net = leader_among_puppets(&lab, nodes);
        for i in 2..=12 {
            net.propose(1, &format!("c{i}"));
        }
        let mut held = vec![0; nodes as usize];
        held[0] = 12;
        for _ in 0..25 {
            let puppet = 2 + rng.below(nodes - 1);
            let index = 1 + rng.below(12);
            ack(&mut net, puppet, index);
            let holds = &mut held[puppet as usize - 1];
            *holds = index.max(*holds);
            let mut sorted = held.clone();
            sorted.sort_unstable_by(|a, b| b.cmp(a));
            let expected = sorted[nodes as usize / 2];
            assert_eq!(
                net.commit(1),
                expected,
                "{puppet} acknowledged {index}; the most that each has acknowledged is {held:?} (an old \
                 acknowledgement lowers nothing), so a majority of {nodes} holds {expected} (section 5.3)"
            );
        }
    }
}

/// Section 5.4.2: entries of earlier terms are not committed by counting copies; the first entry of the
/// leader's own term commits them along with itself.
#[rstest]
#[case::three(3)]
#[case::five(5)]
fn entries_of_earlier_terms_wait_for_one_of_the_own_term(#[case] nodes: u64) {
    let lab = lab!();
    let mut net = Setup::of(&lab, nodes).puppets(&puppets(nodes)).log(1, &[1, 2, 2]).term(1, 3, 0).start();
    net.elect_by_puppets(1);
    for puppet in puppets(nodes) {
        for index in [1, 2, 3] {
            ack(&mut net, puppet, index);
            assert_eq!(
                net.commit(1),
                0,
                "entry {index} is of an earlier term: node 1, leader of term 4, must not commit it by counting \
                 copies, a later leader may still replace it (section 5.4.2, figure 8)"
            );
        }
    }
    for puppet in puppets(nodes).into_iter().take(nodes as usize / 2) {
        assert_eq!(net.commit(1), 0, "entry 4@4 has no majority yet");
        ack(&mut net, puppet, 4);
    }
    assert_eq!(net.commit(1), 4, "4@4 is of term 4 and on a majority: it is committed, with all before it");
    assert_eq!(net.node(1).applied.len(), 4, "and all four are handed to the state machine");
}

/// Acknowledgements come from members, each counts once, and nobody holds what the leader does not have.
#[test]
fn false_acknowledgements_commit_nothing() {
    let lab = lab!();
    let mut net = leader_among_puppets(&lab, 5);
    net.propose(1, "x");
    for _ in 0..4 {
        ack(&mut net, 2, 2);
    }
    assert_eq!(net.commit(1), 0, "2 has acknowledged four times, but 1 and 2 are no majority of five");
    for stranger in [8, 9] {
        let _ = net.inject(append_reply(stranger, 1).term(1).accepted(2));
    }
    assert_eq!(net.commit(1), 0, "8 and 9 are no members of the group");
    for puppet in [3, 4] {
        let _ = net.inject(append_reply(puppet, 1).term(1).accepted(50));
    }
    net.propose(1, "too early");
    assert!(
        net.commit(1) < 3,
        "3 and 4 cannot have had entry 50, or entry 3 before it was proposed: ignore that"
    );
    ack(&mut net, 5, 2);
    assert_eq!(net.commit(1), 2, "1, 2 and 5 hold x");

    // Another leadership; late answers to the first one arrive.
    net.hand(heartbeat(5, 1).term(2));
    net.elect_by_puppets(1);
    net.propose(1, "y");
    for puppet in [2, 3, 4, 5] {
        net.hand(append_reply(puppet, 1).term(1).accepted(4));
    }
    assert_eq!(net.commit(1), 2, "answers of term 1 say nothing about the entries of term 3 (section 5.1)");
}

/// Section 5.3: the leader tells how far it has committed; the followers must not have to wait for the next
/// command to learn it.
#[test]
fn followers_learn_of_a_new_commit_without_a_new_command() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 5).start();
    net.elect(1);
    for text in ["x", "y", "z"] {
        net.propose(1, text);
        net.deliver_all();
        let last = net.last(1);
        for id in 1..=5 {
            assert_eq!(
                net.commit(id),
                last,
                "{text} is on all five nodes and all messages are delivered: node {id} must have been told that \
                 {last} is committed, without waiting for a tick or another command (section 5.3)"
            );
        }
    }
}

/// A group at rest is quiet: telling the followers of a commit must not make them answer for ever.
#[test]
fn a_group_at_rest_is_quiet() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).start();
    net.elect(1);
    net.propose(1, "x");
    net.stabilise();
    let mut appends = 0;
    for _ in 0..20 {
        net.tick_all();
        while net.on_the_wire().next().is_some() {
            appends += net.on_the_wire().filter(|m| m.msg_type() == MessageType::MsgAppend).count();
            net.round();
            assert!(
                appends < 200,
                "everything is replicated and committed, and still appends go out: {appends}"
            );
        }
    }
    assert_same!(net.applied(3), ["x"], "x is everywhere");
}

/// Figure 2, AppendEntries 5: commitIndex = min(leaderCommit, index of last new entry). What follows in the
/// own log has not been compared with the leader's.
#[rstest]
#[case::new_entry_committed((3, 2), &[5], 4, 4)]
#[case::new_entry_not_yet((3, 2), &[5], 3, 3)]
#[case::commit_beyond_the_message((3, 2), &[5], 9, 4)]
#[case::empty_append((3, 2), &[], 3, 3)]
#[case::empty_append_in_the_middle((1, 1), &[], 3, 1)]
#[case::short_append_in_the_middle((0, 0), &[1, 2], 3, 2)]
#[case::conflict((1, 1), &[5], 3, 2)]
#[case::commit_0((3, 2), &[5], 0, 0)]
fn a_follower_commits_no_more_than_it_has_compared(
    #[case] previous: (Index, u64),
    #[case] entries: &[u64],
    #[case] leader_commit: Index,
    #[case] expected: Index,
) {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).puppets(&[2, 3]).log(1, &[1, 2, 2]).start();
    let letter = append(2, 1).term(5).after(previous.0, previous.1).entries(entries).commit(leader_commit);
    let answer = net.ask(letter);
    assert!(!answer.reject, "entry {}@{} is in the log: the append must be accepted", previous.0, previous.1);
    assert_eq!(
        net.commit(1),
        expected,
        "log 1@1 2@2 3@2, append of terms {entries:?} after {}@{}, the leader has committed {leader_commit}: only \
         what is known to agree with the leader may be committed (figure 2, AppendEntries 5)",
        previous.0,
        previous.1
    );
}

/// The commit index never goes back, whatever an old message says.
#[test]
fn an_old_commit_index_lowers_nothing() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).puppets(&[2, 3]).log(1, &[1, 1, 1]).start();
    net.ask(append(2, 1).term(1).after(3, 1).commit(3));
    assert_eq!(net.commit(1), 3, "the leader says that 3 is committed, and entry 3@1 agrees");
    net.ask(append(2, 1).term(1).after(3, 1).commit(1));
    net.ask(heartbeat(2, 1).term(1).commit(2));
    assert_eq!(net.commit(1), 3, "late messages with smaller commit indexes must lower nothing (figure 2)");
}

/// A heartbeat tells the commit index too, but no more than the follower is known to hold: it has no
/// consistency check.
#[test]
fn a_heartbeat_commits_only_what_is_acknowledged() {
    let lab = lab!();
    let mut net = leader_among_puppets(&lab, 5);
    for text in ["x", "y", "z"] {
        net.propose(1, text);
    }
    ack(&mut net, 2, 4);
    ack(&mut net, 3, 3);
    ack(&mut net, 4, 1);
    assert_eq!(net.commit(1), 3, "1, 2 and 3 hold entry 3");
    net.all_mail();
    net.tick(1);
    for (puppet, acked) in [(2, 4), (3, 3), (4, 1), (5, 0)] {
        let expected = 3.min(acked);
        let mail = net.mail(puppet);
        let beat = mail.iter().find(|m| m.msg_type() == MessageType::MsgHeartbeat);
        let commit = beat.expect("a heartbeat is due every tick").commit;
        assert_eq!(
            commit, expected,
            "the leader has committed 3, and {puppet} has acknowledged {acked}: its heartbeat must carry the \
             smaller one. What lies behind may differ in {puppet}'s log (section 5.3)"
        );
    }
}

/// A follower takes the commit index from a heartbeat, so that it learns of it even when no append comes.
#[test]
fn a_follower_learns_the_commit_index_from_a_heartbeat() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).puppets(&[2, 3]).start();
    net.ask(append(2, 1).term(1).entries(&[1, 1, 1]));
    assert_eq!(net.commit(1), 0, "nothing is committed yet");
    net.ask(heartbeat(2, 1).term(1).commit(2));
    assert_eq!(net.commit(1), 2, "the leader says that 2 is committed, and node 1 has acknowledged it");
    assert_eq!(net.node(1).applied.len(), 2, "so both entries are handed to the state machine");
}
