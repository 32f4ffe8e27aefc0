//! Groups of `RawNode`s, with the kit as their owner: elections, commands, slow disks, crashes.

use pretty_assertions::assert_eq as assert_same;
use raftkv::proto::eraftpb::MessageType;
use raftkv_testkit::lab;
use raftkv_testkit::raft_net::letter::{append, vote_request};
use raftkv_testkit::raft_net::{Fault, Setup};
use rstest::rstest;

/// Through `RawNode` a group does all that `Raft` does: it elects, replicates, commits, applies.
#[rstest]
#[case::one(1)]
#[case::two(2)]
#[case::three(3)]
#[case::five(5)]
fn a_group_elects_and_replicates(#[case] nodes: u64) {
    let lab = lab!();
    let mut net = Setup::of(&lab, nodes).start_raw_nodes();
    net.run_until(400, "a leader whom all follow (section 5.2)", |net| net.agreed_leader().is_some());
    let leader = net.leader().expect("just elected");
    for text in ["x", "y", "z"] {
        net.propose(leader, text);
        net.stabilise();
    }
    for id in 1..=nodes {
        assert_same!(net.applied(id), ["x", "y", "z"], "node {id} applies all commands, in order, once");
    }
}

/// All nodes restart, one after the other and all at once: nothing is lost, nothing is applied twice.
#[test]
fn restarts_lose_nothing_and_repeat_nothing() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).start_raw_nodes();
    let mut expected = Vec::new();
    for round in 0..6u64 {
        net.run_until(400, "a leader whom all follow", |net| net.agreed_leader().is_some());
        let leader = net.leader().expect("just elected");
        for i in 0..3 {
            let text = format!("r{round}c{i}");
            net.propose(leader, &text);
            expected.push(text);
            net.deliver_all();
        }
        net.stabilise();
        let down = if round % 2 == 0 { vec![1 + round % 3] } else { vec![1, 2, 3] };
        for &id in &down {
            net.crash(id);
        }
        net.drop_all();
        for &id in &down {
            net.restart(id);
        }
    }
    net.run_until(400, "a leader whom all follow", |net| net.agreed_leader().is_some());
    net.stabilise();
    for id in 1..=3 {
        assert_same!(net.applied(id), expected, "node {id}, after restarts of everybody");
    }
    net.assert_struck(&[Fault::Crash]);
}

/// While a disk writes, no promise leaves the node, and messages still come in; all of it counts once the
/// disk is done.
#[test]
fn a_slow_disk_holds_back_promises_only() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).start_raw_nodes();
    net.elect(1);
    net.hold_disk(1);
    net.hold_disk(2);
    net.propose(1, "x");
    net.deliver_all();
    assert_eq!(net.commit(1), 1, "x has arrived on 2 and 3, but only 3's disk has it: not committed");
    assert_eq!(net.last(3), 2, "the leader sends while it writes (thesis, section 10.2.1)");
    net.propose(1, "y");
    net.release_disk(1);
    net.deliver_all();
    net.stabilise();
    assert_same!(net.applied(1), ["x", "y"], "the leader's disk is done: 1 and 3 have both commands");
    net.release_disk(2);
    net.stabilise();
    assert_same!(net.applied(2), ["x", "y"], "2's disk is done too: it has and applies both");
    net.assert_struck(&[Fault::SlowDisk]);
}

/// A crash while the disk writes: nobody was told, so nothing is lost.
#[test]
fn a_crash_during_a_write_breaks_no_promise() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).puppets(&[2, 3]).start_raw_nodes();
    net.hold_disk(1);
    net.hand(vote_request(2, 1).term(1));
    net.hand(append(2, 1).term(1).entries(&[1]));
    let promised = |m: &raftkv::proto::eraftpb::Message| {
        !m.reject
            && [MessageType::MsgRequestVoteResponse, MessageType::MsgAppendResponse].contains(&m.msg_type())
    };
    let told = net.all_mail();
    assert!(
        !told.iter().any(promised),
        "neither vote nor entry is on disk, so 2 may not hear of them: {told:?}"
    );
    net.crash(1);
    net.restart(1);
    assert_eq!(
        (net.term(1), net.vote(1), net.last(1)),
        (0, 0, 0),
        "the crash came first: nothing was written"
    );
    assert!(
        !net.ask(vote_request(3, 1).term(1)).reject,
        "nobody was promised the vote of term 1: 3 may have it"
    );
}
