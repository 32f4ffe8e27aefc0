//! Changes through `RawNode`, as the store above will make them.

use pretty_assertions::assert_eq;
use prost::Message as _;
use raftkv::proto::eraftpb::{ConfChange, ConfState, EntryType, HardState, Message, MessageType};
use raftkv::raft::{Config, MemLogStorage, RaftError, RawNode, Ready, Role};
use raftkv_testkit::raft_net::letter::{
    add_node, append, append_reply, change_entry, entries, remove_node, snapshot, vote_reply,
};
use raftkv_testkit::{Lab, lab};

type Node = RawNode<MemLogStorage>;

/// Peer 1 of these, with an entry, that is applied.
fn start(lab: &Lab, voters: &[u64]) -> Node {
    let mut disk = MemLogStorage::new_with_voters(voters);
    disk.append(&entries(1, &[1]));
    disk.set_hard_state(HardState { term: 1, vote: 0, commit: 1 });
    let config = Config { seed: lab.seed(), applied: 1, ..Config::new(1) };
    RawNode::new(&config, disk).expect("it starts from its disk")
}

fn hand(node: &mut Node, m: impl Into<Message>) {
    node.step(m.into()).expect("a message that correct peers send is no error");
}

/// What the owner does before it applies: it writes.
fn write(node: &mut Node) -> Ready {
    assert!(node.has_ready());
    let ready = node.ready();
    let disk = node.storage_mut();
    if let Some(snapshot) = &ready.snapshot {
        disk.apply_snapshot(snapshot);
    }
    disk.append(&ready.entries);
    if let Some(state) = ready.hard_state {
        disk.set_hard_state(state);
    }
    ready
}

/// All work is done, and there was no change of the group in it.
fn settle(node: &mut Node) -> Vec<Message> {
    let mut sent = Vec::new();
    while node.has_ready() {
        let ready = write(node);
        assert!(ready.committed_entries.iter().all(|e| e.entry_type() == EntryType::EntryNormal));
        sent.extend(ready.messages.iter().chain(&ready.persisted_messages).cloned());
        node.advance(ready);
    }
    sent
}

/// Peer 1 leads term 2 of a group of these two, and its first entry is committed.
fn leader(lab: &Lab) -> Node {
    let mut node = start(lab, &[1, 2]);
    node.campaign();
    hand(&mut node, vote_reply(2, 1).term(2));
    settle(&mut node);
    hand(&mut node, append_reply(2, 1).term(2).accepted(2));
    settle(&mut node);
    assert_eq!((node.raft().role(), node.raft().commit()), (Role::Leader, 2));
    node
}

fn voters(state: &ConfState) -> Vec<u64> {
    state.voters.clone()
}

/// Proposed, in the log as an entry of its own type, handed out to be applied; and the owner is given the group to
/// save.
#[test]
fn a_change_and_its_way_through_a_ready() {
    let lab = lab!();
    let mut node = leader(&lab);
    let change = ConfChange { context: bytes::Bytes::from_static(b"who asked"), ..add_node(3) };
    node.propose_conf_change(&change).expect("nothing is in its way");
    let ready = write(&mut node);
    let [entry] = &ready.entries[..] else { panic!("one entry: {:?}", ready.entries) };
    assert_eq!((entry.entry_type(), entry.index, entry.term), (EntryType::EntryConfChange, 3, 2));
    assert_eq!(
        ConfChange::decode(entry.data.clone()),
        Ok(change.clone()),
        "as it was proposed, with its context"
    );
    assert!(ready.must_sync);
    node.advance(ready);
    hand(&mut node, append_reply(2, 1).term(2).accepted(3));
    let ready = write(&mut node);
    assert_eq!(ready.committed_entries.iter().map(|e| e.index).collect::<Vec<_>>(), [3]);
    assert_eq!(
        voters(&node.apply_conf_change(&change)),
        [1, 2, 3],
        "to be saved, together with what is applied"
    );
    node.advance(ready);
    assert_eq!(node.raft().voters().collect::<Vec<_>>(), [1, 2, 3]);
    assert!(settle(&mut node).iter().any(|m| m.to == 3), "the new member is written to");
    assert!(!node.has_ready());
}

/// Two changes handed out together are applied one after the other, each at its place.
#[test]
fn two_changes_in_one_ready() {
    let lab = lab!();
    let mut node = start(&lab, &[1, 2]);
    let changes = [add_node(3), remove_node(2)];
    let letter = append(2, 1).term(1).after(1, 1).with(change_entry(2, 1, &changes[0])).with(change_entry(
        3,
        1,
        &changes[1],
    ));
    hand(&mut node, letter.commit(3));
    let ready = write(&mut node);
    assert_eq!(ready.committed_entries.len(), 2);
    let groups: Vec<_> = changes.iter().map(|change| voters(&node.apply_conf_change(change))).collect();
    assert_eq!(groups, [vec![1, 2, 3], vec![1, 3]]);
    node.advance(ready);
    settle(&mut node);
    node.campaign();
    let asked: Vec<u64> = settle(&mut node)
        .iter()
        .filter(|m| m.msg_type() == MessageType::MsgRequestVote)
        .map(|m| m.to)
        .collect();
    assert_eq!(asked, [3]);
}

/// Handed out and not handed back: until `advance`, the change is not applied, and no other one is taken.
#[test]
fn not_applied_before_advance() {
    let lab = lab!();
    let mut node = leader(&lab);
    node.propose_conf_change(&add_node(3)).expect("nothing is in its way");
    settle(&mut node);
    hand(&mut node, append_reply(2, 1).term(2).accepted(3));
    let ready = write(&mut node);
    let refused =
        node.propose_conf_change(&remove_node(2)).expect_err("refused: an earlier change is being applied");
    assert!(matches!(refused, RaftError::ConfChangeRefused(_)), "{refused}");
    node.propose(bytes::Bytes::from_static(b"y")).expect("commands do not wait");
    node.apply_conf_change(&add_node(3));
    node.advance(ready);
    assert_eq!(node.raft().pending_conf_index(), None);
    node.propose_conf_change(&remove_node(2)).expect("and now it is");
}

/// A snapshot comes while older entries are being applied. It is of a later place, and so is its group: the change that
/// is applied after all changes nothing of it.
#[test]
fn a_change_that_a_snapshot_has_overtaken() {
    let lab = lab!();
    let mut node = start(&lab, &[1, 2, 3]);
    hand(&mut node, append(2, 1).term(1).after(1, 1).with(change_entry(2, 1, &remove_node(3))).commit(2));
    let ready = write(&mut node);
    assert_eq!(ready.committed_entries.len(), 1);
    // In the meantime 3 has been added again, and 4 as well.
    hand(&mut node, snapshot(2, 1, (9, 1), &[1, 2, 3, 4]).term(1));
    assert_eq!(voters(&node.apply_conf_change(&remove_node(3))), [1, 2, 3, 4], "the group is the snapshot's");
    node.advance(ready);
    settle(&mut node);
    node.raft_mut().on_applied(9);
    assert_eq!(node.raft().voters().collect::<Vec<_>>(), [1, 2, 3, 4]);
    hand(&mut node, append(2, 1).term(1).after(9, 1).with(change_entry(10, 1, &remove_node(4))).commit(10));
    let ready = write(&mut node);
    assert_eq!(voters(&node.apply_conf_change(&remove_node(4))), [1, 2, 3], "later changes count");
    node.advance(ready);
}

/// A leader that removes itself tells the others in the same round, and steps down: the owner sees both.
#[test]
fn a_leader_removes_itself() {
    let lab = lab!();
    let mut node = leader(&lab);
    node.propose_conf_change(&remove_node(1)).expect("nothing is in its way");
    settle(&mut node);
    hand(&mut node, append_reply(2, 1).term(2).accepted(3));
    let ready = write(&mut node);
    let mut sent = ready.messages.clone();
    assert_eq!(voters(&node.apply_conf_change(&remove_node(1))), [2]);
    node.advance(ready);
    let ready = write(&mut node);
    sent.extend(ready.messages.clone());
    assert_eq!(ready.soft_state.map(|s| (s.role, s.leader_id)), Some((Role::Follower, 0)));
    assert!(
        sent.iter().any(|m| m.to == 2 && m.msg_type() == MessageType::MsgAppend && m.commit == 3),
        "2 is told that entry 3 is committed"
    );
    node.advance(ready);
}

/// The word to begin and the wish promise nothing: they need not wait for the disk. (A request for votes does.)
#[test]
fn a_transfer_through_a_ready() {
    let lab = lab!();
    let mut node = leader(&lab);
    node.transfer_leader(2);
    let ready = write(&mut node);
    assert!(ready.messages.iter().any(|m| m.msg_type() == MessageType::MsgTimeoutNow && m.to == 2));
    assert!(!ready.persisted_messages.iter().any(|m| m.msg_type() == MessageType::MsgTimeoutNow));
    node.advance(ready);
    let refused = node.propose(bytes::Bytes::from_static(b"y")).expect_err("refused: it hands over");
    assert!(matches!(refused, RaftError::LeaderTransferring { to: 2 }), "{refused}");
    (0..10).for_each(|_| node.tick());
    node.propose(bytes::Bytes::from_static(b"y")).expect("given up");
}
