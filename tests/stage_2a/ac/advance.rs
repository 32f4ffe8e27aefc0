//! `advance()`: the owner reports what it has done; only then does it count.

use bytes::Bytes;
use pretty_assertions::assert_eq as assert_same;
use raftkv_testkit::lab;
use raftkv_testkit::raft_net::letter::{append, append_reply};

use super::{finish, hand, leader_of_three, new_node, take, texts, work_off, write};

/// A leader is a holder of its entries when they are on its disk, not when it hands them out (thesis, section
/// 10.2.1). In a group of one nothing else could commit them.
#[test]
fn a_group_of_one_commits_after_advance() {
    let lab = lab!();
    let mut node = new_node(&lab, &[1]);
    node.campaign();
    work_off(&mut node);
    node.propose(Bytes::from("x")).expect("a leader takes proposals");
    let ready = take(&mut node, "x is to be written");
    assert!(ready.committed_entries.is_empty(), "x is not on disk yet: it cannot be committed");
    assert_eq!(node.raft().commit(), 1, "handing x out is not writing it: a crash now would lose it");
    write(&mut node, &ready);
    assert_eq!(node.raft().commit(), 1, "the owner has written x, but has not said so yet");
    node.advance(ready);
    assert_eq!(node.raft().commit(), 2, "advance says that x is on disk: one of one is a majority");
    let all = work_off(&mut node);
    let applied: Vec<_> = all.iter().flat_map(|r| texts(&r.committed_entries)).collect();
    assert_same!(applied, ["2@1=x"], "and x is to be applied");
}

/// With two others: one acknowledgement is a majority only together with the leader's own disk.
#[test]
fn a_leader_counts_itself_after_advance() {
    let lab = lab!();
    let mut node = leader_of_three(&lab);
    node.propose(Bytes::from("x")).expect("a leader takes proposals");
    let ready = take(&mut node, "x is to be written and sent");
    hand(&mut node, append_reply(2, 1).term(1).accepted(2));
    assert_eq!(
        node.raft().commit(),
        1,
        "2 has x, and the leader is still writing it: one disk of three is no majority (thesis, section 10.2.1)"
    );
    finish(&mut node, ready);
    assert_eq!(node.raft().commit(), 2, "now two of three disks have x");
    work_off(&mut node);
}

/// Committed entries are handed out once each, none is left out, whatever happens between `ready` and
/// `advance`.
#[test]
fn committed_entries_come_once_and_completely() {
    let lab = lab!();
    let mut node = leader_of_three(&lab);
    let mut applied = Vec::new();
    for i in 0..8u64 {
        node.propose(Bytes::from(format!("c{i}"))).expect("a leader takes proposals");
        let ready = take(&mut node, "a command is to be written");
        applied.extend(texts(&ready.committed_entries));
        // While the owner works, 2 acknowledges what it got earlier.
        hand(&mut node, append_reply(2, 1).term(1).accepted(i + 1));
        finish(&mut node, ready);
        for _ in 0..5 {
            if !node.has_ready() {
                break;
            }
            let ready = node.ready();
            applied.extend(texts(&ready.committed_entries));
            hand(&mut node, append_reply(3, 1).term(1).accepted(i + 1 + i % 2));
            finish(&mut node, ready);
        }
    }
    hand(&mut node, append_reply(3, 1).term(1).accepted(9));
    for rest in work_off(&mut node) {
        applied.extend(texts(&rest.committed_entries));
    }
    let mut expected = vec!["1@1".to_string()];
    expected.extend((0..8).map(|i| format!("{}@1=c{i}", i + 2)));
    assert_same!(applied, expected, "every committed entry is to be applied, in order, exactly once");
    assert_eq!(node.raft().log().applied(), 9, "and the log knows that all nine are applied");
}

/// The leader changes while a write is under way, and the new one replaces what is being written. The end of
/// the old write must not make the new entries count as written.
#[test]
fn a_replaced_write_does_not_count() {
    let lab = lab!();
    let mut node = new_node(&lab, &[1, 2, 3]);
    hand(&mut node, append(2, 1).term(1).entries(&[1, 1, 1]));
    let old = take(&mut node, "three entries of leader 2 are to be written");
    hand(&mut node, append(3, 1).term(2).after(1, 1).entries(&[2, 2]));
    finish(&mut node, old);
    let new = take(&mut node, "leader 3 has replaced entries 2 and 3");
    assert!(
        texts(&new.entries).ends_with(&["2@2".to_string(), "3@2".to_string()]),
        "the disk has just got 2@1 and 3@1 of the old leader: the new leader's entries are still to be written, \
         not {:?}",
        texts(&new.entries)
    );
    let acked = new.persisted_messages.iter().any(|m| m.to == 3 && !m.reject && m.index == 3);
    assert!(
        acked,
        "and only after that write may leader 3 hear that they are there: {:?}",
        new.persisted_messages
    );
    finish(&mut node, new);
    let rest = work_off(&mut node);
    assert!(rest.iter().all(|r| r.entries.is_empty()), "then everything is on disk: {rest:?}");
}

/// What is shorter after the change must be cut off on disk as well.
#[test]
fn a_cut_off_tail_stays_cut_off() {
    let lab = lab!();
    let mut node = new_node(&lab, &[1, 2, 3]);
    hand(&mut node, append(2, 1).term(1).entries(&[1, 1, 1, 1]));
    work_off(&mut node);
    hand(&mut node, append(3, 1).term(2).after(1, 1).entries(&[2]));
    let written: Vec<_> = work_off(&mut node).iter().flat_map(|r| texts(&r.entries)).collect();
    assert_same!(
        written,
        ["2@2"],
        "the new leader's entry is to be written, and nothing of the old leader's again"
    );
    let on_disk = raftkv::raft::LogStorage::entries(node.storage(), 1, 3).expect("two entries are on disk");
    assert_same!(texts(&on_disk), ["1@1", "2@2"], "the disk has the new leader's log");
}
