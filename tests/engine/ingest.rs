//! Many pairs in one go, and what they are safe from.

use bytes::Bytes;
use raftkv::engine::{Cf, Engine, EngineError, KeyRange, MAX_KEY_LEN, Pair, WriteBatch};
use raftkv_testkit::lab;

use crate::machine::on_each_machine;
use crate::{get, keys, put_all, puts};

fn ingest(engine: &dyn Engine, cf: Cf, pairs: &[(&str, &str)]) -> Result<(), EngineError> {
    let mut pairs =
        pairs.iter().map(|(key, value)| Ok((Bytes::from(key.to_string()), Bytes::from(value.to_string()))));
    engine.ingest(cf, &mut pairs)
}

/// Pairs are there when `ingest` returns, over what was there before, in their column family only; and a snapshot from
/// before does not see them.
#[test]
fn pairs_are_taken_in() {
    let _lab = lab!();
    on_each_machine(|machine| {
        let engine = machine.open().unwrap();
        put_all(&*engine, &[("a", "old"), ("b", "old"), ("d", "old")]);
        let before = engine.snapshot();
        ingest(&*engine, Cf::Default, &[("b", "new"), ("c", "new"), ("e", "")]).unwrap();
        assert_eq!(keys(&*engine, Cf::Default), "a b c d e");
        assert_eq!(get(&*engine, Cf::Default, "b"), Some("new".into()));
        assert_eq!(get(&*engine, Cf::Default, "e"), Some("".into()));
        assert_eq!(keys(&*engine, Cf::Lock), "");
        assert_eq!(before.get(Cf::Default, b"b").unwrap(), Some("old".into()));
        assert_eq!(before.get(Cf::Default, b"c").unwrap(), None);
    });
}

/// What is written afterwards lies over it; a range that was cleared before does not hide it.
#[test]
fn the_order_of_writes_holds() {
    let _lab = lab!();
    on_each_machine(|machine| {
        let engine = machine.open().unwrap();
        put_all(&*engine, &[("a", "1"), ("b", "1"), ("z", "1")]);
        let mut batch = WriteBatch::new();
        batch.delete_range(Cf::Default, KeyRange::new("a", "m"));
        engine.write(batch, true).unwrap();
        ingest(&*engine, Cf::Default, &[("b", "2"), ("c", "2")]).unwrap();
        engine.write(puts(Cf::Default, &[("c", "3")]), false).unwrap();
        assert_eq!(keys(&*engine, Cf::Default), "b c z");
        assert_eq!(get(&*engine, Cf::Default, "c"), Some("3".into()));
    });
}

/// No pairs at all are fine, and so are twice the same.
#[test]
fn nothing_and_again() {
    let _lab = lab!();
    on_each_machine(|machine| {
        let engine = machine.open().unwrap();
        ingest(&*engine, Cf::Write, &[]).unwrap();
        for _ in 0..3 {
            ingest(&*engine, Cf::Write, &[("a", "1"), ("b", "2")]).unwrap();
        }
        assert_eq!(keys(&*engine, Cf::Write), "a b");
    });
}

/// Safe when it returns, without any sync; what was written before and not synced is as unsafe as ever.
#[test]
fn a_crash_afterwards() {
    let _lab = lab!();
    on_each_machine(|machine| {
        let engine = machine.open().unwrap();
        put_all(&*engine, &[("safe", "1")]);
        ingest(&*engine, Cf::Default, &[("taken", "1")]).unwrap();
        machine.crash();
        drop(engine);
        let engine = machine.open().unwrap();
        assert_eq!(keys(&*engine, Cf::Default), "safe taken");
    });
}

/// A source that fails, keys that do not ascend, or one that is too long: an error, and nothing is taken in.
#[test]
fn a_bad_source_changes_nothing() {
    let _lab = lab!();
    let pair = |key: &str| -> Result<Pair, EngineError> { Ok((Bytes::from(key.to_string()), "x".into())) };
    let bad = |n: usize| -> Vec<Result<Pair, EngineError>> {
        match n {
            0 => vec![pair("b"), Err(EngineError::Io("the file is damaged".to_string()))],
            1 => vec![pair("b"), pair("a")],
            2 => vec![pair("b"), pair("b")],
            _ => vec![pair("b"), pair(&"k".repeat(MAX_KEY_LEN + 1))],
        }
    };
    on_each_machine(|machine| {
        let engine = machine.open().unwrap();
        put_all(&*engine, &[("b", "old")]);
        for n in 0..4 {
            assert!(engine.ingest(Cf::Default, &mut bad(n).into_iter()).is_err(), "source {n}");
            assert_eq!(get(&*engine, Cf::Default, "b"), Some("old".into()), "source {n}");
        }
        ingest(&*engine, Cf::Default, &[("b", "new")]).unwrap();
        assert_eq!(get(&*engine, Cf::Default, "b"), Some("new".into()), "the next one is taken");
    });
}

/// `sync` makes everything safe that was written before.
#[test]
fn sync_makes_safe() {
    let _lab = lab!();
    on_each_machine(|machine| {
        let engine = machine.open().unwrap();
        engine.write(puts(Cf::Default, &[("a", "1")]), false).unwrap();
        engine.write(puts(Cf::Lock, &[("b", "1")]), false).unwrap();
        engine.sync().unwrap();
        machine.crash();
        drop(engine);
        let engine = machine.open().unwrap();
        assert_eq!((keys(&*engine, Cf::Default), keys(&*engine, Cf::Lock)), ("a".into(), "b".into()));
    });
}
