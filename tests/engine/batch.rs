//! What a batch does.

use raftkv::engine::{Cf, EngineError, KeyRange, MAX_KEY_LEN, WriteBatch};
use raftkv_testkit::lab;

use crate::machine::on_each_machine;
use crate::{get, keys, put_all, puts};

/// A write is visible to every snapshot that is taken after it, synced or not.
#[test]
fn a_write_is_visible_at_once() {
    let _lab = lab!();
    on_each_machine(|machine| {
        let engine = machine.open().unwrap();
        engine.write(puts(Cf::Default, &[("a", "1"), ("b", "")]), false).unwrap();
        assert_eq!(get(&*engine, Cf::Default, "a"), Some("1".into()));
        assert_eq!(get(&*engine, Cf::Default, "b"), Some("".into()), "an empty value is a value");
        assert_eq!(get(&*engine, Cf::Default, "c"), None);
    });
}

/// The operations of a batch take effect in their order.
#[test]
fn later_operations_win() {
    let _lab = lab!();
    on_each_machine(|machine| {
        let engine = machine.open().unwrap();
        put_all(&*engine, &[("a", "0"), ("b", "0"), ("c", "0")]);
        let mut batch = puts(Cf::Default, &[("a", "1"), ("a", "2"), ("b", "1")]);
        batch.delete(Cf::Default, "b");
        batch.delete_range(Cf::Default, KeyRange::new("c", "e"));
        batch.put(Cf::Default, "d", "after the range was deleted");
        engine.write(batch, true).unwrap();
        assert_eq!(keys(&*engine, Cf::Default), "a d");
        assert_eq!(get(&*engine, Cf::Default, "a"), Some("2".into()));
    });
}

/// Of the operations on a key the last one counts, also where an engine leaves out what a later one replaces.
#[test]
fn only_the_last_operation_on_a_key_counts() {
    let _lab = lab!();
    on_each_machine(|machine| {
        let engine = machine.open().unwrap();
        let mut batch = WriteBatch::new();
        for key in [b"a", b"b", b"c"] {
            batch.put(Cf::Raft, &key[..], "1");
        }
        batch.delete(Cf::Raft, "a");
        batch.delete_range(Cf::Raft, KeyRange::new("b", "c"));
        batch.put(Cf::Raft, "a", "2");
        batch.put(Cf::Raft, "b", "2");
        batch.delete(Cf::Raft, "b");
        batch.put(Cf::Default, "c", "another family's");
        engine.write(batch, false).unwrap();
        let values = ["a", "b", "c"].map(|key| get(&*engine, Cf::Raft, key));
        assert_eq!(values, [Some("2".into()), None, Some("1".into())]);
    });
}

/// The same key lives its own life in each column family, also in the store's own one.
#[test]
fn column_families_stay_apart() {
    let _lab = lab!();
    on_each_machine(|machine| {
        let engine = machine.open().unwrap();
        let mut batch = WriteBatch::new();
        for cf in Cf::ALL {
            batch.put(cf, "k", cf.name());
        }
        batch.delete(Cf::Write, "k");
        engine.write(batch, true).unwrap();
        for cf in Cf::ALL {
            let expected = (cf != Cf::Write).then(|| cf.name().into());
            assert_eq!(get(&*engine, cf, "k"), expected, "in {cf}");
        }
    });
}

/// Deleting what does not exist is no error, and an empty batch is none either.
#[test]
fn there_may_be_nothing_to_do() {
    let _lab = lab!();
    on_each_machine(|machine| {
        let engine = machine.open().unwrap();
        let mut batch = WriteBatch::new();
        batch.delete(Cf::Lock, "nothing");
        batch.delete_range(Cf::Lock, KeyRange::all());
        engine.write(batch, true).unwrap();
        engine.write(WriteBatch::new(), true).unwrap();
        engine.write(WriteBatch::new(), false).unwrap();
    });
}

/// A range deletion takes the start with it and leaves the end; an empty end is no bound; a range that ends
/// before it starts has no keys.
#[test]
fn ranges_are_deleted_within_their_bounds() {
    let _lab = lab!();
    let cases = [
        (("b", "d"), "a d e"),
        (("b", "b"), "a b c d e"),
        (("d", "b"), "a b c d e"),
        (("c", ""), "a b"),
        (("", "c"), "c d e"),
        (("", ""), ""),
        (("bb", "dd"), "a b e"),
        (("x", "z"), "a b c d e"),
    ];
    on_each_machine(|machine| {
        let engine = machine.open().unwrap();
        for ((start, end), left) in cases {
            put_all(&*engine, &[("a", "1"), ("b", "1"), ("c", "1"), ("d", "1"), ("e", "1")]);
            let mut batch = WriteBatch::new();
            batch.delete_range(Cf::Default, KeyRange::new(start, end));
            engine.write(batch, true).unwrap();
            assert_eq!(keys(&*engine, Cf::Default), left, "after the keys from {start:?} to {end:?}");
        }
    });
}

/// "No bound" also means the greatest key that can be, and only the one column family.
#[test]
fn an_open_range_reaches_the_greatest_key() {
    let _lab = lab!();
    on_each_machine(|machine| {
        let engine = machine.open().unwrap();
        let greatest = vec![0xff; MAX_KEY_LEN];
        let mut batch = puts(Cf::Default, &[("a", "1"), ("b", "1")]);
        batch.put(Cf::Default, greatest.clone(), "1");
        batch.put(Cf::Write, greatest.clone(), "1");
        engine.write(batch, true).unwrap();
        let mut batch = WriteBatch::new();
        batch.delete_range(Cf::Default, KeyRange::new("b", ""));
        engine.write(batch, true).unwrap();
        assert_eq!(keys(&*engine, Cf::Default), "a");
        let other = engine.snapshot().get(Cf::Write, &greatest).unwrap();
        assert_eq!(other, Some("1".into()), "another column family is not touched");
    });
}

/// A batch with a key that is too long is refused whole.
#[test]
fn a_key_that_is_too_long_is_refused_with_its_batch() {
    let _lab = lab!();
    on_each_machine(|machine| {
        let engine = machine.open().unwrap();
        let mut batch = puts(Cf::Default, &[("a", "1")]);
        batch.put(Cf::Default, vec![b'x'; MAX_KEY_LEN + 1], "1");
        let error = engine.write(batch, true).unwrap_err();
        assert!(matches!(error, EngineError::KeyTooLong(len) if len == MAX_KEY_LEN + 1), "{error}");
        assert_eq!(keys(&*engine, Cf::Default), "", "nothing of the batch was written");
    });
}
