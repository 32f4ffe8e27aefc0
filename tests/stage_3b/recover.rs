//! Members and leaders change at random, while clients work and machines and networks fail: the long tests of this
//! stage without splits. (With splits: `chaos.rs`.)

use raftkv::raftstore::Config;
use raftkv_testkit::lab;
use raftkv_testkit::sim::{Fault, Mix, Nemesis, Setup, Sim, Weather, millis};
use rstest::rstest;

/// So many changes one run makes.
const CHANGES: u64 = 6;

/// Members change all the time: each time one comes, or one goes, and another leads. Between two changes time passes.
fn change(sim: &mut Sim, seed: u64, stores: u64, between: impl Fn(&mut Sim, u64)) {
    for round in 0..CHANGES {
        let members: Vec<u64> = sim.newest(1).peers.iter().map(|peer| peer.store_id).collect();
        let store = 1 + (seed + 3 * round) % stores;
        if !members.contains(&store) {
            sim.add_peer(1, store);
        } else if members.len() > 2 {
            sim.remove_peer(1, store);
        } else {
            sim.transfer(1, store);
        }
        between(sim, round);
    }
}

fn short_logs(config: &mut Config) {
    (config.log_gc_limit, config.log_gc_ticks) = (8, 5);
}

fn start(seed: u64, short: bool) -> Sim {
    let setup = Setup::seeded(seed, 5).members(&[1, 2, 3]).scheduler();
    if short { setup.tune(short_logs).start() } else { setup.start() }
}

fn mix(clients: u64) -> Mix {
    Mix { clients, keys: 6, deletes: 10, pause: millis(8), ..Mix::default() }
}

fn end(mut sim: Sim, faults: &[Fault]) {
    sim.finish();
    assert!(sim.answered() > 0, "somebody is served");
    sim.assert_struck(faults);
    sim.assert_struck(&[Fault::MembersChanged]);
}

/// All stores restart between two changes, some of them with a loss of power.
#[rstest]
#[case::one_client(1, false)]
#[case::many_clients(6, false)]
#[case::with_snapshots(6, true)]
fn everything_restarts(#[case] clients: u64, #[case] snapshots: bool) {
    let lab = lab!();
    for seed in lab.seeds(3) {
        let mut sim = start(seed, snapshots);
        sim.clients(mix(clients));
        change(&mut sim, seed, 5, |sim, round| {
            sim.run(millis(150));
            (1..=5)
                .for_each(|store| if (store + round) % 2 == 0 { sim.crash(store) } else { sim.kill(store) });
            (1..=5).for_each(|store| sim.restart(store));
        });
        end(sim, &[Fault::Crash, Fault::Restart]);
    }
}

/// Messages get lost, come twice, come late.
#[rstest]
#[case::without_snapshots(false)]
#[case::with_snapshots(true)]
fn a_bad_network(#[case] snapshots: bool) {
    let lab = lab!();
    for seed in lab.seeds(3) {
        let mut sim = start(seed, snapshots);
        sim.clients(mix(5));
        sim.weather(Weather::bad());
        change(&mut sim, seed, 5, |sim, _| sim.run(millis(200)));
        end(sim, &[Fault::Loss, Fault::Duplicate]);
    }
}

/// And partitions, which come and go between two changes; with restarts.
#[test]
fn a_bad_network_that_breaks() {
    let lab = lab!();
    for seed in lab.seeds(3) {
        let mut sim = start(seed, true);
        sim.clients(mix(5));
        sim.weather(Weather::bad());
        change(&mut sim, seed, 5, |sim, round| {
            let alone = 1 + (seed + round) % 5;
            sim.partition(&[&[alone, 1 + alone % 5]]);
            sim.run(millis(300));
            sim.heal();
            sim.crash(alone);
            sim.restart(alone);
        });
        end(sim, &[Fault::Loss, Fault::Cut, Fault::Crash]);
    }
}

/// Two or three members only, and everything fails: each change is between groups that need all, or nearly all.
#[rstest]
#[case::two_stores(2, &[1, 2])]
#[case::three_stores(3, &[1, 2])]
fn small_groups(#[case] stores: u64, #[case] members: &[u64]) {
    let lab = lab!();
    for seed in lab.seeds(4) {
        let mut sim = Setup::seeded(seed, stores).members(members).scheduler().tune(short_logs).start();
        sim.clients(mix(3));
        let trouble = Nemesis { every: millis(80), disk_errors: false, ..Nemesis::everything() };
        for _ in 0..3 {
            sim.trouble(trouble.clone());
            sim.run(millis(600));
            sim.end_trouble();
            let members: Vec<u64> = sim.newest(1).peers.iter().map(|peer| peer.store_id).collect();
            match (1..=stores).find(|store| !members.contains(store)) {
                Some(free) if members.len() < 3 => drop(sim.add_peer(1, free)),
                _ => sim.remove_peer(1, members[(seed % 2) as usize]),
            }
        }
        end(sim, &[]);
    }
}
