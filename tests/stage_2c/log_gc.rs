//! Logs do not grow for ever (section 7).

use pretty_assertions::assert_eq;
use raftkv_testkit::lab;
use raftkv_testkit::sim::{Mix, Setup, Sim, millis, secs};
use rstest::rstest;

use crate::story::{LIMIT, left_behind, setup, write_until_compacted};

/// How long the applied part of a store's log is.
fn length(sim: &Sim, id: u64) -> usize {
    let applied = sim.peer(id).apply_state().applied_index;
    (applied + 1).saturating_sub(sim.first_index(id)) as usize
}

/// A thousand commands: at no time is a log much longer than the limit, in memory or on the disk; and what is left is a
/// log.
#[test]
fn a_log_stays_short() {
    let lab = lab!();
    let mut sim = setup(&lab, 3).start();
    sim.clients(Mix { clients: 4, ..Mix::default() });
    let mut longest = 0;
    while sim.answered() < 1000 {
        assert!(sim.until_answered(10, secs(20)), "the clients are served");
        longest = (1..=3).map(|id| length(&sim, id)).max().unwrap_or_default().max(longest);
    }
    sim.finish();
    sim.run(millis(500));
    for id in 1..=3 {
        let on_disk = sim.entries_written(id).len();
        assert!(
            length(&sim, id) <= LIMIT,
            "store {id} keeps {} applied entries, the limit is {LIMIT}",
            length(&sim, id)
        );
        assert!(
            on_disk <= LIMIT + 10,
            "store {id} has {on_disk} entries on its disk: what is compacted is deleted there, too"
        );
    }
    // Between two looks at the log, five ticks of 10 ms, some hundred commands are possible at most.
    assert!(longest < 20 * LIMIT, "a log had {longest} applied entries");
}

/// The entries are really gone: from memory, and from the disk; and the truncated state says so.
#[test]
fn what_is_compacted_is_gone() {
    let lab = lab!();
    let mut sim = setup(&lab, 3).start();
    write_until_compacted(&mut sim, 30);
    sim.run(millis(500));
    for id in 1..=3 {
        let storage = sim.peer(id).node().storage();
        let truncated = storage.truncated_state();
        assert!(truncated.index > 30, "store {id} is truncated up to {}", truncated.index);
        let log = sim.peer(id).node().raft().log();
        assert_eq!(log.first_index(), truncated.index + 1, "store {id}: memory");
        assert_eq!(
            log.term(truncated.index),
            Some(truncated.term),
            "the term of the last dropped entry is known"
        );
        let first_on_disk = sim.entries_written(id).first().copied();
        assert!(
            first_on_disk.is_none_or(|first| first > truncated.index),
            "store {id}: disk begins at {first_on_disk:?}"
        );
    }
    sim.finish();
}

/// A short log is left alone: what it has may still be of use to a follower.
#[test]
fn a_short_log_is_left_alone() {
    let lab = lab!();
    let mut sim = setup(&lab, 3).start();
    for n in 0..LIMIT / 2 {
        sim.put(&format!("k{n}"), "1");
    }
    sim.run(secs(2));
    for id in 1..=3 {
        assert_eq!(sim.first_index(id), 6, "store {id}: {} entries are below the limit", LIMIT / 2);
    }
    write_until_compacted(&mut sim, 6);
    sim.finish();
}

/// Bytes count, too: a few large values are as heavy as many small ones.
#[test]
fn large_entries_count_by_their_size() {
    let lab = lab!();
    let mut sim = Setup::of(&lab, 3)
        .tune(|config| {
            config.log_gc_limit = 10_000;
            config.log_gc_bytes = 50_000;
            config.log_gc_ticks = 5;
        })
        .start();
    let large = "x".repeat(10_000);
    for n in 0..20 {
        sim.put(&format!("k{}", n % 3), &large);
    }
    sim.run(secs(1));
    for id in 1..=3 {
        let log = sim.peer(id).node().raft().log();
        let bytes: usize = log.entries(0, u64::MAX).iter().map(|entry| entry.data.len()).sum();
        assert!(
            bytes <= 60_000,
            "store {id} keeps {bytes} bytes of log in memory; the limit is 50000 applied"
        );
    }
    assert_eq!(sim.get("k0"), Some(large.into()));
    sim.finish();
}

/// Followers that keep up need no snapshots, however often the log is compacted.
#[rstest]
#[case::three(3)]
#[case::five(5)]
fn who_keeps_up_needs_no_snapshot(#[case] stores: u64) {
    let lab = lab!();
    let mut sim = setup(&lab, stores).start();
    sim.clients(Mix { clients: 4, ..Mix::default() });
    assert!(sim.until_answered(800, secs(60)), "the clients are served");
    assert!(sim.first_index(1) > 100, "the log was compacted");
    assert_eq!(sim.counts().streams, 0, "nobody was away");
    sim.finish();
}

/// A follower that has missed a few entries when the log is compacted still gets them: a snapshot is for those who are
/// far behind.
#[test]
fn who_is_a_little_behind_needs_no_snapshot() {
    let lab = lab!();
    let mut sim = setup(&lab, 3).start();
    (0..LIMIT - 5).for_each(|n| sim.put(&format!("k{n}"), "1"));
    let leader = sim.leader();
    let follower = sim.others(leader)[0];
    sim.settle();
    sim.run(millis(10));
    sim.cut(leader, follower);
    (0..6).for_each(|n| sim.put(&format!("k{n}"), "2"));
    sim.until("more than the limit is compacted at the next look, 50 ms away at most", millis(60), |sim| {
        sim.first_index(leader) > 6
    });
    sim.heal();
    sim.settle();
    assert_eq!(sim.data(follower, "k5"), Some("2".into()));
    assert_eq!(sim.counts().streams, 0, "six entries behind, of a limit of {LIMIT}: entries are enough");
    sim.finish();
}

/// A follower that is away stops nobody from compacting: or a dead store would fill all disks.
#[test]
fn who_is_away_stops_nobody() {
    let lab = lab!();
    let mut sim = setup(&lab, 3).start();
    let away = left_behind(&mut sim);
    sim.run(millis(500));
    for id in sim.others(away) {
        assert!(length(&sim, id) <= LIMIT, "store {id} keeps {} applied entries", length(&sim, id));
    }
    sim.heal();
    sim.finish();
}

/// A snapshot that takes very long holds up compaction for a while, and not for ever: memory is bounded.
#[test]
fn a_snapshot_that_takes_for_ever_stops_nobody() {
    let lab = lab!();
    let mut sim = setup(&lab, 3).chunks(5000, 1).start();
    sim.put("large", &"x".repeat(3_000_000));
    let away = left_behind(&mut sim);
    sim.heal();
    sim.until("a snapshot is sent", secs(5), |sim| sim.counts().streams > 0);
    let leader = sim.leader();
    for n in 0..15 * LIMIT {
        sim.put(&format!("k{}", n % 7), &n.to_string());
    }
    assert_eq!(sim.counts().received, 0, "three million bytes take three seconds");
    let length = length(&sim, leader);
    assert!(
        length <= 10 * LIMIT,
        "the log has {length} applied entries, more than eight times the limit of {LIMIT}"
    );
    assert!(sim.peer(away).apply_state().applied_index < sim.first_index(leader));
    sim.finish();
}

/// A compacted log survives restarts, and power cuts at any time: what the log is needed for is on the kv engine before
/// it goes.
#[rstest]
#[case::killed(false)]
#[case::power_cut(true)]
fn compacted_logs_survive_restarts(#[case] power_cut: bool) {
    let lab = lab!();
    for seed in lab.seeds(3) {
        let mut sim = crate::story::seeded(seed, 3).start();
        sim.clients(Mix { clients: 3, ..Mix::default() });
        for round in 0..12 {
            assert!(sim.until_answered(40, secs(20)), "the clients are served");
            let victims: &[u64] = if round % 4 == 3 { &[1, 2, 3] } else { &[1 + round % 3] };
            for id in victims {
                if power_cut { sim.crash(*id) } else { sim.kill(*id) }
            }
            sim.run(millis(30));
            victims.iter().for_each(|id| sim.restart(*id));
        }
        assert!((1..=3).all(|id| sim.first_index(id) > 100), "the logs were compacted");
        sim.finish();
    }
}

/// Each region has its own log.
#[test]
fn regions_compact_by_themselves() {
    let lab = lab!();
    let mut sim = setup(&lab, 3).regions(&["", "m"]).start();
    for n in 0..3 * LIMIT {
        sim.put("a", &n.to_string());
    }
    sim.put("z", "1");
    sim.run(secs(1));
    for id in 1..=3 {
        let first =
            |region| sim.store(id).peer(region).expect("it is there").node().raft().log().first_index();
        assert!(first(1) > 6, "store {id}: region 1 has a long log");
        assert_eq!(first(2), 6, "store {id}: region 2 has a short one");
    }
    sim.finish();
}
