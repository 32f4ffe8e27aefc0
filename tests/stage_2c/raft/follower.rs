//! A follower is sent a snapshot (section 7; figure 13, "InstallSnapshot RPC").

use pretty_assertions::assert_eq;
use raftkv::raft::{LogStorage, RaftError, Role};
use raftkv_testkit::lab;
use raftkv_testkit::raft_net::letter::{Letter, append, heartbeat, snapshot, vote_request};
use raftkv_testkit::raft_net::{Direct, Net, Setup};
use rstest::rstest;

const ALL: &[u64] = &[1, 2, 3];

/// Node 1 with a log of these terms, of which so much is committed; 2 and 3 are the test's.
fn follower(lab: &raftkv_testkit::Lab, terms: &[u64], commit: u64) -> Net<Direct> {
    Setup::of(lab, 3).puppets(&[2, 3]).log(1, terms).commit(1, commit).start()
}

/// Node 1 is sent this snapshot, which ends at 10, and takes it.
#[track_caller]
fn restored(net: &mut Net<Direct>, snapshot: Letter) {
    net.hand(snapshot);
    assert_eq!(
        (net.commit(1), net.raft(1).log().first_index()),
        (10, 11),
        "the log gives way to a snapshot (section 7)"
    );
}

/// Section 7: the log gives way to the snapshot. It begins behind it, the last entry's index and term are the
/// snapshot's, everything up to there is committed, and the answer says so.
#[rstest]
#[case::of_an_empty_log(&[], 0)]
#[case::of_a_shorter_log(&[1, 1, 1], 2)]
#[case::of_a_log_with_other_entries(&[1, 1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2], 2)]
fn the_log_gives_way(#[case] terms: &[u64], #[case] commit: u64) {
    let lab = lab!();
    let mut net = follower(&lab, terms, commit);
    let answer = net.ask(snapshot(2, 1, (10, 3), ALL).term(4));
    assert_eq!((answer.reject, answer.index), (false, 10), "it has all that the snapshot has (figure 13)");
    let log = net.raft(1).log();
    assert_eq!(
        (log.first_index(), log.last_index()),
        (11, 10),
        "the log is empty and begins behind the snapshot"
    );
    assert_eq!((log.last_term(), log.term(10)), (3, Some(3)), "the term of the last entry is known");
    assert_eq!(net.commit(1), 10, "what is in a snapshot is committed");
    assert_eq!(net.raft(1).log().applied(), 10, "and applied, once its data is loaded");
}

/// Saved before told: the snapshot is in the storage when the answer leaves, and so is the term.
#[test]
fn the_answer_waits_for_the_disk() {
    let lab = lab!();
    let mut net = follower(&lab, &[1], 0);
    net.hold_disk(1);
    net.hand(snapshot(2, 1, (10, 3), ALL).term(4));
    assert_eq!(net.mail(2), [], "nothing is promised before the snapshot is saved");
    net.release_disk(1);
    assert_eq!(net.mail(2).len(), 1, "and then it is");
    assert_eq!(net.node(1).disk.first_index(), Ok(11));
    assert_eq!(net.node(1).hard_state().term, 4);
    assert_eq!(net.node(1).hard_state().commit, 10, "the hard state goes along with the snapshot");
}

/// A snapshot of what is committed already is old: a second copy, or one that was long on its way. It must not bring
/// the log, the commit index or the data back to where they were.
#[rstest]
#[case::at_the_commit_index(4, 2)]
#[case::before_it(2, 1)]
fn an_old_snapshot_changes_nothing(#[case] index: u64, #[case] term: u64) {
    let lab = lab!();
    let mut net = follower(&lab, &[1, 1, 2, 2, 2], 4);
    let (before, applied) = (net.log(1), net.applied(1));
    let answer = net.ask(snapshot(2, 1, (index, term), ALL).term(3));
    assert_eq!((answer.reject, answer.index), (false, 4), "the answer says what is committed here");
    assert_eq!(net.log(1), before);
    assert_eq!((net.commit(1), net.raft(1).log().first_index()), (4, 1));
    assert_eq!(net.applied(1), applied);
    assert_eq!(net.raft(1).log().pending_snapshot(), None, "there is nothing to load");
}

/// Figure 13, step 6: a log that has the snapshot's last entry has everything before it, and keeps what follows.
#[rstest]
#[case::in_the_middle(4, 5)]
#[case::at_the_end(5, 5)]
fn a_log_that_has_it_all_stays(#[case] index: u64, #[case] last: u64) {
    let lab = lab!();
    let mut net = follower(&lab, &[1, 1, 2, 2, 2], 1);
    let before = net.log(1);
    let answer = net.ask(snapshot(2, 1, (index, 2), ALL).term(3));
    assert_eq!((answer.reject, answer.index), (false, index), "it agrees up to the snapshot's end");
    assert_eq!((net.log(1), net.last(1)), (before, last), "what follows stays");
    assert_eq!(net.commit(1), index, "what is in a snapshot is committed");
    assert_eq!(net.raft(1).log().first_index(), 1, "nothing is to be loaded, and nothing compacted");
}

/// Another term at the same index is another entry: the log does not have what the snapshot has, and gives way.
#[test]
fn the_same_index_of_another_term_is_another_entry() {
    let lab = lab!();
    let mut net = follower(&lab, &[1, 1, 1, 1, 1], 1);
    net.hand(snapshot(2, 1, (4, 2), ALL).term(3));
    assert_eq!((net.commit(1), net.last(1)), (4, 4), "entries 2 to 5 are none that a majority has");
    assert_eq!(net.raft(1).log().last_term(), 2);
}

/// The members of the group are those that the snapshot names: the log that said so is gone.
#[rstest]
#[case::more(&[1, 2, 3, 4, 5])]
#[case::fewer(&[1, 2])]
#[case::others(&[1, 4, 5])]
fn the_members_come_from_the_snapshot(#[case] voters: &[u64]) {
    let lab = lab!();
    let mut net = follower(&lab, &[1, 1], 1);
    net.hand(snapshot(2, 1, (10, 2), voters).term(3));
    assert_eq!(net.raft(1).voters().collect::<Vec<_>>(), voters);
}

/// A snapshot of a group without this peer is not for it: it was removed before that. It keeps what it has.
#[test]
fn a_snapshot_without_the_own_name_is_ignored() {
    let lab = lab!();
    let mut net = follower(&lab, &[1, 1], 1);
    let answer = net.ask(snapshot(2, 1, (10, 2), &[2, 3]).term(3));
    assert_eq!(answer.index, 1, "it agrees up to what is committed here, and not up to the snapshot");
    assert_eq!((net.last(1), net.commit(1)), (2, 1));
    assert_eq!(net.raft(1).voters().collect::<Vec<_>>(), ALL);
}

/// A snapshot comes from the leader of a term: whoever hears it follows, and its timer starts anew (section 5.2).
#[test]
fn a_snapshot_is_the_leaders_word() {
    let lab = lab!();
    let mut net = follower(&lab, &[1], 0);
    net.campaign(1);
    assert_eq!((net.role(1), net.term(1)), (Role::Candidate, 2));
    restored(&mut net, snapshot(3, 1, (10, 2), ALL).term(2));
    assert_eq!((net.role(1), net.leader_of(1)), (Role::Follower, 3), "a candidate gives way");
    for _ in 0..3 {
        net.ticks(1, 9);
        net.hand(snapshot(3, 1, (10, 2), ALL).term(2));
    }
    assert_eq!(net.role(1), Role::Follower, "its timer never ran out: it heard the leader all the time");
}

/// A snapshot of an old term is of a leader that has been replaced (section 5.1).
#[test]
fn a_snapshot_of_an_old_leader_changes_nothing() {
    let lab = lab!();
    let mut net = follower(&lab, &[1, 1, 5], 1);
    net.hand(snapshot(2, 1, (10, 2), ALL).term(3));
    assert_eq!((net.last(1), net.commit(1), net.term(1)), (3, 1, 5));
    assert_eq!(net.leader_of(1), 0, "nobody leads because of it");
    restored(&mut net, snapshot(3, 1, (10, 5), ALL).term(5));
}

/// A higher term in a snapshot is a higher term (section 5.1).
#[test]
fn a_snapshot_brings_the_term() {
    let lab = lab!();
    let mut net = follower(&lab, &[1], 0);
    net.campaign(1);
    restored(&mut net, snapshot(2, 1, (10, 6), ALL).term(7));
    assert_eq!((net.term(1), net.vote(1), net.leader_of(1)), (7, 0, 2));
}

/// The log goes on behind the snapshot: the leader's next append is checked against the snapshot's last entry (section 5.3).
#[test]
fn appends_go_on_behind_the_snapshot() {
    let lab = lab!();
    let mut net = follower(&lab, &[1], 0);
    net.hand(snapshot(2, 1, (10, 2), ALL).term(3));
    let refused = net.ask(append(2, 1).term(3).after(11, 3).entries(&[3]).commit(10));
    assert!(refused.reject, "there is no entry 11 here");
    let other_term = net.ask(append(2, 1).term(3).after(10, 3).entries(&[3]).commit(10));
    assert!(other_term.reject, "the entry at 10 is of term 2, not of term 3");
    let taken = net.ask(append(2, 1).term(3).after(10, 2).entries(&[3, 3]).commit(11));
    assert_eq!((taken.reject, taken.index), (false, 12));
    assert_eq!((net.commit(1), net.terms(1)), (11, vec![3, 3]));
}

/// What is in the snapshot was committed, so an append that reaches back into it agrees there, whatever it says.
#[test]
fn an_old_append_into_the_snapshot_agrees() {
    let lab = lab!();
    let mut net = follower(&lab, &[1], 0);
    net.hand(snapshot(2, 1, (10, 2), ALL).term(3));
    let answer = net.ask(append(2, 1).term(3).after(7, 1).entries(&[2, 2, 2, 3]).commit(10));
    assert_eq!((answer.reject, answer.index), (false, 11), "8 to 10 are in the snapshot, 11 is new");
    assert_eq!((net.raft(1).log().first_index(), net.last(1)), (11, 11));
}

/// Whose log is more up to date, a snapshot's last entry says like any other (section 5.4.1).
#[rstest]
#[case::shorter((9, 3), false)]
#[case::of_an_older_term((12, 2), false)]
#[case::the_same((10, 3), true)]
#[case::longer((11, 3), true)]
fn a_restored_log_votes_by_its_snapshot(#[case] last: (u64, u64), #[case] granted: bool) {
    let lab = lab!();
    let mut net = follower(&lab, &[1], 0);
    restored(&mut net, snapshot(2, 1, (10, 3), ALL).term(4));
    let answer = net.ask(vote_request(3, 1).term(5).last(last.0, last.1));
    assert_eq!(
        !answer.reject, granted,
        "its own log ends with 10@3, the candidate's with {}@{}",
        last.0, last.1
    );
}

/// A peer that was restored can stand for election, and says where its log ends.
#[test]
fn a_restored_log_stands_for_election() {
    let lab = lab!();
    let mut net = follower(&lab, &[1], 0);
    net.hand(snapshot(2, 1, (10, 3), ALL).term(4));
    net.all_mail();
    net.campaign(1);
    let request = net.mail(2).pop().expect("it asks for a vote");
    assert_eq!((request.index, request.log_term), (10, 3));
    net.elect_by_puppets(1);
    assert_eq!(net.terms(1), [net.term(1)], "its empty entry follows the snapshot (section 8)");
}

/// While the data is loaded, entries are stored and acknowledged, votes are given, heartbeats answered; but nothing is
/// applied.
#[test]
fn nothing_is_applied_before_the_data_is_loaded() {
    let lab = lab!();
    let mut net = follower(&lab, &[1], 0);
    net.hold_loading(1);
    net.hand(snapshot(2, 1, (10, 2), ALL).term(3));
    let answer = net.ask(append(2, 1).term(3).after(10, 2).entries(&[3, 3]).commit(12));
    assert_eq!((answer.reject, answer.index), (false, 12), "storing needs no state machine");
    net.ask(heartbeat(2, 1).term(3).commit(12));
    assert_eq!(net.commit(1), 12);
    assert_eq!(
        net.applied(1),
        [""; 0],
        "entries 11 and 12 can be applied only on top of the snapshot's data"
    );
    net.release_loading(1);
    assert_eq!(net.applied(1), ["e11t3", "e12t3"], "and then they are");
}

/// A newer snapshot overtakes one that is not loaded yet.
#[test]
fn a_newer_snapshot_overtakes() {
    let lab = lab!();
    let mut net = follower(&lab, &[1], 0);
    net.hold_loading(1);
    net.hand(snapshot(2, 1, (10, 2), ALL).term(3));
    net.hand(snapshot(2, 1, (20, 3), ALL).term(3));
    net.hand(snapshot(2, 1, (10, 2), ALL).term(3));
    assert_eq!(
        (net.raft(1).log().first_index(), net.commit(1)),
        (21, 20),
        "and the older one does not come back"
    );
    net.release_loading(1);
    assert_eq!(net.raft(1).log().applied(), 20);
}

/// What no leader sends is refused, and changes nothing: nothing that comes over a network may bring a peer down.
#[rstest]
#[case::without_a_snapshot(None)]
#[case::that_ends_nowhere(Some((0, 0)))]
#[case::without_a_term(Some((10, 0)))]
#[case::of_a_term_to_come(Some((10, 9)))]
#[case::that_ends_where_no_log_ends(Some((u64::MAX, 1)))]
fn a_message_that_makes_no_sense(#[case] last: Option<(u64, u64)>) {
    let lab = lab!();
    let mut net = follower(&lab, &[1, 1], 1);
    let mut m: raftkv::proto::eraftpb::Message = snapshot(2, 1, last.unwrap_or((1, 1)), ALL).term(3).into();
    if last.is_none() {
        m.snapshot = None;
    }
    assert!(matches!(net.inject(m), Err(RaftError::BadMessage { .. })));
    assert_eq!((net.last(1), net.commit(1)), (2, 1));
    restored(&mut net, snapshot(2, 1, (10, 3), ALL).term(3));
}
