//! What a crash leaves.

use raftkv::engine::{Cf, KeyRange, WriteBatch};
use raftkv_testkit::lab;

use crate::machine::on_each_machine;
use crate::{get, keys, put_all, puts};

/// A synced write is there after a crash, and so is every unsynced one before it: a log is synced up to a
/// point, not in pieces.
#[test]
fn synced_writes_and_those_before_them_survive() {
    let _lab = lab!();
    on_each_machine(|machine| {
        let engine = machine.open().unwrap();
        engine.write(puts(Cf::Write, &[("a", "1")]), false).unwrap();
        engine.write(puts(Cf::Default, &[("b", "1"), ("c", "1"), ("d", "1")]), false).unwrap();
        let mut batch = WriteBatch::new();
        batch.put(Cf::Default, "b", "2");
        batch.delete(Cf::Default, "c");
        batch.delete_range(Cf::Default, KeyRange::new("d", "e"));
        engine.write(batch, true).unwrap();
        machine.crash();
        drop(engine);
        let engine = machine.open().unwrap();
        assert_eq!(keys(&*engine, Cf::Write), "a");
        assert_eq!(keys(&*engine, Cf::Default), "b");
        assert_eq!(get(&*engine, Cf::Default, "b"), Some("2".into()));
    });
}

/// What an unsynced batch leaves is all of it or nothing, and never a later batch without an earlier one.
#[test]
fn unsynced_batches_are_lost_whole_and_from_the_end() {
    let _lab = lab!();
    on_each_machine(|machine| {
        let engine = machine.open().unwrap();
        put_all(&*engine, &[("safe", "1")]);
        for i in 0..20 {
            let mut batch = puts(Cf::Default, &[(&format!("k{i:02}"), "1")]);
            batch.put(Cf::Lock, format!("k{i:02}"), "1");
            engine.write(batch, false).unwrap();
        }
        machine.crash();
        drop(engine);
        let engine = machine.open().unwrap();
        assert!(get(&*engine, Cf::Default, "safe").is_some());
        let there = |cf: Cf| -> Vec<bool> {
            (0..20).map(|i| get(&*engine, cf, &format!("k{i:02}")).is_some()).collect()
        };
        let (in_default, in_lock) = (there(Cf::Default), there(Cf::Lock));
        assert_eq!(in_default, in_lock, "a batch is there in all its column families or in none");
        assert!(in_default.is_sorted_by(|earlier, later| earlier >= later), "a hole: {in_default:?}");
    });
}

/// A crash does not hurt the disk: the engine opens, takes writes and survives the next crash.
#[test]
fn an_engine_goes_on_after_any_number_of_crashes() {
    let _lab = lab!();
    on_each_machine(|machine| {
        for round in 0..5 {
            let engine = machine.open().unwrap();
            put_all(&*engine, &[(&format!("k{round}"), "1")]);
            machine.crash();
        }
        assert_eq!(keys(&*machine.open().unwrap(), Cf::Default), "k0 k1 k2 k3 k4");
    });
}
