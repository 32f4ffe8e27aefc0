//! A large snapshot holds up nobody: it has its own way, and workers do the work.

use raftkv_testkit::lab;
use raftkv_testkit::sim::{Micros, Mix, Setup, Sim, millis, secs};

use crate::story::{catches_up, left_behind, seeded};

/// The longest time that a put takes, of so many one after the other.
fn slowest_put(sim: &mut Sim, key: &str, puts: u64) -> Micros {
    let mut slowest = 0;
    for n in 0..puts {
        let start = sim.now();
        sim.put(key, &n.to_string());
        slowest = slowest.max(sim.now() - start);
    }
    slowest
}

/// While a snapshot that takes a second travels, and another second to be loaded, puts take as long as ever: in its own
/// region and in another one. (Virtual time: these figures say how the store works, not how fast the machine is.)
#[test]
fn puts_are_as_fast_as_ever() {
    let lab = lab!();
    // A byte takes 1 us: 50 times as slow as what else travels here.
    let mut sim = seeded(lab.seed(), 3).chunks(5000, 1).regions(&["", "m"]).start();
    let usual = slowest_put(&mut sim, "a", 30).max(slowest_put(&mut sim, "z", 30));
    sim.put("large", &"x".repeat(500_000));
    let away = left_behind(&mut sim);
    sim.slow_workers(away, secs(1), secs(1));
    let leader = sim.leader();
    sim.slow_workers(leader, millis(500), millis(500));
    let start = sim.now();
    let received = sim.counts().received;
    sim.heal();
    let mut slowest = 0;
    while !crate::story::has_caught_up(&sim, away) {
        slowest = slowest.max(slowest_put(&mut sim, "a", 1)).max(slowest_put(&mut sim, "z", 1));
        if sim.now() > start + secs(30) {
            catches_up(&mut sim, away);
        }
    }
    let took = sim.now() - start;
    assert!(sim.counts().received > received, "a snapshot was needed");
    assert!(took > secs(1), "it took {took} us: too short to show anything");
    assert!(
        slowest <= 3 * usual,
        "a put took {slowest} us while the snapshot moved, and {usual} us before: it must hold up nobody"
    );
    sim.finish();
}

/// Heartbeats go on: nobody takes the leader for dead because it sends a snapshot.
#[test]
fn the_leader_stays_while_it_sends() {
    let lab = lab!();
    let mut sim = Setup::of(&lab, 3)
        .tune(|config| {
            config.log_gc_limit = crate::story::LIMIT;
            config.log_gc_ticks = 5;
        })
        .chunks(5000, 1)
        .start();
    sim.put("large", &"x".repeat(1_000_000));
    let away = left_behind(&mut sim);
    sim.heal();
    sim.run(millis(600));
    let leader = sim.leader();
    let term = sim.peer(leader).term();
    catches_up(&mut sim, away);
    assert_eq!(sim.peer(leader).term(), term, "a million bytes later the same leader leads");
    sim.finish();
}

/// The store that receives serves its clients, as a leader of another region, all the time.
#[test]
fn the_receiver_goes_on_in_other_regions() {
    let lab = lab!();
    let mut sim = seeded(lab.seed(), 3).chunks(2000, 1).regions(&["", "m"]).start();
    sim.put("large", &"x".repeat(200_000));
    let away = left_behind(&mut sim);
    sim.slow_workers(away, secs(1), secs(1));
    sim.heal();
    sim.clients(Mix { clients: 3, keys: 3, ..Mix::default() });
    sim.until("the snapshot is accepted", secs(20), |sim| {
        sim.peer(away).node().storage().loading().is_some()
    });
    let other = sim.store(away).peer(2).expect("it has a peer of region 2");
    let before = other.apply_state().applied_index;
    for n in 0..10 {
        sim.put("z", &n.to_string());
    }
    sim.run(millis(100));
    assert!(sim.peer(away).node().storage().loading().is_some(), "region 1 is still being loaded");
    let other = sim.store(away).peer(2).expect("it has a peer of region 2");
    assert!(other.apply_state().applied_index >= before + 10, "and region 2 has applied ten puts meanwhile");
    sim.finish();
}
