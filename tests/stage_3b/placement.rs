//! Regions that are changed by the scheduler, or because they have grown: whole clusters.

use pretty_assertions::assert_eq;
use raftkv::engine::Cf;
use raftkv::raftstore::Config;
use raftkv::scheduler::{Operator, OperatorState};
use raftkv_testkit::lab;
use raftkv_testkit::requests::put;
use raftkv_testkit::sim::{Fault, Mix, Nemesis, Setup, Sim, batch_split, millis, secs};
use rstest::rstest;

/// A region may have 1000 bytes.
const MOST: u64 = 1000;

fn small(config: &mut Config) {
    (config.split_check_ticks, config.region_max_size) = (3, MOST);
}

fn keys() -> Vec<String> {
    (0..40).map(|n| format!("k{n:02}")).collect()
}

fn fill(sim: &mut Sim) {
    for key in keys() {
        sim.put(&key, &"x".repeat(47));
    }
}

/// How many bytes each region has, as its first member has them.
fn sizes(sim: &Sim) -> Vec<u64> {
    let size = |region: &raftkv::proto::metapb::Region| {
        let kv = sim.store(region.peers[0].store_id).engines().kv.snapshot();
        let mut size = 0;
        for cf in Cf::DATA {
            let mut cursor = kv.cursor(cf, region.range());
            cursor.seek_to_first().expect("the simulated disk can be read");
            while let Some((key, value)) = cursor.entry() {
                size += (key.len() + value.len()) as u64;
                cursor.next().expect("the simulated disk can be read");
            }
        }
        size
    };
    sim.region_map().iter().map(size).collect()
}

/// A region that grows is split by itself, and its parts again, until none is too large; their halves are about equal,
/// so none is tiny.
#[test]
fn a_region_that_grows_is_split() {
    let lab = lab!();
    for seed in lab.seeds(2) {
        let mut sim = Setup::seeded(seed, 3).scheduler().tune(small).start();
        fill(&mut sim);
        sim.until("regions that are too large are split", secs(5), |sim| {
            sizes(sim).iter().all(|s| *s <= MOST)
        });
        sim.finish();
        let sizes = sizes(&sim);
        assert!(sizes.iter().all(|size| *size >= MOST / 5), "seed {seed}: halves of halves: {sizes:?}");
        assert!((3..=6).contains(&sizes.len()), "seed {seed}: 2000 bytes, 1000 at most: {sizes:?}");
        for key in keys() {
            assert_eq!(sim.get(&key).map(|value| value.len()), Some(47));
        }
    }
}

/// A region that does not grow stays whole, however often it is looked at, and a key that is written again and again is
/// one key.
#[test]
fn a_region_that_does_not_grow() {
    let lab = lab!();
    let mut sim = Setup::of(&lab, 3).scheduler().tune(small).start();
    for _ in 0..10 {
        for key in ["a", "b", "c", "d", "e"] {
            sim.put(key, &"x".repeat(100));
        }
    }
    sim.run(secs(1));
    assert_eq!(
        sim.region_map().len(),
        1,
        "5 keys of 101 bytes are less than 1000: {}",
        sim.region_map_text()
    );
    sim.put("f", &"x".repeat(600));
    sim.until("now it is too large", secs(3), |sim| sim.region_map().len() == 2);
    sim.finish();
}

/// Whoever asks the scheduler learns of the parts, and who leads them.
#[test]
fn the_scheduler_knows_the_parts() {
    let lab = lab!();
    let mut sim = Setup::of(&lab, 3).scheduler().start();
    sim.put("a", "1");
    let new = sim.split("k");
    sim.run(millis(200));
    for (key, region) in [("a", 1), ("k", new), ("z", new)] {
        let leader = sim.await_leader(region);
        let newest = sim.newest(region);
        let known = sim.scheduler().region_by_key(key.as_bytes()).expect("every key has its region").clone();
        assert_eq!(known.region, newest, "key {key}");
        assert_eq!(known.leader.map(|peer| peer.store_id), Some(leader), "key {key}");
    }
    sim.finish();
}

/// The report of a split is on its way before any heartbeat is: routing is right at once, where the interval is long.
#[test]
fn a_split_is_told_at_once() {
    let lab = lab!();
    let seldom = |config: &mut Config| config.heartbeat_to_scheduler_ticks = 10_000;
    let mut sim = Setup::of(&lab, 3).scheduler().tune(seldom).start();
    sim.put("a", "1");
    let new = sim.split("k");
    sim.run(millis(50));
    let known = sim.scheduler().region_by_key(b"z").map(|info| info.region.id);
    assert_eq!(known, Some(new));
    sim.finish();
}

/// Orders of the scheduler are carried out, end to end: a member comes, goes, moves; another leads.
#[rstest]
#[case::add(Operator::AddPeer { store_id: 4 }, &[1, 2, 3, 4])]
#[case::remove(Operator::RemovePeer { store_id: 2 }, &[1, 3])]
#[case::hand_over(Operator::TransferLeader { store_id: 3 }, &[1, 2, 3])]
#[case::move_one(Operator::MovePeer { from_store: 1, to_store: 4 }, &[2, 3, 4])]
#[case::move_another(Operator::MovePeer { from_store: 3, to_store: 4 }, &[1, 2, 4])]
fn operators(#[case] operator: Operator, #[case] members: &[u64]) {
    let lab = lab!();
    for seed in lab.seeds(3) {
        let mut sim = Setup::seeded(seed, 4).members(&[1, 2, 3]).scheduler().start();
        sim.put("a", "1");
        sim.put("z", "1");
        sim.run(millis(300));
        sim.scheduler().add_operator(1, operator).expect("it makes sense");
        for _ in 0..200 {
            sim.run(millis(20));
            if sim.scheduler().operators().all(|status| status.state != OperatorState::Running) {
                break;
            }
        }
        let ended: Vec<_> = sim.scheduler().operators().map(|status| status.state).collect();
        assert_eq!(ended, [OperatorState::Done], "seed {seed}: {}", sim.region_map_text());
        let mut stores: Vec<u64> = sim.newest(1).peers.iter().map(|peer| peer.store_id).collect();
        stores.sort_unstable();
        assert_eq!(stores, members, "seed {seed}");
        if let Operator::TransferLeader { store_id } = operator {
            assert_eq!(sim.leader(), store_id, "seed {seed}");
        }
        sim.put("a", "2");
        sim.finish();
        for store in members {
            assert_eq!(sim.data(*store, "a").as_deref(), Some(&b"2"[..]), "seed {seed}");
        }
    }
}

/// A region of one grows: as soon as there are two, both are needed (thesis, section 4.1), so the new one has to come
/// into being where nothing is, and to get all data, before anything more is committed.
#[test]
fn one_becomes_three() {
    let lab = lab!();
    for seed in lab.seeds(3) {
        let mut sim = Setup::seeded(seed, 3).members(&[1]).scheduler().start();
        sim.put("a", "1");
        for store in [2, 3] {
            sim.add_peer(1, store);
            sim.put("a", &store.to_string());
        }
        sim.split("k");
        sim.put("z", "1");
        sim.finish();
        assert_eq!((sim.data(2, "a"), sim.data(3, "z")), (Some("3".into()), Some("1".into())), "seed {seed}");
    }
}

/// A member of a part moves, as that of any region.
#[test]
fn a_part_moves() {
    let lab = lab!();
    let mut sim = Setup::of(&lab, 4).members(&[1, 2, 3]).scheduler().start();
    sim.put("a", "1");
    sim.put("z", "1");
    let new = sim.split("k");
    sim.run(millis(300));
    let operator = Operator::MovePeer { from_store: 1, to_store: 4 };
    sim.scheduler().add_operator(new, operator).expect("it makes sense");
    sim.until("the order is carried out", secs(5), |sim| {
        let stores: Vec<u64> = sim.newest(new).peers.iter().map(|peer| peer.store_id).collect();
        stores.contains(&4) && !stores.contains(&1)
    });
    sim.finish();
    assert_eq!((sim.data(1, "z"), sim.data(4, "a")), (None, None), "each store has what it has a peer of");
    assert_eq!((sim.data(1, "a"), sim.data(4, "z")), (Some("1".into()), Some("1".into())));
}

/// The scheduler is out of reach: regions stay as they are, and everything else goes on.
#[test]
fn without_a_scheduler() {
    let lab = lab!();
    let tune = |config: &mut Config| {
        small(config);
        config.heartbeat_to_scheduler_ticks = 5;
    };
    let mut sim = Setup::of(&lab, 3).tune(tune).start();
    fill(&mut sim);
    sim.run(secs(1));
    assert_eq!(sim.region_map().len(), 1, "nobody gives ids for a split");
    assert_eq!(sim.get("k00").map(|value| value.len()), Some(47));
    let leader = sim.leader();
    let ids = sim.split_ids(1);
    let request = sim.admin_request(leader, 1, batch_split("k10", ids));
    assert!(sim.command(leader, request).is_some_and(|result| result.is_ok()), "whoever has ids can split");
    sim.run(millis(200));
    assert_eq!(sim.region_map().len(), 2);
}

/// The question for ids is lost, or its answer: it is asked again, and the region is split when the scheduler can be
/// reached.
#[test]
fn a_lost_question() {
    let lab = lab!();
    for seed in lab.seeds(3) {
        let mut sim = Setup::seeded(seed, 3).scheduler().tune(small).start();
        let leader = sim.leader();
        sim.run(millis(200));
        sim.cut_clients(leader);
        for key in keys() {
            let context = sim.context(1, leader);
            let header = raftkv::proto::raft_cmdpb::RaftRequestHeader {
                region_id: 1,
                peer: context.peer,
                region_epoch: context.region_epoch,
                ..Default::default()
            };
            let requests = vec![put(&key, &"x".repeat(47))];
            let request = raftkv::proto::raft_cmdpb::RaftCmdRequest {
                header: Some(header),
                requests,
                admin_request: None,
            };
            sim.begin_command(leader, request);
            sim.run(millis(5));
        }
        sim.run(secs(1));
        assert_eq!(sim.region_map().len(), 1, "seed {seed}: nobody gives ids");
        sim.heal();
        sim.until("regions that are too large are split, also after a lost question", secs(5), |sim| {
            sizes(sim).iter().all(|size| *size <= MOST)
        });
        sim.finish();
    }
}

/// Regions grow and are split while clients work and things fail: they are served, and what they hear has an order.
#[rstest]
#[case::quiet(Nemesis { every: secs(100), ..Nemesis::network() })]
#[case::network(Nemesis::network())]
#[case::machines(Nemesis::machines())]
#[case::everything(Nemesis { regions: true, ..Nemesis::everything() })]
fn grow_in_trouble(#[case] trouble: Nemesis) {
    let lab = lab!();
    for seed in lab.seeds(2) {
        let tune = |config: &mut Config| {
            (config.split_check_ticks, config.region_max_size) = (2, 40);
            config.log_gc_limit = 20;
        };
        let mut sim = Setup::seeded(seed, 4).members(&[1, 2, 3]).scheduler().tune(tune).start();
        sim.clients(Mix { clients: 5, keys: 12, deletes: 5, pause: millis(10), ..Mix::default() });
        sim.trouble(trouble.clone());
        sim.run(secs(3));
        sim.finish();
        assert!(sim.region_map().len() > 1, "seed {seed}: nothing was split: {}", sim.region_map_text());
        if trouble.crashes {
            sim.assert_struck(&[Fault::Crash]);
        }
    }
}
