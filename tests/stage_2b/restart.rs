//! Stores that go down and come back: what was acknowledged is there, whoever went down.

use pretty_assertions::assert_eq;
use raftkv_testkit::lab;
use raftkv_testkit::sim::{Fault, Mix, Nemesis, Setup, Sim, Weather, millis, secs};
use rstest::rstest;

/// The power of all machines fails at once.
fn black_out(sim: &mut Sim, stores: u64) {
    (1..=stores).for_each(|id| sim.crash(id));
    sim.run(millis(20));
    (1..=stores).for_each(|id| sim.restart(id));
}

/// All stores lose power, again and again, while clients work.
#[rstest]
#[case::one_client(3, 1)]
#[case::many_clients(3, 6)]
#[case::many_clients_of_five_stores(5, 6)]
fn all_stores_restart(#[case] stores: u64, #[case] clients: u64) {
    let lab = lab!();
    for seed in lab.seeds(2) {
        let mut sim = Setup::seeded(seed, stores).start();
        sim.clients(Mix { clients, ..Mix::default() });
        for round in 0..3 {
            assert!(sim.until_answered(60, secs(20)), "round {round}: the clients are served");
            black_out(&mut sim, stores);
        }
        sim.finish();
        sim.assert_struck(&[Fault::Crash, Fault::Restart]);
    }
}

/// The same in bad weather, with partitions, and with both.
#[rstest]
#[case::unreliable(true, false)]
#[case::partition(false, true)]
#[case::unreliable_and_partition(true, true)]
fn all_stores_restart_in_trouble(#[case] weather: bool, #[case] cuts: bool) {
    let lab = lab!();
    for seed in lab.seeds(2) {
        let mut sim = Setup::seeded(seed, 5).start();
        sim.clients(Mix { pause: millis(15), ..Mix::default() });
        sim.trouble(Nemesis { weather, cuts, every: millis(60), ..Nemesis::network() });
        for _ in 0..3 {
            sim.run(secs(1));
            sim.until_answered(40, secs(10));
            black_out(&mut sim, 5);
        }
        sim.finish();
        assert!(sim.answered() > 0, "somebody is served");
        sim.assert_struck(&[Fault::Crash, Fault::Restart]);
        sim.assert_struck(if cuts { &[Fault::Cut] } else { &[Fault::Loss, Fault::Duplicate] });
    }
}

/// One store after the other, as for an upgrade: the service goes on all the time.
#[test]
fn one_after_the_other() {
    let lab = lab!();
    let mut sim = Setup::of(&lab, 3).start();
    sim.clients(Mix::default());
    for id in [1, 2, 3, 1, 2, 3] {
        assert!(sim.until_answered(30, secs(10)), "two of three are enough");
        sim.shut_down(id);
        assert!(sim.until_answered(30, secs(10)), "two of three are enough, while store {id} is away");
        sim.restart(id);
        sim.run(millis(300));
    }
    sim.finish();
    sim.assert_struck(&[Fault::Restart]);
}

/// Term, vote and log are those of before (figure 2, "Persistent state"); the election timer starts anew, as a
/// follower.
#[test]
fn a_store_comes_back_as_it_was() {
    let lab = lab!();
    let mut sim = Setup::of(&lab, 3).start();
    for n in 0..5 {
        sim.put(&format!("k{n}"), "1");
    }
    sim.leader();
    sim.settle();
    let known = |sim: &Sim, id| {
        let raft = sim.peer(id).node().raft();
        (raft.term(), raft.vote(), raft.log().last_index(), raft.log().last_term())
    };
    for id in 1..=3 {
        let before = known(&sim, id);
        sim.crash(id);
        sim.restart(id);
        assert_eq!(known(&sim, id), before, "term, vote and log of store {id} are on its disk");
        assert!(!sim.peer(id).is_leader(), "everyone comes back as a follower");
        sim.settle();
    }
    sim.finish();
}

/// Data that was not synced goes with the power. The log, which was, brings it back: each command once, onto the state
/// of the applied index that is on the disk.
#[test]
fn the_log_brings_the_data_back() {
    let lab = lab!();
    for seed in lab.seeds(2) {
        let mut sim = Setup::seeded(seed, 3).start();
        assert_eq!(sim.swap("n", None, "0"), (true, None));
        for n in 0..10 {
            assert!(sim.swap("n", Some(&n.to_string()), &(n + 1).to_string()).0, "from {n}");
        }
        sim.settle();
        for id in 1..=3 {
            let applied = sim.peer(id).apply_state().applied_index;
            sim.crash(id);
            sim.restart(id);
            assert!(sim.peer(id).apply_state().applied_index <= applied);
            sim.settle();
            assert_eq!(sim.data(id, "n"), Some("10".into()), "store {id} has the data again");
        }
        sim.finish();
        sim.assert_struck(&[Fault::Crash, Fault::Restart]);
    }
}

/// A majority is down: nobody is served, and nothing is lost. It comes back: everybody is.
#[test]
fn a_majority_is_down() {
    let lab = lab!();
    let mut sim = Setup::of(&lab, 5).start();
    sim.put("a", "1");
    let leader = sim.leader();
    let others = sim.others(leader);
    others[..3].iter().for_each(|id| sim.crash(*id));
    let commit = sim.peer(leader).node().raft().commit();
    let answer = sim.ask_store(leader, raftkv_testkit::sim::put_request("", "a", "2"));
    assert_eq!(answer, None, "two of five stores are up");
    assert_eq!(sim.peer(leader).node().raft().commit(), commit);
    others[..3].iter().for_each(|id| sim.restart(*id));
    sim.put("a", "3");
    assert_eq!(sim.get("a"), Some("3".into()));
    sim.finish();
}

/// Stores go down at random, at most a minority at a time, while clients work: they are served all the time.
#[test]
fn a_minority_goes_down_at_any_time() {
    let lab = lab!();
    for seed in lab.seeds(3) {
        let mut sim = Setup::seeded(seed, 5).start();
        sim.clients(Mix { pause: millis(15), ..Mix::default() });
        let machines = Nemesis { all_down: false, disk_errors: false, drift: false, ..Nemesis::machines() };
        sim.trouble(Nemesis { every: millis(60), ..machines });
        assert!(sim.until_answered(400, secs(60)), "a majority is up all the time");
        sim.finish();
        sim.assert_struck(&[Fault::Crash, Fault::CrashAtWrite, Fault::Restart]);
    }
}

/// A restart in bad weather, of the store that has just become leader: the most fragile moment.
#[test]
fn new_leaders_go_down() {
    let lab = lab!();
    for seed in lab.seeds(3) {
        let mut sim = Setup::seeded(seed, 3).weather(Weather::bad()).start();
        sim.clients(Mix::default());
        for _ in 0..6 {
            let leader = sim.leader();
            sim.crash(leader);
            sim.run(millis(200));
            sim.restart(leader);
            sim.until_answered(20, secs(10));
        }
        sim.finish();
        sim.assert_struck(&[Fault::Crash, Fault::Loss]);
    }
}
