//! Elections under random trouble: safety at every step, then a leader once the trouble ends.

use raftkv_testkit::raft_net::{Chaos, Setup};
use raftkv_testkit::{Rng, lab};
use rstest::rstest;

/// Messages are lost, doubled and overtaken, links are cut, disks are slow, nodes crash and restart: there is
/// never more than one leader in a term, nobody votes twice, no term goes back (the kit checks all invariants
/// at every step). When the trouble ends, a leader is elected and stays (section 5.2).
#[rstest]
#[case::three(3)]
#[case::four(4)]
#[case::five(5)]
fn elections_are_safe_in_trouble_and_succeed_after_it(#[case] nodes: u64) {
    let lab = lab!();
    for seed in lab.seeds(6) {
        let mut rng = Rng::new(seed);
        let mut net = Setup::of(&lab, nodes).start();
        net.chaos(&mut rng, 2000, Chaos::new(false));
        net.calm();
        net.run_until(
            600,
            "all nodes are up and hear each other: they must agree on a leader (section 5.2)",
            |net| net.agreed_leader().is_some(),
        );
        let (leader, term) = (net.leader(), net.term(1));
        net.run(50);
        assert_eq!(
            (net.leader(), net.term(1)),
            (leader, term),
            "and it must stay: nothing disturbs it any more"
        );
    }
}
