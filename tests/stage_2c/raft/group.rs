//! Whole groups in which somebody was away for too long.

use pretty_assertions::assert_eq;
use raftkv::proto::eraftpb::MessageType;
use raftkv_testkit::raft_net::{Net, Readied, Setup};
use raftkv_testkit::{Lab, lab};
use rstest::rstest;

/// Node 1 leads; node 3 is cut off, while the others commit `n` commands and drop their logs.
fn three_is_behind(lab: &Lab, n: u64) -> Net<Readied> {
    let mut net = Setup::of(lab, 3).start_raw_nodes();
    net.elect(1);
    net.propose(1, "before");
    net.stabilise();
    net.isolate(3);
    for i in 0..n {
        net.propose(1, &format!("c{i}"));
    }
    net.stabilise();
    for id in [1, 2] {
        let applied = net.raft(id).log().applied();
        net.compact(id, applied);
    }
    net.propose(1, "x");
    net.stabilise();
    net
}

fn counts_snapshots(net: &mut Net<Readied>, steps: impl FnOnce(&mut Net<Readied>)) -> usize {
    net.keep_transcript();
    steps(net);
    net.transcript().lines().filter(|line| line.contains("Snapshot ")).count()
}

/// A slow node gets a snapshot, then entries, and is level; one snapshot is enough.
#[test]
fn a_slow_node_catches_up() {
    let lab = lab!();
    let mut net = three_is_behind(&lab, 30);
    net.heal();
    let snapshots = counts_snapshots(&mut net, Net::stabilise);
    assert_eq!(snapshots, 1, "one snapshot is enough");
    assert_eq!(net.applied(3), ["x"], "behind the snapshot there is one entry");
    assert_eq!(net.commit(3), net.commit(1));
    net.propose(1, "y");
    net.stabilise();
    assert_eq!(net.applied(3), ["x", "y"]);
}

/// Snapshots get lost, as often as they like: in the end one arrives.
#[test]
fn snapshots_get_lost() {
    let lab = lab!();
    let mut net = three_is_behind(&lab, 30);
    net.heal();
    let mut lost = 0;
    for _ in 0..40 {
        net.tick(1);
        loop {
            let next = net.on_the_wire().next().map(|m| m.msg_type());
            let Some(kind) = next else { break };
            if kind == MessageType::MsgSnapshot && lost < 4 {
                lost += 1;
                net.lose_one(|m| m.msg_type() == MessageType::MsgSnapshot);
            } else {
                net.deliver_one();
            }
        }
    }
    assert_eq!(lost, 4, "it was sent again each time");
    assert_eq!(net.applied(3), ["x"]);
}

/// The leader goes down while its snapshot is on the way. The next one takes over.
#[rstest]
#[case::lost_with_it(false)]
#[case::arrives_all_the_same(true)]
fn the_leader_goes_down_meanwhile(#[case] arrives: bool) {
    let lab = lab!();
    let mut net = three_is_behind(&lab, 30);
    net.heal();
    for _ in 0..20 {
        if net.on_the_wire().any(|m| m.msg_type() == MessageType::MsgSnapshot) {
            break;
        }
        if !net.deliver_one() {
            net.tick(1);
        }
    }
    assert!(
        net.on_the_wire().any(|m| m.msg_type() == MessageType::MsgSnapshot),
        "the snapshot is on its way"
    );
    net.crash(1);
    if arrives {
        net.deliver_all();
    } else {
        net.drop_where(|m| m.from == 1);
        net.deliver_all();
    }
    net.elect(2);
    net.stabilise();
    net.propose(2, "y");
    net.stabilise();
    assert_eq!(net.applied(3).last().map(String::as_str), Some("y"));
    net.restart(1);
    net.stabilise();
    assert_eq!(net.commit(1), net.commit(2));
}

/// A node that was restored by a snapshot can lead, and give snapshots itself.
#[test]
fn a_restored_node_leads() {
    let lab = lab!();
    let mut net = three_is_behind(&lab, 30);
    net.heal();
    net.stabilise();
    net.crash(1);
    net.elect(3);
    for i in 0..10 {
        net.propose(3, &format!("d{i}"));
    }
    net.stabilise();
    for id in [2, 3] {
        let applied = net.raft(id).log().applied();
        net.compact(id, applied);
    }
    net.propose(3, "y");
    net.stabilise();
    net.restart(1);
    net.stabilise();
    assert_eq!(net.applied(1), ["y"], "node 1 has all before that from node 3's snapshot");
}

/// Two of five are behind: each gets its snapshot, and the group goes on meanwhile.
#[test]
fn two_at_once() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 5).start_raw_nodes();
    net.elect(1);
    net.partition(&[4, 5]);
    for i in 0..20 {
        net.propose(1, &format!("c{i}"));
    }
    net.stabilise();
    let applied = net.raft(1).log().applied();
    net.compact(1, applied);
    net.propose(1, "x");
    net.stabilise();
    net.heal();
    let snapshots = counts_snapshots(&mut net, Net::stabilise);
    assert_eq!(snapshots, 2, "one for each");
    assert_eq!((net.applied(4), net.applied(5)), (vec!["x".to_string()], vec!["x".to_string()]));
}
