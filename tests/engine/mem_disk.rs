//! The simulated disk: what it forgets, and how it fails when it is told to.

use raftkv::engine::{Cf, Engine, EngineError, Fault, MemDisk, MemEngine};
use raftkv_testkit::lab;

use crate::{keys, put_all, puts};

/// Unlike a real one, this disk loses every write that was not synced: code that forgets to sync is found.
#[test]
fn a_crash_loses_every_unsynced_write() {
    let _lab = lab!();
    let disk = MemDisk::new();
    let engine = disk.open("kv").unwrap();
    put_all(&engine, &[("a", "1")]);
    engine.write(puts(Cf::Default, &[("b", "1")]), false).unwrap();
    disk.restart();
    assert_eq!(keys(&disk.open("kv").unwrap(), Cf::Default), "a");
}

/// After a restart, a handle from before it is dead: it belongs to a process that is gone.
#[test]
fn handles_from_before_a_restart_are_dead() {
    let _lab = lab!();
    let disk = MemDisk::new();
    let old = disk.open("kv").unwrap();
    disk.restart();
    let new = disk.open("kv").unwrap();
    let error = old.write(puts(Cf::Default, &[("a", "1")]), true).unwrap_err();
    assert!(matches!(error, EngineError::Crashed), "{error}");
    assert_eq!(keys(&new, Cf::Default), "");
}

/// The engines of a disk are separate, stop together and come back together.
#[test]
fn engines_share_the_fate_of_their_disk() {
    let _lab = lab!();
    let disk = MemDisk::new();
    let (kv, raft) = (disk.open("kv").unwrap(), disk.open("raft").unwrap());
    disk.plan(2, Fault::StopBefore);
    put_all(&kv, &[("a", "1")]);
    assert!(raft.write(puts(Cf::Default, &[("b", "1")]), true).is_err(), "the second write of the disk");
    assert!(disk.is_stopped());
    assert!(kv.write(puts(Cf::Default, &[("c", "1")]), true).is_err(), "a stopped machine writes nothing");
    disk.restart();
    assert!(!disk.is_stopped());
    assert_eq!(keys(&disk.open("kv").unwrap(), Cf::Default), "a");
    assert_eq!(keys(&disk.open("raft").unwrap(), Cf::Default), "");
}

/// The three faults differ in what they leave and in who goes on.
#[test]
fn faults_do_what_they_say() {
    let _lab = lab!();
    for (fault, left, goes_on) in
        [(Fault::Fail, "a c", true), (Fault::StopBefore, "a", false), (Fault::StopAfter, "a b", false)]
    {
        let disk = MemDisk::new();
        let engine = disk.open("kv").unwrap();
        disk.plan(2, fault);
        put_all(&engine, &[("a", "1")]);
        let told = engine.write(puts(Cf::Default, &[("b", "1")]), true);
        assert!(told.is_err(), "{fault:?}: the caller is not told that the write is safe");
        let next = engine.write(puts(Cf::Default, &[("c", "1")]), true);
        assert_eq!(next.is_ok(), goes_on, "{fault:?}: the machine goes on");
        disk.restart();
        assert_eq!(keys(&disk.open("kv").unwrap(), Cf::Default), left, "{fault:?}: what is on disk");
    }
}

/// A sweep over the write number visits every point at which a machine can stop, and each leaves a prefix of
/// what was written.
#[test]
fn a_sweep_visits_every_crash_point() {
    let _lab = lab!();
    let writes = ["a", "b", "c", "d"];
    let mut left = Vec::new();
    for n in 1..=writes.len() as u64 + 1 {
        let disk = MemDisk::new();
        disk.plan(n, Fault::StopBefore);
        let engine = disk.open("kv").unwrap();
        for key in writes {
            if engine.write(puts(Cf::Default, &[(key, "1")]), true).is_err() {
                break;
            }
        }
        disk.restart();
        left.push(keys(&disk.open("kv").unwrap(), Cf::Default));
    }
    assert_eq!(left, ["", "a", "a b", "a b c", "a b c d"]);
}

/// A killed process loses nothing that it has written, synced or not: the machine is still up. Power loss does.
#[test]
fn a_killed_process_keeps_what_it_wrote() {
    let _lab = lab!();
    let disk = MemDisk::new();
    let engine = disk.open("kv").unwrap();
    engine.write(puts(Cf::Default, &[("a", "1")]), true).unwrap();
    engine.write(puts(Cf::Default, &[("b", "1")]), false).unwrap();
    disk.restart_process();
    assert!(engine.write(puts(Cf::Default, &[("c", "1")]), true).is_err(), "the old process is gone");
    assert_eq!(keys(&disk.open("kv").unwrap(), Cf::Default), "a b", "killed");
    disk.restart();
    assert_eq!(keys(&disk.open("kv").unwrap(), Cf::Default), "a", "power lost");
}

/// Writes are counted over all engines, failed ones included, so a sweep knows where to end.
#[test]
fn writes_are_counted() {
    let _lab = lab!();
    let disk = MemDisk::new();
    disk.plan(2, Fault::Fail);
    for name in ["kv", "raft", "kv"] {
        let _ = disk.open(name).unwrap().write(puts(Cf::Default, &[("a", "1")]), true);
    }
    assert_eq!(disk.writes(), 3);
}

/// An engine can be had without a disk, where nobody wants to crash it.
#[test]
fn an_engine_of_its_own_needs_no_disk() {
    let _lab = lab!();
    let (one, other) = (MemEngine::new(), MemEngine::new());
    put_all(&one, &[("a", "1")]);
    assert_eq!((keys(&one, Cf::Default), keys(&other, Cf::Default)), ("a".into(), String::new()));
}
