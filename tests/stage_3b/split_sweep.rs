//! A split writes to both disks, and the machine may stop at each write: before it or after it, with the power or only
//! the process.

use pretty_assertions::assert_eq;
use raftkv::engine::Fault as WriteFault;
use raftkv::proto::eraftpb::{Message, MessageType};
use raftkv::proto::raft_serverpb::PeerState;
use raftkv_testkit::lab;
use raftkv_testkit::sim::{Fault, Setup, Sim, batch_split, millis};
use rstest::rstest;

use crate::lone::Lone;
use crate::messages::{BEGIN, append, change, entry, epoch, message, peer, region, split};

/// Stops a store that applies a split, at its `n`-th write from now, and starts it again. False if there is no such
/// write.
fn stop_alone(lone: &mut Lone, n: u64, fault: WriteFault, power_cut: bool) -> bool {
    let request = change(lone.region(7), split(&[("h", 8, &[81, 82, 83]), ("k", 9, &[91, 92, 93])], false));
    lone.fault_at(n, fault);
    lone.tell(append(&region(), BEGIN, vec![entry(6, &request)]));
    let stopped = lone.failure.is_some();
    lone.restart(power_cut);
    stopped
}

/// Wherever the machine stops: all parts are on its disk, or the old region as it was. And after the next message of
/// the leader the parts are there, each with its peer.
#[rstest]
#[case::power_cut(true)]
#[case::kill(false)]
fn all_parts_or_none(#[case] power_cut: bool) {
    let _lab = lab!();
    let mut struck = 0;
    let (mut whole, mut cut) = (0, 0);
    for fault in [WriteFault::StopBefore, WriteFault::StopAfter] {
        for n in 1..20 {
            let mut lone = Lone::new(&[region()]);
            if !stop_alone(&mut lone, n, fault, power_cut) {
                break;
            }
            struck += 1;
            let version = lone.region(7).region_epoch.unwrap_or_default().version;
            let is_cut = version == 32;
            assert!(is_cut || version == 30, "{fault:?} at write {n}: version {version}");
            for id in [8, 9] {
                let why = format!("{fault:?} at write {n}: region 7 has version {version}");
                assert_eq!(
                    lone.has_peer(id),
                    is_cut,
                    "{why}, and the peer of region {id} is there, or is not"
                );
                assert_eq!(lone.region_state(id).is_some(), is_cut, "{why}: the record of region {id}");
            }
            if is_cut {
                cut += 1
            } else {
                whole += 1
            }
            let commit = lone.last_index(7);
            lone.hear(&region(), peer(2), Message { commit, ..message(MessageType::MsgHeartbeat, 6) });
            if lone.last_index(7) == 5 {
                assert!(!stop_alone(&mut lone, 100, fault, power_cut), "this time nothing fails");
            }
            for id in [7, 8, 9] {
                let peer = lone.peer(id);
                assert_eq!(peer.region().region_epoch, epoch(5, 32), "{fault:?} at write {n}: region {id}");
                assert_eq!(lone.region_state(id).map(|record| record.state()), Some(PeerState::Normal));
                assert!(peer.node().raft().log().last_index() >= 5, "region {id} has the beginning of a log");
            }
        }
    }
    assert!(struck >= 6, "log and both parts are written: only {struck} stops came");
    assert!(whole >= 2 && cut >= 2, "stops before the split ({whole}), and behind it ({cut})");
}

/// What a split says is safe before anything follows from it: after a power cut right behind it, everything is there.
#[test]
fn the_split_is_synced() {
    let _lab = lab!();
    let mut lone = Lone::leader();
    lone.put_all(7, &["c", "k"]);
    lone.split(7, &[("h", 8, &[81])], true);
    lone.power_cut();
    assert_eq!((&lone.region(7).start_key[..], &lone.region(8).end_key[..]), (&b"h"[..], &b"h"[..]));
    lone.tick(50);
    assert!(lone.peer(7).is_leader() && lone.peer(8).is_leader(), "both regions come back");
}

/// In a cluster: one of the machines stops at one of its writes around a split. The split is made, or it is not; both
/// parts have all their peers in the end, and no acknowledged write is lost.
fn tell(seed: u64, leader: bool, n: u64, fault: WriteFault, power_cut: bool) -> bool {
    let mut sim = Setup::seeded(seed, 3).scheduler().start();
    for key in ["a", "k", "z"] {
        sim.put(key, "old");
    }
    let first = sim.leader();
    sim.settle();
    let victim = if leader { first } else { sim.others(first)[0] };
    if power_cut {
        sim.crash_at_write(victim, n, fault);
    } else {
        sim.kill_at_write(victim, n, fault);
    }
    let ids = sim.split_ids(1);
    let new = ids.new_region_id;
    let request = sim.admin_request(first, 1, batch_split("k", ids));
    sim.begin_command(first, request);
    sim.run(millis(60));
    let struck = sim.struck(Fault::CrashAtWrite) > 0;
    sim.finish();
    has_ended(&mut sim, new, &format!("seed {seed}, {fault:?} at write {n} of store {victim}"));
    struck
}

fn has_ended(sim: &mut Sim, new: u64, when: &str) {
    for key in ["a", "k", "z"] {
        assert_eq!(sim.get(key).as_deref(), Some(&b"old"[..]), "{when}: key {key}");
    }
    if sim.region_map().len() == 1 {
        sim.split("k");
    } else {
        assert_eq!(sim.region_at("k").id, new, "{when}");
    }
    for store in 1..=3 {
        assert_eq!(sim.store(store).peers().count(), 2, "{when}: the peers of store {store}");
    }
    sim.put("k", "new");
}

/// The machine of the leader, or of a follower, stops at each of its writes around the split (`tell`): a promise that
/// has left must be on the disk (figure 2, persistent state).
#[rstest]
#[case::of_the_leader(true)]
#[case::of_a_follower(false)]
fn every_write_is_a_crash_point(#[case] leader: bool) {
    let lab = lab!();
    for seed in lab.seeds(1) {
        let mut points = 0;
        for (fault, power_cut) in
            [(WriteFault::StopBefore, true), (WriteFault::StopAfter, true), (WriteFault::StopAfter, false)]
        {
            points += (1..8).take_while(|n| tell(seed, leader, *n, fault, power_cut)).count();
        }
        assert!(
            points >= 9,
            "log, parts and the new region's vote are written: only {points} points to stop at"
        );
    }
}
