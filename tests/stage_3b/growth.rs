//! Regions that grow: when a store has one looked at, when it asks for ids, and what it does with them. One store,
//! driven by hand.

use pretty_assertions::assert_eq;
use raftkv::proto::metapb::{Region, RegionEpoch};
use raftkv::proto::pdpb::SplitId;
use raftkv::raftstore::{Config, Event, Task, TaskDone};
use raftkv_testkit::lab;

use crate::alone::{Alone, bytes, epoch, put};
use crate::scheduling::{busy, leader_of, leader_of_three, looks, overthrow, reports, win_votes};

/// The regions, and the keys, for which ids are wanted.
fn asked(alone: &mut Alone) -> Vec<(Region, String)> {
    alone.take(|task| match task {
        Task::AskSplit { region, key } => {
            Some(((**region).clone(), String::from_utf8_lossy(key).into_owned()))
        }
        _ => None,
    })
}

fn checked(alone: &mut Alone, region: u64, epoch: RegionEpoch, result: Result<(u64, Option<&str>), String>) {
    let result = result.map(|(size, key)| (size, key.map(bytes)));
    alone.give(Event::TaskDone(TaskDone::SplitChecked { region, epoch, result }));
}

fn ids(alone: &mut Alone, region: &Region, key: &str, ids: Option<(u64, &[u64])>) {
    let ids = ids.map(|(new_region_id, peers)| SplitId { new_region_id, new_peer_ids: peers.to_vec() });
    alone.give(Event::TaskDone(TaskDone::SplitIds {
        region: Box::new(region.clone()),
        key: bytes(key),
        ids,
    }));
}

/// A leader has its region's size looked at, one look at a time, for the region as it is now.
#[test]
fn one_look_at_a_time() {
    let _lab = lab!();
    let mut alone = leader_of(busy());
    alone.tick(100);
    let seen = alone.take(|task| match task {
        Task::CheckSplit { region, max_size, .. } => Some(((**region).clone(), *max_size)),
        _ => None,
    });
    assert_eq!(seen, [(alone.region(7).clone(), 100)], "nobody has answered yet, so one look in 100 ticks");
}

/// A region that is known to be small is looked at again when enough was written, and not before.
#[test]
fn looked_at_again_after_writes() {
    let _lab = lab!();
    let mut alone = leader_of(busy());
    alone.tick(10);
    looks(&mut alone);
    checked(&mut alone, 7, epoch(4, 6), Ok((50, None)));
    alone.tick(20);
    assert_eq!(looks(&mut alone), [0_u64; 0], "nothing was written");
    for key in ["c", "d", "e"] {
        let request = alone.command(7, vec![put(key, &"x".repeat(40))]);
        alone.ask(&request).expect("a put");
    }
    alone.tick(20);
    assert_eq!(looks(&mut alone), [7], "more was written than the region may have");
}

/// What was found is told to the scheduler.
#[test]
fn the_size_is_reported() {
    let _lab = lab!();
    let mut alone = leader_of(busy());
    alone.tick(10);
    checked(&mut alone, 7, epoch(4, 6), Ok((50, None)));
    alone.tasks.clear();
    alone.tick(11);
    assert_eq!(reports(&mut alone).pop().expect("a report in 11 ticks").approximate_size, 50);
}

/// A region that is too large is to be split where its middle is: ids are asked for, once.
#[test]
fn ids_are_asked_for() {
    let _lab = lab!();
    let mut alone = leader_of(busy());
    alone.tick(10);
    alone.tasks.clear();
    checked(&mut alone, 7, epoch(4, 6), Ok((150, Some("h"))));
    assert_eq!(asked(&mut alone), [(alone.region(7).clone(), "h".to_string())]);
    alone.tick(50);
    assert!(asked(&mut alone).is_empty() && looks(&mut alone).is_empty(), "the answer is still to come");
}

/// With ids the region is split there: the old one keeps the left half.
#[test]
fn ids_make_a_split() {
    let _lab = lab!();
    let mut alone = leader_of(busy());
    let old = alone.region(7).clone();
    ids(&mut alone, &old, "h", Some((8, &[81])));
    assert_eq!((&alone.region(7).end_key[..], &alone.region(8).start_key[..]), (&b"h"[..], &b"h"[..]));
    assert_eq!(alone.peer(8).id(), 81);
}

/// No ids, since the scheduler does not want it, or is out of reach: another look leads there again.
#[test]
fn without_ids_it_is_tried_again() {
    let _lab = lab!();
    let mut alone = leader_of(busy());
    let old = alone.region(7).clone();
    for _ in 0..3 {
        alone.tick(10);
        assert_eq!(looks(&mut alone), [7], "the region is still too large, whoever knows");
        checked(&mut alone, 7, epoch(4, 6), Ok((150, Some("h"))));
        assert_eq!(asked(&mut alone).len(), 1);
        ids(&mut alone, &old, "h", None);
        assert!(!alone.has_peer(8));
    }
}

/// A look that took so long that the region has changed says nothing: nothing is asked for, and the region as it is now
/// is looked at.
#[test]
fn a_late_look() {
    let _lab = lab!();
    let mut alone = leader_of(busy());
    alone.tick(10);
    assert_eq!(looks(&mut alone), [7]);
    alone.split(7, &[("h", 8, &[81])], false);
    alone.tasks.clear();
    checked(&mut alone, 7, epoch(4, 6), Ok((150, Some("h"))));
    assert!(asked(&mut alone).is_empty(), "that was another edition of the region");
    alone.tick(10);
    let mut again = looks(&mut alone);
    again.sort_unstable();
    assert_eq!(again, [7, 8]);
}

/// Ids that come so late that the region has changed are not used: they are for other members, or other keys.
#[test]
fn late_ids() {
    let _lab = lab!();
    let mut alone = leader_of(busy());
    let old = alone.region(7).clone();
    alone.split(7, &[("h", 8, &[81])], false);
    ids(&mut alone, &old, "d", Some((9, &[91])));
    assert!(!alone.has_peer(9));
    assert_eq!(alone.region(7).region_epoch, Some(epoch(4, 7)));
}

/// What is known of the old region's size says nothing of its parts: each is looked at after the split.
#[test]
fn parts_are_looked_at() {
    let _lab = lab!();
    let mut alone = leader_of(busy());
    alone.tick(10);
    checked(&mut alone, 7, epoch(4, 6), Ok((90, None)));
    alone.split(7, &[("h", 8, &[81])], false);
    alone.tasks.clear();
    alone.tick(11);
    let sizes: Vec<u64> = alone
        .tasks
        .iter()
        .filter_map(|task| if let Task::ReportRegion(r) = task { Some(r.approximate_size) } else { None })
        .collect();
    assert!(!sizes.contains(&90), "nobody says that a part is as large as the whole was: {sizes:?}");
    let mut again = looks(&mut alone);
    again.sort_unstable();
    assert_eq!(again, [7, 8]);
}

/// A look that fails is no reason to split, nor to look no more.
#[test]
fn a_look_that_fails() {
    let _lab = lab!();
    let mut alone = leader_of(busy());
    alone.tick(10);
    alone.tasks.clear();
    checked(&mut alone, 7, epoch(4, 6), Err("the disk is slow today".into()));
    assert!(asked(&mut alone).is_empty());
    let request = alone.command(7, vec![put("c", &"x".repeat(120))]);
    alone.ask(&request).expect("a put");
    alone.tick(10);
    assert_eq!(looks(&mut alone), [7]);
}

/// Only a leader has its region looked at, and only a leader asks for ids. One who has lost the leadership meanwhile,
/// and gets it back, looks again: the region is as large as it was.
#[test]
fn only_a_leader_splits() {
    let _lab = lab!();
    let mut alone = leader_of_three(busy());
    alone.tick(6);
    assert_eq!(looks(&mut alone), [7]);
    overthrow(&mut alone);
    checked(&mut alone, 7, epoch(4, 6), Ok((150, Some("h"))));
    assert!(asked(&mut alone).is_empty(), "it does not lead");
    alone.tick(6);
    assert_eq!(looks(&mut alone), [0_u64; 0], "it does not lead");
    let mut seen = Vec::new();
    for _ in 0..100 {
        win_votes(&mut alone, 1);
        seen.extend(looks(&mut alone));
    }
    assert_eq!(seen, [7], "it leads again, and the region is too large");
}

/// Without an interval no size is looked at.
#[test]
fn no_interval_no_looks() {
    let _lab = lab!();
    let mut alone = leader_of(Config { split_check_ticks: 0, ..busy() });
    alone.tick(50);
    assert!(!alone.tasks.iter().any(|task| matches!(task, Task::CheckSplit { .. })));
    assert!(!reports(&mut alone).is_empty(), "reports are made all the same");
}
