//! What clients see of a cluster that is well.

use std::time::Duration;

use pretty_assertions::assert_eq;
use raftkv::server::client::{Client, ClientError};

use super::{Cluster, run};

async fn filled(cluster: &Cluster) -> Client {
    let client = cluster.client().await;
    for key in ["a", "c", "e", "k", "m", "p", "z"] {
        client.put("default", key.as_bytes(), key.to_uppercase().as_bytes()).await.expect("a put");
    }
    client
}

async fn scan(client: &Client, start: &str, end: &str, limit: u32) -> String {
    let pairs = client.scan("default", start.as_bytes(), end.as_bytes(), limit).await.expect("a scan");
    pairs.iter().map(|pair| String::from_utf8_lossy(&pair.key).into_owned()).collect()
}

#[test]
fn what_is_written_is_read() {
    run(async {
        let cluster = Cluster::start(3).await;
        let client = filled(&cluster).await;
        let get = async |key: &str| client.get("default", key.as_bytes()).await.expect("a get");
        assert_eq!(get("k").await.as_deref(), Some(&b"K"[..]));
        assert_eq!(get("no").await, None);
        assert_eq!(client.get("write", b"k").await.expect("a get"), None, "another column family");
        client.delete("default", b"k").await.expect("a delete");
        assert_eq!(get("k").await, None);
        client.put("default", b"empty", b"").await.expect("a put");
        assert_eq!(get("empty").await.as_deref(), Some(&b""[..]), "an empty value is a value");
        let swap = async |expected: Option<&[u8]>, value: &[u8]| {
            client.compare_and_swap("default", b"s", expected, value).await.expect("a swap")
        };
        assert_eq!(swap(None, b"1").await, (true, None));
        assert_eq!(swap(None, b"2").await, (false, Some("1".into())));
        assert_eq!(swap(Some(b"1"), b"2").await, (true, Some("1".into())));
    });
}

#[test]
fn scans_go_over_all_regions() {
    run(async {
        let cluster = Cluster::start(3).await;
        let client = filled(&cluster).await;
        assert_eq!(scan(&client, "", "", 100).await, "acekmpz");
        for key in ["e", "m", "n"] {
            client.split(key.as_bytes()).await.expect("a split inside a region");
        }
        assert_eq!(scan(&client, "", "", 100).await, "acekmpz");
        assert_eq!(scan(&client, "c", "n", 100).await, "cekm");
        assert_eq!(scan(&client, "c", "n", 3).await, "cek");
        assert_eq!(scan(&client, "e", "m", 100).await, "ek", "to the end of a region, exactly");
        assert_eq!(scan(&client, "q", "r", 100).await, "");
    });
}

#[test]
fn what_makes_no_sense_is_refused() {
    run(async {
        let cluster = Cluster::start(1).await;
        let client = cluster.client().await;
        let refused = async |key: &[u8], value: &[u8], cf: &str| match client.put(cf, key, value).await {
            Err(ClientError::Rejected(why)) => why,
            other => panic!("it should be refused: {other:?}"),
        };
        assert_eq!(refused(b"", b"v", "default").await, "the key is empty");
        assert!(refused(&[7; 9000], b"v", "default").await.contains("9000 bytes"));
        assert!(refused(b"k", b"v", "nosuch").await.contains("nosuch"));
        assert_eq!(client.get("default", b"k").await.expect("a get"), None);
    });
}

/// A value that fits into no log entry: the client hears so in time, and the store goes on.
#[test]
fn a_value_that_is_too_large() {
    run(async {
        let cluster = Cluster::start(1).await;
        let address = cluster.scheduler().address().to_string();
        let client =
            Client::connect(&address, Duration::from_millis(500)).await.expect("the scheduler is there");
        let error = client.put("default", b"k", &vec![7; 9 << 20]).await.expect_err("8 MiB is the most");
        assert!(error.to_string().contains("9437"), "{error}");
        client.put("default", b"k", &vec![7; 7 << 20]).await.expect("7 MiB go through");
    });
}

/// Two hundred clients at once, each with a connection of its own.
#[test]
fn many_clients() {
    run(async {
        let cluster = Cluster::start(3).await;
        let mut clients = tokio::task::JoinSet::new();
        for n in 0..200_u32 {
            let client = cluster.client().await;
            clients.spawn(async move {
                let key = format!("k{n:03}");
                client.put("default", key.as_bytes(), b"v").await.expect("a put");
                client.get("default", key.as_bytes()).await.expect("a get")
            });
        }
        let read = clients.join_all().await;
        assert!(read.iter().all(|value| value.as_deref() == Some(b"v")));
        let client = cluster.client().await;
        assert_eq!(client.scan("default", b"", b"", 1000).await.expect("a scan").len(), 200);
    });
}
