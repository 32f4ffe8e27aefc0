//! Streams that break, chunks that are lost or damaged, disks that are full: the store goes on, and tries again.

use raftkv::engine::Fault as WriteFault;
use raftkv_testkit::lab;
use raftkv_testkit::sim::{Fault, Sim, Weather, millis, on_rocksdb, secs};
use rstest::rstest;

use crate::story::{catches_up, left_behind, seeded, setup};

/// Of a hundred chunks, so many do not arrive as they should. In the end one snapshot does, and nothing else is ever
/// loaded: what is loaded is compared with what it was made of, each time.
#[rstest]
#[case::a_few(5)]
#[case::many(20)]
fn streams_are_in_trouble(#[case] percent: u64) {
    let lab = lab!();
    for seed in lab.seeds(3) {
        let mut sim = seeded(seed, 3).start();
        let away = left_behind(&mut sim);
        sim.weather(Weather { stream_trouble: percent, ..Weather::default() });
        sim.heal();
        sim.run(secs(4));
        sim.weather(Weather::default());
        catches_up(&mut sim, away);
        sim.finish();
    }
}

/// Every stream breaks or brings damage for a while: none of it is loaded, nothing is left of it, and when the network
/// is well again, so is the store.
#[test]
fn nothing_damaged_is_loaded() {
    let lab = lab!();
    let mut sim = setup(&lab, 3).start();
    let away = left_behind(&mut sim);
    sim.weather(Weather { stream_trouble: 60, ..Weather::default() });
    sim.heal();
    sim.run(secs(5));
    let counts = sim.counts();
    assert!(counts.broken >= 3, "the sender tries again and again: {counts:?}");
    sim.assert_struck(&[Fault::StreamCut, Fault::ChunkLost, Fault::ChunkDamaged]);
    sim.weather(Weather::default());
    catches_up(&mut sim, away);
    sim.finish();
}

/// The link is cut in the middle of the stream, either way.
#[rstest]
#[case::to_the_receiver(true)]
#[case::to_the_sender(false)]
fn the_link_is_cut_in_the_middle(#[case] forth: bool) {
    let lab = lab!();
    let mut sim = setup(&lab, 3).chunks(20, 1).start();
    let away = left_behind(&mut sim);
    sim.heal();
    sim.until("a snapshot is sent", secs(10), |sim| sim.counts().streams > 0);
    sim.run(millis(5));
    let leader = sim.leader();
    if forth {
        sim.cut(leader, away)
    } else {
        sim.cut(away, leader)
    }
    sim.run(secs(1));
    sim.heal();
    catches_up(&mut sim, away);
    sim.assert_struck(&[Fault::Cut]);
    sim.finish();
}

/// A chunk that waits for long is as good as one that does not.
#[test]
fn a_stream_stalls() {
    let lab = lab!();
    let mut sim = setup(&lab, 3).chunks(20, 1).start();
    let away = left_behind(&mut sim);
    sim.heal();
    sim.until("a snapshot is sent", secs(10), |sim| sim.counts().streams > 0);
    let leader = sim.leader();
    sim.hold(leader, away);
    sim.run(secs(1));
    sim.release();
    catches_up(&mut sim, away);
    sim.finish();
}

/// A write fails, at every place where the receiver writes until the snapshot is accepted: the disk is full. While it
/// receives, the store goes on, and gets another snapshot; where the store itself writes, it stops, and is started
/// again.
#[test]
fn the_receivers_disk_is_full() {
    let lab = lab!();
    let mut went_on = 0;
    for write in (1..=40).step_by(if on_rocksdb() { 5 } else { 1 }) {
        let mut sim = setup(&lab, 3).start();
        let away = left_behind(&mut sim);
        sim.crash_at_write(away, write, WriteFault::Fail);
        sim.heal();
        sim.run(secs(2));
        went_on += u64::from(sim.struck(Fault::WorkerDiskError) > 0 && sim.is_up(away));
        let struck = sim.struck(Fault::WorkerDiskError) + sim.struck(Fault::DiskError) > 0;
        sim.restart(away);
        catches_up(&mut sim, away);
        sim.finish();
        if !struck {
            break;
        }
    }
    assert!(
        went_on >= if on_rocksdb() { 1 } else { 4 },
        "a disk that is full for what comes in is no reason to stop: {went_on} times"
    );
}

/// The same where the snapshot is made.
#[test]
fn the_senders_disk_is_full() {
    let lab = lab!();
    let mut failed = 0;
    for write in (1..=30).step_by(if on_rocksdb() { 5 } else { 1 }) {
        let mut sim = setup(&lab, 3).start();
        let away = left_behind(&mut sim);
        sim.heal();
        sim.until("a snapshot is wanted", secs(10), |sim| sim.counts().generated > 0);
        let leader = sim.leader();
        sim.crash_at_write(leader, write, WriteFault::Fail);
        sim.run(secs(2));
        failed += u64::from(sim.struck(Fault::WorkerDiskError) > 0 && sim.is_up(leader));
        sim.restart(leader);
        catches_up(&mut sim, away);
        sim.finish();
    }
    assert!(failed >= 1, "a snapshot that cannot be made is made later; the store goes on: {failed} times");
}

/// Somebody damages the files of a snapshot that was accepted and not loaded yet, while the machine is down: the store
/// does not load them, and says so. It has promised to have this data, so it must not go on without it.
#[rstest]
#[case::a_file_is_gone(None)]
#[case::a_file_is_cut(Some(Damage::Cut))]
#[case::a_byte_is_wrong(Some(Damage::Flipped))]
fn files_are_damaged_on_the_disk(#[case] damage: Option<Damage>) {
    let lab = lab!();
    let mut sim = setup(&lab, 3).start();
    let away = left_behind(&mut sim);
    sim.slow_workers(away, secs(2), secs(2));
    sim.heal();
    sim.until("the snapshot is accepted", secs(20), |sim| {
        sim.peer(away).node().storage().loading().is_some()
    });
    sim.kill(away);
    damage_file(&mut sim, away, damage);
    sim.restart(away);
    sim.run(secs(3));
    assert!(sim.stopped(away).is_some(), "the data of the snapshot is not there: the store has to stop");
    sim.put("after", "1");
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Damage {
    Cut,
    Flipped,
}

fn damage_file(sim: &mut Sim, id: u64, damage: Option<Damage>) {
    sim.edit_files(id, |folder| {
        let names = folder.list().expect("the simulated disk can be read");
        let name = names.iter().find(|name| name.contains("default")).expect("there is a file of pairs");
        let mut data =
            folder.open(name).and_then(|mut file| file.read(1 << 20)).expect("it can be read").to_vec();
        folder.remove(name).expect("it can be removed");
        match damage {
            None => return,
            Some(Damage::Cut) => data.truncate(data.len() / 2),
            Some(Damage::Flipped) => {
                let last = data.len() - 1;
                data[last] ^= 1;
            }
        }
        let mut file = folder.create(name).expect("it can be written");
        file.append(&data).and_then(|()| file.sync()).expect("it can be written");
    });
}
