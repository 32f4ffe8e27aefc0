//! The published crate `tikv-client`, unmodified, reads and writes through a RaftKV cluster: every raw call, over
//! several regions, while regions are cut, leaders move, and a store is killed.
//!
//! Kept out are known faults of version 0.4.0 of the client: a bounded scan that ends in the last region with a limit
//! above the number of matches wraps around; an unbounded scan ends with the first region; reverse scans over several
//! regions.

mod cluster;
#[allow(dead_code, reason = "it is shared with the server's own tests")]
#[path = "../../../server/process.rs"]
mod process;

use std::future::Future;
use std::time::Duration;

use tikv_client::{ColumnFamily, RawClient};
use tokio::time::timeout;

use cluster::{Cluster, peers};

fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build();
    let limit = Duration::from_secs(90);
    runtime.expect("the system has threads").block_on(async {
        timeout(limit, test).await.unwrap_or_else(|_| panic!("this takes longer than {} s", limit.as_secs()));
    });
}

async fn put(client: &RawClient, key: &str, value: &str) {
    client
        .put(key.to_string(), value.to_string())
        .await
        .unwrap_or_else(|error| panic!("a put of {key}: {error}"));
}

async fn get(client: &RawClient, key: &str) -> Option<String> {
    let value = client.get(key.to_string()).await.unwrap_or_else(|error| panic!("a get of {key}: {error}"));
    value.map(|value| String::from_utf8(value).expect("text"))
}

async fn scan(client: &RawClient, start: &str, end: &str, limit: u32) -> String {
    let range = start.to_string()..end.to_string();
    let pairs = client.scan(range, limit).await.unwrap_or_else(|error| panic!("a scan: {error}"));
    let keys: Vec<String> =
        pairs.into_iter().map(|pair| String::from_utf8(pair.0.into()).expect("text")).collect();
    keys.join(" ")
}

#[test]
fn one_key() {
    run(async {
        let cluster = Cluster::start().await;
        let client = cluster.client().await;
        assert_eq!(get(&client, "k").await, None);
        put(&client, "k", "1").await;
        assert_eq!(get(&client, "k").await.as_deref(), Some("1"));
        put(&client, "k", "").await;
        assert_eq!(get(&client, "k").await.as_deref(), Some(""), "an empty value is a value");
        client.delete("k".to_string()).await.expect("a delete");
        assert_eq!(get(&client, "k").await, None);
        assert!(client.put(String::new(), "v".to_string()).await.is_err(), "a key has at least one byte");
    });
}

#[test]
fn column_families() {
    run(async {
        let cluster = Cluster::start().await;
        let client = cluster.client().await;
        let write = client.with_cf(ColumnFamily::Write);
        put(&client, "k", "default").await;
        assert_eq!(get(&write, "k").await, None);
        put(&write, "k", "write").await;
        assert_eq!(get(&client, "k").await.as_deref(), Some("default"));
        assert_eq!(get(&write, "k").await.as_deref(), Some("write"));
    });
}

#[test]
fn swaps() {
    run(async {
        let cluster = Cluster::start().await;
        let client = cluster.client().await.with_atomic_for_cas();
        let swap = async |expected: Option<&str>, value: &str| {
            let expected = expected.map(|text| text.as_bytes().to_vec());
            let swapped = client.compare_and_swap("k".to_string(), expected, value.to_string()).await;
            let (held, done) = swapped.expect("a swap");
            (done, held.map(|held| String::from_utf8(held).expect("text")))
        };
        assert_eq!(swap(None, "1").await, (true, None));
        assert_eq!(swap(None, "2").await, (false, Some("1".to_string())));
        assert_eq!(swap(Some("1"), "2").await, (true, Some("1".to_string())));
        assert_eq!(swap(Some("1"), "3").await, (false, Some("2".to_string())));
    });
}

/// Batches, scans and range deletions over four regions.
#[test]
fn many_keys_in_many_regions() {
    run(async {
        let cluster = Cluster::start().await;
        let client = cluster.client().await;
        put(&client, "a", "-").await;
        for key in ["d", "h", "p"] {
            cluster.ctl(&["split", key]).await;
        }
        cluster
            .until("four regions lead", |all| {
                all.len() == 4 && all.iter().all(|r| r["leader_store"].is_u64())
            })
            .await;
        let keys = ["a", "c", "e", "g", "k", "m", "q", "s"];
        let pairs = keys.map(|key| (key.to_string(), key.to_uppercase()));
        client.batch_put(pairs).await.expect("a batch of puts");
        let wanted = ["s", "c", "x", "m"].map(str::to_string);
        let found = client.batch_get(wanted).await.expect("a batch of gets");
        let mut found: Vec<String> =
            found.into_iter().map(|pair| String::from_utf8(pair.1).expect("text")).collect();
        found.sort_unstable();
        assert_eq!(found, ["C", "M", "S"]);
        assert_eq!(scan(&client, "a", "n", 100).await, "a c e g k m", "over three regions");
        assert_eq!(scan(&client, "b", "h", 3).await, "c e g", "as many as wanted");
        assert_eq!(scan(&client, "d", "h", 100).await, "e g", "exactly one region");
        client.delete_range("c".to_string().."h".to_string()).await.expect("a deletion over two regions");
        assert_eq!(scan(&client, "a", "n", 100).await, "a k m");
        client.batch_delete(["k", "q"].map(str::to_string)).await.expect("a batch of deletes");
        assert_eq!(scan(&client, "a", "n", 100).await, "a m");
        assert_eq!((get(&client, "q").await, get(&client, "s").await.as_deref()), (None, Some("S")));
    });
}

/// The client knows an old picture of the regions: it is sent on, and loses nothing.
#[test]
fn regions_change_meanwhile() {
    run(async {
        let cluster = Cluster::start().await;
        let client = cluster.client().await;
        for n in 0..20 {
            put(&client, &format!("k{n:02}"), "old").await;
        }
        for key in ["k05", "k10", "k15"] {
            cluster.ctl(&["split", key]).await;
            for n in 0..20 {
                put(&client, &format!("k{n:02}"), key).await;
            }
        }
        let regions = cluster.until("all lead", |all| all.iter().all(|r| r["leader_store"].is_u64())).await;
        for region in &regions {
            let leader = &region["leader_store"];
            let other =
                peers(region).iter().find(|peer| &peer["store"] != leader).expect("it has three peers");
            let (id, to) = (region["id"].to_string(), other["store"].to_string());
            cluster.order(&["transfer-leader", &id, &to]).await;
        }
        for n in 0..20 {
            let key = format!("k{n:02}");
            put(&client, &key, "new").await;
            assert_eq!(get(&client, &key).await.as_deref(), Some("new"));
        }
    });
}

/// The store of the leader is killed: the client finds the next one.
#[test]
fn a_store_is_killed() {
    run(async {
        let mut cluster = Cluster::start().await;
        let client = cluster.client().await;
        for n in 0..20 {
            put(&client, &format!("k{n:02}"), "1").await;
        }
        let regions = cluster.until("it leads", |all| all[0]["leader_store"].is_u64()).await;
        let leader = &regions[0]["leader_store"];
        let stores = cluster.ctl(&["stores"]).await;
        let stores = stores.as_array().expect("an array");
        let address =
            stores.iter().find(|store| &store["id"] == leader).expect("it is known")["address"].clone();
        let place =
            cluster.stores.iter().position(|store| address == store.address.as_str()).expect("it runs");
        cluster.stores.remove(place).child.kill().await.expect("it runs");
        cluster.until("another one leads", |all| &all[0]["leader_store"] != leader).await;
        for n in 0..20 {
            let key = format!("k{n:02}");
            assert_eq!(get(&client, &key).await.as_deref(), Some("1"));
            put(&client, &key, "2").await;
            assert_eq!(get(&client, &key).await.as_deref(), Some("2"));
        }
    });
}
