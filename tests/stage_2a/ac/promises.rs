//! The two outboxes of a `Ready`: what may be sent at once, and what promises something that must be on disk
//! first (figure 2, "Updated on stable storage before responding to RPCs").

use bytes::Bytes;
use raftkv::proto::eraftpb::{Message, MessageType};
use raftkv::raft::Ready;
use raftkv_testkit::lab;
use raftkv_testkit::raft_net::letter::{append, heartbeat, vote_reply, vote_request};

use super::{finish, hand, leader_of_three, new_node, take, work_off};

fn has(messages: &[Message], what: MessageType) -> bool {
    messages.iter().any(|m| m.msg_type() == what)
}

#[track_caller]
fn waits_for_the_disk(ready: &Ready, what: MessageType, why: &str) {
    assert!(
        has(&ready.persisted_messages, what) && !has(&ready.messages, what),
        "{what:?} must be in persisted_messages and not in messages: {why} (figure 2). It was in messages {:?}, in \
         persisted_messages {:?}",
        ready.messages,
        ready.persisted_messages
    );
}

/// A candidate must remember that it voted for itself, whatever happens.
#[test]
fn requests_for_votes_wait_for_the_disk() {
    let lab = lab!();
    let mut node = new_node(&lab, &[1, 2, 3]);
    node.campaign();
    let ready = take(&mut node, "the peer stands for election");
    waits_for_the_disk(
        &ready,
        MessageType::MsgRequestVote,
        "its own vote must be saved before it asks for others",
    );
    assert!(ready.hard_state.is_some() && ready.must_sync, "the same Ready has term and vote, to be synced");
    finish(&mut node, ready);
}

/// A vote that is told and then forgotten in a crash could be given a second time.
#[test]
fn votes_wait_for_the_disk() {
    let lab = lab!();
    let mut node = new_node(&lab, &[1, 2, 3]);
    hand(&mut node, vote_request(2, 1).term(1));
    let ready = take(&mut node, "2 has asked for a vote");
    waits_for_the_disk(&ready, MessageType::MsgRequestVoteResponse, "the vote must be saved first");
    assert!(ready.hard_state.is_some() && ready.must_sync, "the same Ready has the vote, to be synced");
    finish(&mut node, ready);
}

/// An acknowledged entry counts as being on this disk.
#[test]
fn acknowledgements_wait_for_the_disk() {
    let lab = lab!();
    let mut node = new_node(&lab, &[1, 2, 3]);
    hand(&mut node, heartbeat(2, 1).term(1));
    work_off(&mut node);
    hand(&mut node, append(2, 1).term(1).entries(&[1]));
    let ready = take(&mut node, "an entry has arrived");
    assert_eq!(ready.hard_state, None, "term and vote are as they were");
    waits_for_the_disk(
        &ready,
        MessageType::MsgAppendResponse,
        "the entry must be saved before it is acknowledged",
    );
    assert!(!ready.entries.is_empty() && ready.must_sync, "the same Ready has the entry, to be synced");
    finish(&mut node, ready);
}

/// An answer in a new term tells that term: it must be saved as well.
#[test]
fn answers_in_a_new_term_wait_for_the_disk() {
    let lab = lab!();
    let mut node = new_node(&lab, &[1, 2, 3]);
    hand(&mut node, heartbeat(2, 1).term(7));
    let ready = take(&mut node, "a heartbeat is to be answered");
    waits_for_the_disk(
        &ready,
        MessageType::MsgHeartbeatResponse,
        "it speaks of term 7, which is not saved yet",
    );
    finish(&mut node, ready);
}

/// A leader's appends promise nothing about its own disk: they may leave while it writes (thesis, section
/// 10.2.1). Waiting would cost a disk write with each command.
#[test]
fn appends_and_heartbeats_leave_at_once() {
    let lab = lab!();
    let mut node = leader_of_three(&lab);
    hand(&mut node, raftkv_testkit::raft_net::letter::append_reply(2, 1).term(1).accepted(1));
    work_off(&mut node);
    node.propose(Bytes::from("x")).expect("a leader takes proposals");
    node.tick();
    let ready = take(&mut node, "there is a command to write and to send");
    assert!(!ready.entries.is_empty(), "x is to be written");
    for what in [MessageType::MsgAppend, MessageType::MsgHeartbeat] {
        assert!(
            has(&ready.messages, what) && !has(&ready.persisted_messages, what),
            "{what:?} must be in messages, to leave while the leader's own disk writes (thesis, section 10.2.1)"
        );
    }
    finish(&mut node, ready);
}

/// Nothing else than appends, heartbeats and passed-on commands may overtake the disk, in any situation.
#[test]
fn only_what_promises_nothing_leaves_at_once() {
    let lab = lab!();
    let mut node = new_node(&lab, &[1, 2, 3]);
    let mut all = Vec::new();
    for round in 0..6 {
        node.campaign();
        all.extend(work_off(&mut node));
        let term = node.raft().term();
        hand(&mut node, vote_reply(2, 1).term(term));
        node.propose(Bytes::from("x")).expect("it leads");
        node.tick();
        all.extend(work_off(&mut node));
        // Another leader takes over, is followed, and is given a command; then a candidate asks for a vote.
        let last = node.raft().log().last_index();
        hand(&mut node, append(3, 1).term(term + 1).after(last, term).entries(&[term + 1]));
        node.propose(Bytes::from("y")).expect("it knows the leader");
        hand(
            &mut node,
            vote_request(2, 1).term(term + 2).last(if round % 2 == 0 { 99 } else { 0 }, term + 1),
        );
        all.extend(work_off(&mut node));
    }
    let early = |m: &&Message| {
        use MessageType::{MsgAppend, MsgHeartbeat, MsgPropose};
        ![MsgAppend, MsgHeartbeat, MsgPropose].contains(&m.msg_type())
    };
    let broken: Vec<&Message> = all.iter().flat_map(|r| &r.messages).filter(early).collect();
    assert!(broken.is_empty(), "these promise something, and may be sent before the disk has it: {broken:?}");
    let sent = all.iter().map(|r| r.messages.len() + r.persisted_messages.len()).sum::<usize>();
    assert!(sent >= 40, "six elections, commands and votes make many messages, not {sent}: some are missing");
}
