//! One seed, one history: a failure that names its seed can be seen again, byte for byte.

use raftkv_testkit::raft_net::{Chaos, Driver, Readied, Setup};
use raftkv_testkit::raft_net::{Direct, Net};
use raftkv_testkit::{Rng, lab};

fn history<D: Driver>(seed: u64) -> String {
    let mut net: Net<D> = Setup::seeded(seed, 5).start_as();
    net.keep_transcript();
    net.chaos(&mut Rng::new(seed), 1500, Chaos::new(true));
    net.calm();
    net.transcript()
}

/// The same seed gives the same messages, in the same order, with the same effects; another seed does not.
#[test]
fn one_seed_one_history() {
    let lab = lab!();
    for seed in lab.seeds(3) {
        let first = history::<Direct>(seed);
        assert!(first == history::<Direct>(seed), "two runs of seed {seed}, driven through Raft, differ");
        assert!(first != history::<Direct>(seed + 1), "seeds {seed} and {} give the same history", seed + 1);
        let first = history::<Readied>(seed);
        assert!(first == history::<Readied>(seed), "two runs of seed {seed}, driven through RawNode, differ");
    }
}
