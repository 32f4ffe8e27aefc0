//! Everything at once, at random: first the trouble, in which nothing wrong may happen; then quiet, in which everything
//! must come to an end. A failure names its seed.

use raftkv_testkit::lab;
use raftkv_testkit::sim::{Fault, Mix, Nemesis, Setup, millis, secs};
use rstest::rstest;

/// Network, machines, disks and clocks fail, and clients go away.
#[rstest]
#[case::three_stores(3)]
#[case::five_stores(5)]
fn everything_fails(#[case] stores: u64) {
    let lab = lab!();
    for seed in lab.seeds(4) {
        let mut sim = Setup::seeded(seed, stores).start();
        sim.clients(Mix { clients: 6, cancels: 3, pause: millis(15), ..Mix::default() });
        sim.trouble(Nemesis { every: millis(100), ..Nemesis::everything() });
        sim.run(secs(6));
        sim.finish();
        assert!(sim.answered() > 0, "somebody is served");
        sim.assert_struck(&[Fault::Restart, Fault::Loss, Fault::Duplicate]);
    }
}

/// Only swaps, from what a client saw last to something new: each is carried out exactly once, or not at all, whatever
/// happens to the messages and to the stores.
#[rstest]
#[case::one_key(1)]
#[case::two_keys(2)]
fn swaps_happen_once(#[case] keys: u64) {
    let lab = lab!();
    for seed in lab.seeds(3) {
        let mut sim = Setup::seeded(seed, 3).start();
        sim.clients(Mix {
            clients: 4,
            keys,
            gets: 20,
            swaps: 80,
            deletes: 0,
            pause: millis(5),
            ..Mix::default()
        });
        sim.trouble(Nemesis { every: millis(100), ..Nemesis::everything() });
        sim.run(secs(5));
        sim.finish();
        assert!(sim.answered() > 0, "somebody is served");
        sim.assert_struck(&[Fault::Restart, Fault::Duplicate]);
    }
}

/// Clocks that run at half and at double speed make more elections, and nothing worse: no rule of safety depends on
/// time (section 5.6).
#[test]
fn clocks_are_wrong() {
    let lab = lab!();
    for seed in lab.seeds(2) {
        let mut sim = Setup::seeded(seed, 3).start();
        sim.drift(1, 50);
        sim.drift(2, 200);
        sim.clients(Mix { pause: millis(10), ..Mix::default() });
        sim.trouble(Nemesis { drift: true, every: millis(100), ..Nemesis::network() });
        sim.run(secs(4));
        sim.finish();
        assert!(sim.answered() > 0, "somebody is served");
        sim.assert_struck(&[Fault::Drift, Fault::Cut]);
    }
}
