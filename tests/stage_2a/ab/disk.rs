//! Replication and the disk: who promises an entry has it saved (figure 2, "Persistent state"; thesis, section
//! 10.2.1).

use pretty_assertions::assert_eq as assert_same;
use raftkv::proto::eraftpb::{Message, MessageType};
use raftkv_testkit::lab;
use raftkv_testkit::raft_net::letter::{append, entry_text};
use raftkv_testkit::raft_net::{Fault, Setup};
use rstest::rstest;

use super::{ack, leader_among_puppets};

fn accepted(mail: &[Message]) -> Option<u64> {
    let oks = mail.iter().filter(|m| m.msg_type() == MessageType::MsgAppendResponse && !m.reject);
    oks.map(|m| m.index).max()
}

/// A follower acknowledges an entry when its disk has it, not before.
#[test]
fn a_follower_acknowledges_what_is_on_its_disk() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).puppets(&[2, 3]).start();
    net.hand(append(2, 1).term(1));
    net.mail(2);
    net.hold_disk(1);
    net.hand(append(2, 1).term(1).entries(&[1, 1]));
    assert_eq!(
        accepted(&net.mail(2)),
        None,
        "the entries are not on node 1's disk yet: a crash would lose what it has acknowledged (figure 2)"
    );
    net.release_disk(1);
    assert_eq!(accepted(&net.mail(2)), Some(2), "now they are on disk: the acknowledgement must go out");
}

/// A leader does not count itself before its own disk has the entry. (It may send it before: that is what
/// makes two disks write at the same time.)
#[test]
fn a_leader_counts_itself_when_its_disk_has_the_entry() {
    let lab = lab!();
    let mut net = leader_among_puppets(&lab, 3);
    net.hold_disk(1);
    net.propose(1, "x");
    ack(&mut net, 2, 2);
    assert_eq!(
        net.commit(1),
        1,
        "x is on 2's disk only, the leader's own write is under way: one of three is no majority, and a crash of \
         node 1 would lose an entry that counts as committed (thesis, section 10.2.1)"
    );
    net.release_disk(1);
    assert_eq!(net.commit(1), 2, "now 1 and 2 have x on disk: committed");
}

/// A group of one commits on its own word, once its disk has the entry.
#[test]
fn a_group_of_one_commits_what_is_on_its_disk() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 1).start();
    net.campaign(1);
    assert_eq!(net.commit(1), 1, "the empty entry of the new leader is on the only disk there is: committed");
    net.hold_disk(1);
    net.propose(1, "x");
    assert_eq!((net.commit(1), net.applied(1).len()), (1, 0), "x is not on disk yet");
    net.release_disk(1);
    assert_eq!(net.commit(1), 2, "x is on disk: a majority of one has it");
    assert_same!(net.applied(1), ["x"], "so it is handed to the state machine");
}

/// What was written and then replaced must be written again in its new form: the disk must not keep the
/// entries of a leader that has been overruled.
#[test]
fn a_replaced_entry_is_written_again() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).puppets(&[2, 3]).start();
    net.ask(append(2, 1).term(1).entries(&[1, 1, 1, 1]));
    let answer = net.ask(append(3, 1).term(2).after(1, 1).entries(&[2, 2]));
    assert_eq!(
        (answer.reject, answer.index),
        (false, 3),
        "the new leader's entries 2 and 3 replace the old ones"
    );
    net.crash(1);
    net.restart(1);
    assert_same!(net.terms(1), [1, 2, 2], "after a crash the disk must have the new leader's entries");
    assert_eq!(net.raft(1).log().stabled(), 3, "and the log knows that it is all on disk");
}

/// The same while the first write is still under way: its end must not be taken for the end of the second.
#[test]
fn a_write_that_was_overtaken_promises_nothing() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).puppets(&[2, 3]).start();
    net.hand(append(2, 1).term(1));
    net.hold_disk(1);
    net.hand(append(2, 1).term(1).entries(&[1, 1, 1]));
    net.hand(append(3, 1).term(2).after(1, 1).entries(&[2, 2]));
    net.all_mail();
    net.write_oldest(1);
    let unwritten: Vec<String> = net.raft(1).log().unstable_entries().iter().map(entry_text).collect();
    assert!(
        unwritten.ends_with(&["2@2".to_string(), "3@2".to_string()]),
        "the disk has completed the write of 1@1 2@1 3@1, and on_persisted(3, 1) has said so; but 2 and 3 are of \
         term 2 now, so they still count as unwritten. Unwritten entries: {unwritten:?}"
    );
    assert_eq!(
        accepted(&net.mail(3)),
        None,
        "leader 3 is waiting for 2@2 and 3@2, which are not written yet"
    );
    net.release_disk(1);
    assert_eq!(
        accepted(&net.mail(3)),
        Some(3),
        "now 2@2 and 3@2 are on disk, and the new leader may hear of it"
    );
    net.crash(1);
    net.restart(1);
    assert_same!(net.terms(1), [1, 2, 2], "the disk has the new leader's log");
}

/// An entry that a majority has in memory, but only a minority on disk, is not committed.
#[rstest]
#[case::three(3)]
#[case::five(5)]
fn slow_disks_do_not_count(#[case] nodes: u64) {
    let lab = lab!();
    let mut net = Setup::of(&lab, nodes).start();
    net.elect(1);
    for id in 2..=nodes / 2 + 2 {
        net.hold_disk(id);
    }
    net.propose(1, "x");
    net.deliver_all();
    assert_eq!(
        net.commit(1),
        1,
        "{} of {nodes} disks have not written x: the others are no majority",
        nodes / 2 + 1
    );
    net.release_disk(2);
    net.stabilise();
    assert_eq!(net.commit(1), 2, "one more disk has x, and that makes a majority");
    net.assert_struck(&[Fault::SlowDisk]);
}

/// Power cut in the whole group: what was committed is still there, everywhere, and is applied once.
#[test]
fn what_is_committed_survives_a_power_cut() {
    let lab = lab!();
    let mut net = Setup::of(&lab, 3).start();
    net.elect(1);
    for text in ["x", "y"] {
        net.propose(1, text);
        net.deliver_all();
    }
    net.hold_disk(1);
    net.propose(1, "lost");
    for id in 1..=3 {
        net.crash(id);
    }
    net.drop_all();
    for id in 1..=3 {
        net.restart(id);
    }
    net.run_until(300, "the group elects a leader after the power cut", |net| net.agreed_leader().is_some());
    let leader = net.leader().expect("just elected");
    net.propose(leader, "z");
    net.stabilise();
    for id in 1..=3 {
        assert_same!(
            net.applied(id),
            ["x", "y", "z"],
            "node {id}: x and y were committed before the power cut, z after it, \"lost\" was on no disk"
        );
    }
}
