//! What a store's pages say of its work.

use std::collections::BTreeMap;

use super::{Cluster, run};
use crate::scheduler::http::get;

/// The store's figures, by name and labels.
async fn figures(cluster: &Cluster) -> BTreeMap<String, f64> {
    let page = cluster.stores()[0].status.expect("it has a page");
    let (status, text) = get(page, "/metrics").await;
    assert_eq!(status, 200, "{text}");
    let figure = |line: &str| {
        let (name, value) = line.rsplit_once(' ')?;
        Some((name.to_string(), value.parse().ok()?))
    };
    text.lines().filter(|line| !line.starts_with('#')).filter_map(figure).collect()
}

/// Reads that come in together share an entry of the log, and each sees what was acknowledged before it.
#[test]
fn reads_share_an_entry() {
    run(async {
        let cluster = Cluster::start(1).await;
        let client = cluster.client().await;
        // How many come in together is the machine's affair. Of fifty at once, often enough, some do.
        for round in 0..200_u32 {
            let value = round.to_string();
            client.put("default", b"k", value.as_bytes()).await.expect("a put");
            let mut reads = tokio::task::JoinSet::new();
            for _ in 0..50 {
                let client = client.clone();
                reads.spawn(async move { client.get("default", b"k").await.expect("a get") });
            }
            for read in reads.join_all().await {
                assert_eq!(read.as_deref(), Some(value.as_bytes()), "the put before was acknowledged");
            }
            if figures(&cluster).await["raftkv_store_shared_reads_total"] > 0.0 {
                return;
            }
        }
        panic!("of 10,000 reads, 50 at a time, none went with another one");
    });
}

/// Each engine says how long its writes take, and the page has all times in short.
#[test]
fn writes_are_timed() {
    run(async {
        let cluster = Cluster::start(1).await;
        cluster.client().await.put("default", b"k", b"v").await.expect("a put");
        let figures = figures(&cluster).await;
        for (engine, synced) in [("kv", "false"), ("raft", "true")] {
            let name =
                format!("raftkv_engine_write_seconds_count{{engine=\"{engine}\",synced=\"{synced}\"}}");
            assert!(figures.get(&name).is_some_and(|count| *count > 0.0), "{name} is not in {figures:?}");
        }
        let (status, page) = get(cluster.stores()[0].status.expect("it has a page"), "/").await;
        assert_eq!(status, 200, "{page}");
        assert!(page.contains("<td class=text>raftkv_call call=RawPut<td>"), "{page}");
    });
}
