//! Messages that are lost, doubled, late and out of order (section 5.1: Raft needs no reliable network).

use pretty_assertions::assert_eq;
use raftkv_testkit::lab;
use raftkv_testkit::sim::{Fault, Mix, Setup, Weather, millis, secs};
use rstest::rstest;

use crate::commands::{command, put};

/// Clients are served in bad weather, and what they hear is what one copy of the data would have told them.
#[rstest]
#[case::one_client(3, 1)]
#[case::many_clients(3, 6)]
#[case::many_clients_of_five_stores(5, 6)]
fn bad_weather(#[case] stores: u64, #[case] clients: u64) {
    let lab = lab!();
    for seed in lab.seeds(2) {
        let mut sim = Setup::seeded(seed, stores).weather(Weather::bad()).start();
        sim.clients(Mix { clients, ..Mix::default() });
        assert!(
            sim.until_answered(150, secs(60)),
            "one message in ten is lost: that costs time, and no answer (section 5.5: RPCs are tried again)"
        );
        sim.finish();
        sim.assert_struck(&[Fault::Loss, Fault::Duplicate, Fault::Delay]);
    }
}

/// Every message arrives twice, and often after ones that were sent later. Nothing is carried out twice.
#[test]
fn everything_comes_twice() {
    let lab = lab!();
    for seed in lab.seeds(2) {
        let weather = Weather { latency: (500, 10_000), duplication: 100, ..Weather::default() };
        let mut sim = Setup::seeded(seed, 3).weather(weather).start();
        assert_eq!(sim.swap("n", None, "0"), (true, None));
        for n in 0..20 {
            let (now, next) = (n.to_string(), (n + 1).to_string());
            assert_eq!(
                sim.swap("n", Some(&now), &next),
                (true, Some(now.into())),
                "each swap is carried out once"
            );
        }
        sim.finish();
        sim.assert_struck(&[Fault::Duplicate]);
    }
}

/// Half of all messages are lost. Nobody can promise how long it takes, but nothing wrong comes of it, and it ends when
/// the weather does.
#[test]
fn half_is_lost() {
    let lab = lab!();
    for seed in lab.seeds(2) {
        let weather = Weather { loss: 50, client_loss: 20, ..Weather::default() };
        let mut sim = Setup::seeded(seed, 3).weather(weather).start();
        sim.clients(Mix::default());
        sim.run(secs(10));
        sim.finish();
        sim.assert_struck(&[Fault::Loss, Fault::ClientLoss]);
    }
}

/// What an old leader has sent arrives when there is a new one, with other entries in the same places. It is of an old
/// term, and must not overwrite anything (section 5.1).
#[test]
fn letters_from_the_past() {
    let lab = lab!();
    for seed in lab.seeds(3) {
        let mut sim = Setup::seeded(seed, 3).start();
        sim.put("a", "1");
        let old = sim.leader();
        sim.settle();
        for other in sim.others(old) {
            sim.hold(old, other);
            sim.cut(other, old);
        }
        for n in 0..5 {
            let request = command(&sim, old, vec![put("a", &format!("old {n}"))]);
            sim.begin_command(old, request);
        }
        sim.until("the others hear no leader, and elect one", secs(10), |sim| {
            sim.elected().is_some_and(|id| id != old)
        });
        sim.put("a", "new");
        sim.release();
        sim.run(millis(100));
        assert_eq!(sim.get("a"), Some("new".into()), "what arrived late is of an old term");
        sim.finish();
        assert_eq!(sim.get("a"), Some("new".into()));
        sim.assert_struck(&[Fault::Hold, Fault::Cut]);
    }
}

/// Latencies as between continents, with timeouts to match: elections still end, and clients are served.
#[test]
fn a_wide_network() {
    let lab = lab!();
    let weather = Weather { latency: (millis(20), millis(60)), ..Weather::default() };
    let tune = |config: &mut raftkv::raftstore::Config| config.election_ticks = 50;
    let mut sim = Setup::of(&lab, 5).weather(weather).tune(tune).start();
    for n in 0..10 {
        sim.put("n", &n.to_string());
    }
    assert_eq!(sim.get("n"), Some("9".into()));
    sim.finish();
}
