//! `kill -9` under load.

use raftkv_testkit::history::{Operation, check};
use raftkv_testkit::{Rng, lab};

use super::Cluster;
use crate::cluster::{run, until};
use crate::load::Load;

async fn until_answered(load: &Load, more: u64) {
    let goal = load.answered() + more;
    until("clients are served again", || async { (load.answered() >= goal).then_some(()) }).await;
}

/// The leader is killed, again and again, and starts again, while clients read, write and swap: what they heard has an
/// order, and they are served as soon as two of three are up.
#[test]
fn the_leader_again_and_again() {
    let lab = lab!();
    let seed = lab.seeds(1).next().expect("one");
    run(async {
        let mut cluster = Cluster::start(3).await;
        let load = Load::new();
        let mut clients = tokio::task::JoinSet::new();
        for id in 0..4 {
            let client = cluster.client().await.without_repeats();
            clients.spawn(load.clone().work(id, client, Rng::new(seed + id)));
        }
        for _ in 0..3 {
            until_answered(&load, 100).await;
            let leader = cluster.leader("k").await;
            cluster.stores[leader].take().expect("it leads").kill().await;
            until_answered(&load, 100).await;
            cluster.start_store(leader).await;
        }
        until_answered(&load, 100).await;
        load.end();
        let history: Vec<Operation> = clients.join_all().await.into_iter().flatten().collect();
        assert!(history.len() > 700, "{} operations", history.len());
        if let Err(violation) = check(&history) {
            panic!("what the clients heard has no order: {violation}");
        }
    });
}

/// All three at once: a majority is gone, and nothing that was acknowledged is.
#[test]
fn all_at_once() {
    run(async {
        let mut cluster = Cluster::start(3).await;
        let client = cluster.client().await;
        for n in 0..50 {
            client.put("default", format!("k{n}").as_bytes(), b"v").await.expect("a put");
        }
        for store in &mut cluster.stores {
            store.take().expect("it runs").kill().await;
        }
        for n in 0..3 {
            cluster.start_store(n).await;
        }
        assert_eq!(client.scan("default", b"", b"", 100).await.expect("a scan").len(), 50);
    });
}

/// A store was away for longer than the log remembers: it gets a snapshot, and counts again.
#[test]
fn a_store_that_was_away() {
    run(async {
        let mut cluster = Cluster::start(3).await;
        let client = cluster.client().await;
        let leader = cluster.leader("").await;
        let away = (leader + 1) % 3;
        cluster.stores[away].take().expect("it runs").kill().await;
        for n in 0..200 {
            client.put("default", format!("k{n:03}").as_bytes(), b"v").await.expect("a put");
        }
        cluster.start_store(away).await;
        // The third one goes: from now on nothing is committed without the one that was away.
        let third = 3 - leader - away;
        cluster.stores[third].take().expect("it runs").kill().await;
        client.put("default", b"last", b"v").await.expect("two of three are enough");
        assert_eq!(client.scan("default", b"", b"", 1000).await.expect("a scan").len(), 201);
        let process = cluster.stores[away].take().expect("it runs");
        process.terminate();
        let (status, log) = process.ended().await;
        assert!(status.success(), "{log}");
        assert!(
            log.contains("restored from a snapshot"),
            "its log had a gap that only a snapshot closes: {log}"
        );
    });
}
