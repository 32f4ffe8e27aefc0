//! Which majority counts, before and after a change (thesis, section 4.1).

use pretty_assertions::assert_eq;
use raftkv::raft::{LogStorage, ProgressState};
use raftkv_testkit::lab;
use raftkv_testkit::raft_net::{Direct, Net, Setup};

use crate::{ack, group, leader};

/// The change itself is committed by the group that was before: it counts when it is applied.
#[test]
fn a_change_is_committed_by_the_old_group() {
    let lab = lab!();
    let mut net = leader(&lab, 3);
    net.add(1, 4);
    assert_eq!(
        (net.commit(1), net.raft(1).voters().count()),
        (1, 3),
        "it is in the log of 1 alone, and counts for nobody yet"
    );
    ack(&mut net, 2, 2);
    assert_eq!((net.commit(1), net.group(1)), (2, &[1, 2, 3, 4][..]), "2 of 3 have it");
}

/// From then on the new member counts: 2 of 4 are no majority.
#[test]
fn an_added_member_counts() {
    let lab = lab!();
    let mut net = leader(&lab, 3);
    net.add(1, 4);
    ack(&mut net, 2, 2);
    assert_eq!(net.group(1), [1, 2, 3, 4]);
    net.propose(1, "y");
    ack(&mut net, 2, 3);
    assert_eq!(net.commit(1), 2, "1 and 2 were a majority of three, and are none of four");
    ack(&mut net, 4, 3);
    assert_eq!(net.commit(1), 3, "the new member's disk is as good as the others'");
}

/// Nothing is known of a new member. What it has not acknowledged, it has not.
#[test]
fn an_added_member_has_nothing_yet() {
    let lab = lab!();
    let mut net: Net<Direct> = Setup::of(&lab, 1).puppets(&[2]).start();
    net.elect(1);
    net.propose(1, "x");
    net.add(1, 2);
    assert_eq!(net.group(1), [1, 2]);
    let progress = net.raft(1).progress(2).expect("2 is a member").clone();
    assert_eq!(progress.matched, 0, "2 has acknowledged nothing");
    assert_eq!(progress.state, ProgressState::Probe, "where the logs agree is to be found out");
    net.propose(1, "y");
    assert_eq!(net.commit(1), 3, "1 of 2 is no majority: what 2 is believed to have is on no disk");
    ack(&mut net, 2, 4);
    assert_eq!(net.commit(1), 4);
}

/// It is sent to soon: with the next work of its leader, and not when somebody proposes something.
#[test]
fn an_added_member_is_written_to() {
    let lab = lab!();
    let mut net = leader(&lab, 1);
    net.add(1, 2);
    assert!(!net.mail(2).is_empty(), "it may wait for nothing else");
}

/// After a removal fewer are needed. What they have already is committed there and then, and applied.
#[test]
fn a_removal_commits_what_waited() {
    let lab = lab!();
    let mut net = leader(&lab, 4);
    net.remove(1, 4);
    net.propose(1, "y");
    net.propose(1, "z");
    ack(&mut net, 2, 4);
    assert_eq!(net.commit(1), 1, "2 of 4 have entries 2 to 4");
    ack(&mut net, 3, 2);
    assert_eq!(net.group(1), [1, 2, 3], "3 of 4 have the removal");
    assert_eq!(net.commit(1), 4, "and of the three that are left, two have all");
    assert_eq!(net.applied(1), ["y", "z"]);
}

/// And the others hear of it.
#[test]
fn what_a_removal_commits_is_told() {
    let lab = lab!();
    let mut net = leader(&lab, 2);
    net.remove(1, 2);
    net.propose(1, "y");
    ack(&mut net, 2, 2);
    assert_eq!((net.group(1), net.commit(1)), (&[1][..], 3), "alone it is a majority");
    let mut net = leader(&lab, 4);
    net.remove(1, 4);
    net.propose(1, "y");
    ack(&mut net, 2, 3);
    net.all_mail();
    ack(&mut net, 3, 2);
    assert!(net.mail(2).iter().any(|m| m.commit == 3), "2 is told that 3 is committed");
}

/// Counting commits entries of the own term only, in the new group as in the old one (section 5.4.2).
#[test]
fn a_removal_does_not_commit_an_earlier_term() {
    let lab = lab!();
    let change = raftkv_testkit::raft_net::letter::remove_node(4);
    let mut net =
        Setup::of(&lab, 4).puppets(&[2, 3, 4]).log(1, &[1]).change(1, 1, &change).log(1, &[]).start();
    net.elect_by_puppets(1);
    ack(&mut net, 2, 2);
    ack(&mut net, 3, 2);
    assert_eq!(net.commit(1), 0, "3 of 4 have 2@1, and it may still be replaced");
    ack(&mut net, 2, 3);
    ack(&mut net, 3, 3);
    assert_eq!((net.commit(1), net.group(1)), (3, &[1, 2, 3][..]));
}

/// Who is removed does not count any more, whatever it acknowledges; nor does it bring its leader down.
#[test]
fn a_removed_member_counts_no_more() {
    let lab = lab!();
    let mut net = leader(&lab, 5);
    net.remove(1, 5);
    (2..=4).for_each(|id| ack(&mut net, id, 2));
    assert_eq!(net.group(1), [1, 2, 3, 4]);
    net.propose(1, "y");
    ack(&mut net, 2, 3);
    ack(&mut net, 5, 3);
    assert_eq!(net.commit(1), 2, "2 of 4 and a stranger");
    ack(&mut net, 3, 3);
    assert_eq!(net.commit(1), 3);
}

/// A leader that waits for its own disk does not count itself, in the new group either (thesis, section 10.2.1).
#[test]
fn a_removal_and_a_slow_disk() {
    let lab = lab!();
    let mut net: Net<Direct> = group(&lab, 3);
    net.remove(1, 3);
    net.deliver_all();
    net.hold_disk(1);
    net.propose(1, "y");
    net.deliver_all();
    assert_eq!(
        (net.group(1), net.commit(1)),
        (&[1, 2][..], 3),
        "1 has not saved y: one of two is no majority"
    );
    net.release_disk(1);
    net.deliver_all();
    assert_eq!(net.commit(1), 4);
    assert_eq!(net.node(1).disk.last_index(), Ok(4));
}
