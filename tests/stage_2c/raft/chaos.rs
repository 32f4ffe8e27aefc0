//! Groups that compact their logs all the time, in random trouble, and then in peace.

use raftkv::raft::LogStorage;
use raftkv_testkit::Rng;
use raftkv_testkit::lab;
use raftkv_testkit::raft_net::{Chaos, Setup};
use rstest::rstest;

/// Every few steps some node drops all that it has applied. The invariants watch; in the end all are level again.
#[rstest]
#[case::three(3)]
#[case::five(5)]
fn groups_that_compact_are_safe_in_trouble_and_go_on_after_it(#[case] nodes: u64) {
    let lab = lab!();
    for seed in lab.seeds(4) {
        let mut rng = Rng::new(seed);
        let mut net = Setup::seeded(seed, nodes).start_raw_nodes();
        for _ in 0..20 {
            net.chaos(&mut rng, 60, Chaos::new(true));
            let id = rng.pick(&net.up());
            let first = net.node(id).disk.first_index().expect("MemLogStorage does not fail");
            let applied = net.node(id).seen.applied;
            if applied >= first {
                net.compact(id, applied);
            }
        }
        net.calm();
        net.run_until(300, "a group in peace elects a leader (section 5.2)", |net| {
            net.agreed_leader().is_some()
        });
        let leader = net.agreed_leader().expect("there is one");
        net.propose(leader, "the end");
        net.run_until(
            300,
            "in peace, all nodes apply all that is committed (section 5.3; section 7)",
            |net| net.up().iter().all(|id| net.applied(*id).last().is_some_and(|last| last == "the end")),
        );
        for id in net.up() {
            let on_disk = net.node(id).disk.first_index().expect("MemLogStorage does not fail");
            let in_memory = net.raft(id).log().first_index();
            assert_eq!(in_memory, on_disk, "node {id} keeps in memory what its disk has dropped");
        }
    }
}
