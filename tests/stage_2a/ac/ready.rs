//! `ready()`: everything that is to be done now, and nothing that has been asked for before.

use bytes::Bytes;
use pretty_assertions::assert_eq as assert_same;
use raftkv::proto::eraftpb::{HardState, MessageType};
use raftkv::raft::{Ready, Role, SoftState};
use raftkv_testkit::lab;
use raftkv_testkit::raft_net::letter::{append, append_reply, heartbeat, vote_request};

use super::{finish, hand, leader_of_three, new_node, take, texts, work_off};

/// A peer that has just been created wants nothing; nor does one whose timer has not run out.
#[test]
fn a_new_peer_wants_nothing() {
    let lab = lab!();
    let mut node = new_node(&lab, &[1, 2, 3]);
    assert!(!node.has_ready(), "nothing has happened yet, so there is nothing to do: {:?}", node.ready());
    for _ in 0..9 {
        node.tick();
        assert!(!node.has_ready(), "no election timeout is below 10 ticks: there is nothing to do");
    }
    for _ in 0..10 {
        node.tick();
    }
    let ready = take(&mut node, "after 19 ticks without a leader the peer stands for election");
    assert_eq!(
        ready.hard_state,
        Some(HardState { term: 1, vote: 1, commit: 0 }),
        "the candidacy must be saved"
    );
}

/// The way of a group of one, Ready by Ready: stand, write, commit, apply; propose, write, commit, apply.
#[test]
fn a_group_of_one_from_the_election_to_the_first_command() {
    let lab = lab!();
    let mut node = new_node(&lab, &[1]);
    node.campaign();
    let all = work_off(&mut node);
    let at = |which: &dyn Fn(&Ready) -> bool, what: &str| {
        all.iter().position(which).unwrap_or_else(|| panic!("no Ready {what}: {all:?}"))
    };
    let written = at(&|r| texts(&r.entries) == ["1@1"], "has the leader's empty entry to write");
    let applied = at(&|r| texts(&r.committed_entries) == ["1@1"], "has the leader's empty entry to apply");
    assert!(
        written < applied,
        "entry 1 is committed when it is on the only disk there is, so in a later Ready"
    );
    assert!(all[written].must_sync, "the entry must reach the disk before anything depends on it");
    let states: Vec<HardState> = all.iter().filter_map(|r| r.hard_state).collect();
    let first = states.first().expect("term and vote are new");
    assert_eq!((first.term, first.vote), (1, 1), "the vote for itself in term 1 must be saved first");
    assert_eq!(states.last().map(|s| s.commit), Some(1), "and in the end that entry 1 is committed");
    let soft = all.iter().filter_map(|r| r.soft_state).next_back();
    assert_eq!(
        soft,
        Some(SoftState { leader_id: 1, role: Role::Leader }),
        "the owner must learn that it leads"
    );

    node.propose(Bytes::from("x")).expect("a leader takes proposals");
    node.propose(Bytes::from("y")).expect("a leader takes proposals");
    let all = work_off(&mut node);
    let written: Vec<_> = all.iter().flat_map(|r| texts(&r.entries)).collect();
    let applied: Vec<_> = all.iter().flat_map(|r| texts(&r.committed_entries)).collect();
    assert_same!(written, ["2@1=x", "3@1=y"], "both commands are to be written, once");
    assert_same!(applied, ["2@1=x", "3@1=y"], "and then applied, once");
}

/// An entry is handed out to be written once; a message to be sent once.
#[test]
fn nothing_is_handed_out_twice() {
    let lab = lab!();
    let mut node = leader_of_three(&lab);
    hand(&mut node, append_reply(2, 1).term(1).accepted(1));
    hand(&mut node, append_reply(3, 1).term(1).accepted(1));
    work_off(&mut node);
    let mut written = Vec::new();
    let mut sent = Vec::new();
    for i in 0..10 {
        node.propose(Bytes::from(format!("c{i}"))).expect("a leader takes proposals");
        let ready = take(&mut node, "a command has been proposed");
        written.extend(texts(&ready.entries));
        sent.extend(ready.messages.iter().filter(|m| m.to == 2).flat_map(|m| texts(&m.entries)));
        finish(&mut node, ready);
        for rest in work_off(&mut node) {
            written.extend(texts(&rest.entries));
        }
    }
    let expected: Vec<String> = (0..10).map(|i| format!("{}@1=c{i}", i + 2)).collect();
    assert_same!(written, expected, "each of the ten commands is to be written exactly once");
    let mut once = sent.clone();
    once.dedup();
    assert_same!(sent, once, "no command is to be sent to 2 twice: nothing got lost");
    assert_eq!(sent.first(), expected.first(), "and they are sent in order");
}

/// A vote changes the hard state although the term stays: it must be saved like any other change.
#[test]
fn a_vote_alone_is_a_changed_hard_state() {
    let lab = lab!();
    let mut node = new_node(&lab, &[1, 2, 3]);
    hand(&mut node, append_reply(3, 1).term(4).rejected(0, 0, 0));
    let ready = take(&mut node, "the peer has learned of term 4");
    assert_eq!(
        ready.hard_state,
        Some(HardState { term: 4, vote: 0, commit: 0 }),
        "the new term must be saved"
    );
    assert!(ready.must_sync, "a new term must reach the disk");
    finish(&mut node, ready);

    hand(&mut node, vote_request(2, 1).term(4));
    let ready = take(&mut node, "the peer has given its vote");
    assert_eq!(
        ready.hard_state,
        Some(HardState { term: 4, vote: 2, commit: 0 }),
        "the vote for 2 must be saved, although the term is the same (figure 2, votedFor)"
    );
    assert!(ready.must_sync, "a vote must reach the disk before 2 hears of it");
    let granted = ready.persisted_messages.iter().any(|m| m.to == 2 && !m.reject);
    assert!(granted, "the granted vote waits for the disk, in persisted_messages: {ready:?}");
    finish(&mut node, ready);

    hand(&mut node, vote_request(3, 1).term(4));
    let ready = take(&mut node, "3 must be told that the vote is given");
    assert_eq!(ready.hard_state, None, "refusing changes nothing: no hard state to save");
    finish(&mut node, ready);
}

/// The commit index is part of the hard state, so that a restart knows it; but losing its last change in a
/// crash does no harm.
#[test]
fn a_new_commit_index_is_saved_without_waiting() {
    let lab = lab!();
    let mut node = new_node(&lab, &[1, 2, 3]);
    hand(&mut node, append(2, 1).term(1).entries(&[1, 1]));
    let ready = take(&mut node, "two entries must be written");
    assert!(ready.must_sync, "entries must reach the disk before they are acknowledged");
    finish(&mut node, ready);
    hand(&mut node, heartbeat(2, 1).term(1).commit(2));
    let ready = take(&mut node, "the commit index has changed");
    assert_eq!(
        ready.hard_state,
        Some(HardState { term: 1, vote: 0, commit: 2 }),
        "the new commit index is handed out"
    );
    assert!(
        !ready.must_sync,
        "only the commit index has changed, and that can be learned again: no need to wait"
    );
    assert_same!(texts(&ready.committed_entries), ["1@1", "2@1"], "and both entries are to be applied");
    finish(&mut node, ready);
}

/// Role and leader are told when they change, and only then.
#[test]
fn the_soft_state_is_told_when_it_changes() {
    let lab = lab!();
    let mut node = new_node(&lab, &[1, 2, 3]);
    let told = |all: Vec<Ready>| all.iter().filter_map(|r| r.soft_state).collect::<Vec<_>>();
    let state = |leader_id, role| SoftState { leader_id, role };
    hand(&mut node, heartbeat(2, 1).term(1));
    assert_eq!(told(work_off(&mut node)), [state(2, Role::Follower)], "2 leads term 1: a new leader");
    hand(&mut node, heartbeat(2, 1).term(1));
    assert_eq!(told(work_off(&mut node)), [], "2 still leads: nothing new");
    node.campaign();
    assert_eq!(told(work_off(&mut node)), [state(0, Role::Candidate)], "a candidate knows no leader");
    hand(&mut node, heartbeat(3, 1).term(2));
    assert_eq!(told(work_off(&mut node)), [state(3, Role::Follower)], "3 has won term 2");
}

/// What came in between `ready` and `advance` is in the next `Ready`.
#[test]
fn what_comes_between_ready_and_advance_is_not_lost() {
    let lab = lab!();
    let mut node = leader_of_three(&lab);
    node.propose(Bytes::from("x")).expect("a leader takes proposals");
    let first = take(&mut node, "x has been proposed");
    assert_same!(texts(&first.entries), ["2@1=x"], "x is to be written");
    // Meanwhile: another command, two acknowledgements, a heartbeat's time.
    node.propose(Bytes::from("y")).expect("a leader takes proposals");
    hand(&mut node, append_reply(2, 1).term(1).accepted(1));
    hand(&mut node, append_reply(3, 1).term(1).accepted(1));
    node.tick();
    finish(&mut node, first);
    let rest = work_off(&mut node);
    let written: Vec<_> = rest.iter().flat_map(|r| texts(&r.entries)).collect();
    let applied: Vec<_> = rest.iter().flat_map(|r| texts(&r.committed_entries)).collect();
    let beats = rest.iter().flat_map(|r| &r.messages).filter(|m| m.msg_type() == MessageType::MsgHeartbeat);
    assert_same!(
        written,
        ["3@1=y"],
        "y came while x was being written: it is to be written next, and x is not"
    );
    assert_same!(applied, ["1@1"], "entry 1 was acknowledged meanwhile: it is committed and to be applied");
    assert!(beats.count() >= 2, "the heartbeats of the tick in between are to be sent");
}

/// A vote that is given, and a leader who is heard, while the owner still works on something else: they must
/// be in the next `Ready`, for the owner has not seen them.
#[test]
fn a_vote_between_ready_and_advance_is_saved() {
    let lab = lab!();
    let mut node = new_node(&lab, &[1, 2, 3]);
    node.campaign();
    let first = take(&mut node, "the peer stands for election");
    hand(&mut node, vote_request(2, 1).term(5));
    finish(&mut node, first);
    let second = take(&mut node, "the peer has voted for 2 in term 5 meanwhile");
    assert_eq!(
        second.hard_state,
        Some(HardState { term: 5, vote: 2, commit: 0 }),
        "what the owner has saved is term 1: term 5 and the vote in it are still to be saved (figure 2)"
    );
    assert_eq!(
        second.soft_state,
        Some(SoftState { leader_id: 0, role: Role::Follower }),
        "the owner was told of a candidate: that it has become a follower is news"
    );
    hand(&mut node, heartbeat(2, 1).term(5));
    finish(&mut node, second);
    let told: Vec<_> = work_off(&mut node).iter().filter_map(|r| r.soft_state).collect();
    assert_eq!(told, [SoftState { leader_id: 2, role: Role::Follower }], "2 leads term 5: that is news, too");
}

/// Without anything to do, `ready` asks for nothing.
#[test]
fn an_idle_peer_asks_for_nothing() {
    let lab = lab!();
    let mut node = leader_of_three(&lab);
    node.tick();
    let all = work_off(&mut node);
    assert!(!all.is_empty(), "after a tick a leader has heartbeats to send");
    let idle = node.ready();
    assert_eq!(
        idle,
        Ready::default(),
        "has_ready() says that there is nothing to do, so ready() asks for nothing"
    );
}
