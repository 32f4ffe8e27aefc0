//! Groups of `RawNode`s under random trouble: safety at every step, then progress once the trouble ends.

use raftkv_testkit::raft_net::{Chaos, Setup};
use raftkv_testkit::{Rng, lab};
use rstest::rstest;

/// As in stage 2ab, but through `ready` and `advance`, with messages and ticks between the two whenever a
/// disk is slow, and crashes in between. Every command is applied once on every node: the kit's state machines
/// survive crashes, and tell a restarted node how far they are.
#[rstest]
#[case::one(1)]
#[case::three(3)]
#[case::five(5)]
fn raw_nodes_are_safe_in_trouble_and_go_on_after_it(#[case] nodes: u64) {
    let lab = lab!();
    for seed in lab.seeds(6) {
        let mut rng = Rng::new(seed);
        let mut net = Setup::of(&lab, nodes).start_raw_nodes();
        net.chaos(&mut rng, 2000, Chaos { slow_disk: 5, ..Chaos::new(true) });
        net.calm();
        net.run_until(
            600,
            "all nodes are up and hear each other: they must agree on a leader (section 5.2)",
            |net| net.agreed_leader().is_some(),
        );
        let leader = net.leader().expect("just elected");
        net.propose(leader, "the end");
        net.run_until(
            60,
            "a command to a stable leader must reach every state machine (section 5.3)",
            |net| (1..=nodes).all(|id| net.applied(id).iter().any(|text| text == "the end")),
        );
        net.stabilise();
        for id in 1..=nodes {
            assert_eq!(net.applied(id), net.applied(leader), "node {id} must have applied the same commands");
        }
    }
}
