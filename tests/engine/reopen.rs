//! Closing and opening again.

use raftkv::engine::Cf;
use raftkv_testkit::lab;

use crate::machine::on_each_machine;
use crate::{keys, put_all, puts};

/// What was written is there when the engine is opened again, in every column family, synced or not: closing
/// is no crash.
#[test]
fn data_is_there_after_a_reopen() {
    let _lab = lab!();
    on_each_machine(|machine| {
        let engine = machine.open().unwrap();
        for cf in Cf::ALL {
            engine.write(puts(cf, &[("a", cf.name())]), true).unwrap();
            engine.write(puts(cf, &[("b", "unsynced")]), false).unwrap();
        }
        drop(engine);
        let engine = machine.open().unwrap();
        for cf in Cf::ALL {
            assert_eq!(keys(&*engine, cf), "a b", "in {cf}");
        }
    });
}

/// Two handles would not know of each other's writes: while an engine is open it cannot be opened again.
#[test]
fn an_open_engine_cannot_be_opened_again() {
    let _lab = lab!();
    on_each_machine(|machine| {
        let engine = machine.open().unwrap();
        put_all(&*engine, &[("a", "1")]);
        let error = machine.open().err().expect("the second open fails").to_string();
        assert!(error.starts_with("cannot open the database in "), "{error}");
        assert_eq!(keys(&*engine, Cf::Default), "a", "the first handle is none the worse");
    });
}

/// A snapshot keeps the engine open, and the last one to go closes it.
#[test]
fn the_last_snapshot_closes_the_engine() {
    let _lab = lab!();
    on_each_machine(|machine| {
        let engine = machine.open().unwrap();
        let snapshot = engine.snapshot();
        drop(engine);
        assert!(machine.open().is_err(), "a snapshot still reads from it");
        drop(snapshot);
        assert!(machine.open().is_ok());
    });
}
