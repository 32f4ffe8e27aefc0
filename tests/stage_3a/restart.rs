//! The group is found again after a crash: it was saved with what was applied.

use pretty_assertions::assert_eq;
use raftkv::raft::Role;
use raftkv_testkit::lab;
use raftkv_testkit::raft_net::letter::vote_reply;
use raftkv_testkit::raft_net::{Direct, Driver, Net, Readied};
use rstest::rstest;

use crate::{ack, group, leader};

fn all_restart<D: Driver>(net: &mut Net<D>) {
    net.join(4);
    net.add(1, 4);
    net.stabilise();
    net.remove(1, 2);
    net.stabilise();
    net.up().into_iter().for_each(|id| net.crash(id));
    (1..=4).for_each(|id| net.restart(id));
    for id in [1, 3, 4] {
        assert_eq!(net.raft(id).voters().collect::<Vec<_>>(), [1, 3, 4], "node {id}");
    }
    net.crash(1);
    net.elect(3);
    net.propose(3, "y");
    net.stabilise();
    assert_eq!(
        (net.role(3), net.applied(4)),
        (Role::Leader, vec!["x".to_string(), "y".to_string()]),
        "3 and 4 are two of three"
    );
}

/// All go down and come back: the group is the new one.
#[test]
fn all_nodes_restart() {
    let lab = lab!();
    all_restart::<Direct>(&mut group(&lab, 3));
    all_restart::<Readied>(&mut group(&lab, 3));
}

/// The leader goes down with a change at each stage of its way: in memory only, on its own disk, on a majority's,
/// committed and not applied. Either the change is made, by all, or by none.
#[rstest]
fn the_leader_crashes_in_the_middle(
    #[values(0, 1, 2, 3, 4, 5, 6, 7, 8)] deliveries: u64,
    #[values(true, false)] on_disk: bool,
) {
    let lab = lab!();
    let mut net: Net<Direct> = group(&lab, 4);
    if !on_disk {
        net.hold_disk(1);
    }
    net.remove(1, 4);
    for _ in 0..deliveries {
        net.deliver_one();
    }
    net.crash(1);
    net.restart(1);
    net.run_until(200, "they elect a leader, whom those follow who are members", |net| {
        net.leader().is_some_and(|leader| net.leader_among(net.group(leader)).is_some())
    });
    let leader = net.leader().expect("so it is");
    net.propose(leader, "y");
    net.run(20);
    let members = net.group(leader).to_vec();
    assert!(members == [1, 2, 3] || members == [1, 2, 3, 4], "made or not, and nothing else: {members:?}");
    for id in &members {
        assert_eq!(
            (net.group(*id), net.applied(*id)),
            (&members[..], vec!["x".to_string(), "y".to_string()]),
            "node {id}"
        );
    }
    assert!(deliveries < 8 || !on_disk || members.len() == 3, "a majority had it");
}

/// A leader crashes when a change is committed and not applied: it applies it when it starts, before it leads anything.
#[test]
fn committed_and_not_applied() {
    let lab = lab!();
    let mut net = leader(&lab, 3);
    net.hold_applying(1);
    net.remove(1, 3);
    ack(&mut net, 2, 2);
    assert_eq!((net.commit(1), net.group(1)), (2, &[1, 2, 3][..]));
    net.crash(1);
    net.restart(1);
    assert_eq!(net.group(1), [1, 2]);
    net.campaign(1);
    net.hand(vote_reply(3, 1).term(2));
    assert_eq!(net.role(1), Role::Candidate, "3 is no member");
    net.hand(vote_reply(2, 1).term(2));
    assert_eq!(net.role(1), Role::Leader);
}

/// A transfer is not saved: a leader that restarts hands nothing over.
#[test]
fn a_transfer_is_forgotten() {
    let lab = lab!();
    let mut net: Net<Direct> = group(&lab, 3);
    net.isolate(3);
    net.transfer(1, 3);
    assert_eq!(net.raft(1).lead_transferee(), 3);
    net.crash(1);
    net.restart(1);
    net.heal();
    net.elect(1);
    assert_eq!(net.raft(1).lead_transferee(), 0);
    net.propose(1, "y");
    net.stabilise();
    assert_eq!((net.applied(3), net.role(1)), (vec!["x".to_string(), "y".to_string()], Role::Leader));
}
