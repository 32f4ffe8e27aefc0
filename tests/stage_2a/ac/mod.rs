//! Stage 2ac: `RawNode`, the seam between Raft and its owner: `ready`, the work, `advance`.
//!
//! Here the tests are the owner: they write, send and apply by hand. In `groups` and `chaos` the kit is.

mod advance;
mod chaos;
mod groups;
mod promises;
mod ready;
mod restart;

use raftkv::ids::{PeerId, Term};
use raftkv::proto::eraftpb::{Entry, HardState, Message};
use raftkv::raft::{Config, LogStorage, MemLogStorage, RawNode, Ready};
use raftkv_testkit::Lab;
use raftkv_testkit::raft_net::letter::{Letter, entries, entry_text};

type Node = RawNode<MemLogStorage>;

/// A disk with entries of these terms.
fn disk(voters: &[PeerId], terms: &[Term], hard_state: HardState) -> MemLogStorage {
    let mut disk = MemLogStorage::new_with_voters(voters);
    disk.append(&entries(1, terms));
    disk.set_hard_state(hard_state);
    disk
}

/// Peer 1 on this disk; its state machine has applied up to `applied`.
fn start(lab: &Lab, disk: MemLogStorage, applied: u64) -> Node {
    let config = Config { seed: lab.seed(), applied, ..Config::new(1) };
    RawNode::new(&config, disk).expect("peer 1 starts from its disk")
}

/// A new peer 1 in a group of these voters.
fn new_node(lab: &Lab, voters: &[PeerId]) -> Node {
    start(lab, disk(voters, &[], HardState::default()), 0)
}

/// The next `Ready`, of which there must be one.
#[track_caller]
fn take(node: &mut Node, why: &str) -> Ready {
    assert!(node.has_ready(), "has_ready() says that there is nothing to do, but {why}");
    node.ready()
}

/// Step 2 of the owner's work: the disk.
#[track_caller]
fn write(node: &mut Node, ready: &Ready) {
    if let Some(first) = ready.entries.first() {
        let last = node.storage().last_index().expect("MemLogStorage does not fail");
        assert!(
            first.index <= last + 1,
            "entry {} is to be written, and the disk ends at {last}",
            first.index
        );
    }
    node.storage_mut().append(&ready.entries);
    if let Some(state) = ready.hard_state {
        node.storage_mut().set_hard_state(state);
    }
}

/// All of the owner's work. (Sending and applying are the test's affair.)
#[track_caller]
fn finish(node: &mut Node, ready: Ready) {
    write(node, &ready);
    node.advance(ready);
}

/// Works until there is nothing left to do. Returns what there was.
#[track_caller]
fn work_off(node: &mut Node) -> Vec<Ready> {
    let mut all = Vec::new();
    while node.has_ready() {
        let ready = node.ready();
        all.push(ready.clone());
        finish(node, ready);
        assert!(
            all.len() < 20,
            "20 Readys, all worked off, and still has_ready() wants more: {:?}",
            all.last()
        );
    }
    all
}

#[track_caller]
fn hand(node: &mut Node, letter: Letter) {
    let m: Message = letter.into();
    node.step(m).expect("a message that correct peers send is no error");
}

/// `4@2=x` for each entry.
fn texts(entries: &[Entry]) -> Vec<String> {
    entries.iter().map(entry_text).collect()
}

/// Peer 1 leads term 1 of peers 1, 2 and 3. All that needs writing is written; nobody has acknowledged
/// anything.
fn leader_of_three(lab: &Lab) -> Node {
    let mut node = new_node(lab, &[1, 2, 3]);
    node.campaign();
    work_off(&mut node);
    hand(&mut node, raftkv_testkit::raft_net::letter::vote_reply(2, 1).term(1));
    work_off(&mut node);
    assert_eq!(node.raft().role(), raftkv::raft::Role::Leader, "2's vote is the second of three");
    node
}
