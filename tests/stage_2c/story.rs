//! The story that most tests begin with: a store is away, and the others go on for so long that what it lacks is gone.

use raftkv_testkit::Lab;
use raftkv_testkit::sim::{Setup, Sim, secs};

/// So many applied entries a log may have in these tests.
pub const LIMIT: usize = 20;

/// A cluster whose logs are compacted early.
pub fn setup(lab: &Lab, stores: u64) -> Setup {
    seeded(lab.seed(), stores)
}

/// The same under a seed of its own.
pub fn seeded(seed: u64, stores: u64) -> Setup {
    Setup::seeded(seed, stores).tune(|config| {
        config.log_gc_limit = LIMIT;
        config.log_gc_ticks = 5;
    })
}

/// Puts keys until the logs of all stores that run begin behind `index`.
pub fn write_until_compacted(sim: &mut Sim, index: u64) {
    for round in 0..20 {
        if up(sim).iter().all(|id| sim.first_index(*id) > index + 1) {
            return;
        }
        for n in 0..LIMIT {
            sim.put(&format!("filler{n}"), &format!("{round}"));
        }
        sim.run(secs(1) / 5);
    }
    sim.break_off(
        "a log with more applied entries than Config::log_gc_limit is compacted (section 7)",
        &format!("{} entries were written, and a log still has entry {}", 20 * LIMIT, index + 1),
    );
}

/// The stores that run.
pub fn up(sim: &Sim) -> Vec<u64> {
    (1..=5).filter(|id| sim.has_machine(*id) && sim.is_up(*id)).collect()
}

/// A follower of three stores is cut off, with some keys; the others change them, and compact their logs. Returns it.
pub fn left_behind(sim: &mut Sim) -> u64 {
    for n in 0..4 {
        sim.put(&format!("old{n}"), "before");
        sim.put_cf("lock", &format!("old{n}"), "before");
        sim.put_cf("write", &format!("old{n}"), "before");
    }
    let leader = sim.leader();
    let away = sim.others(leader)[0];
    sim.settle();
    let last = sim.peer(away).node().raft().log().last_index();
    sim.isolate(away);
    sim.delete("old0");
    sim.put("old1", "after");
    sim.put_cf("lock", "new", "after");
    sim.put_cf("write", "new", "after");
    sim.delete_range("old2", "old4");
    others_compact(sim, away, last);
    away
}

/// The stores but this one write until their logs begin behind what it has.
pub fn others_compact(sim: &mut Sim, away: u64, index: u64) {
    for round in 0..20 {
        if sim.others(away).iter().all(|id| sim.is_up(*id) && sim.first_index(*id) > index + 1) {
            return;
        }
        for n in 0..LIMIT {
            sim.put(&format!("filler{n}"), &format!("{round}"));
        }
        sim.run(secs(1) / 5);
    }
    sim.break_off(
        "a log with more applied entries than Config::log_gc_limit is compacted, also while a follower is away (section 7)",
        &format!("{} entries were written, and a log still has entry {}", 20 * LIMIT, index + 1),
    );
}

/// The store has all that the others have, in all column families.
pub fn has_caught_up(sim: &Sim, away: u64) -> bool {
    let leader = sim.others(away).into_iter().find(|id| sim.is_up(*id) && sim.peer(*id).is_leader());
    let Some(leader) = leader.filter(|_| sim.is_up(away)) else { return false };
    let (own, leader) = (sim.peer(away), sim.peer(leader));
    own.node().storage().loading().is_none()
        && own.apply_state().applied_index >= leader.node().raft().commit()
        && leader.node().raft().commit() == leader.node().raft().log().last_index()
}

/// Waits until it has.
pub fn catches_up(sim: &mut Sim, away: u64) {
    sim.until(
        "a store that was away for too long gets a snapshot, and then the entries behind it (section 7)",
        secs(20),
        |sim| has_caught_up(sim, away),
    );
}

/// Cuts a store off until the clients at work have gone so far that it needs a snapshot: whatever the seed, one is
/// needed.
pub fn outrun(sim: &mut Sim, away: u64) {
    let last = sim.peer(away).node().raft().log().last_index();
    sim.isolate(away);
    sim.until("two of three stores serve clients, and compact their logs", secs(30), |sim| {
        sim.others(away).into_iter().all(|id| sim.first_index(id) > last + 1)
    });
    // The workers delete the entries: from here on not even a power cut brings them back.
    sim.run(secs(1) / 20);
}
