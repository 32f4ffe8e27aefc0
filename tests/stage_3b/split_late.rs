//! A store that is late: the region is split elsewhere, and not yet here.

use pretty_assertions::assert_eq;
use raftkv::engine::{Cf, Fault};
use raftkv::proto::eraftpb::{Message, MessageType};
use raftkv::proto::metapb::Region;
use raftkv::proto::raft_serverpb::PeerState;
use raftkv::raftstore::{Config, SnapKey};
use raftkv_testkit::lab;
use raftkv_testkit::sim::{Setup, batch_split, millis, secs};
use rstest::rstest;

use crate::lone::{Lone, Said};
use crate::messages::{
    BEGIN, Vary, append, as_of, at, change, change_entry, entry, epoch, go_from, message, peer, region,
    remove, snapshot, split,
};

/// The region that is cut off at `h`, with a peer `id` on store 1.
fn new_region(id: u64, conf_ver: u64) -> Region {
    let peers = [at(id, 1), peer(82), peer(83)];
    Region { id: 8, ..region().keys("h", "p").of(peers).edition(conf_ver, 31) }
}

fn vote(term: u64) -> Message {
    Message { index: 5, log_term: 5, ..message(MessageType::MsgRequestVote, term) }
}

fn heartbeat(term: u64) -> Message {
    message(MessageType::MsgHeartbeat, term)
}

/// The leader of the old region sends the split.
fn send_split(lone: &mut Lone, index: u64) -> Said {
    let request = change(&region(), split(&[("h", 8, &[81, 82, 83])], false));
    lone.tell(append(&region(), index - 1, vec![entry(index, &request)]))
}

/// The answers to requests for votes in region 8: to whom, in which term, and whether it is yes.
fn votes_given(said: &Said) -> Vec<(u64, u64, bool)> {
    let sent = said.in_region(8, MessageType::MsgRequestVoteResponse);
    sent.iter().map(|m| (m.to, m.term, !m.reject)).collect()
}

/// While the old region still holds the keys here, no message creates a peer of the new one: its data would be in two
/// regions.
#[rstest]
#[case::a_candidate(vote(6))]
#[case::a_leader(heartbeat(6))]
fn not_created_too_early(#[case] message: Message) {
    let _lab = lab!();
    let mut lone = Lone::new(&[region()]);
    lone.hear(&new_region(81, 5), peer(82), message);
    assert!(!lone.has_peer(8), "region 7 here still has the keys");
    assert_eq!(lone.region_state(8), None);
    send_split(&mut lone, 6);
    assert!(lone.has_peer(8), "the split creates it");
    assert_eq!(lone.region(8), &new_region(81, 5));
}

/// A candidate's message that came too early counts once the region is split here: the new region need not wait for
/// another election. Of several the latest counts.
#[rstest]
#[case::one(&[(82, 6)], (82, 6))]
#[case::the_latest(&[(82, 6), (83, 7)], (83, 7))]
fn an_early_vote_counts(#[case] candidates: &[(u64, u64)], #[case] winner: (u64, u64)) {
    let _lab = lab!();
    let mut lone = Lone::new(&[region()]);
    for &(candidate, term) in candidates {
        let said = lone.hear(&new_region(81, 5), peer(candidate), vote(term));
        assert_eq!(votes_given(&said), [], "nobody is here yet who could vote");
    }
    assert_eq!(votes_given(&send_split(&mut lone, 6)), [(winner.0, winner.1, true)]);
}

/// A region that lies elsewhere is created as always: only its own keys can be in the way.
#[test]
fn other_regions_are_not_in_the_way() {
    let _lab = lab!();
    let mut lone = Lone::new(&[region()]);
    for (id, start, end) in [(18, "", "b"), (19, "p", "q"), (20, "q", "")] {
        let other = Region { id, ..new_region(id + 100, 5).keys(start, end) };
        lone.hear(&other, peer(82), heartbeat(6));
        assert!(lone.has_peer(id), "region {id} from {start} to {end}");
    }
    send_split(&mut lone, 6);
    assert!(lone.has_peer(8));
}

/// The message that creates a peer says which keys its region has; the envelopes of the new region do, too: to a store
/// that is late, they tell that it is.
#[test]
fn the_first_messages_name_their_keys() {
    let _lab = lab!();
    let mut lone = Lone::new(&[region()]);
    send_split(&mut lone, 6);
    let said = lone.tick(40);
    let votes = said.sent.iter().filter(|m| {
        m.region_id == 8 && m.message.as_ref().is_some_and(|m| m.msg_type() == MessageType::MsgRequestVote)
    });
    let keys: Vec<_> = votes.map(|m| (&m.start_key[..], &m.end_key[..])).collect();
    assert!(!keys.is_empty(), "without a leader for so long, it becomes candidate (section 5.2)");
    assert!(keys.iter().all(|keys| *keys == (b"h", b"p")), "{keys:?}");
}

/// A store where nothing is, hears of region 7 first, then of region 8; and then gets region 7 as it was before the
/// split: a snapshot that was under way. So there are a peer of region 8 that knows nothing yet, and an old region that
/// is still to be split.
fn created_before_the_split(id: u64, conf_ver: u64) -> Lone {
    let mut lone = Lone::empty();
    lone.hear(&region(), peer(2), heartbeat(6));
    let said = lone.hear(&new_region(id, conf_ver), peer(82), vote(9));
    assert_eq!(votes_given(&said), [(82, 9, true)], "who knows nothing yet may vote (section 5.2)");
    take_old_region(&mut lone);
    assert_eq!(lone.region(7), &region());
    lone
}

/// The old region comes as a snapshot, with keys on both sides of the cut.
fn take_old_region(lone: &mut Lone) {
    let key = SnapKey { region: 7, term: 6, index: 9 };
    lone.receive(snapshot(key, &region()), 1);
    lone.fill(&[
        (Cf::Default, "c", "1"),
        (Cf::Default, "k", "1"),
        (Cf::Write, "k", "1"),
        (Cf::Lock, "p", "1"),
    ]);
    lone.loaded(key);
}

/// A peer that a message has created, and that has voted, is the one that the split creates: its vote is kept (section
/// 5.2: one vote in a term), also over a restart in between.
#[rstest]
#[case::at_once(false)]
#[case::over_a_restart(true)]
fn a_vote_is_kept(#[case] restart: bool) {
    let _lab = lab!();
    let mut lone = created_before_the_split(81, 5);
    if restart {
        lone.kill();
    }
    let mut said = send_split(&mut lone, 10);
    assert_eq!(lone.region(8), &new_region(81, 5));
    let hard_state = lone.raft_state(8).and_then(|state| state.hard_state).expect("a hard state");
    assert_eq!((hard_state.term, hard_state.vote), (9, 82));
    lone.power_cut();
    said.extend(lone.hear(&new_region(81, 5), peer(83), vote(9)));
    assert_eq!(votes_given(&said), [(83, 9, false)], "in term 9 it has voted for peer 82");
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
    let mut lone = created_before_the_split(85, 7);
    if stops_before {
        lone.power_cut();
        lone.hear(&new_region(81, 5), peer(82), heartbeat(10));
    }
    if stops_at_the_split {
        lone.fault_at(2, Fault::StopAfter);
    }
    send_split(&mut lone, 10);
    if stops_at_the_split {
        assert!(lone.disk.is_stopped(), "the first write is the entry's, the second that of the split");
        lone.power_cut();
    }
    for _ in 0..2 {
        assert_eq!(lone.region(7).end_key, "h", "the old region has its part");
        assert_eq!(lone.store().meta().region(8), None, "nobody here holds the other part");
        assert_eq!(lone.region_state(8), None, "the peer of the split is not here");
        let mut said = lone.hear(&new_region(81, 5), peer(82), heartbeat(10));
        assert_ne!(lone.peer_id(8), Some(81), "and nothing brings it back");
        assert_eq!(lone.held(Cf::Default, &["c", "k"]), "c");
        assert_eq!(lone.held(Cf::Write, &["k"]), "");
        assert_eq!(lone.held(Cf::Lock, &["p"]), "p", "this is another region's");
        said.extend(lone.hear(&new_region(85, 7), peer(83), vote(9)));
        assert_eq!(lone.peer(8).id(), 85, "the later peer stays");
        assert_eq!(votes_given(&said), [(83, 9, false)], "in term 9 it has voted for peer 82");
        lone.power_cut();
    }
}

/// The peer of the split has been removed again, and its store knows: its tombstone is here. The late split does not
/// bring it back, and its part of the data goes.
#[test]
fn removed_meanwhile() {
    let _lab = lab!();
    let mut lone = Lone::empty();
    lone.hear(&region(), peer(2), heartbeat(6));
    lone.hear(&new_region(81, 5), peer(82), heartbeat(6));
    assert!(lone.has_peer(8));
    lone.tell(go_from(&new_region(81, 6), peer(81)));
    assert!(!lone.has_peer(8), "it has been told to go");
    take_old_region(&mut lone);
    send_split(&mut lone, 10);
    assert_eq!(lone.failure, None);
    for _ in 0..2 {
        assert!(!lone.has_peer(8), "who is gone, stays gone");
        assert_eq!(lone.region_state(8).map(|record| record.state()), Some(PeerState::Tombstone));
        assert_eq!((&lone.region(7).end_key[..], lone.region(7).region_epoch), (&b"h"[..], epoch(5, 31)));
        assert_eq!(lone.store().meta().region(8), None);
        assert_eq!(lone.held(Cf::Default, &["c", "k"]), "c", "its data has gone, and no other");
        assert_eq!(lone.held(Cf::Write, &["k"]), "");
        lone.power_cut();
    }
}

/// A candidate's message that came too early is for a peer that is not to be here: it creates nobody, neither then nor
/// later.
#[test]
fn an_early_vote_for_nobody() {
    let _lab = lab!();
    let mut lone = Lone::empty();
    lone.hear(&region(), peer(2), heartbeat(6));
    lone.hear(&new_region(81, 5), peer(82), heartbeat(6));
    lone.tell(go_from(&new_region(81, 6), peer(81)));
    take_old_region(&mut lone);
    let mut said = lone.hear(&new_region(81, 5), peer(82), vote(12));
    said.extend(send_split(&mut lone, 10));
    assert_eq!(lone.region(7).end_key, "h", "the old region has its part");
    assert!(!lone.has_peer(8));
    assert_eq!(votes_given(&said), []);
}

/// A peer that was removed may still get what came behind its removal: a new leader, that has not applied the removal
/// yet, sends its log to all who were members. A split among that creates nobody here, since the new region has no peer
/// on this store; the store goes on, also over a restart.
#[test]
fn a_split_behind_the_own_removal() {
    let _lab = lab!();
    let mut lone = Lone::new(&[region()]);
    lone.fill(&[(Cf::Default, "c", "1"), (Cf::Default, "k", "1")]);
    let removal = change(&region(), remove(peer(1)));
    let cut = change(&as_of(6), split(&[("h", 8, &[82, 83])], false));
    lone.tell(append(&region(), BEGIN, vec![change_entry(6, &removal), entry(7, &cut)]));
    assert_eq!(lone.failure, None, "the store goes on");
    for _ in 0..2 {
        assert_eq!(lone.region(7).end_key, "h", "it has applied the split, on its way out");
        assert!(!lone.has_peer(8), "region 8 has no peer on this store");
        assert_eq!(lone.region_state(8), None);
        assert_eq!(lone.held(Cf::Default, &["c", "k"]), "c", "nobody here holds the keys of region 8");
        lone.kill();
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
        let request = sim.admin_request(leader, 1, batch_split("k", ids));
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
        let tune = |config: &mut Config| (config.log_gc_limit, config.log_gc_ticks) = (limit, 3);
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
