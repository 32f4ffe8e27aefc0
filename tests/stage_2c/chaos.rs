//! Everything at once, at random, with logs that are compacted all the time.

use raftkv_testkit::lab;
use raftkv_testkit::sim::{Fault, Mix, Nemesis, millis, secs};
use rstest::rstest;

use crate::story::{outrun, seeded};

/// Network, machines, disks and clocks fail, clients go away, streams break, and stores are away until they need a
/// snapshot.
#[rstest]
#[case::three_stores(3)]
#[case::five_stores(5)]
fn everything_fails(#[case] stores: u64) {
    let lab = lab!();
    for seed in lab.seeds(4) {
        let mut sim = seeded(seed, stores).tune(|config| config.log_gc_limit = 8).start();
        sim.clients(Mix {
            clients: 6,
            keys: 6,
            deletes: 15,
            cancels: 3,
            pause: millis(10),
            ..Mix::default()
        });
        outrun(&mut sim, 1);
        sim.heal();
        sim.trouble(Nemesis { every: millis(100), ..Nemesis::everything() });
        sim.run(secs(6));
        sim.finish();
        assert!(sim.answered() > 0, "somebody is served");
        sim.assert_struck(&[Fault::Restart, Fault::Loss, Fault::Duplicate]);
        assert!(sim.counts().received > 0, "nobody needed a snapshot: this has shown nothing");
    }
}

/// Only swaps: carried out exactly once, or not at all, also where a snapshot takes the place of the log.
#[test]
fn swaps_happen_once() {
    let lab = lab!();
    for seed in lab.seeds(4) {
        let mut sim = seeded(seed, 3).tune(|config| config.log_gc_limit = 8).start();
        sim.clients(Mix {
            clients: 4,
            keys: 2,
            gets: 20,
            swaps: 80,
            deletes: 0,
            pause: millis(5),
            ..Mix::default()
        });
        outrun(&mut sim, 1);
        sim.heal();
        sim.trouble(Nemesis { every: millis(100), ..Nemesis::everything() });
        sim.run(secs(5));
        sim.finish();
        assert!(sim.answered() > 0, "somebody is served");
        assert!(sim.counts().received > 0, "nobody needed a snapshot: this has shown nothing");
    }
}

/// Several regions on each store: snapshots of one move while others are written.
#[test]
fn regions_fail_together() {
    let lab = lab!();
    for seed in lab.seeds(3) {
        let setup = seeded(seed, 3).regions(&["", "k1", "k3"]);
        let mut sim = setup.tune(|config| config.log_gc_limit = 8).start();
        sim.clients(Mix { clients: 6, keys: 6, deletes: 15, pause: millis(8), ..Mix::default() });
        sim.trouble(Nemesis { every: millis(100), ..Nemesis::everything() });
        sim.run(secs(4));
        sim.finish();
        assert!(sim.answered() > 0, "somebody is served");
        let compacted = |id: u64| {
            let mut peers = sim.store(id).peers();
            peers.any(|peer| peer.node().raft().log().first_index() > 6)
        };
        assert!((1..=3).any(compacted), "no log was compacted: this has shown nothing");
    }
}
