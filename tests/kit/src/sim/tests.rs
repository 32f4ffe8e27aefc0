//! The simulator itself: its faults are real, its runs repeat, and it notices what is wrong.

use super::*;

fn sim(seed: u64, stores: u64) -> Sim {
    Setup::seeded(seed, stores).start()
}

#[test]
fn a_value_is_read_back() {
    let mut sim = sim(1, 3);
    assert_eq!(sim.get("color"), None);
    sim.put("color", "blue");
    assert_eq!(sim.get("color"), Some("blue".into()));
    assert_eq!(sim.swap("color", Some("blue"), "red"), (true, Some("blue".into())));
    sim.batch_put(&[("a", "1"), ("b", "2"), ("c", "3")]);
    sim.delete("b");
    assert_eq!(sim.scan("a", "", 3), "a=1 c=3 color=red");
    assert_eq!(sim.batch_get(&["c", "b"]), "c=3");
    sim.delete_range("a", "c");
    sim.batch_delete(&["c"]);
    assert_eq!(sim.scan("", "", 10), "color=red");
    sim.finish();
}

#[test]
fn a_minority_serves_nobody() {
    let mut sim = sim(2, 3);
    let leader = sim.leader();
    sim.isolate(leader);
    let answer = sim.ask_store(leader, put_request("", "a", "1"));
    assert_eq!(answer, None, "a leader without followers cannot commit");
    sim.put("a", "2");
    sim.heal();
    assert_eq!(sim.get("a"), Some("2".into()));
    sim.finish();
    sim.assert_struck(&[Fault::Cut]);
}

#[test]
fn all_data_survives_a_power_cut_of_all() {
    let mut sim = sim(3, 3);
    sim.put("a", "1");
    for id in 1..=3 {
        sim.crash(id);
    }
    for id in 1..=3 {
        sim.restart(id);
    }
    assert_eq!(sim.get("a"), Some("1".into()));
    sim.finish();
    sim.assert_struck(&[Fault::Crash, Fault::Restart]);
}

fn chaos(seed: u64) -> (Sim, u64) {
    let mut sim = sim(seed, 3);
    sim.clients(Mix { cancels: 3, ..Mix::default() });
    sim.trouble(Nemesis::everything());
    sim.until_answered(300, secs(60));
    sim.finish();
    let hash = sim.trace_hash();
    (sim, hash)
}

#[test]
fn trouble_is_survived_and_every_kind_strikes() {
    let mut struck = std::collections::BTreeSet::new();
    for seed in 0..20 {
        let (sim, _) = chaos(seed);
        assert!(sim.answered() >= 100, "seed {seed}: only {} answers", sim.answered());
        struck.extend(sim.network.struck.keys().copied());
    }
    let all = [
        Fault::Loss,
        Fault::Duplicate,
        Fault::Delay,
        Fault::Cut,
        Fault::Crash,
        Fault::CrashAtWrite,
        Fault::Restart,
        Fault::SlowDisk,
        Fault::Drift,
        Fault::Cancel,
    ];
    assert!(all.iter().all(|fault| struck.contains(fault)), "{struck:?}");
}

#[test]
fn one_seed_one_history() {
    assert_eq!(chaos(5).1, chaos(5).1);
    assert_ne!(chaos(5).1, chaos(6).1);
}
