//! Splits while clients work: with a bad network, with machines that go down, with members that come and go, with logs
//! that are so short that snapshots are needed, and with all of that.

use pretty_assertions::assert_eq;
use raftkv::raftstore::Config;
use raftkv_testkit::lab;
use raftkv_testkit::sim::{Fault, Mix, Nemesis, Setup, Sim, millis, secs};
use rstest::rstest;

const CUTS: [&str; 4] = ["k3", "k6", "k1", "k8"];

fn mix(clients: u64) -> Mix {
    Mix { clients, keys: 10, deletes: 10, pause: millis(8), ..Mix::default() }
}

/// Clients work; meanwhile the region is split four times, with what goes wrong in between.
fn split_meanwhile(setup: Setup, clients: u64, mut between: impl FnMut(&mut Sim, usize)) -> Sim {
    let mut sim = setup.start();
    sim.clients(mix(clients));
    for (n, key) in CUTS.into_iter().enumerate() {
        sim.until_answered(20, secs(10));
        sim.split(key);
        between(&mut sim, n);
    }
    sim.until_answered(50, secs(10));
    sim.finish();
    let starts: Vec<_> = sim.region_map().iter().map(|region| region.start_key.clone()).collect();
    assert_eq!(starts, ["", "k1", "k3", "k6", "k8"]);
    sim
}

/// Nothing fails: one client, and many on the same keys.
#[rstest]
#[case::one_client(1)]
#[case::many_clients(8)]
fn quiet(#[case] clients: u64) {
    let lab = lab!();
    for seed in lab.seeds(2) {
        split_meanwhile(Setup::seeded(seed, 3).scheduler(), clients, |_, _| ());
    }
}

/// All stores go down at once after each split, and come back: every region is there, with all its peers.
#[rstest]
#[case::one_client(1)]
#[case::many_clients(8)]
fn recover(#[case] clients: u64) {
    let lab = lab!();
    for seed in lab.seeds(2) {
        let mut sim = split_meanwhile(Setup::seeded(seed, 3).scheduler(), clients, |sim, n| {
            for store in 1..=3 {
                if n % 2 == 0 { sim.crash(store) } else { sim.kill(store) }
            }
            for store in 1..=3 {
                sim.restart(store);
            }
        });
        sim.assert_struck(&[Fault::Crash, Fault::Restart, Fault::RegionSplit]);
        for store in 1..=3 {
            assert_eq!(sim.store(store).peers().count(), 5, "seed {seed}: regions on store {store}");
        }
        sim.put("k5", "at last");
    }
}

/// Messages get lost, doubled and late.
#[test]
fn unreliable() {
    let lab = lab!();
    for seed in lab.seeds(2) {
        let weather = raftkv_testkit::sim::Weather::bad();
        let sim = split_meanwhile(Setup::seeded(seed, 3).scheduler().weather(weather), 5, |_, _| ());
        sim.assert_struck(&[Fault::Loss, Fault::Duplicate]);
    }
}

/// Another store is cut off during each split, and the log is so short that it needs snapshots afterwards.
#[test]
fn partitions_and_snapshots() {
    let lab = lab!();
    for seed in lab.seeds(2) {
        let tune = |config: &mut Config| (config.log_gc_limit, config.log_gc_ticks) = (6, 3);
        let mut sim = split_meanwhile(Setup::seeded(seed, 3).scheduler().tune(tune), 5, |sim, n| {
            sim.partition(&[&[1 + n as u64 % 3]]);
            sim.run(millis(200));
        });
        sim.assert_struck(&[Fault::Cut, Fault::RegionSplit]);
        assert!(sim.counts().received > 0, "seed {seed}: nobody needed a snapshot");
        sim.put("k5", "at last");
    }
}

/// And all of it: members come and go, leaders hand over, machines and links fail.
#[test]
fn everything() {
    let lab = lab!();
    for seed in lab.seeds(3) {
        let tune = |config: &mut Config| (config.log_gc_limit, config.log_gc_ticks) = (10, 3);
        let mut sim = Setup::seeded(seed, 5).members(&[1, 2, 3]).scheduler().tune(tune).start();
        sim.clients(mix(5));
        let right = sim.split("k5");
        sim.add_peer(right, 5);
        sim.trouble(Nemesis { regions: true, every: millis(60), ..Nemesis::everything() });
        sim.run(secs(4));
        sim.finish();
        sim.assert_struck(&[Fault::RegionSplit, Fault::MembersChanged, Fault::Crash, Fault::Cut]);
    }
}
