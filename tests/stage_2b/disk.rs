//! Disks that are full, broken or slow. A write that fails is not a crash: the store is still there and has people
//! waiting. It stops, tells them, and promises nothing more.

use pretty_assertions::assert_eq;
use raftkv::engine::Fault as WriteFault;
use raftkv::error::Error;
use raftkv_testkit::lab;
use raftkv_testkit::sim::{Fault, Mix, Nemesis, Setup, Sim, millis, secs};
use rstest::rstest;

use crate::commands::{command, put, refused, snap};

/// Commands at a store whose `n`-th write from now fails: puts, and a read behind each of them.
fn fail_at(sim: &mut Sim, store: u64, n: u64) -> Vec<u64> {
    sim.crash_at_write(store, n, WriteFault::Fail);
    let mut ids = Vec::new();
    for i in 0..3 {
        for requests in [vec![put(&format!("k{i}"), "1")], vec![snap()]] {
            let request = command(sim, store, requests);
            ids.push(sim.begin_command(store, request));
        }
    }
    sim.run(millis(200));
    ids
}

/// Whichever write fails, of the log or of the data: everyone who waits is answered, nobody is told of a success that
/// the disk does not have, and with a good disk the store takes its place again. What was acknowledged is there.
#[rstest]
#[case::of_three(3, 400)]
#[case::alone(1, 400)]
#[case::of_three_with_slow_disks(3, 10_000)]
#[case::alone_with_a_slow_disk(1, 10_000)]
fn a_write_fails(#[case] stores: u64, #[case] disk: u64) {
    let lab = lab!();
    let mut stopped = 0;
    for n in 1..=10 {
        let mut sim = Setup::of(&lab, stores).start();
        let leader = sim.leader();
        sim.settle();
        sim.run(millis(50));
        sim.slow_disk(leader, disk / 4, disk);
        let ids = fail_at(&mut sim, leader, n);
        let Some(why) = sim.stopped(leader) else { continue };
        assert!(why.contains("planned to fail"), "the store says why it has stopped: {why}");
        stopped += 1;
        let mut acknowledged = Vec::new();
        for (i, id) in ids.into_iter().enumerate() {
            match sim
                .take_reply(id)
                .unwrap_or_else(|| panic!("write {n} failed, and command {i} has no answer"))
            {
                Ok(_) if i % 2 == 0 => acknowledged.push(format!("k{}", i / 2)),
                Ok(_) => {}
                Err(Error::Undetermined(_)) => {}
                Err(Error::Region(error)) => assert!(
                    error.server_is_busy.is_some(),
                    "a command that the store had taken in is undetermined; one that comes later is refused: {error:?}"
                ),
                Err(error) => panic!("undetermined, or refused; not {error}"),
            }
        }
        sim.finish();
        for key in acknowledged {
            assert_eq!(sim.get(&key), Some("1".into()), "{key} was acknowledged before write {n} failed");
        }
        sim.assert_struck(&[Fault::DiskError, Fault::Restart]);
    }
    assert!(stopped >= 2, "log and data are written: only {stopped} of 10 planned writes came");
}

/// A store that has stopped refuses commands in a way that lets the client go elsewhere, and says nothing to other
/// stores.
#[test]
fn a_stopped_store_refuses() {
    let lab = lab!();
    let mut sim = Setup::of(&lab, 3).start();
    let leader = sim.leader();
    sim.settle();
    fail_at(&mut sim, leader, 1);
    sim.until("the write comes", secs(1), |sim| sim.stopped(leader).is_some());
    let request = command(&sim, leader, vec![put("late", "1")]);
    let error = refused(sim.command(leader, request));
    assert!(error.server_is_busy.is_some(), "certainly not carried out: {error:?}");
    sim.until("the others hear nothing from it, and elect a leader", secs(10), |sim| {
        sim.elected().is_some_and(|id| id != leader)
    });
    sim.put("a", "1");
    sim.finish();
    assert_eq!(sim.get("late"), None, "refused is not carried out");
}

/// A follower's disk fails: the others do not even notice.
#[test]
fn a_follower_stops() {
    let lab = lab!();
    for n in 1..=3 {
        let mut sim = Setup::of(&lab, 3).start();
        let leader = sim.leader();
        let follower = sim.others(leader)[0];
        sim.settle();
        sim.crash_at_write(follower, n, WriteFault::Fail);
        for i in 0..5 {
            sim.put(&format!("k{i}"), "1");
        }
        sim.run(millis(50));
        assert!(sim.stopped(follower).is_some(), "write {n} has come");
        assert_eq!(sim.leader(), leader, "two of three are enough");
        sim.finish();
        assert_eq!(sim.data(follower, "k4"), Some("1".into()), "started again, it has caught up");
        sim.assert_struck(&[Fault::DiskError, Fault::Restart]);
    }
}

/// A minority with slow disks holds up nobody: a commit takes the faster half (section 5.3).
#[test]
fn slow_disks_of_a_minority() {
    let lab = lab!();
    let mut sim = Setup::of(&lab, 5).start();
    let leader = sim.leader();
    sim.settle();
    for slow in &sim.others(leader)[..2] {
        sim.slow_disk(*slow, millis(100), millis(200));
    }
    let start = sim.now();
    for n in 0..20 {
        sim.put(&format!("k{n}"), "1");
    }
    let took = sim.now() - start;
    assert!(took < millis(400), "three of five have fast disks: twenty puts take {} ms", took / 1000);
    sim.finish();
    sim.assert_struck(&[Fault::SlowDisk]);
}

/// Disks are full or slow at random while clients work.
#[test]
fn disks_fail_at_any_time() {
    let lab = lab!();
    for seed in lab.seeds(3) {
        let mut sim = Setup::seeded(seed, 3).start();
        sim.clients(Mix { pause: millis(20), ..Mix::default() });
        sim.trouble(Nemesis { crashes: false, every: millis(60), ..Nemesis::machines() });
        sim.run(secs(4));
        sim.finish();
        sim.assert_struck(&[Fault::DiskError, Fault::SlowDisk, Fault::Restart]);
    }
}
