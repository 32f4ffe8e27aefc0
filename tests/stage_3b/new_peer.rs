//! A peer that was created by a message, and knows nothing yet.

use pretty_assertions::assert_eq;
use raftkv::proto::eraftpb::MessageType::{
    MsgAppend, MsgAppendResponse, MsgRequestVote, MsgRequestVoteResponse, MsgTimeoutNow,
};
use raftkv::proto::eraftpb::{Entry, Message};
use raftkv::proto::metapb::Region;
use raftkv::proto::raft_serverpb::PeerState;
use raftkv::raftstore::SnapKey;
use raftkv_testkit::lab;
use raftkv_testkit::sim::{Fault, Setup, Sim, millis, secs};
use rstest::rstest;

use crate::lone::Lone;
use crate::messages::{
    ID, Vary, as_of, at, envelope, go, hello, message, next_region, peer, region, snapshot, vote_request,
};

/// The region in which peer 4 is the one on store 1.
fn with_the_new_one() -> Region {
    region().of([peer(2), peer(3), at(4, 1)]).edition(6, 30)
}

const KEY: SnapKey = SnapKey { region: ID, term: 6, index: 40 };

/// It belongs to no group: however long it waits, and whoever wants it to, it does not stand for election.
#[rstest]
fn it_never_campaigns(#[values(false, true)] restarted: bool) {
    let _lab = lab!();
    let mut lone = Lone::empty();
    lone.tell(hello(peer(2), at(4, 1), 6));
    if restarted {
        lone.power_cut();
        lone.tell(hello(peer(2), at(4, 1), 6));
    }
    let said = lone.tick(100);
    assert!(!said.has(MsgRequestVote), "a peer without a region has nobody to ask for votes");
    lone.tell(envelope(&as_of(6), peer(2), at(4, 1), message(MsgTimeoutNow, 6)));
    let new = lone.peer(ID);
    assert!(!new.is_leader(), "nor does it elect itself: of no votes none are a majority");
    assert_eq!((new.node().raft().log().last_index(), new.term() <= 6), (0, true));
}

/// Its log has nothing, at index 0: entries do not fit, and it says so. Only a snapshot helps it.
#[test]
fn entries_do_not_help_it() {
    let _lab = lab!();
    let mut lone = Lone::empty();
    lone.tell(hello(peer(2), at(4, 1), 6));
    let entries = vec![Entry { index: 8, term: 6, ..Default::default() }];
    let m = Message { index: 7, log_term: 6, entries, commit: 8, ..message(MsgAppend, 6) };
    let said = lone.tell(envelope(&as_of(6), peer(2), at(4, 1), m));
    let answers = said.of_type(MsgAppendResponse);
    assert_eq!(answers.len(), 1, "the leader is told");
    assert!(answers[0].reject, "entries behind 7 do not fit to a log that ends at 0 (section 5.3)");
    let said = lone.receive(snapshot(KEY, &with_the_new_one()), 1);
    assert_eq!(said.loads(), [KEY]);
    assert_eq!(
        said.of_type(MsgAppendResponse).iter().map(|m| (m.index, m.reject)).collect::<Vec<_>>(),
        [(40, false)]
    );
    let new = lone.peer(ID);
    assert_eq!((new.is_initialized(), new.region()), (true, &with_the_new_one()));
    assert_eq!(
        lone.store().meta().region(ID),
        Some(&with_the_new_one()),
        "from now on the store knows whose keys these are"
    );
    lone.loaded(KEY);
    assert_eq!(lone.peer(ID).apply_state().applied_index, 40);
    assert_eq!(
        lone.region_state(ID).map(|state| state.state()),
        Some(PeerState::Normal),
        "a region like any other"
    );
}

/// A vote that it has given outlives it: when the store has stopped, there is no peer any more; when a message creates
/// it again, it has not forgotten (section 5.2: at most one vote in a term).
#[rstest]
fn it_keeps_its_vote(#[values(false, true)] power_cut: bool) {
    let _lab = lab!();
    let mut lone = Lone::empty();
    let said = lone.tell(vote_request(peer(2), at(4, 1), 6, 7));
    assert!(
        said.of_type(MsgRequestVoteResponse).iter().all(|m| !m.reject),
        "it votes for whoever comes first"
    );
    assert!(said.has(MsgRequestVoteResponse), "and says so");
    lone.restart(power_cut);
    let said = lone.tell(vote_request(peer(3), at(4, 1), 6, 7));
    let votes = said.of_type(MsgRequestVoteResponse);
    assert_eq!(lone.peer_id(ID), Some(4), "created again");
    assert!(
        votes.iter().all(|m| m.reject),
        "it has voted for peer 2 in term 7, and has said so (section 5.2)"
    );
    let said = lone.tell(vote_request(peer(2), at(4, 1), 6, 7));
    assert_eq!(said.of_type(MsgRequestVoteResponse).iter().map(|m| m.reject).collect::<Vec<_>>(), [false]);
    let said = lone.tell(vote_request(peer(3), at(4, 1), 6, 8));
    assert_eq!(said.of_type(MsgRequestVoteResponse).iter().map(|m| m.reject).collect::<Vec<_>>(), [false]);
}

/// The same where the store has a tombstone of an earlier peer: what is left of that one is removed at a start, the
/// later one's vote is not.
#[test]
fn it_keeps_its_vote_beside_a_tombstone() {
    let _lab = lab!();
    let mut lone = Lone::new(&[region()]);
    lone.tell(go(peer(1), 6));
    lone.tell(vote_request(peer(2), at(12, 1), 7, 9));
    assert_eq!(lone.peer_id(ID), Some(12));
    for _ in 0..2 {
        lone.power_cut();
        let said = lone.tell(vote_request(peer(3), at(12, 1), 7, 9));
        let votes = said.of_type(MsgRequestVoteResponse);
        assert_eq!(
            votes.iter().map(|m| m.reject).collect::<Vec<_>>(),
            [true],
            "it has voted for peer 2 in term 9"
        );
    }
}

/// The store has stopped before it knew its region, and starts again: an earlier peer of that region, which was removed
/// before this one came, is not created in its place, whoever speaks to it.
#[test]
fn an_earlier_peer_after_a_restart() {
    let _lab = lab!();
    let mut lone = Lone::empty();
    lone.tell(vote_request(peer(2), at(12, 1), 7, 9));
    lone.power_cut();
    let said = lone.tell(vote_request(peer(3), at(4, 1), 6, 9));
    assert_eq!((lone.peer_id(ID), said.sent), (None, vec![]), "peer 4 is an earlier one");
    let said = lone.tell(vote_request(peer(3), at(12, 1), 7, 9));
    assert_eq!(lone.peer_id(ID), Some(12));
    let votes: Vec<bool> = said.of_type(MsgRequestVoteResponse).iter().map(|m| m.reject).collect();
    assert_eq!(votes, [true], "peer 12 has voted for peer 2 in term 9");
}

/// A later one is created, and has not voted: a vote is its peer's own (section 5.2).
#[rstest]
fn a_later_peer_after_a_restart(#[values(false, true)] restarted_again: bool) {
    let _lab = lab!();
    let mut lone = Lone::empty();
    lone.tell(vote_request(peer(2), at(12, 1), 7, 9));
    lone.power_cut();
    lone.tell(hello(peer(2), at(15, 1), 9));
    if restarted_again {
        lone.power_cut();
    }
    let said = lone.tell(vote_request(peer(3), at(15, 1), 9, 9));
    assert_eq!(lone.peer_id(ID), Some(15));
    let votes: Vec<bool> = said.of_type(MsgRequestVoteResponse).iter().map(|m| m.reject).collect();
    assert_eq!(votes, [false], "it has not voted in term 9");
}

/// It has no data, so nothing of anybody's data goes when it does; what stays is a tombstone.
#[test]
fn it_takes_nothing_with_it() {
    let _lab = lab!();
    let mut lone = Lone::with_letters(&[next_region()]);
    lone.tell(hello(peer(2), at(4, 1), 6));
    lone.tell(go(at(4, 1), 7));
    assert_eq!(lone.peer_id(ID), None, "it was told to go");
    assert_eq!(lone.letters(), "acegikmoqsuwy", "a peer that knows no region has no data: it deletes none");
    assert_eq!(lone.raft_state(ID), None);
    let state = lone.safe_region_state(ID).expect("a tombstone");
    let conf_ver = state.region.clone().and_then(|region| region.region_epoch).map(|epoch| epoch.conf_ver);
    assert_eq!(
        (state.state(), conf_ver),
        (PeerState::Tombstone, Some(7)),
        "as of the edition in the word to go"
    );
    lone.tell(hello(peer(2), at(4, 1), 6));
    assert_eq!(lone.peer_id(ID), None, "and a late message does not bring it back");
}

/// It asks those who have written to it whether it is still wanted: it may have been removed before it learned
/// anything.
#[test]
fn it_asks_whether_it_is_wanted() {
    let _lab = lab!();
    let mut lone = Lone::empty();
    lone.tell(hello(peer(2), at(4, 1), 6));
    lone.tell(vote_request(peer(3), at(4, 1), 6, 7));
    let asked = lone.tick(60).asked();
    for id in [2, 3] {
        let times = asked.iter().filter(|asked| **asked == id).count();
        assert!(
            (4..=7).contains(&times),
            "every election timeout, 10 ticks, all who have written: {asked:?}"
        );
    }
}

/// A region with few keys gets a member: it has all data in the end, in all column families, and serves them when it
/// leads.
#[rstest]
#[case::alone(1)]
#[case::to_three(3)]
fn it_gets_all_data(#[case] members: u64) {
    let lab = lab!();
    let stores: Vec<u64> = (1..=members).collect();
    let mut sim = Setup::of(&lab, members + 1).members(&stores).start();
    sim.put("a", "1");
    sim.put_cf("lock", "a", "2");
    sim.put_cf("write", "b", "3");
    let new = members + 1;
    sim.add_peer(1, new);
    sim.settle();
    assert_eq!(sim.data(new, "a"), Some("1".into()));
    assert_eq!(sim.data_cf(new, "lock", "a"), Some("2".into()));
    assert_eq!(sim.data_cf(new, "write", "b"), Some("3".into()));
    sim.transfer(1, new);
    assert_eq!(sim.get("a"), Some("1".into()));
    sim.finish();
}

/// Until it hears of the region, it is on no disk but for its vote; the store may stop again and again meanwhile, or be
/// down when it is added.
#[rstest]
#[case::down(false)]
#[case::again_and_again(true)]
fn its_store_comes_and_goes(#[case] again: bool) {
    let lab = lab!();
    let mut sim = Setup::of(&lab, 4).members(&[1, 2, 3]).start();
    sim.put("a", "1");
    sim.crash(4);
    sim.add_peer(1, 4);
    sim.put("a", "2");
    for _ in 0..if again { 6 } else { 1 } {
        sim.restart(4);
        sim.run(millis(if again { 25 } else { 0 }));
        if again {
            sim.crash(4);
        }
    }
    sim.finish();
    assert_eq!(sim.data(4, "a"), Some("2".into()));
    sim.assert_struck(&[Fault::Crash]);
}

/// It is added and removed before it has heard anything: it never comes, or goes again; nothing is left of it.
#[rstest]
#[case::never_reached(true)]
#[case::hardly_reached(false)]
fn added_and_removed(#[case] cut: bool) {
    let lab = lab!();
    let mut sim = Setup::of(&lab, 4).members(&[1, 2, 3]).start();
    sim.put("a", "1");
    sim.slow_workers(4, secs(1), secs(1));
    if cut {
        sim.isolate(4);
    }
    sim.add_peer(1, 4);
    let has_peer = |sim: &Sim| sim.peer_of(4, 1).is_some();
    if !cut {
        sim.until("a heartbeat creates the new peer", secs(3), has_peer);
        sim.isolate(4);
    }
    sim.remove_peer(1, 4);
    sim.run(millis(200));
    sim.heal();
    sim.finish();
    assert!(!has_peer(&sim), "it is not wanted any more, and has been told so");
    sim.assert_struck(&[Fault::Cut]);
}
