//! Regions and stores come and go while clients work.

use pretty_assertions::assert_eq;
use raftkv::server::client::Client;

use super::{Cluster, fast, region, run, scheduler, until};

/// The stores of a key's region, and the one that leads it, once the scheduler knows them so.
async fn until_stores(client: &Client, key: &str, wanted: &[u64]) {
    until(&format!("the region of {key} is on the stores {wanted:?}"), || async {
        let found = scheduler(client).region_of_key(key.as_bytes()).await.ok()?;
        let mut stores: Vec<u64> = found.region?.peers.iter().map(|peer| peer.store_id).collect();
        stores.sort_unstable();
        (stores == wanted && found.pending_peers.is_empty()).then_some(())
    })
    .await;
}

async fn order(cluster: &Cluster, body: serde_json::Value) {
    let url = format!("http://{}/operators", cluster.status());
    until("the scheduler takes the order", || async {
        let (url, body) = (url.clone(), body.clone());
        let sent = tokio::task::spawn_blocking(move || ureq::post(&url).send_json(body)).await;
        sent.expect("nobody panics").ok()
    })
    .await;
}

/// A cut region serves, and so do its parts.
#[test]
fn a_split() {
    run(async {
        let cluster = Cluster::start(3).await;
        let client = cluster.client().await;
        client.put("default", b"a", b"1").await.expect("a put");
        client.put("default", b"z", b"1").await.expect("a put");
        let parts = client.split(b"m").await.expect("a split");
        assert_eq!(parts.len(), 2);
        assert_eq!((&parts[0].end_key[..], &parts[1].start_key[..]), (&b"m"[..], &b"m"[..]));
        for key in [b"a", b"z"] {
            assert_eq!(client.get("default", key).await.expect("a get").as_deref(), Some(&b"1"[..]));
            client.put("default", key, b"2").await.expect("a put");
        }
        assert_ne!(region(&client, "a").await.region, region(&client, "z").await.region);
    });
}

/// A region that has grown is cut by itself.
#[test]
fn a_region_that_grows() {
    run(async {
        let settings = raftkv::server::settings::StoreSettings { region_max_size: 10_000, ..fast() };
        let cluster = Cluster::with(1, 1, settings).await;
        let client = cluster.client().await;
        for n in 0..100 {
            client.put("default", format!("k{n:03}").as_bytes(), &[b'v'; 1000]).await.expect("a put");
        }
        until("so many keys are no single region any more", || async {
            let end = region(&client, "").await.region?.end_key;
            (!end.is_empty()).then_some(())
        })
        .await;
        assert_eq!(client.scan("default", b"", b"", 1000).await.expect("a scan").len(), 100);
    });
}

/// Another store leads, because somebody wants it to.
#[test]
fn another_leader() {
    run(async {
        let cluster = Cluster::start(3).await;
        let client = cluster.client().await;
        client.put("default", b"a", b"1").await.expect("a put");
        let found = region(&client, "a").await;
        let (known, leader) = (found.region.expect("a region"), found.leader.expect("a leader"));
        let to = known.peers.iter().find(|peer| peer.id != leader.id).expect("it has three peers").store_id;
        let body = serde_json::json!({"kind": "transfer-leader", "region": known.id, "store": to});
        order(&cluster, body).await;
        until("the other store leads", || async {
            (region(&client, "a").await.leader?.store_id == to).then_some(())
        })
        .await;
        client.put("default", b"a", b"2").await.expect("a put");
        assert_eq!(client.get("default", b"a").await.expect("a get").as_deref(), Some(&b"2"[..]));
    });
}

/// A fourth store gets the data of another one in a snapshot, and takes its place.
#[test]
fn a_store_takes_anothers_place() {
    run(async {
        let mut cluster = Cluster::start(3).await;
        let client = cluster.client().await;
        for n in 0..50 {
            client.put("default", format!("k{n}").as_bytes(), &[b'v'; 10_000]).await.expect("a put");
        }
        cluster.add_store(fast()).await;
        let mut all: Vec<u64> = Vec::new();
        for store in scheduler(&client).stores().await.expect("the scheduler knows them") {
            all.push(store.id);
        }
        all.sort_unstable();
        let found = region(&client, "k").await;
        let (known, leader) = (found.region.expect("a region"), found.leader.expect("a leader"));
        let new =
            *all.iter().find(|id| known.peer_on(**id).is_none()).expect("the new store has no peer yet");
        let old = known.peers.iter().find(|peer| peer.id != leader.id).expect("it has three peers").store_id;
        let body = serde_json::json!({"kind": "move-peer", "region": known.id, "from": old, "store": new});
        order(&cluster, body).await;
        let left: Vec<u64> = all.into_iter().filter(|id| *id != old).collect();
        until_stores(&client, "k", &left).await;
        assert_eq!(client.scan("default", b"", b"", 1000).await.expect("a scan").len(), 50);
    });
}

/// The leader's store ends in order; the others go on.
#[test]
fn a_store_ends() {
    run(async {
        let mut cluster = Cluster::start(3).await;
        let client = cluster.client().await;
        client.put("default", b"a", b"1").await.expect("a put");
        let leader = region(&client, "a").await.leader.expect("a leader").store_id;
        cluster.stop_store(leader).await;
        assert_eq!(client.get("default", b"a").await.expect("a get").as_deref(), Some(&b"1"[..]));
        client.put("default", b"a", b"2").await.expect("a put");
    });
}
