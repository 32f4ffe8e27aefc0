//! Regions that grow: when a store has one looked at, when it asks for ids, and what it does with them. One store,
//! driven by hand.

use pretty_assertions::assert_eq;
use raftkv::proto::metapb::Region;
use raftkv::proto::pdpb::SplitId;
use raftkv::raftstore::{Config, Task, TaskDone};
use raftkv_testkit::lab;
use raftkv_testkit::requests::{bytes, put};

use crate::lone::{Lone, Said};
use crate::messages::{command, epoch, region};
use crate::scheduling::{busy, leader_of, looks, one_peer, overthrow, reports, three_peers};

/// The regions, and the keys, for which ids are wanted.
fn asked(said: &Said) -> Vec<(Region, String)> {
    said.pick(|task| match task {
        Task::AskSplit { region, key } => {
            Some(((**region).clone(), String::from_utf8_lossy(key).into_owned()))
        }
        _ => None,
    })
}

/// A look at region 7 has ended, as the region was when the store began.
fn checked(lone: &mut Lone, result: Result<(u64, Option<&str>), String>) -> Said {
    let epoch = region().region_epoch.expect("it has one");
    let result = result.map(|(size, key)| (size, key.map(bytes)));
    lone.done(TaskDone::SplitChecked { region: 7, epoch, result })
}

fn ids(lone: &mut Lone, region: &Region, key: &str, ids: Option<(u64, &[u64])>) {
    let ids = ids.map(|(new_region_id, peers)| SplitId { new_region_id, new_peer_ids: peers.to_vec() });
    lone.done(TaskDone::SplitIds { region: Box::new(region.clone()), key: bytes(key), ids });
}

/// A leader has its region's size looked at, one look at a time, for the region as it is now.
#[test]
fn one_look_at_a_time() {
    let _lab = lab!();
    let mut lone = one_peer(busy());
    let seen = lone.tick(140).pick(|task| match task {
        Task::CheckSplit { region, max_size, .. } => Some(((**region).clone(), *max_size)),
        _ => None,
    });
    assert_eq!(seen, [(lone.region(7).clone(), 100)], "nobody has answered yet, so one look in 100 ticks");
}

/// A region that is known to be small is looked at again when enough was written, and not before.
#[test]
fn looked_at_again_after_writes() {
    let _lab = lab!();
    let mut lone = leader_of(busy());
    lone.tick(10);
    checked(&mut lone, Ok((50, None)));
    assert_eq!(looks(&lone.tick(20)), [0_u64; 0], "nothing was written");
    for key in ["c", "d", "e"] {
        let request = command(lone.region(7), vec![put(key, &"x".repeat(40))]);
        lone.ask(&request).expect("a put");
    }
    assert_eq!(looks(&lone.tick(20)), [7], "more was written than the region may have");
}

/// What was found is told to the scheduler.
#[test]
fn the_size_is_reported() {
    let _lab = lab!();
    let mut lone = leader_of(busy());
    lone.tick(10);
    checked(&mut lone, Ok((50, None)));
    assert_eq!(reports(&lone.tick(11)).pop().expect("a report in 11 ticks").approximate_size, 50);
}

/// A region that is too large is to be split where its middle is: ids are asked for, once.
#[test]
fn ids_are_asked_for() {
    let _lab = lab!();
    let mut lone = leader_of(busy());
    lone.tick(10);
    let said = checked(&mut lone, Ok((150, Some("h"))));
    assert_eq!(asked(&said), [(lone.region(7).clone(), "h".to_string())]);
    let said = lone.tick(50);
    assert!(asked(&said).is_empty() && looks(&said).is_empty(), "the answer is still to come");
}

/// With ids the region is split there: the old one keeps the left half.
#[test]
fn ids_make_a_split() {
    let _lab = lab!();
    let mut lone = leader_of(busy());
    let old = lone.region(7).clone();
    ids(&mut lone, &old, "h", Some((8, &[81])));
    assert_eq!((&lone.region(7).end_key[..], &lone.region(8).start_key[..]), (&b"h"[..], &b"h"[..]));
    assert_eq!(lone.peer(8).id(), 81);
}

/// No ids, since the scheduler does not want it, or is out of reach: another look leads there again.
#[test]
fn without_ids_it_is_tried_again() {
    let _lab = lab!();
    let mut lone = one_peer(busy());
    let old = lone.region(7).clone();
    for ticks in [50, 10, 10] {
        assert_eq!(looks(&lone.tick(ticks)), [7], "the region is still too large, whoever knows");
        assert_eq!(asked(&checked(&mut lone, Ok((150, Some("h"))))).len(), 1);
        ids(&mut lone, &old, "h", None);
        assert!(!lone.has_peer(8));
    }
}

/// A look that took so long that the region has changed says nothing: nothing is asked for, and the region as it is now
/// is looked at.
#[test]
fn a_late_look() {
    let _lab = lab!();
    let mut lone = one_peer(busy());
    assert_eq!(looks(&lone.tick(50)), [7]);
    lone.split(7, &[("h", 8, &[81])], false);
    let said = checked(&mut lone, Ok((150, Some("h"))));
    assert!(asked(&said).is_empty(), "that was another edition of the region");
    let mut again = looks(&lone.tick(10));
    again.sort_unstable();
    assert_eq!(again, [7, 8]);
}

/// Ids that come so late that the region has changed are not used: they are for other members, or other keys.
#[test]
fn late_ids() {
    let _lab = lab!();
    let mut lone = leader_of(busy());
    let old = lone.region(7).clone();
    lone.split(7, &[("h", 8, &[81])], false);
    ids(&mut lone, &old, "d", Some((9, &[91])));
    assert!(!lone.has_peer(9));
    assert_eq!(lone.region(7).region_epoch, epoch(5, 31));
}

/// What is known of the old region's size says nothing of its parts: each is looked at after the split.
#[test]
fn parts_are_looked_at() {
    let _lab = lab!();
    let mut lone = leader_of(busy());
    lone.tick(10);
    checked(&mut lone, Ok((90, None)));
    lone.split(7, &[("h", 8, &[81])], false);
    let said = lone.tick(11);
    let sizes: Vec<u64> = reports(&said).iter().map(|report| report.approximate_size).collect();
    assert!(!sizes.contains(&90), "nobody says that a part is as large as the whole was: {sizes:?}");
    let mut again = looks(&said);
    again.sort_unstable();
    assert_eq!(again, [7, 8]);
}

/// A look that fails is no reason to split, nor to look no more.
#[test]
fn a_look_that_fails() {
    let _lab = lab!();
    let mut lone = leader_of(busy());
    lone.tick(10);
    let said = checked(&mut lone, Err("the disk is slow today".into()));
    assert!(asked(&said).is_empty());
    let request = command(lone.region(7), vec![put("c", &"x".repeat(120))]);
    lone.ask(&request).expect("a put");
    assert_eq!(looks(&lone.tick(10)), [7]);
}

/// Only a leader has its region looked at, and only a leader asks for ids. One who has lost the leadership meanwhile,
/// and gets it back, looks again: the region is as large as it was.
#[test]
fn only_a_leader_splits() {
    let _lab = lab!();
    let mut lone = three_peers(busy());
    let mut said = lone.elect();
    said.extend(lone.tick(6));
    assert_eq!(looks(&said), [7]);
    overthrow(&mut lone);
    let said = checked(&mut lone, Ok((150, Some("h"))));
    assert!(asked(&said).is_empty(), "it does not lead");
    assert_eq!(looks(&lone.tick(6)), [0_u64; 0], "it does not lead");
    assert_eq!(looks(&lone.win_votes(100)), [7], "it leads again, and the region is too large");
}

/// Without an interval no size is looked at.
#[test]
fn no_interval_no_looks() {
    let _lab = lab!();
    let mut lone = one_peer(Config { split_check_ticks: 0, ..busy() });
    let said = lone.tick(90);
    assert!(looks(&said).is_empty());
    assert!(!reports(&said).is_empty(), "reports are made all the same");
}
