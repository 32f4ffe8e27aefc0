//! The raftlog-gc worker by itself: which entries go, and when.

use std::sync::Arc;

use pretty_assertions::assert_eq;
use raftkv::engine::{Cf, Fault, MemDisk, WriteBatch, keys};
use raftkv::raftstore::Engines;
use raftkv::worker::raftlog_gc::delete_log;
use raftkv_testkit::lab;

/// Two regions' logs and states on a raft engine.
fn raft_disk() -> (MemDisk, Engines) {
    let disk = MemDisk::new();
    let open = |name| Arc::new(disk.open(name).expect("a new engine"));
    let engines = Engines { kv: open("kv"), raft: open("raft") };
    let mut batch = WriteBatch::new();
    for region in [6, 7, 8] {
        batch.put(Cf::Default, keys::raft_state(region), "state");
        (5..=20).for_each(|index| batch.put(Cf::Default, keys::raft_log(region, index), "entry"));
    }
    engines.raft.write(batch, true).expect("the disk is well");
    (disk, engines)
}

fn entries(engines: &Engines, region: u64) -> Vec<u64> {
    let snapshot = engines.raft.snapshot();
    let is_there = |index: &u64| {
        snapshot.get(Cf::Default, &keys::raft_log(region, *index)).expect("an engine in memory").is_some()
    };
    (0..=30).filter(is_there).collect()
}

/// The entries before the end go, of this region, and nothing else does.
#[test]
fn entries_are_deleted() {
    let _lab = lab!();
    let (_disk, engines) = raft_disk();
    delete_log(&engines, 7, 15).expect("the disk is well");
    assert_eq!(entries(&engines, 7), (15..=20).collect::<Vec<_>>());
    for region in [6, 8] {
        assert_eq!(entries(&engines, region), (5..=20).collect::<Vec<_>>(), "region {region}");
    }
    for region in [6, 7, 8] {
        let state = engines.raft.snapshot().get(Cf::Default, &keys::raft_state(region));
        assert_eq!(state.expect("an engine in memory"), Some("state".into()));
    }
    delete_log(&engines, 7, 10).expect("an older task that comes late has nothing to do");
    assert_eq!(entries(&engines, 7), (15..=20).collect::<Vec<_>>());
    delete_log(&engines, 7, 18).expect("the disk is well");
    assert_eq!(entries(&engines, 7), [18, 19, 20]);
}

/// What the kv engine has not synced may be gone after a loss of power, and would need the entries again: so it is
/// synced before the first one goes.
#[test]
fn the_data_is_safe_before_the_log_goes() {
    let _lab = lab!();
    for write in 1..10 {
        let (disk, engines) = raft_disk();
        let mut batch = WriteBatch::new();
        batch.put(Cf::Default, "data", "of entry 14");
        engines.kv.write(batch, false).expect("the disk is well");
        disk.plan(disk.writes() + write, Fault::StopAfter);
        let _stopped = delete_log(&engines, 7, 15);
        let struck = disk.struck() > 0;
        let safe = disk.synced("kv").get(Cf::Default, b"data").expect("an engine in memory").is_some();
        let gone = engines
            .raft
            .snapshot()
            .get(Cf::Default, &keys::raft_log(7, 14))
            .expect("an engine in memory")
            .is_none();
        assert!(safe || !gone, "stopped after write {write}: entry 14 is gone, and what it did is not safe");
        if !struck {
            return;
        }
    }
}
