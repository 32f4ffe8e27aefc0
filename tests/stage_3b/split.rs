//! One region becomes several: on one store, where all can be seen.

use pretty_assertions::assert_eq;
use raftkv::engine::{Cf, KeyRange};
use raftkv::proto::eraftpb::MessageType;
use raftkv::proto::metapb::Region;
use raftkv::proto::raft_serverpb::PeerState;
use raftkv_testkit::lab;
use raftkv_testkit::requests::{get, put, snap};
use rstest::rstest;

use crate::lone::{Lone, quiet};
use crate::messages::{
    BEGIN, Cut, Vary, append, at, change, command, cut, entry, epoch, peer, refused, region, split,
};

/// The ranges of regions, in words.
fn ranges(regions: &[Region]) -> Vec<String> {
    let text = |key: &[u8]| String::from_utf8_lossy(key).into_owned();
    let range = |r: &Region| format!("{} {}..{}", r.id, text(&r.start_key), text(&r.end_key));
    regions.iter().map(range).collect()
}

/// Cuts are made at their keys, from left to right; the old region keeps the leftmost part, or, with `right_derive`,
/// the rightmost. An empty start or end of a region is the edge of the key space, and so it is of its first or last
/// part.
#[rstest]
#[case::in_two("b", "p", &["h"], false, &["7 b..h", "8 h..p"])]
#[case::in_two_right("b", "p", &["h"], true, &["8 b..h", "7 h..p"])]
#[case::in_four("b", "p", &["d", "h", "k"], false, &["7 b..d", "8 d..h", "9 h..k", "10 k..p"])]
#[case::in_four_right("b", "p", &["d", "h", "k"], true, &["8 b..d", "9 d..h", "10 h..k", "7 k..p"])]
#[case::of_everything("", "", &["h"], false, &["7 ..h", "8 h.."])]
#[case::of_everything_right("", "", &["h", "k"], true, &["8 ..h", "9 h..k", "7 k.."])]
#[case::up_to_the_end("b", "", &["h", "k"], false, &["7 b..h", "8 h..k", "9 k.."])]
#[case::from_the_beginning("", "p", &["h"], true, &["8 ..h", "7 h..p"])]
#[case::right_behind_the_start("b", "p", &["b\0"], false, &["7 b..b\0", "8 b\0..p"])]
fn who_gets_which_keys(
    #[case] start: &str,
    #[case] end: &str,
    #[case] at: &[&str],
    #[case] right_derive: bool,
    #[case] parts: &[&str],
) {
    let _lab = lab!();
    let mut lone = Lone::leader_of(quiet(), &region().keys(start, end).of([peer(1)]));
    let ids: Vec<[u64; 1]> = (0..at.len() as u64).map(|n| [81 + 10 * n]).collect();
    let cuts: Vec<(&str, u64, &[u64])> =
        at.iter().zip(8..).zip(&ids).map(|((key, id), peers)| (*key, id, &peers[..])).collect();
    let answered = lone.split(7, &cuts, right_derive);
    assert_eq!(ranges(&answered), parts, "the answer names all parts, from left to right");
    for part in &answered {
        assert_eq!(lone.region(part.id), part, "the peer of each part goes by it");
        assert_eq!(lone.store().meta().region(part.id), Some(part), "StoreMeta knows each part");
        let record = lone.region_state(part.id).expect("a record of each part");
        assert_eq!((record.state(), record.region.as_ref()), (PeerState::Normal, Some(part)));
    }
    let known: Vec<u64> = lone.store().meta().region_ranges().values().copied().collect();
    assert_eq!(
        known,
        answered.iter().map(|part| part.id).collect::<Vec<_>>(),
        "StoreMeta, from left to right"
    );
}

/// The epoch's `version` says how often keys have changed hands: each new region raises it by one, and all parts have
/// the same. The members are the same, so `conf_ver` stays. (metapb)
#[rstest]
#[case::one(&[cut("h", 8, &[81])], 31)]
#[case::three(&[cut("d", 8, &[81]), cut("h", 9, &[91]), cut("k", 10, &[101])], 33)]
fn the_epoch(#[case] cuts: &[Cut], #[case] version: u64, #[values(false, true)] right_derive: bool) {
    let _lab = lab!();
    let mut lone = Lone::leader();
    for part in lone.split(7, cuts, right_derive) {
        assert_eq!(part.region_epoch, epoch(5, version), "of region {}", part.id);
        assert_eq!(lone.region(part.id).region_epoch, epoch(5, version), "of region {}", part.id);
    }
}

/// Each new region has a peer on each store that the old one has a peer on: the ids are given in the order of its
/// peers. So no data has to move.
#[rstest]
#[case::left(false)]
#[case::right(true)]
fn peers_are_matched_to_stores(#[case] right_derive: bool) {
    let _lab = lab!();
    let old = region().of([at(75, 3), at(71, 1), at(79, 2)]);
    let mut lone = Lone::new(std::slice::from_ref(&old));
    let request =
        change(lone.region(7), split(&[("d", 8, &[83, 81, 82]), ("h", 9, &[91, 99, 95])], right_derive));
    lone.tell(append(&old, BEGIN, vec![entry(6, &request)]));
    assert_eq!(lone.region(7).peers, old.peers, "the old region keeps its peers");
    assert_eq!(lone.region(8).peers, [at(83, 3), at(81, 1), at(82, 2)]);
    assert_eq!(lone.region(9).peers, [at(91, 3), at(99, 1), at(95, 2)]);
    assert_eq!((lone.peer(8).id(), lone.peer(9).id()), (81, 99), "the peers of this store");
    let voters: Vec<u64> = lone.peer(9).node().raft().voters().collect();
    assert_eq!(voters, [91, 95, 99], "who makes a majority in the new region (section 5.2)");
}

/// No key moves, in no column family: what the old region held, the parts hold.
#[test]
fn no_data_moves() {
    let _lab = lab!();
    let mut lone = Lone::leader();
    let keys = ["a", "b", "d", "h", "k", "o", "p"];
    let pairs: Vec<(Cf, &str, &str)> =
        Cf::DATA.into_iter().flat_map(|cf| keys.map(|key| (cf, key, "old"))).collect();
    lone.fill(&pairs);
    lone.split(7, &[("d", 8, &[81]), ("k", 9, &[91])], false);
    lone.kill();
    for cf in Cf::DATA {
        assert_eq!(lone.held(cf, &keys), keys.join(" "), "{cf}");
    }
}

/// Each part serves its own keys, under its own epoch, and no others: `KeyNotInRegion`. A snapshot for reading shows
/// the keys of its part only.
#[rstest]
#[case::left(false, ["b d", "h o"])]
#[case::right(true, ["h o", "b d"])]
fn each_part_serves_its_keys(#[case] right_derive: bool, #[case] keys: [&str; 2]) {
    let _lab = lab!();
    let mut lone = Lone::leader();
    lone.put_all(7, &["b", "d", "h", "o"]);
    lone.split(7, &[("h", 8, &[81])], right_derive);
    lone.tick(2);
    for (id, (own, others)) in [7, 8].into_iter().zip([(keys[0], keys[1]), (keys[1], keys[0])]) {
        for key in own.split(' ') {
            let request = command(lone.region(id), vec![put(key, "new"), get(key)]);
            let answer = lone.ask(&request).unwrap_or_else(|e| panic!("region {id}, key {key}: {e}"));
            let read = answer.response.responses[1].get.clone().expect("a get");
            assert_eq!(read.value, "new");
        }
        for key in others.split(' ') {
            let error = refused(lone.ask(&command(lone.region(id), vec![get(key)])));
            let outside = error.key_not_in_region.unwrap_or_else(|| panic!("KeyNotInRegion for {key}"));
            assert_eq!((&outside.key[..], outside.region_id), (key.as_bytes(), id));
        }
        let request = command(lone.region(id), vec![snap()]);
        let view = lone.ask(&request).expect("a Snap").snapshot.expect("the data of the region");
        let mut cursor = view.cursor(Cf::Default, KeyRange::all());
        let mut seen = Vec::new();
        cursor.seek_to_first().expect("an engine in memory");
        while let Some((key, _)) = cursor.entry() {
            seen.push(String::from_utf8_lossy(key).into_owned());
            cursor.next().expect("an engine in memory");
        }
        assert_eq!(seen.join(" "), own, "region {id}");
    }
}

/// Where the old region's leader is, the new one's campaigns at once: a store alone needs no tick until the new region
/// is led, and serves.
#[test]
fn the_new_regions_are_led_at_once() {
    let _lab = lab!();
    let mut lone = Lone::leader();
    lone.split(7, &[("d", 8, &[81]), ("h", 9, &[91])], false);
    for id in [7, 8, 9] {
        assert!(lone.peer(id).is_leader(), "region {id}: nobody else would begin for an election timeout");
    }
    assert!(lone.ask(&command(lone.region(9), vec![put("k", "1")])).is_ok());
}

/// Only there: a follower that applies the split waits, or every store would stand against the others (section 5.2,
/// split votes).
#[test]
fn followers_do_not_campaign() {
    let _lab = lab!();
    let mut lone = Lone::new(&[region()]);
    let request = change(lone.region(7), split(&[("h", 8, &[81, 82, 83])], false));
    let said = lone.tell(append(&region(), BEGIN, vec![entry(6, &request)]));
    let votes = said.in_region(8, MessageType::MsgRequestVote);
    assert!(
        lone.has_peer(8) && votes.is_empty(),
        "the peer of the new region is there, and asks nobody: {votes:?}"
    );
}

/// The new region's log begins where all regions' logs begin (`INIT_INDEX`, `INIT_TERM`), on each store alike: with
/// nothing applied that it does not have.
#[test]
fn the_new_log_begins() {
    let _lab = lab!();
    let mut lone = Lone::new(&[region()]);
    let request = change(lone.region(7), split(&[("h", 8, &[81, 82, 83])], false));
    lone.tell(append(&region(), BEGIN, vec![entry(6, &request)]));
    let state = lone.safe_apply_state(8).expect("an apply state");
    let truncated = state.truncated_state.expect("where the log begins");
    assert_eq!((state.applied_index, truncated.index, truncated.term), (5, 5, 5));
    let raft = lone.raft_state(8).expect("a Raft state");
    let hard_state = raft.hard_state.expect("a hard state");
    assert_eq!((raft.last_index, hard_state.term, hard_state.commit), (5, 5, 5));
    assert_eq!(lone.last_index(8), 5);
}

/// Two splits in one round of work, the second of what the first has left: all parts are there.
#[test]
fn two_splits_in_one_round() {
    let _lab = lab!();
    let mut lone = Lone::new(&[region()]);
    let first = change(lone.region(7), split(&[("h", 8, &[81, 82, 83])], false));
    let second = change(&region().edition(5, 31), split(&[("d", 9, &[91, 92, 93])], true));
    let entries = vec![entry(6, &first), entry(7, &second)];
    lone.tell(append(&region(), BEGIN, entries));
    let map: Vec<Region> = [9, 7, 8].map(|id| lone.region(id).clone()).into();
    assert_eq!(ranges(&map), ["9 b..d", "7 d..h", "8 h..p"]);
    let versions: Vec<u64> = map.iter().map(|part| part.region_epoch.unwrap_or_default().version).collect();
    assert_eq!(versions, [32, 32, 31]);
    assert_eq!(lone.store().meta().region(7), Some(&map[1]));
}

/// A part can be split again, at once: it is a region like any other.
#[test]
fn a_new_region_splits() {
    let _lab = lab!();
    let mut lone = Lone::leader();
    lone.split(7, &[("h", 8, &[81])], false);
    let parts = lone.split(8, &[("k", 9, &[91])], false);
    assert_eq!(ranges(&parts), ["8 h..k", "9 k..p"]);
    assert_eq!(ranges(&[lone.region(7).clone()]), ["7 b..h"]);
    assert!(lone.peer(9).is_leader());
}
