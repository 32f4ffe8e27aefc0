//! Everything at once, at random: clients, and regions that change while the network and the machines fail.

use raftkv_testkit::lab;
use raftkv_testkit::sim::{Fault, Mix, Nemesis, Setup, Sim, millis, secs};
use rstest::rstest;

fn five_stores(seed: u64) -> Setup {
    Setup::seeded(seed, 5).members(&[1, 2, 3]).scheduler()
}

/// Clients begin to work, and chance does.
fn begin(setup: Setup, mix: Mix, trouble: Nemesis) -> Sim {
    let mut sim = setup.start();
    sim.clients(mix);
    sim.trouble(trouble);
    sim
}

fn busy() -> Mix {
    Mix { clients: 6, keys: 10, deletes: 10, pause: millis(10), ..Mix::default() }
}

/// The run goes on until chance has changed regions in each way: without that it has shown nothing. Splits are seen in
/// what became of them, for the regions may soon be so many that there are no more, and whoever answers may have been
/// cut off.
fn end(mut sim: Sim) {
    sim.until("sooner or later, a random change of each kind is made", secs(60), |sim| {
        let others = [Fault::MembersChanged, Fault::LeaderHandedOver];
        sim.region_map().len() > 1 && others.iter().all(|fault| sim.struck(*fault) > 0)
    });
    sim.finish();
    assert!(sim.answered() > 0, "somebody is served");
}

/// Nothing fails, and regions change all the time: clients are served, and what they hear has an order.
#[rstest]
#[case::one_client(1)]
#[case::many_clients(8)]
fn regions_change(#[case] clients: u64) {
    let lab = lab!();
    for seed in lab.seeds(3) {
        let mut sim = begin(five_stores(seed), Mix { clients, ..busy() }, Nemesis::regions());
        sim.run(secs(4));
        end(sim);
    }
}

/// And with logs that are so short that new members, and whoever was away, need snapshots.
#[rstest]
#[case::quiet(false, false)]
#[case::crashes(true, false)]
#[case::crashes_and_partitions(true, true)]
fn with_snapshots(#[case] crashes: bool, #[case] cuts: bool) {
    let lab = lab!();
    for seed in lab.seeds(3) {
        let tune = |config: &mut raftkv::raftstore::Config| {
            (config.log_gc_limit, config.log_gc_ticks) = (8, 5);
        };
        let trouble = Nemesis { crashes, cuts, weather: cuts, every: millis(80), ..Nemesis::regions() };
        let mut sim = begin(five_stores(seed).tune(tune), busy(), trouble);
        sim.run(secs(5));
        sim.until("sooner or later, somebody needs a snapshot", secs(60), |sim| sim.counts().received > 0);
        end(sim);
    }
}

/// Each kind of trouble by itself, while regions change.
#[rstest]
#[case::network(Nemesis::network())]
#[case::machines(Nemesis::machines())]
fn with(#[case] trouble: Nemesis) {
    let lab = lab!();
    for seed in lab.seeds(3) {
        let trouble = Nemesis { regions: true, every: millis(60), ..trouble.clone() };
        let mut sim = begin(five_stores(seed), busy(), trouble);
        sim.run(secs(5));
        end(sim);
    }
}

/// All of it.
#[test]
fn with_everything() {
    let lab = lab!();
    for seed in lab.seeds(4) {
        let tune = |config: &mut raftkv::raftstore::Config| config.log_gc_limit = 20;
        let trouble = Nemesis { regions: true, every: millis(60), ..Nemesis::everything() };
        let mut sim = begin(five_stores(seed).tune(tune), Mix { cancels: 3, ..busy() }, trouble);
        sim.run(secs(6));
        end(sim);
    }
}

/// Only swaps: carried out exactly once, or not at all, in whichever region the key is by then.
#[test]
fn swaps_happen_once() {
    let lab = lab!();
    for seed in lab.seeds(4) {
        let trouble = Nemesis { regions: true, every: millis(60), ..Nemesis::everything() };
        let mix = Mix { clients: 4, keys: 4, gets: 20, swaps: 80, deletes: 0, ..busy() };
        let mut sim = begin(five_stores(seed), mix, trouble);
        sim.run(secs(5));
        end(sim);
    }
}
