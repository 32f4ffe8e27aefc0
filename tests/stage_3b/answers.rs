//! Every command is answered once, also where the peer goes that it waits for. One store, and messages made by hand.

use pretty_assertions::assert_eq;
use raftkv::error::{Error, Rejection};
use raftkv::proto::eraftpb::ConfChangeType::{self, AddLearnerNode, AddNode, RemoveNode};
use raftkv::proto::eraftpb::{Entry, Message, MessageType};
use raftkv::proto::metapb::{Peer, PeerRole};
use raftkv::proto::raft_serverpb::RaftMessage;
use raftkv::raftstore::{CommandResult, Config, Event};
use raftkv_testkit::lab;
use raftkv_testkit::sim::change_peer;
use rstest::rstest;

use crate::lone::{Lone, Said, quiet};
use crate::messages::{
    ID, Vary, add, as_of, at, change, change_entry, go, hello, message, peer, put_in, refused, region, remove,
};

fn is_undetermined(result: &CommandResult) -> bool {
    matches!(result, Err(Error::Undetermined(_)))
}

fn is_bad(result: &CommandResult) -> bool {
    matches!(result, Err(Error::Rejected(Rejection::BadCommand(_))))
}

/// A leader that is told to go: those who wait there get an answer, each one. It says that nobody knows: the commands
/// are in the log, and others may carry them out.
#[rstest]
#[case::told(go(peer(1), 6))]
#[case::a_later_peer_comes(hello(peer(2), at(12, 1), 9))]
fn a_destroyed_peer_answers(#[case] end: RaftMessage) {
    let _lab = lab!();
    let mut lone = Lone::new(&[region()]);
    lone.elect();
    let mut ids: Vec<u64> = (0..3).map(|_| lone.begin(put_in(&region(), "c")).0).collect();
    ids.push(lone.begin(change(&region(), remove(peer(3)))).0);
    let said = lone.tell(end);
    let answered: Vec<u64> = said.replies.iter().map(|(id, _)| *id).collect();
    assert_eq!(answered, ids, "everyone who waited, once");
    assert!(
        said.replies.iter().all(|(_, result)| is_undetermined(result)),
        "Undetermined: {:?}",
        said.replies
    );
    let (_, said) = lone.begin(put_in(&region(), "c"));
    let Some((_, Err(Error::Region(error)))) = said.replies.first() else { panic!("{:?}", said.replies) };
    assert!(error.region_not_found.is_some(), "from now on the region is not here: {error:?}");
}

/// A leader that removes itself: its own change is answered with success, and what came behind it with Undetermined,
/// for it will not learn of anything more. When the peer goes, nobody is answered again.
#[test]
fn a_removed_leader_answers() {
    let _lab = lab!();
    let mut lone = Lone::new(&[region()]);
    lone.elect();
    let (before, _) = lone.begin(put_in(&region(), "c"));
    let (removal, _) = lone.begin(change(&region(), remove(peer(1))));
    let committed = lone.last_index(ID);
    let behind: Vec<u64> = (0..2).map(|_| lone.begin(put_in(&region(), "e")).0).collect();
    let said = lone.acknowledge_up_to(2, committed);
    let ok: Vec<u64> = said.replies.iter().filter(|(_, result)| result.is_ok()).map(|(id, _)| *id).collect();
    assert_eq!(ok, [before, removal], "what is committed is carried out, and answered");
    let unknown: Vec<u64> =
        said.replies.iter().filter(|(_, result)| is_undetermined(result)).map(|(id, _)| *id).collect();
    assert_eq!(unknown, behind, "what is behind its removal it will never hear of: {:?}", said.replies);
    assert_eq!(said.replies.len(), 4, "each once");
    let peer_1 = lone.store().peer(ID).expect("it stays until it is told to go");
    assert!(!peer_1.is_leader(), "it does not lead any more (thesis, section 4.2.2)");
    let (_, said) = lone.begin(put_in(&as_of(6), "c"));
    let Some((_, Err(Error::Region(error)))) = said.replies.first() else { panic!("{:?}", said.replies) };
    assert!(error.not_leader.is_some(), "NotLeader: {error:?}");
    assert_eq!(lone.tell(go(peer(1), 6)).replies.len(), 0, "and nobody is answered twice");
    assert_eq!(lone.peer_id(ID), None);
}

/// A leader that removes another one goes on: those who wait behind that hear what came of their commands.
#[test]
fn a_leader_that_stays_answers_in_time() {
    let _lab = lab!();
    let mut lone = Lone::new(&[region()]);
    lone.elect();
    let (removal, _) = lone.begin(change(&region(), remove(peer(3))));
    let committed = lone.last_index(ID);
    let (behind, _) = lone.begin(put_in(&region(), "e"));
    let said = lone.acknowledge_up_to(2, committed);
    let answered: Vec<u64> = said.replies.iter().map(|(id, _)| *id).collect();
    assert_eq!(answered, [removal], "what is behind is not committed yet: {:?}", said.replies);
    let said = lone.acknowledge(2);
    let (id, result) = said.replies.first().expect("now it is");
    assert!(*id == behind && result.is_ok(), "it was carried out: {:?}", said.replies);
}

/// A deposed leader that applies its removal: those who still wait there are answered.
#[test]
fn a_removed_follower_answers() {
    let _lab = lab!();
    let mut lone = Lone::new(&[region()]);
    lone.elect();
    let ids: Vec<u64> = (0..2).map(|_| lone.begin(put_in(&region(), "c")).0).collect();
    let last = lone.last_index(ID);
    let term = lone.peer(ID).term() + 1;
    // The next leader has nothing of it, and removes this peer.
    let removal = change_entry(last - 1, &change(&region(), remove(peer(1))));
    let append = Message {
        index: last - 2,
        log_term: term - 1,
        entries: vec![Entry { term, ..removal }],
        commit: last - 1,
        ..message(MessageType::MsgAppend, term)
    };
    let said = lone.hear(&region(), peer(2), append);
    assert!(lone.store().peer(ID).is_some_and(|peer| peer.is_removed()));
    let answered: Vec<u64> = said.replies.iter().map(|(id, _)| *id).collect();
    assert_eq!(answered, ids, "each once: {:?}", said.replies);
    assert!(said.replies.iter().all(|(_, result)| result.is_err()));
    assert_eq!(lone.peer(ID).pending(), 0);
}

/// What makes no sense is refused before it gets into the log: to add a peer that is there, or a second one on a store;
/// to remove one that is not there; learners.
#[rstest]
#[case::adds_who_is_there(AddNode, peer(3))]
#[case::adds_who_is_there_elsewhere(AddNode, at(3, 9))]
#[case::adds_a_second_one_on_a_store(AddNode, at(9, 3))]
#[case::removes_a_stranger(RemoveNode, peer(9))]
#[case::removes_a_stranger_on_a_members_store(RemoveNode, at(9, 3))]
#[case::removes_a_member_on_another_store(RemoveNode, at(3, 9))]
#[case::a_learner(AddLearnerNode, peer(9))]
#[case::a_voter_that_calls_itself_learner(AddNode, Peer { role: PeerRole::Learner.into(), ..peer(9) })]
#[case::without_an_id(AddNode, at(0, 9))]
#[case::without_a_store(AddNode, at(9, 0))]
fn a_change_that_makes_no_sense(#[case] kind: ConfChangeType, #[case] whom: Peer) {
    let _lab = lab!();
    let mut lone = Lone::new(&[region()]);
    lone.elect();
    let last = lone.last_index(ID);
    let (id, said) = lone.begin(change(&region(), change_peer(kind, whom)));
    let (replied, result) = said.replies.first().expect("a refusal comes at once");
    assert_eq!((*replied, said.replies.len()), (id, 1));
    assert!(is_bad(result), "BadCommand: {result:?}");
    assert_eq!(lone.last_index(ID), last, "and the log has nothing of it");
    let (_, said) = lone.begin(change(&region(), add(peer(4))));
    assert_eq!(said.replies.len(), 0, "a change that makes sense is taken");
    assert_eq!(lone.last_index(ID), last + 1);
}

/// A change of the region is a log entry, and as large as one may be.
#[test]
fn a_large_change() {
    let _lab = lab!();
    let alone = region().of([peer(1)]);
    let mut lone = Lone::leader_of(Config { entry_max_size: 1000, ..quiet() }, &alone);
    let before = lone.last_index(ID);
    let mut request = change(&alone, add(peer(2)));
    request.header.as_mut().expect("it has one").uuid = vec![7; 2000].into();
    let error = refused(lone.ask(&request));
    assert!(error.raft_entry_too_large.is_some(), "RaftEntryTooLarge: {error:?}");
    assert_eq!(lone.last_index(ID), before);
    let (_, said) = lone.begin(change(&alone, add(peer(2))));
    assert!(
        said.replies.first().is_some_and(|(_, result)| result.is_ok()),
        "a smaller one is carried out: {:?}",
        said.replies
    );
}

/// The last peer of a region is not removed: its data would be gone.
#[test]
fn the_last_one_stays() {
    let _lab = lab!();
    let alone = region().of([peer(1)]);
    let mut lone = Lone::leader_of(quiet(), &alone);
    let (_, said) = lone.begin(change(&region(), remove(peer(1))));
    assert!(said.replies.first().is_some_and(|(_, result)| is_bad(result)), "BadCommand: {:?}", said.replies);
    assert_eq!(lone.region(ID), &alone);
    let (_, said) = lone.begin(change(&region(), add(peer(4))));
    assert!(
        said.replies.first().is_some_and(|(_, result)| result.is_ok()),
        "one may come: {:?}",
        said.replies
    );
}

/// One change at a time: while one is on its way, and before the leader has committed anything in its term, another one
/// hears `ServerIsBusy`: later it may work. Ordinary commands are taken meanwhile.
#[test]
fn one_change_at_a_time() {
    let _lab = lab!();
    let mut lone = Lone::new(&[region()]);
    lone.elect();
    let busy = |said: &Said| match said.replies.first() {
        Some((_, Err(Error::Region(error)))) => error.server_is_busy.is_some(),
        _ => false,
    };
    let (first, said) = lone.begin(change(&region(), add(peer(4))));
    assert_eq!(said.replies.len(), 0, "the first is taken");
    let (_, said) = lone.begin(change(&region(), remove(peer(3))));
    assert!(busy(&said), "ServerIsBusy: {:?}", said.replies);
    let (second, said) = lone.begin(put_in(&region(), "c"));
    assert_eq!(said.replies.len(), 0, "a put is taken meanwhile");
    let said = lone.acknowledge(2);
    let ok: Vec<u64> = said.replies.iter().filter(|(_, result)| result.is_ok()).map(|(id, _)| *id).collect();
    assert_eq!(ok, [first, second], "{:?}", said.replies);
    let (_, said) = lone.begin(change(&as_of(6), remove(peer(3))));
    assert_eq!(said.replies.len(), 0, "the first is done: the next is taken");
}

/// The answer to a change says what the region is then.
#[test]
fn the_answer_has_the_region() {
    let _lab = lab!();
    let mut lone = Lone::new(&[region()]);
    lone.elect();
    let (id, _) = lone.begin(change(&region(), add(peer(4))));
    let said = lone.acknowledge(2);
    let (replied, result) = said.replies.first().expect("it is committed");
    assert_eq!((*replied, said.replies.len()), (id, 1));
    let response = &result.as_ref().expect("it is carried out").response;
    let change = response.admin_response.as_ref().and_then(|admin| admin.change_peer.as_ref());
    let region = change.and_then(|change| change.region.as_ref()).expect("the region as it is then");
    assert_eq!(region.peers, [peer(1), peer(2), peer(3), peer(4)]);
    assert_eq!(region, lone.region(ID));
    assert_eq!(response.header.as_ref().map(|header| header.current_term), Some(lone.peer(ID).term()));
}

/// Commands and the word to go come together: each command has its one answer.
#[test]
fn all_at_once() {
    let _lab = lab!();
    let mut lone = Lone::new(&[region()]);
    lone.elect();
    let command = |id: u64| Event::Command { id, request: put_in(&region(), "c") };
    let said = lone.give([command(101), command(102), Event::RaftMessage(go(peer(1), 6)), command(103)]);
    let mut answered: Vec<u64> = said.replies.iter().map(|(id, _)| *id).collect();
    answered.sort_unstable();
    assert_eq!(answered, [101, 102, 103]);
    let late = said.replies.iter().find(|(id, _)| *id == 103).map(|(_, result)| result);
    assert!(matches!(late, Some(Err(Error::Region(error))) if error.region_not_found.is_some()), "{late:?}");
}
