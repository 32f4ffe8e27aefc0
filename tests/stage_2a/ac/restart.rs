//! Restarts: what a `RawNode` finds on its disk, and what it hands out then.

use pretty_assertions::assert_eq as assert_same;
use raftkv::ids::PeerId;
use raftkv::proto::eraftpb::{HardState, MessageType};
use raftkv::raft::Role;
use raftkv_testkit::lab;
use raftkv_testkit::raft_net::letter::{append, entries, vote_reply};
use rstest::rstest;

use super::{disk, finish, hand, start, take, texts, work_off, write};

/// A restart hands out what is committed and not yet applied, and nothing else: not what the state machine
/// has, not what may never be committed, and nothing to write.
#[rstest]
#[case::nothing_applied(0, &["1@1", "2@1", "3@2"])]
#[case::some_applied(1, &["2@1", "3@2"])]
#[case::all_but_one(2, &["3@2"])]
#[case::all_applied(3, &[])]
fn a_restart_hands_out_what_is_not_applied(#[case] applied: u64, #[case] expected: &[&str]) {
    let lab = lab!();
    let state = HardState { term: 3, vote: 2, commit: 3 };
    let mut node = start(&lab, disk(&[1, 2, 3], &[1, 1, 2, 3, 3], state), applied);
    assert_eq!(node.raft().hard_state(), state, "term, vote and commit index come from the disk (figure 2)");
    let all = work_off(&mut node);
    let handed_out: Vec<_> = all.iter().flat_map(|r| texts(&r.committed_entries)).collect();
    assert_same!(
        handed_out,
        expected,
        "five entries on disk, three committed, {applied} applied: what is to be applied after the restart"
    );
    for ready in &all {
        assert!(
            ready.entries.is_empty(),
            "everything comes from the disk, nothing is to be written: {ready:?}"
        );
        assert_eq!(ready.hard_state, None, "the hard state is as on disk");
        assert!(!ready.must_sync, "nothing to wait for");
    }
    // And then it works.
    hand(&mut node, append(2, 1).term(3).after(5, 3).commit(5));
    let applied: Vec<_> = work_off(&mut node).iter().flat_map(|r| texts(&r.committed_entries)).collect();
    assert_same!(applied, ["4@3", "5@3"], "the rest is handed out when the leader says that it is committed");
}

/// The same with a compacted log: what is compacted has been applied.
#[test]
fn a_restart_from_a_compacted_log() {
    let lab = lab!();
    let state = HardState { term: 2, vote: 1, commit: 3 };
    let mut storage = disk(&[1], &[1, 1, 2, 2], state);
    storage.compact(2).expect("entries 1 and 2 can be compacted");
    let mut node = start(&lab, storage, 2);
    assert_eq!(node.raft().log().first_index(), 3, "entries 1 and 2 are compacted");
    let handed_out: Vec<_> = work_off(&mut node).iter().flat_map(|r| texts(&r.committed_entries)).collect();
    assert_same!(handed_out, ["3@2"], "entry 3 is committed and not applied");
    node.campaign();
    let handed_out: Vec<_> = work_off(&mut node).iter().flat_map(|r| texts(&r.committed_entries)).collect();
    assert_same!(handed_out, ["4@2", "5@3"], "its empty entry of term 3 commits entry 4 along with itself");
}

/// The members of the group are those of the disk's ConfState: their number decides what a majority is, and
/// they are asked for votes.
#[rstest]
#[case::three(&[1, 2, 3])]
#[case::five(&[1, 2, 5, 7, 9])]
#[case::two(&[1, 8])]
fn the_members_come_from_the_disk(#[case] voters: &[PeerId]) {
    let lab = lab!();
    let mut node = start(&lab, disk(voters, &[], HardState::default()), 0);
    let members: Vec<PeerId> = node.raft().voters().collect();
    assert_eq!(members, voters, "the voters are those of the ConfState on disk");
    node.campaign();
    let all = work_off(&mut node);
    let mut asked: Vec<PeerId> = all
        .iter()
        .flat_map(|r| &r.persisted_messages)
        .filter(|m| m.msg_type() == MessageType::MsgRequestVote)
        .map(|m| m.to)
        .collect();
    asked.dedup();
    assert_eq!(asked, voters[1..], "a candidate asks every other voter of its ConfState");
    for (given, &voter) in (1..).zip(&voters[1..=voters.len() / 2]) {
        assert_eq!(node.raft().role(), Role::Candidate, "{given} of {} votes are no majority", voters.len());
        hand(&mut node, vote_reply(voter, 1).term(1));
    }
    assert_eq!(node.raft().role(), Role::Leader, "a majority of {} has voted for it", voters.len());
    work_off(&mut node);
}

/// A crash before the write: it never happened. After it: it did, although `advance` was never called.
#[rstest]
#[case::before_the_write(false, &["1@1"])]
#[case::after_the_write(true, &["1@1", "2@1", "3@1"])]
fn a_crash_around_the_write(#[case] written: bool, #[case] expected: &[&str]) {
    let lab = lab!();
    let mut node = start(&lab, disk(&[1, 2, 3], &[1], HardState { term: 1, vote: 0, commit: 1 }), 0);
    work_off(&mut node);
    hand(&mut node, append(2, 1).term(1).after(1, 1).entries(&[1, 1]).commit(3));
    let ready = take(&mut node, "two entries have arrived");
    assert_same!(texts(&ready.entries), ["2@1", "3@1"], "both are to be written");
    if written {
        write(&mut node, &ready);
    }
    // The crash: only the disk is left; the state machine has applied entry 1.
    let left = node.storage().clone();
    let mut node = start(&lab, left, 1);
    let all = work_off(&mut node);
    let log = node.raft().log();
    assert_same!(texts(log.entries(1, 10)), expected, "the log after the crash");
    let handed_out: Vec<_> = all.iter().flat_map(|r| texts(&r.committed_entries)).collect();
    let to_apply = if written { vec!["2@1", "3@1"] } else { vec![] };
    assert_same!(
        handed_out,
        to_apply,
        "and what is left to apply: the commit index was written with the entries"
    );
}

/// After a crash between applying and `advance`, the state machine says how far it is, and gets the rest only.
#[test]
fn a_crash_between_applying_and_advance() {
    let lab = lab!();
    let mut node = start(&lab, disk(&[1, 2, 3], &[], HardState::default()), 0);
    hand(&mut node, append(2, 1).term(1).entries(&[1, 1, 1]).commit(2));
    let ready = take(&mut node, "three entries have arrived");
    finish(&mut node, ready);
    let ready = if node.has_ready() { node.ready() } else { Default::default() };
    write(&mut node, &ready);
    let mut node = start(&lab, node.storage().clone(), 2);
    let all = work_off(&mut node);
    assert!(
        all.iter().all(|r| r.committed_entries.is_empty()),
        "both committed entries are applied already: {all:?}"
    );
    hand(&mut node, append(2, 1).term(1).after(3, 1).commit(3));
    let rest: Vec<_> = work_off(&mut node).iter().flat_map(|r| texts(&r.committed_entries)).collect();
    assert_same!(rest, texts(&entries(3, &[1])), "only the third is left to apply");
}
