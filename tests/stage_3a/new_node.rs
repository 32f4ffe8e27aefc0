//! A new member gets what the others have: the log, or a snapshot (thesis, section 4.2.1; section 7).

use pretty_assertions::assert_eq;
use raftkv::raft::{LogStorage, Role};
use raftkv_testkit::lab;
use raftkv_testkit::raft_net::letter::{add_node, append, change_entry, vote_request};
use raftkv_testkit::raft_net::{Direct, Driver, Fault, Net, Readied, Setup};

use crate::group;

fn by_the_log<D: Driver>(net: &mut Net<D>) {
    (0..100).for_each(|n| net.propose(1, &format!("c{n}")));
    net.stabilise();
    net.join(4);
    net.add(1, 4);
    net.stabilise();
    assert_eq!(
        (net.applied(4), net.group(4)),
        (net.applied(1), &[1, 2, 3, 4][..]),
        "all of it, from the first entry on"
    );
    assert!(net.same_logs(&[1, 2, 3, 4]));
}

/// Nothing of the log is compacted: the new member gets it whole.
#[test]
fn by_the_log_alone() {
    let lab = lab!();
    by_the_log::<Direct>(&mut group(&lab, 3));
    by_the_log::<Readied>(&mut group(&lab, 3));
}

fn by_a_snapshot<D: Driver>(net: &mut Net<D>) {
    net.join_blank(4);
    net.compact(1, 2);
    net.add(1, 4);
    net.stabilise();
    assert_eq!(net.group(1), [1, 2, 3, 4]);
    assert_eq!(
        (net.last(4), net.group(4)),
        (0, &[][..]),
        "the only snapshot is from before the change: 4 is not in it"
    );
    net.compact_applied(1);
    net.heartbeat(1);
    net.stabilise();
    assert_eq!(net.group(4), [1, 2, 3, 4], "who is in the group, the snapshot says");
    assert_eq!(net.raft(4).log().first_index(), 4);
    net.propose(1, "y");
    net.stabilise();
    assert_eq!(net.applied(4), ["y"], "and it goes on behind it");
    net.crash(2);
    net.crash(3);
    assert_eq!(net.role(1), Role::Leader);
    net.propose(1, "z");
    net.stabilise();
    assert_eq!(net.commit(1), 4, "2 of 4");
    net.restart(2);
    net.stabilise();
    assert_eq!(net.applied(4), ["y", "z"], "1, 2 and 4 are three");
}

/// A new member that knows nothing, and a log that does not begin at its beginning: it gets a snapshot. One that was
/// made before it was added does not name it; the leader waits for a newer one, and does not send the old one again and
/// again.
#[test]
fn by_a_snapshot_that_names_it() {
    let lab = lab!();
    by_a_snapshot::<Direct>(&mut group(&lab, 3));
    by_a_snapshot::<Readied>(&mut group(&lab, 3));
}

/// Until it has learned that it is a member, it stands for nothing. It answers, votes and acknowledges.
#[test]
fn it_does_not_know_that_it_is_a_member() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).puppets(&[2, 3, 4]).group(1, &[2, 3, 4]).start();
    net.ticks(1, 100);
    net.campaign(1);
    assert_eq!((net.role(1), net.term(1)), (Role::Follower, 0));
    let vote = net.ask(vote_request(2, 1).term(1).last(1, 1));
    assert!(!vote.reject, "its vote may be what the group needs: the others know that it is a member");
    let answer =
        net.ask(append(2, 1).term(1).after(0, 0).entries(&[1]).with(change_entry(2, 1, &add_node(1))));
    assert_eq!((answer.reject, answer.index), (false, 2));
    net.ticks(1, 100);
    assert_eq!(net.role(1), Role::Follower, "it has its addition in the log, and not applied");
    net.hand(append(2, 1).term(1).after(2, 1).commit(2));
    net.campaign(1);
    assert_eq!((net.group(1), net.role(1)), (&[1, 2, 3, 4][..], Role::Candidate), "now it knows");
}

/// A new member may be the one that makes the majority: for commits and in elections.
#[test]
fn it_makes_the_majority() {
    let lab = lab!();
    let mut net: Net<Direct> = group(&lab, 2);
    net.join(3);
    net.add(1, 3);
    net.stabilise();
    net.crash(2);
    net.propose(1, "y");
    net.stabilise();
    assert_eq!(
        (net.applied(1), net.applied(3)),
        (vec!["x".into(), "y".to_string()], vec!["x".into(), "y".to_string()])
    );
    net.crash(1);
    net.restart(2);
    net.campaign(2);
    net.deliver_all();
    assert_ne!(net.role(2), Role::Leader, "2 lacks y: 3 refuses");
    net.elect(3);
    net.stabilise();
    assert_eq!(net.applied(2), ["x", "y"]);
}

/// It is down, or its messages get lost: the group goes on as long as a majority of the new group is there, and it
/// catches up when it comes.
#[test]
fn it_comes_late() {
    let lab = lab!();
    let mut net: Net<Readied> = group(&lab, 3);
    net.join(4);
    net.crash(4);
    net.add(1, 4);
    net.stabilise();
    net.propose(1, "y");
    net.stabilise();
    assert_eq!(
        (net.group(3), net.applied(3)),
        (&[1, 2, 3, 4][..], vec!["x".to_string(), "y".to_string()]),
        "3 of 4"
    );
    net.restart(4);
    net.lose_one(|m| m.to == 4 && !m.entries.is_empty());
    net.stabilise();
    assert_eq!(net.struck(Fault::Loss), 1);
    assert_eq!((net.applied(4), net.group(4)), (vec!["x".to_string(), "y".to_string()], &[1, 2, 3, 4][..]));
    assert_eq!(net.node(4).disk.first_index(), Ok(1));
}
