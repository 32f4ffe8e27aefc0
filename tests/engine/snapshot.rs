//! A snapshot stands still.

use std::thread;

use raftkv::engine::{Cf, KeyRange, WriteBatch};
use raftkv_testkit::lab;

use crate::machine::on_each_machine;
use crate::{keys, pairs_in, put_all};

/// A snapshot shows the moment at which it was taken: no put, delete or range deletion of later shows.
#[test]
fn later_writes_do_not_show() {
    let _lab = lab!();
    on_each_machine(|machine| {
        let engine = machine.open().unwrap();
        put_all(&*engine, &[("a", "1"), ("b", "1"), ("c", "1")]);
        let before = engine.snapshot();
        let mut batch = WriteBatch::new();
        batch.put(Cf::Default, "a", "2");
        batch.put(Cf::Default, "aa", "2");
        batch.delete(Cf::Default, "b");
        batch.delete_range(Cf::Default, KeyRange::new("c", "d"));
        engine.write(batch, true).unwrap();
        let seen = pairs_in(before.as_ref(), Cf::Default, KeyRange::all());
        assert_eq!(seen, [("a", "1"), ("b", "1"), ("c", "1")].map(|(k, v)| (k.into(), v.into())));
        assert_eq!(before.get(Cf::Default, b"a").unwrap(), Some("1".into()));
        assert_eq!(before.get(Cf::Default, b"aa").unwrap(), None);
        assert_eq!(keys(&*engine, Cf::Default), "a aa", "a new snapshot shows everything");
    });
}

/// A cursor moves through its snapshot, not through what was written since.
#[test]
fn a_cursor_stands_on_its_snapshot() {
    let _lab = lab!();
    on_each_machine(|machine| {
        let engine = machine.open().unwrap();
        put_all(&*engine, &[("a", "1"), ("c", "1")]);
        let snapshot = engine.snapshot();
        let mut cursor = snapshot.cursor(Cf::Default, KeyRange::all());
        cursor.seek_to_first().unwrap();
        put_all(&*engine, &[("b", "2"), ("c", "2")]);
        cursor.next().unwrap();
        assert_eq!(cursor.entry(), Some((&b"c"[..], &b"1"[..])));
    });
}

/// Snapshots of different moments live side by side, and are independent of the engine's handle.
#[test]
fn snapshots_live_side_by_side() {
    let _lab = lab!();
    on_each_machine(|machine| {
        let engine = machine.open().unwrap();
        let snapshots: Vec<_> = (0..10)
            .map(|i| {
                put_all(&*engine, &[("k", &i.to_string())]);
                engine.snapshot()
            })
            .collect();
        drop(engine);
        for (i, snapshot) in snapshots.into_iter().enumerate() {
            assert_eq!(snapshot.get(Cf::Default, b"k").unwrap(), Some(i.to_string().into()));
        }
    });
}

/// A snapshot may go to another thread, which is how workers read while the store writes.
#[test]
#[expect(clippy::disallowed_methods, reason = "this is about a second thread")]
fn a_snapshot_may_change_threads() {
    let _lab = lab!();
    on_each_machine(|machine| {
        let engine = machine.open().unwrap();
        put_all(&*engine, &[("a", "1")]);
        let snapshot = engine.snapshot();
        let reading = thread::spawn(move || snapshot.get(Cf::Default, b"a").unwrap());
        put_all(&*engine, &[("a", "2")]);
        assert_eq!(reading.join().expect("the reading thread ends well"), Some("1".into()));
    });
}
