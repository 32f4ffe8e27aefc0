//! The door: who writes to whom, and what then (the table in `src/raftstore/lifecycle.rs`, row by row). One store, and
//! messages made by hand.

use pretty_assertions::assert_eq;
use raftkv::proto::eraftpb::Message;
use raftkv::proto::eraftpb::MessageType::{
    self, MsgAppend, MsgAppendResponse, MsgHeartbeat, MsgHeartbeatResponse, MsgRequestVote,
    MsgRequestVoteResponse, MsgTimeoutNow,
};
use raftkv::proto::metapb::{Peer, Region};
use raftkv::proto::raft_serverpb::{PeerState, RaftMessage};
use raftkv_testkit::lab;
use rstest::rstest;

use crate::lone::Lone;
use crate::messages::{
    BEGIN, ID, NEXT, Vary, append, as_of, at, change, change_entry, entry, envelope, epoch, go, hello,
    message, next_region, peer, put_in, region, remove, vote_request,
};

/// A store that has applied the removal of its own peer: it may be needed once more, and waits for somebody who tells
/// it to go.
fn removed() -> Lone {
    let mut lone = Lone::with_letters(&[region()]);
    let command = change(&region(), remove(peer(1)));
    lone.tell(append(&region(), BEGIN, vec![change_entry(6, &command)]));
    assert!(
        lone.store().peer(ID).is_some_and(|peer| peer.is_removed()),
        "it has applied its removal, and stays"
    );
    lone
}

/// A store whose peer 1 of the region is gone, as of `conf_ver` 6.
fn buried() -> Lone {
    let mut lone = removed();
    lone.tell(go(peer(1), 6));
    assert_eq!(lone.peer_id(ID), None, "it was told to go by somebody who has applied its removal");
    lone
}

/// A message for the peer that is here is Raft's business, be the sender's edition of the region older or newer: a
/// member is a member.
#[rstest]
#[case::older(4)]
#[case::the_same(5)]
#[case::newer(9)]
fn for_the_peer_that_is_here(#[case] conf_ver: u64) {
    let _lab = lab!();
    let mut lone = Lone::with_letters(&[region()]);
    let said = lone.tell(envelope(&as_of(conf_ver), peer(2), peer(1), message(MsgHeartbeat, 6)));
    assert!(said.has(MsgHeartbeatResponse), "a heartbeat of a member is answered (section 5.2)");
    assert_eq!(said.told_to_go(), [], "a member that is late is a member");
    let said = lone.tell(envelope(&region(), peer(9), peer(1), message(MsgHeartbeat, 7)));
    assert_eq!(said.told_to_go(), [(peer(9), 5)], "and a stranger that knows nothing newer is told to go");
}

/// A sender that the region does not name, and whose edition is not a later one, was removed: it is told to go, and
/// what it says does not count. It would take the leadership away with every term that it makes up.
#[rstest]
#[case::asks_for_votes(MsgRequestVote)]
#[case::leads(MsgHeartbeat)]
#[case::answers(MsgAppendResponse)]
#[case::with_entries(MsgAppend)]
fn from_a_removed_peer(#[case] msg_type: MessageType, #[values(3, 5)] conf_ver: u64) {
    let _lab = lab!();
    let mut lone = Lone::with_letters(&[region()]);
    let term = lone.peer(ID).term();
    let said = lone.tell(envelope(&as_of(conf_ver), peer(9), peer(1), message(msg_type, term + 10)));
    assert_eq!(
        said.told_to_go(),
        [(peer(9), 5)],
        "a removed peer is told to go, as of the edition that is known here"
    );
    assert_eq!(said.sent.len(), 1, "and hears nothing else");
    assert_eq!(
        lone.peer(ID).term(),
        term,
        "what a removed peer says does not reach Raft: its terms disturb nobody (thesis, section 4.2.3)"
    );
}

/// A sender that the region does not name, but which knows a later edition of it, was added: this peer is late. It is
/// answered, wherever it is.
#[rstest]
#[case::asks_for_votes(MsgRequestVote, MsgRequestVoteResponse)]
#[case::leads(MsgHeartbeat, MsgHeartbeatResponse)]
fn from_a_new_peer(#[case] msg_type: MessageType, #[case] answer: MessageType) {
    let _lab = lab!();
    let mut lone = Lone::with_letters(&[region()]);
    let m = Message { index: 50, log_term: 6, ..message(msg_type, 7) };
    let said = lone.tell(envelope(&as_of(6), peer(9), peer(1), m));
    assert_eq!(said.told_to_go(), [], "its edition is a later one: it knows better");
    assert_eq!(said.of_type(answer).len(), 1, "it is answered although the region does not name it yet");
    let to = said.sent[0].to_peer.expect("a message goes to somebody");
    assert_eq!((to.id, to.store_id), (9, 9), "to the store that it has written from");
    let said = lone.tell(envelope(&region(), peer(9), peer(1), message(msg_type, 9)));
    assert_eq!(
        said.told_to_go(),
        [(peer(9), 5)],
        "were its edition no later one, it would have been removed"
    );
}

/// A message for an earlier peer of the region is late. It reaches nobody, creates nobody, and takes nobody's place.
#[rstest]
#[case::asks_for_votes(MsgRequestVote)]
#[case::leads(MsgHeartbeat)]
#[case::word_to_begin(MsgTimeoutNow)]
fn for_an_earlier_peer(#[case] msg_type: MessageType) {
    let _lab = lab!();
    let mut lone = Lone::with_letters(&[region().of([peer(31), peer(2), peer(3)])]);
    let before = lone.peer(ID).term();
    let said = lone.tell(envelope(&region(), peer(2), peer(1), message(msg_type, 9)));
    assert_eq!(said.sent, [], "peer 31 does not answer for peer 1");
    assert_eq!(
        (lone.peer_id(ID), lone.letters()),
        (Some(31), ALL.to_string()),
        "peer 31 is there, with its data"
    );
    assert_eq!(lone.peer(ID).term(), before);
    lone.tell(hello(peer(2), at(41, 1), 9));
    assert_eq!(lone.peer_id(ID), Some(41), "a later peer takes its place");
}

const ALL: &str = "acegikmoqsuwy";

/// A message for a later peer of the region: the one that is here was removed, and nobody has told it. It is destroyed
/// with all that it has, and the new one begins with nothing.
#[rstest]
#[case::by_a_heartbeat(hello(peer(2), at(12, 1), 9))]
#[case::by_a_candidate(vote_request(peer(2), at(12, 1), 9, 7))]
fn for_a_later_peer(#[case] first: RaftMessage) {
    let _lab = lab!();
    let mut lone = Lone::with_letters(&[region(), next_region()]);
    lone.tell(append(&region(), BEGIN, vec![entry(6, &put_in(&region(), "c"))]));
    assert_eq!(lone.entries_on_disk(ID), [6]);
    let said = lone.tell(first);
    assert_eq!(
        lone.peer_id(ID),
        Some(12),
        "peer 1 was removed before peer 12 was added: the new one is here now"
    );
    let new = lone.peer(ID);
    assert!(!new.is_initialized(), "it knows nothing");
    assert_eq!((new.node().raft().log().last_index(), new.apply_state().applied_index), (0, 0));
    assert!(!said.sent.is_empty(), "and it has heard the message");
    assert_eq!(lone.letters(), "aqsuwy", "the data of peer 1 is gone, and the neighbours' is not");
    assert_eq!(lone.entries_on_disk(ID), [0_u64; 0], "so is its log");
    assert!(lone.peer_id(NEXT).is_some());
}

/// The same from somebody who knows an older edition than the peer here: then it was not this one that was removed
/// before the other came.
#[rstest]
#[case::a_heartbeat(hello(peer(2), at(12, 1), 4))]
#[case::an_answer(envelope(&as_of(4), peer(2), at(12, 1), message(MsgAppendResponse, 5)))]
fn for_a_peer_of_an_older_edition(#[case] late: RaftMessage) {
    let _lab = lab!();
    let mut lone = Lone::with_letters(&[region(), next_region()]);
    let said = lone.tell(late);
    assert_eq!(
        (lone.peer_id(ID), lone.letters()),
        (Some(1), ALL.to_string()),
        "a late message destroys no member"
    );
    assert_eq!(said.sent, []);
    lone.tell(hello(peer(2), at(12, 1), 9));
    assert_eq!(lone.peer_id(ID), Some(12), "from one that knows a newer edition, it is for a later peer");
}

/// Envelopes that no store sends: without a region, a sender or a receiver, or of a region without keys. They create
/// nobody, and the store goes on.
#[rstest]
#[case::no_region(RaftMessage { region_id: 0, ..hello(peer(2), at(4, 1), 6) })]
#[case::no_receiver(hello(peer(2), at(0, 1), 6))]
#[case::no_sender(hello(at(0, 2), at(4, 1), 6))]
#[case::no_sender_at_all(RaftMessage { from_peer: None, ..hello(peer(2), at(4, 1), 6) })]
#[case::from_no_store(hello(at(2, 0), at(4, 1), 6))]
#[case::no_keys(RaftMessage { end_key: "b".into(), ..hello(peer(2), at(4, 1), 6) })]
#[case::ends_before_it_starts(RaftMessage { end_key: "a".into(), ..hello(peer(2), at(4, 1), 6) })]
fn garbled(#[case] envelope: RaftMessage) {
    let _lab = lab!();
    let mut lone = Lone::empty();
    let said = lone.tell(envelope);
    assert_eq!((lone.store().peers().count(), said.sent), (0, vec![]));
    lone.tell(hello(peer(2), at(4, 1), 6));
    assert_eq!(lone.peer_id(ID), Some(4), "and a sound one is heard");
}

/// Nobody is here, and there never was: a leader that knows nothing of the peer, or a candidate, creates it.
#[rstest]
#[case::by_a_heartbeat(hello(peer(2), at(4, 1), 6), MsgHeartbeatResponse)]
#[case::by_a_candidate(vote_request(peer(2), at(4, 1), 6, 7), MsgRequestVoteResponse)]
fn for_a_new_peer(#[case] first: RaftMessage, #[case] answer: MessageType) {
    let _lab = lab!();
    let mut lone = Lone::empty();
    let said = lone.tell(first);
    let new = lone.store().peer(ID).expect("a first message creates the peer that it is for");
    assert_eq!((new.id(), new.is_initialized()), (4, false));
    assert_eq!(said.of_type(answer).len(), 1, "and it hears the message, and answers");
    let to = said.sent[0].to_peer.expect("a message goes to somebody");
    assert_eq!((to.id, to.store_id), (2, 2), "to the store that has written");
    assert_eq!(said.of_type(answer)[0].index, 0);
}

/// Nothing else creates a peer: who speaks of an index speaks to somebody who has been there, and a peer that has been
/// there and is not here has forgotten something. Nor does a message for another store.
#[rstest]
#[case::a_heartbeat_with_a_commit(Message { commit: 6, ..message(MsgHeartbeat, 6) })]
#[case::entries(Message { index: 5, log_term: 5, ..message(MsgAppend, 6) })]
#[case::an_acknowledgement(message(MsgAppendResponse, 6))]
#[case::a_vote(message(MsgRequestVoteResponse, 6))]
#[case::an_answer_to_a_heartbeat(message(MsgHeartbeatResponse, 6))]
#[case::the_word_to_begin(message(MsgTimeoutNow, 6))]
fn nothing_else_creates_a_peer(#[case] m: Message) {
    let _lab = lab!();
    let mut lone = Lone::empty();
    let said = lone.tell(envelope(&as_of(6), peer(2), at(4, 1), m));
    assert_eq!((lone.peer_id(ID), said.sent), (None, vec![]), "this is no first message");
    let empty = RaftMessage { message: None, ..hello(peer(2), at(4, 1), 6) };
    assert_eq!(
        (lone.tell(empty).sent, lone.peer_id(ID)),
        (vec![], None),
        "nor is an envelope with nothing in it"
    );
    let elsewhere = hello(peer(2), at(4, 3), 6);
    assert_eq!((lone.tell(elsewhere).sent, lone.peer_id(ID)), (vec![], None), "nor one for another store");
    lone.tell(hello(peer(2), at(4, 1), 6));
    assert_eq!(lone.peer_id(ID), Some(4), "but this one is");
}

/// Not while another region here holds keys of this one: that region has still to be split here, and then the new one
/// is there with its data. Where ranges only touch, nothing is in the way.
#[rstest]
#[case::inside("c", "e", false)]
#[case::around("a", "z", false)]
#[case::over_the_left_end("", "c", false)]
#[case::over_the_right_end("o", "", false)]
#[case::everything("", "", false)]
#[case::on_the_left("a", "b", true)]
#[case::on_the_right("p", "", true)]
fn not_among_the_keys_of_another(
    #[case] start: &str,
    #[case] end: &str,
    #[case] created: bool,
    #[values(MsgHeartbeat, MsgRequestVote)] msg_type: MessageType,
) {
    let _lab = lab!();
    let mut lone = Lone::with_letters(&[region()]);
    let nine = Region { id: 9, ..as_of(1).keys(start, end) };
    let m = envelope(&nine, peer(2), at(94, 1), message(msg_type, 6));
    lone.tell(m.clone());
    assert_eq!(lone.peer_id(9).is_some(), created, "[{start} .. {end}) beside a region b to p");
    if !created {
        lone.tell(go(peer(1), 6));
        lone.tell(m);
        assert_eq!(lone.peer_id(9), Some(94), "when the other region's peer is gone, nothing is in the way");
    }
}

/// A tombstone of an edition before the sender's: the region has gone on, and wants a new peer here.
#[rstest]
#[case::by_a_heartbeat(hello(peer(2), at(12, 1), 7))]
#[case::by_a_candidate(vote_request(peer(2), at(12, 1), 7, 7))]
fn after_a_tombstone(#[case] first: RaftMessage, #[values(false, true)] restarted: bool) {
    let _lab = lab!();
    let mut lone = buried();
    if restarted {
        lone.power_cut();
    }
    lone.tell(first);
    assert_eq!(lone.peer_id(ID), Some(12), "a tombstone keeps the old peer away, not every later one");
}

/// A tombstone of a later edition than the sender's: the sender is late. It does not bring the peer back, which has
/// forgotten its votes; not after a restart either.
#[rstest]
fn a_tombstone_keeps_the_peer_away(
    #[values(false, true)] restarted: bool,
    #[values(3, 5)] conf_ver: u64,
    #[values(MsgHeartbeat, MsgRequestVote)] msg_type: MessageType,
) {
    let _lab = lab!();
    let mut lone = buried();
    if restarted {
        lone.power_cut();
    }
    let said = lone.tell(envelope(&as_of(conf_ver), peer(2), peer(1), message(msg_type, 7)));
    assert_eq!(
        lone.peer_id(ID),
        None,
        "peer 1 was destroyed at conf_ver 6: a message of conf_ver {conf_ver} does not bring it back (tombstone)"
    );
    assert!(
        said.of_type(MsgHeartbeatResponse).is_empty() && !said.has(MsgRequestVoteResponse),
        "nobody answers"
    );
    assert_eq!(said.told_to_go(), [], "peer 2 is a member as of the tombstone: it is not told to go");
    assert_eq!(lone.region_state(ID).map(|state| state.state()), Some(PeerState::Tombstone));
}

/// A late sender that was removed itself, as of the tombstone, is told to go: perhaps nobody else is left who knows.
#[test]
fn a_tombstone_remembers_who_was_removed() {
    let _lab = lab!();
    let mut lone = buried();
    let said = lone.tell(envelope(&as_of(4), peer(9), peer(1), message(MsgRequestVote, 7)));
    assert_eq!(said.told_to_go(), [(peer(9), 6)], "peer 9 is not among the members of conf_ver 6");
    assert_eq!(lone.peer_id(ID), None);
}

/// A store that knows no more is asked in the name of somebody else, about a later peer than the one here. That one
/// goes; its tombstone names those whom it knew, not the one in whose name the question came: that one asks because it
/// does not know.
#[test]
fn a_question_from_afar() {
    let _lab = lab!();
    let mut lone = Lone::with_letters(&[region()]);
    lone.tell(RaftMessage { message: None, ..hello(peer(9), at(12, 1), 9) });
    assert_eq!(
        lone.peer_id(ID),
        None,
        "peer 1 was removed before peer 12 came; and a question creates nobody"
    );
    let gone = lone.region_state(ID).and_then(|state| state.region).expect("a tombstone");
    let mut named: Vec<u64> = gone.peers.iter().map(|peer| peer.id).collect();
    named.sort_unstable();
    assert_eq!(named, [1, 2, 3]);
}

/// A late sender that was a member as of the tombstone may have been removed since: the other members are asked, in its
/// place. From one tombstone to the next the edition is a later one.
#[test]
fn a_tombstone_leads_on() {
    let _lab = lab!();
    let mut lone = buried();
    let said = lone.tell(envelope(&region(), peer(3), peer(1), message(MsgRequestVote, 7)));
    assert_eq!((said.asked(), said.told_to_go()), (vec![2], vec![]), "peer 2 is left of those of conf_ver 6");
    let question = &said.sent[0];
    let of = |peer: &Option<Peer>| peer.as_ref().map(|peer| (peer.id, peer.store_id));
    assert_eq!(
        (of(&question.from_peer), of(&question.to_peer)),
        (Some((3, 3)), Some((2, 2))),
        "in the name of peer 3"
    );
    assert_eq!(question.region_epoch, epoch(6, 30), "of the tombstone's edition");
    let said = lone.tell(envelope(&as_of(6), peer(3), peer(1), message(MsgHeartbeatResponse, 7)));
    assert_eq!(said.sent, [], "who knows that edition itself has no use for this tombstone");
}

/// A peer that was told to go before it had applied its removal does not know who the members were then. Its tombstone
/// names those that it knew, and the one that told it: they are asked. It tells nobody to go by itself.
#[rstest]
#[case::a_member_that_it_knew(3, &[2, 9])]
#[case::one_that_told_it(9, &[2, 3])]
#[case::a_stranger(8, &[2, 3, 9])]
fn a_tombstone_that_knows_little_leads_on(#[case] stale: u64, #[case] asked: &[u64]) {
    let _lab = lab!();
    let mut lone = Lone::with_letters(&[region()]);
    lone.tell(RaftMessage { from_peer: Some(peer(9)), ..go(peer(1), 20) });
    assert_eq!(lone.peer_id(ID), None);
    lone.power_cut();
    let said = lone.tell(envelope(&region(), peer(stale), peer(1), message(MsgRequestVote, 7)));
    assert_eq!((said.asked(), said.told_to_go()), (asked.to_vec(), vec![]));
    assert_eq!(said.sent[0].region_epoch, epoch(20, 30));
}

/// The store that a removed peer knows has another peer of the region by now: that one tells it to go all the same.
#[test]
fn a_later_peer_tells_who_was_removed() {
    let _lab = lab!();
    let mut lone = Lone::with_letters(&[region().of([peer(31), peer(2), peer(3)])]);
    let said = lone.tell(envelope(&as_of(4), peer(9), peer(1), message(MsgRequestVote, 9)));
    assert_eq!(said.told_to_go(), [(peer(9), 5)], "perhaps it knows nobody else");
    assert_eq!(said.sent.len(), 1);
}

/// The word to go, from somebody who has applied the removal: heard if it is for this peer, and not older than what the
/// peer knows itself.
#[rstest]
#[case::newer(peer(1), 6, true)]
#[case::much_newer(peer(1), 60, true)]
#[case::older(peer(1), 4, false)]
#[case::for_an_earlier_peer(at(0, 1), 9, false)]
#[case::for_a_later_peer(at(12, 1), 9, false)]
#[case::for_another_store(at(1, 2), 9, false)]
fn told_to_go(#[case] whom: Peer, #[case] conf_ver: u64, #[case] goes: bool) {
    let _lab = lab!();
    let mut lone = Lone::with_letters(&[region()]);
    let said = lone.tell(go(whom, conf_ver));
    assert_eq!(said.sent, [], "nobody is answered");
    let left = if goes { "aqsuwy" } else { ALL };
    assert_eq!((lone.peer_id(ID).is_none(), lone.letters()), (goes, left.to_string()));
    lone.tell(go(peer(1), 70));
    assert_eq!(lone.peer_id(ID), None, "in the end somebody says so who knows");
    lone.tell(go(peer(1), 71));
    assert_eq!(lone.peer_id(ID), None, "and twice is as good as once");
}

/// A word to go that names no peer that ever was here leaves nothing behind, no tombstone either.
#[test]
fn a_word_to_nobody() {
    let _lab = lab!();
    let mut lone = Lone::empty();
    lone.tell(go(peer(1), 6));
    assert_eq!(lone.region_state(ID), None);
    lone.tell(hello(peer(2), peer(1), 1));
    assert_eq!(lone.peer_id(ID), Some(1), "and so it keeps nobody away");
}

/// Who has applied its own removal does not go at once: the others may not know it yet, and need its vote once more. It
/// votes, and says what it has; it does not stand for election; and it asks, from time to time, whether it is still
/// needed, in envelopes with nothing in them.
#[rstest]
fn who_is_removed_waits(#[values(false, true)] restarted: bool) {
    let _lab = lab!();
    let mut lone = removed();
    if restarted {
        lone.power_cut();
        assert_eq!(lone.peer_id(ID), Some(1), "after a restart, too: it knows who it was");
        assert!(lone.store().peer(ID).is_some_and(|peer| peer.is_removed()));
    }
    let said = lone.tick(60);
    assert!(
        !said.has(MsgRequestVote),
        "a peer that was removed does not stand for election (thesis, section 4.2.2)"
    );
    let asked = said.asked();
    let times = |id: u64| asked.iter().filter(|asked| **asked == id).count();
    assert!(
        (4..=7).contains(&times(2)),
        "it asks every election timeout, 10 ticks; in 60 it has asked {asked:?}"
    );
    assert!((4..=7).contains(&times(3)), "all whom it knows; it has asked {asked:?}");
    let said = lone.tell(vote_request(peer(2), peer(1), 5, 9));
    let votes = said.of_type(MsgRequestVoteResponse);
    assert_eq!(votes.len(), 1, "who does not know of the removal yet may need its vote");
    assert!(!votes[0].reject, "and gets it: the candidate's log is longer (section 5.4.1)");
    assert_eq!(lone.letters(), ALL, "it keeps its data until it is told to go");
    lone.tell(go(peer(1), 6));
    assert_eq!((lone.peer_id(ID), lone.letters()), (None, "aqsuwy".to_string()));
}

/// An envelope with nothing in it is a question: a member hears nothing, a removed one is told to go.
#[test]
fn a_question_is_answered() {
    let _lab = lab!();
    let mut lone = Lone::with_letters(&[region()]);
    let question = |id: u64| RaftMessage { message: None, ..hello(peer(id), peer(1), 5) };
    assert_eq!(lone.tell(question(2)).sent, [], "peer 2 is a member");
    let said = lone.tell(question(9));
    assert_eq!(said.told_to_go(), [(peer(9), 5)], "peer 9 is not");
    let by = said.sent[0].from_peer.expect("somebody says so");
    assert_eq!((said.sent[0].region_id, by.id, by.store_id), (ID, 1, 1));
}

/// A member that has been removed is told to go by the leader, once the removal is written; a follower that applies it
/// says nothing by itself.
#[rstest]
#[case::by_the_leader(true)]
#[case::not_by_a_follower(false)]
fn the_removed_one_is_told(#[case] leads: bool) {
    let _lab = lab!();
    let mut lone = Lone::with_letters(&[region()]);
    let command = change(&region(), remove(peer(3)));
    let said = if leads {
        lone.elect();
        lone.begin(command);
        lone.acknowledge(2)
    } else {
        lone.tell(append(&region(), BEGIN, vec![change_entry(6, &command)]))
    };
    let region = lone.region(ID).clone();
    assert_eq!(region.region_epoch, epoch(6, 30), "one change of members, one more");
    let expected: &[(Peer, u64)] = if leads { &[(peer(3), 6)] } else { &[] };
    assert_eq!(said.told_to_go(), expected);
    assert_eq!(
        lone.safe_region_state(ID).and_then(|state| state.region),
        Some(region),
        "what is told is safe"
    );
}

/// A region that knows no keys overlaps with none: what a message says of them counts, not what an empty peer has.
#[test]
fn two_new_peers_side_by_side() {
    let _lab = lab!();
    let mut lone = Lone::empty();
    lone.tell(hello(peer(2), at(4, 1), 6));
    let other = Region { id: 9, ..as_of(6).keys("p", "") };
    lone.tell(envelope(&other, peer(2), at(94, 1), message(MsgHeartbeat, 6)));
    let ids: Vec<Option<u64>> = [ID, 9].iter().map(|id| lone.peer_id(*id)).collect();
    assert_eq!(ids, [Some(4), Some(94)]);
    assert_eq!(lone.store().meta().regions().count(), 0, "none of them knows its region");
}
