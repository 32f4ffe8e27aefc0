//! A store that is late: the region is split elsewhere, and not yet here.

use pretty_assertions::assert_eq;
use raftkv::engine::{Cf, Fault};
use raftkv::proto::eraftpb::{ConfChangeType, ConfState, Message, MessageType, Snapshot, SnapshotMetadata};
use raftkv::proto::metapb::{Region, RegionEpoch};
use raftkv::proto::raft_serverpb::{PeerState, RaftSnapshotData};
use raftkv::raftstore::{SnapKey, TaskDone};
use raftkv_testkit::lab;
use raftkv_testkit::sim::{Setup, change_peer, millis, secs};
use rstest::rstest;

use crate::alone::{Alone, change_entry, entry, epoch, member, quiet, region, split};

/// The region that is cut off at `h`, with a peer `peer` on store 1.
fn new_region(peer: u64, conf_ver: u64) -> Region {
    Region {
        id: 8,
        start_key: "h".into(),
        end_key: "p".into(),
        region_epoch: Some(epoch(conf_ver, 7)),
        peers: vec![member(peer, 1), member(82, 2), member(83, 3)],
    }
}

fn vote(term: u64) -> Message {
    Message {
        msg_type: MessageType::MsgRequestVote.into(),
        term,
        index: 5,
        log_term: 5,
        ..Default::default()
    }
}

fn heartbeat(term: u64) -> Message {
    Message { msg_type: MessageType::MsgHeartbeat.into(), term, ..Default::default() }
}

/// The leader of the old region sends the split.
fn send_split(alone: &mut Alone, index: u64) {
    let old = region("b", "p", 3);
    let mut request = alone.change(7, split(&[("h", 8, &[81, 82, 83])], false));
    request.header.as_mut().expect("it has one").region_epoch = old.region_epoch;
    let term_before = if index == 6 { 5 } else { 6 };
    alone.append(&old, member(72, 2), (index - 1, term_before), vec![entry(index, &request)]);
}

/// The answers to requests for votes in region 8: to whom, in which term, and whether it is yes.
fn votes_given(alone: &mut Alone) -> Vec<(u64, u64, bool)> {
    let sent = alone.take_sent(8, MessageType::MsgRequestVoteResponse);
    sent.iter().map(|m| (m.to, m.term, !m.reject)).collect()
}

/// While the old region still holds the keys here, no message creates a peer of the new one: its data would be in two
/// regions.
#[rstest]
#[case::a_candidate(vote(6))]
#[case::a_leader(heartbeat(6))]
fn not_created_too_early(#[case] message: Message) {
    let _lab = lab!();
    let mut alone = Alone::new(quiet(), &region("b", "p", 3));
    alone.hear(&new_region(81, 4), member(82, 2), message);
    assert!(!alone.has_peer(8), "region 7 here still has the keys");
    assert_eq!(alone.record(8), None);
    send_split(&mut alone, 6);
    assert!(alone.has_peer(8), "the split creates it");
    assert_eq!(alone.region(8), &new_region(81, 4));
}

/// A candidate's message that came too early counts once the region is split here: the new region need not wait for
/// another election. Of several the latest counts.
#[rstest]
#[case::one(&[(82, 6)], (82, 6))]
#[case::the_latest(&[(82, 6), (83, 7)], (83, 7))]
fn an_early_vote_counts(#[case] candidates: &[(u64, u64)], #[case] winner: (u64, u64)) {
    let _lab = lab!();
    let mut alone = Alone::new(quiet(), &region("b", "p", 3));
    for &(candidate, term) in candidates {
        alone.hear(&new_region(81, 4), member(candidate, candidate - 80), vote(term));
    }
    assert_eq!(votes_given(&mut alone), [], "nobody is here yet who could vote");
    send_split(&mut alone, 6);
    assert_eq!(votes_given(&mut alone), [(winner.0, winner.1, true)]);
}

/// A region that lies elsewhere is created as always: only its own keys can be in the way.
#[test]
fn other_regions_are_not_in_the_way() {
    let _lab = lab!();
    let mut alone = Alone::new(quiet(), &region("b", "p", 3));
    for (id, start, end) in [(18, "", "b"), (19, "p", "q"), (20, "q", "")] {
        let (start_key, end_key) = (start.into(), end.into());
        let other = Region { id, start_key, end_key, ..new_region(id + 100, 4) };
        alone.hear(&other, member(82, 2), heartbeat(6));
        assert!(alone.has_peer(id), "region {id} from {start} to {end}");
    }
    send_split(&mut alone, 6);
    assert!(alone.has_peer(8));
}

/// The message that creates a peer says which keys its region has; the envelopes of the new region do, too: to a store
/// that is late, they tell that it is.
#[test]
fn the_first_messages_name_their_keys() {
    let _lab = lab!();
    let mut alone = Alone::new(quiet(), &region("b", "p", 3));
    send_split(&mut alone, 6);
    alone.sent.clear();
    alone.tick(40);
    let votes = alone.sent.iter().filter(|m| {
        m.region_id == 8 && m.message.as_ref().is_some_and(|m| m.msg_type() == MessageType::MsgRequestVote)
    });
    let keys: Vec<_> = votes.map(|m| (&m.start_key[..], &m.end_key[..])).collect();
    assert!(!keys.is_empty(), "without a leader for so long, it becomes candidate (section 5.2)");
    assert!(keys.iter().all(|keys| *keys == (b"h", b"p")), "{keys:?}");
}

/// A store where nothing is, hears of region 7 first, then of region 8; and then gets region 7 as it was before the
/// split: a snapshot that was under way. So there are a peer of region 8 that knows nothing yet, and an old region that
/// is still to be split.
fn created_before_the_split(peer: u64, conf_ver: u64) -> Alone {
    let old = region("b", "p", 3);
    let mut alone = Alone::empty();
    alone.hear(&old, member(72, 2), heartbeat(6));
    alone.hear(&new_region(peer, conf_ver), member(82, 2), vote(9));
    assert_eq!(votes_given(&mut alone), [(82, 9, true)], "who knows nothing yet may vote (section 5.2)");
    take_old_region(&mut alone, &old);
    assert_eq!(alone.region(7), &old);
    alone
}

/// The old region comes as a snapshot, with keys on both sides of the cut.
fn take_old_region(alone: &mut Alone, old: &Region) {
    let key = SnapKey { region: 7, term: 6, index: 9 };
    let voters = old.peers.iter().map(|peer| peer.id).collect();
    let conf_state = Some(ConfState { voters, ..Default::default() });
    let metadata = Some(SnapshotMetadata { conf_state, index: key.index, term: key.term });
    let data = RaftSnapshotData { region: Some(old.clone()), ..Default::default() };
    let data = prost::Message::encode_to_vec(&data).into();
    let snapshot = Some(Snapshot { data, metadata });
    let message =
        Message { msg_type: MessageType::MsgSnapshot.into(), term: 6, snapshot, ..Default::default() };
    alone.hear_snapshot(old, member(72, 2), message);
    alone.fill(&[
        (Cf::Default, "c", "1"),
        (Cf::Default, "k", "1"),
        (Cf::Write, "k", "1"),
        (Cf::Lock, "p", "1"),
    ]);
    alone.give(raftkv::raftstore::Event::TaskDone(TaskDone::Loaded { key, result: Ok(()) }));
}

/// A peer that a message has created, and that has voted, is the one that the split creates: its vote is kept (section 5.2: one vote in a
/// term), also over a restart in between.
#[rstest]
#[case::at_once(false)]
#[case::over_a_restart(true)]
fn a_vote_is_kept(#[case] restart: bool) {
    let _lab = lab!();
    let mut alone = created_before_the_split(81, 4);
    if restart {
        alone.restart();
    }
    send_split(&mut alone, 10);
    assert_eq!(alone.region(8), &new_region(81, 4));
    let hard_state = alone.raft_state(8).and_then(|state| state.hard_state).expect("a hard state");
    assert_eq!((hard_state.term, hard_state.vote), (9, 82));
    alone.power_cut();
    alone.hear(&new_region(81, 4), member(83, 3), vote(9));
    assert_eq!(votes_given(&mut alone), [(83, 9, false)], "in term 9 it has voted for peer 82");
}

/// The peer of the split has gone already, and a later one has come, which knows nothing yet and has voted. The late
/// split does not bring the old one back, nor does a late message: the later one stays, with its vote; the data of the
/// part goes; nothing else does. Whenever the store stops: who the later peer is, and how it has voted, is on the disk.
#[rstest]
fn replaced_meanwhile(
    #[values(false, true)] stops_before: bool,
    #[values(false, true)] stops_at_the_split: bool,
) {
    let _lab = lab!();
    let mut alone = created_before_the_split(85, 6);
    if stops_before {
        alone.power_cut();
        alone.hear(&new_region(81, 4), member(82, 2), heartbeat(10));
    }
    if stops_at_the_split {
        alone.disk.plan(alone.disk.writes() + 2, Fault::StopAfter);
    }
    send_split(&mut alone, 10);
    if stops_at_the_split {
        assert!(alone.disk.is_stopped(), "the first write is the entry's, the second that of the split");
        alone.power_cut();
    }
    for _ in 0..2 {
        assert_eq!(alone.region(7).end_key, "h", "the old region has its part");
        assert_eq!(alone.store().meta().region(8), None, "nobody here holds the other part");
        assert_eq!(alone.record(8), None, "the peer of the split is not here");
        alone.hear(&new_region(81, 4), member(82, 2), heartbeat(10));
        let brought_back = alone.store().peer(8).is_some_and(|peer| peer.id() == 81);
        assert!(!brought_back, "and nothing brings it back");
        assert_eq!(alone.held(Cf::Default, &["c", "k"]), "c");
        assert_eq!(alone.held(Cf::Write, &["k"]), "");
        assert_eq!(alone.held(Cf::Lock, &["p"]), "p", "this is another region's");
        alone.hear(&new_region(85, 6), member(83, 3), vote(9));
        assert_eq!(alone.peer(8).id(), 85, "the later peer stays");
        assert_eq!(votes_given(&mut alone), [(83, 9, false)], "in term 9 it has voted for peer 82");
        alone.power_cut();
    }
}

/// The peer of the split has been removed again, and its store knows: its tombstone is here. The late split does not
/// bring it back, and its part of the data goes.
#[test]
fn removed_meanwhile() {
    let _lab = lab!();
    let old = region("b", "p", 3);
    let mut alone = Alone::empty();
    alone.hear(&old, member(72, 2), heartbeat(6));
    alone.hear(&new_region(81, 4), member(82, 2), heartbeat(6));
    assert!(alone.has_peer(8));
    alone.tell_to_go(8, member(81, 1), epoch(5, 7));
    assert!(!alone.has_peer(8), "it has been told to go");
    take_old_region(&mut alone, &old);
    send_split(&mut alone, 10);
    assert_eq!(alone.failure, None);
    for _ in 0..2 {
        assert!(!alone.has_peer(8), "who is gone, stays gone");
        assert_eq!(alone.record(8).map(|record| record.state()), Some(PeerState::Tombstone));
        assert_eq!(
            (&alone.region(7).end_key[..], alone.region(7).region_epoch),
            (&b"h"[..], Some(epoch(4, 7)))
        );
        assert_eq!(alone.store().meta().region(8), None);
        assert_eq!(alone.held(Cf::Default, &["c", "k"]), "c", "its data has gone, and no other");
        assert_eq!(alone.held(Cf::Write, &["k"]), "");
        alone.power_cut();
    }
}

/// A candidate's message that came too early is for a peer that is not to be here: it creates nobody, neither then nor
/// later.
#[test]
fn an_early_vote_for_nobody() {
    let _lab = lab!();
    let old = region("b", "p", 3);
    let mut alone = Alone::empty();
    alone.hear(&old, member(72, 2), heartbeat(6));
    alone.hear(&new_region(81, 4), member(82, 2), heartbeat(6));
    alone.tell_to_go(8, member(81, 1), epoch(5, 7));
    take_old_region(&mut alone, &old);
    alone.hear(&new_region(81, 4), member(82, 2), vote(12));
    send_split(&mut alone, 10);
    assert!(!alone.has_peer(8));
    assert_eq!(votes_given(&mut alone), []);
}

/// A peer that was removed may still get what came behind its removal: a new leader, that has not applied the removal
/// yet, sends its log to all who were members. A split among that creates nobody here, since the new region has no peer
/// on this store; the store goes on, also over a restart.
#[test]
fn a_split_behind_the_own_removal() {
    let _lab = lab!();
    let old = region("b", "p", 3);
    let mut alone = Alone::new(quiet(), &old);
    alone.fill(&[(Cf::Default, "c", "1"), (Cf::Default, "k", "1")]);
    let removal = alone.change(7, change_peer(ConfChangeType::RemoveNode, member(71, 1)));
    let mut cut = alone.change(7, split(&[("h", 8, &[82, 83])], false));
    let header = cut.header.as_mut().expect("it has one");
    header.region_epoch = Some(RegionEpoch { conf_ver: 5, version: 6 });
    alone.append(&old, member(72, 2), (5, 5), vec![change_entry(6, &removal), entry(7, &cut)]);
    assert_eq!(alone.failure, None, "the store goes on");
    for _ in 0..2 {
        assert_eq!(alone.peer(7).region().end_key, "h", "it has applied the split, on its way out");
        assert!(!alone.has_peer(8), "region 8 has no peer on this store");
        assert_eq!(alone.record(8), None);
        assert_eq!(alone.held(Cf::Default, &["c", "k"]), "c", "nobody here holds the keys of region 8");
        alone.restart();
    }
}

/// Where the old region's leader is, the new region has one well within an election timeout: it campaigns at once, and
/// a store that has not split yet keeps its message. Here every vote is needed.
#[test]
fn a_leader_soon() {
    let lab = lab!();
    for seed in lab.seeds(20) {
        let mut sim = Setup::seeded(seed, 3).scheduler().start();
        sim.put("a", "1");
        let leader = sim.leader();
        sim.settle();
        let away = sim.others(leader)[0];
        sim.isolate(away);
        let ids = sim.split_ids(1);
        let new = ids.new_region_id;
        let request = sim.admin_request(leader, 1, raftkv_testkit::sim::batch_split("k", ids));
        sim.begin_command(leader, request);
        sim.until("a region with a majority can be split", secs(1), |sim| sim.newest(new).id == new);
        sim.until(
            "the new region is led on the store of the old one's leader, before anybody's election timeout (100 ms) ends",
            millis(50),
            |sim| sim.leader_of(new) == Some(leader),
        );
        sim.finish();
    }
}

/// A store is away during the split. When it is back it gets the entry, or, where the log is compacted, a snapshot of
/// the old region as it is after the split. Either way it has both regions in the end, and the data of both.
#[rstest]
#[case::with_the_log(false, 1)]
#[case::with_a_snapshot(true, 1)]
#[case::with_the_log_several_splits(false, 3)]
#[case::with_snapshots_several_splits(true, 3)]
fn away_during_the_split(#[case] compacted: bool, #[case] splits: usize) {
    let lab = lab!();
    for seed in lab.seeds(3) {
        let limit = if compacted { 4 } else { 10_000 };
        let tune =
            |config: &mut raftkv::raftstore::Config| (config.log_gc_limit, config.log_gc_ticks) = (limit, 3);
        let mut sim = Setup::seeded(seed, 3).scheduler().tune(tune).start();
        sim.put("a", "old");
        sim.put("z", "old");
        let away = sim.others(sim.elected().unwrap_or(1))[0];
        sim.isolate(away);
        for key in &["k", "m", "p"][..splits] {
            sim.split(key);
        }
        for n in 0..10 {
            for key in ["a", "l", "n", "z"] {
                sim.put(key, &n.to_string());
            }
        }
        sim.run(millis(300));
        sim.heal();
        sim.finish();
        assert_eq!(sim.store(away).peers().count(), splits + 1);
        for key in ["a", "l", "n", "z"] {
            assert_eq!(sim.data(away, key).as_deref(), Some(&b"9"[..]), "seed {seed}: key {key}");
        }
        assert_eq!(sim.counts().received > 0, compacted, "seed {seed}: whether a snapshot was needed");
    }
}

/// A region is split while a snapshot of it is made, sent or loaded: whoever gets it has the old region with all keys,
/// and splits it then.
#[test]
fn a_snapshot_under_way() {
    let lab = lab!();
    for seed in lab.seeds(3) {
        for pause in [1, 5, 15, 40, 80] {
            let setup = Setup::seeded(seed, 4).members(&[1, 2, 3]).scheduler().chunks(50, 1);
            let mut sim = setup.start();
            for key in ["a", "c", "k", "z"] {
                sim.put(key, &"old".repeat(50));
            }
            for store in 1..=4 {
                sim.slow_workers(store, millis(5), millis(30));
            }
            sim.add_peer(1, 4);
            sim.run(millis(pause));
            sim.split("k");
            sim.put("a", "new");
            sim.put("z", "new");
            sim.finish();
            assert!(sim.counts().received > 0, "a new member needs a snapshot");
            assert_eq!(sim.store(4).peers().count(), 2);
            for (key, value) in [("a", "new"), ("c", &"old".repeat(50)), ("z", "new")] {
                assert_eq!(sim.data(4, key).as_deref(), Some(value.as_bytes()), "seed {seed}: key {key}");
            }
        }
    }
}
