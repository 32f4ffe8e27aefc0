//! Every write to a disk is a point at which a machine may stop. Each of these tests visits them all.
//!
//! The story that is told again and again: three commands that each add one to a counter, a batch of three keys and a
//! read, all on their way at once. It ends in one of many ways, and in each of them everything that was acknowledged is
//! there, each command was carried out at most once, and of the batch there is all or nothing.

use pretty_assertions::assert_eq;
use raftkv::engine::Fault as WriteFault;
use raftkv::proto::kvrpcpb::{KvPair, RawBatchPutRequest};
use raftkv::proto::raft_cmdpb::Request as Change;
use raftkv_testkit::lab;
use raftkv_testkit::sim::{Ending, Fault, Request, Setup, Sim, get_request, millis, secs};
use rstest::rstest;

use crate::commands::{bytes, command, swap};

/// How many commands add one to the counter.
const COMMANDS: u64 = 3;

/// A story has fewer writes than this on any one disk.
const BOUND: u64 = 60;

/// One point to stop at.
#[derive(Clone, Copy, Debug)]
struct Stop {
    /// The leader, or one of the others.
    leader: bool,
    /// At which write, counted from the beginning of the story.
    write: u64,
    fault: WriteFault,
    /// What was not synced is lost, too.
    power_cut: bool,
    /// The disk is slow, so more comes together in a round.
    slow: bool,
}

/// Adds one to the counter, whatever it holds: the swaps go from above to below, so exactly one of them finds what it
/// expects. Carried out twice it adds two, unlike a put or a single swap.
fn add_one() -> Vec<Change> {
    (0..2 * COMMANDS).rev().map(|n| swap("n", Some(&n.to_string()), &(n + 1).to_string())).collect()
}

fn batch() -> Request {
    let pairs =
        ["b1", "b2", "b3"].map(|key| KvPair { key: bytes(key), value: bytes("x"), ..Default::default() });
    Request::BatchPut(RawBatchPutRequest { pairs: pairs.into(), ..Default::default() })
}

fn plan(sim: &mut Sim, victim: u64, stop: Stop) {
    if stop.power_cut {
        sim.crash_at_write(victim, stop.write, stop.fault);
    } else {
        sim.kill_at_write(victim, stop.write, stop.fault);
    }
}

/// Tells the story. False if it had ended before the write came.
fn tell(seed: u64, stores: u64, stop: Stop, again: Option<u64>) -> bool {
    let mut sim = Setup::seeded(seed, stores).start();
    assert_eq!(sim.swap("n", None, "0"), (true, None));
    let leader = sim.leader();
    sim.settle();
    sim.run(millis(20));
    let victim = if stop.leader { leader } else { sim.others(leader)[0] };
    if stop.slow {
        sim.slow_disk(victim, millis(6), millis(6));
    }
    plan(&mut sim, victim, stop);

    let ids: Vec<u64> = (0..COMMANDS)
        .map(|_| {
            let request = command(&sim, leader, add_one());
            sim.begin_command(leader, request)
        })
        .collect();
    let batch = sim.begin(batch());
    let read = sim.begin(get_request("", "n"));
    sim.run(millis(60));
    let struck = sim.struck(Fault::CrashAtWrite) > 0;
    if struck {
        if let Some(write) = again {
            plan(&mut sim, victim, Stop { write, ..stop });
        }
        sim.restart(victim);
        if again.is_some() {
            sim.run(millis(300));
            sim.restart(victim);
        }
    }
    sim.until("every client hears something, or gives up", secs(20), |sim| {
        sim.ending(batch).is_some() && sim.ending(read).is_some()
    });
    let acknowledged =
        ids.into_iter().filter(|id| sim.take_reply(*id).is_some_and(|reply| reply.is_ok())).count();
    let batch_done = matches!(sim.ending(batch), Some(Ending::Answered(response)) if response.is_ok());
    sim.finish();

    let counter = sim.get("n").expect("it was put before the story");
    let counter: usize =
        std::str::from_utf8(&counter).ok().and_then(|text| text.parse().ok()).expect("a number");
    assert!(
        (acknowledged..=COMMANDS as usize).contains(&counter),
        "{stop:?}: {COMMANDS} commands add one each, {acknowledged} of them were acknowledged, and the counter is at {counter}: \
         acknowledged commands survive, and none is carried out twice (data and applied index are one batch)"
    );
    match &*sim.scan("b", "c", 10) {
        "b1=x b2=x b3=x" => {}
        "" => assert!(!batch_done, "{stop:?}: the batch was acknowledged, and it is gone"),
        half => panic!("{stop:?}: a batch is carried out whole or not at all; there is {half}"),
    }
    struck
}

fn sweep(seed: u64, stores: u64, leader: bool, slow: bool) -> u64 {
    let mut points = 0;
    for power_cut in [true, false] {
        for fault in [WriteFault::StopBefore, WriteFault::StopAfter] {
            let last = (1..BOUND)
                .find(|&write| !tell(seed, stores, Stop { leader, write, fault, power_cut, slow }, None));
            points += last.expect("a story has an end") - 1;
        }
    }
    points
}

/// The machine stops right before or right after each of its writes; the power fails, or only the process dies.
#[rstest]
#[case::of_a_leader(3, true, false)]
#[case::of_a_follower(3, false, false)]
#[case::of_a_store_alone(1, true, false)]
#[case::of_a_slow_leader(3, true, true)]
#[case::of_a_slow_follower(3, false, true)]
#[case::of_a_slow_store_alone(1, true, true)]
fn every_write_is_a_crash_point(#[case] stores: u64, #[case] leader: bool, #[case] slow: bool) {
    let lab = lab!();
    for seed in lab.seeds(2) {
        let points = sweep(seed, stores, leader, slow);
        assert!(points >= 8, "log and data are written, so there are more points to stop at than {points}");
    }
}

/// The machine stops again on its way back, at each of the first writes after the start.
#[rstest]
#[case::of_a_leader(3, true)]
#[case::of_a_store_alone(1, true)]
fn a_second_stop_on_the_way_back(#[case] stores: u64, #[case] leader: bool) {
    let lab = lab!();
    for seed in lab.seeds(1) {
        let mut struck = 0;
        for (write, again) in [(1, 1), (2, 1), (2, 2), (3, 1), (3, 2), (4, 1), (4, 2), (5, 1)] {
            for power_cut in [true, false] {
                let stop = Stop { leader, write, fault: WriteFault::StopAfter, power_cut, slow: false };
                struck += u64::from(tell(seed, stores, stop, Some(again)));
            }
        }
        assert!(struck >= 8, "only {struck} of 16 stops came");
    }
}

/// A follower that was away gets many entries at once, and they are committed already: it saves and applies them in one
/// round. It stops at each write of that.
#[test]
fn a_follower_stops_while_it_catches_up() {
    let lab = lab!();
    for seed in lab.seeds(2) {
        let mut struck = 0;
        for (write, fault) in (1..=4).flat_map(|n| [(n, WriteFault::StopBefore), (n, WriteFault::StopAfter)])
        {
            for power_cut in [true, false] {
                let mut sim = Setup::seeded(seed, 3).start();
                assert_eq!(sim.swap("n", None, "0"), (true, None));
                let leader = sim.leader();
                sim.settle();
                let victim = sim.others(leader)[0];
                sim.isolate(victim);
                for _ in 0..COMMANDS {
                    let request = command(&sim, leader, add_one());
                    sim.command(leader, request).expect("it is answered").expect("it is carried out");
                }
                plan(&mut sim, victim, Stop { leader: false, write, fault, power_cut, slow: false });
                sim.heal();
                sim.run(millis(200));
                struck += sim.struck(Fault::CrashAtWrite);
                sim.finish();
                assert_eq!(
                    sim.data(victim, "n"),
                    Some(COMMANDS.to_string().into()),
                    "{fault:?} at write {write}"
                );
            }
        }
        assert!(struck >= 8, "log and data are written: only {struck} of 16 stops came");
    }
}

/// An election writes, too: terms and votes. Whenever one of the machines stops then, there is a leader in the end, and
/// only one in each term.
#[test]
fn every_write_of_an_election_is_a_crash_point() {
    let lab = lab!();
    for seed in lab.seeds(3) {
        let mut struck = 0;
        for fault in [WriteFault::StopBefore, WriteFault::StopAfter, WriteFault::Fail] {
            for (victim, write) in [(1, 1), (1, 2), (2, 1), (2, 2), (3, 1), (3, 2)] {
                let mut sim = Setup::seeded(seed, 3).start();
                sim.crash_at_write(victim, write, fault);
                sim.run(millis(300));
                struck += sim.struck(Fault::CrashAtWrite) + sim.struck(Fault::DiskError);
                sim.put("a", "1");
                sim.finish();
                assert_eq!(sim.get("a"), Some("1".into()), "{fault:?} at write {write} of store {victim}");
            }
        }
        assert!(struck >= 12, "an election takes writes: only {struck} of 18 faults struck");
    }
}
