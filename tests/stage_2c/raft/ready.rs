//! A snapshot in a `Ready`, and what `advance` makes of it.

use pretty_assertions::assert_eq;
use raftkv::proto::eraftpb::{HardState, Message, MessageType};
use raftkv::raft::{Config, MemLogStorage, RawNode, Ready};
use raftkv_testkit::raft_net::letter::{append, entries, entry_text, snapshot};
use raftkv_testkit::{Lab, lab};

/// Peer 1 of three, with two entries, of which one is applied.
fn node(lab: &Lab) -> RawNode<MemLogStorage> {
    let mut disk = MemLogStorage::new_with_voters(&[1, 2, 3]);
    disk.append(&entries(1, &[1, 1]));
    disk.set_hard_state(HardState { term: 1, vote: 0, commit: 1 });
    let config = Config { seed: lab.seed(), applied: 1, ..Config::new(1) };
    RawNode::new(&config, disk).expect("it starts from its disk")
}

fn hand(node: &mut RawNode<MemLogStorage>, m: impl Into<Message>) {
    node.step(m.into()).expect("a message that correct peers send is no error");
}

/// What the owner does with the disk.
fn write(node: &mut RawNode<MemLogStorage>, ready: &Ready) {
    let disk = node.storage_mut();
    if let Some(snapshot) = &ready.snapshot {
        disk.apply_snapshot(snapshot);
    }
    disk.append(&ready.entries);
    if let Some(state) = ready.hard_state {
        disk.set_hard_state(state);
    }
}

fn last_of(ready: &Ready) -> Option<u64> {
    Some(ready.snapshot.as_ref()?.metadata.as_ref()?.index)
}

/// The snapshot is handed out once, together with the hard state; it must be synced, and the answer waits for that.
#[test]
fn a_snapshot_is_handed_out_once() {
    let lab = lab!();
    let mut node = node(&lab);
    hand(&mut node, snapshot(2, 1, (10, 2), &[1, 2, 3]).term(2));
    assert!(node.has_ready(), "there is a snapshot to be saved");
    let ready = node.ready();
    assert_eq!(last_of(&ready), Some(10));
    assert_eq!(ready.hard_state.map(|state| (state.term, state.commit)), Some((2, 10)));
    assert!(ready.must_sync, "who acknowledges a snapshot must not forget it");
    assert_eq!((ready.entries.len(), ready.committed_entries.len()), (0, 0));
    let answers = |messages: &[Message]| {
        messages.iter().filter(|m| m.msg_type() == MessageType::MsgAppendResponse).count()
    };
    assert_eq!((answers(&ready.messages), answers(&ready.persisted_messages)), (0, 1), "saved before told");
    write(&mut node, &ready);
    node.advance(ready);
    assert!(!node.has_ready(), "nothing of it is handed out again");
    node.raft_mut().on_applied(10);
    assert!(!node.has_ready());
}

/// Entries that follow in the same round come behind the snapshot, and nothing of the old log does.
#[test]
fn entries_behind_the_snapshot_in_the_same_round() {
    let lab = lab!();
    let mut node = node(&lab);
    hand(&mut node, append(2, 1).term(2).after(2, 1).entries(&[2, 2]));
    hand(&mut node, snapshot(2, 1, (10, 2), &[1, 2, 3]).term(2));
    hand(&mut node, append(2, 1).term(2).after(10, 2).entries(&[2, 2]).commit(12));
    let ready = node.ready();
    assert_eq!(last_of(&ready), Some(10));
    assert_eq!(ready.entries.iter().map(entry_text).collect::<Vec<_>>(), ["11@2", "12@2"]);
    assert_eq!(
        ready.committed_entries.len(),
        0,
        "they cannot be applied before the snapshot's data is there"
    );
    write(&mut node, &ready);
    node.advance(ready);
    assert!(!node.has_ready(), "all is stored");
    node.raft_mut().on_applied(10);
    let ready = node.ready();
    assert_eq!(ready.committed_entries.iter().map(entry_text).collect::<Vec<_>>(), ["11@2", "12@2"]);
}

/// A newer snapshot that comes while the first one is being saved is handed out next.
#[test]
fn a_newer_snapshot_while_one_is_saved() {
    let lab = lab!();
    let mut node = node(&lab);
    hand(&mut node, snapshot(2, 1, (10, 2), &[1, 2, 3]).term(2));
    let first = node.ready();
    hand(&mut node, snapshot(2, 1, (20, 2), &[1, 2, 3]).term(2));
    write(&mut node, &first);
    node.advance(first);
    assert!(node.has_ready(), "the newer one is not saved yet");
    let second = node.ready();
    assert_eq!(last_of(&second), Some(20));
    write(&mut node, &second);
    node.advance(second);
    assert!(!node.has_ready());
    assert_eq!(node.raft().log().first_index(), 21);
}

/// A snapshot promises nothing that the leader's disk must have first: it may leave with the appends.
#[test]
fn a_leader_sends_it_without_waiting() {
    let lab = lab!();
    assert!(raftkv::raft::may_precede_persist(MessageType::MsgSnapshot));
    let mut disk = MemLogStorage::new_with_voters(&[1, 2]);
    disk.append(&entries(1, &[1, 1]));
    disk.set_hard_state(HardState { term: 1, vote: 0, commit: 2 });
    disk.compact(2).expect("the log reaches that far");
    let config = Config { seed: lab.seed(), applied: 2, ..Config::new(1) };
    let mut node = RawNode::new(&config, disk).expect("it starts from its disk");
    node.campaign();
    hand(&mut node, raftkv_testkit::raft_net::letter::vote_reply(2, 1).term(2));
    hand(&mut node, raftkv_testkit::raft_net::letter::append_reply(2, 1).term(2).rejected(2, 0, 0));
    let ready = node.ready();
    let is_snapshot = |m: &&Message| m.msg_type() == MessageType::MsgSnapshot;
    assert_eq!(ready.messages.iter().filter(is_snapshot).count(), 1);
}
