//! What comes to a store's port and is not for it: it disturbs nobody.

use std::time::Duration;

use raftkv::proto::metapb::Peer;
use raftkv::proto::raft_serverpb::RaftMessage;
use raftkv::proto::tikvpb::BatchRaftMessage;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tonic::{Code, Request};

use super::{Cluster, run};
use crate::calls::connect;

async fn still_serves(cluster: &Cluster) {
    let client = cluster.client().await;
    client.put("default", b"a", b"1").await.expect("a put");
    assert_eq!(client.get("default", b"a").await.expect("a get").as_deref(), Some(&b"1"[..]));
}

/// Bytes that are no HTTP, a connection that says nothing, and one that ends in the middle of a word.
#[test]
fn garbage_on_the_port() {
    run(async {
        let cluster = Cluster::start(1).await;
        let address = cluster.stores()[0].address;
        let silent = TcpStream::connect(address).await.expect("the store listens");
        for garbage in
            [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0xff; 4096], b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\x00\x00"]
        {
            let mut stream = TcpStream::connect(address).await.expect("the store listens");
            // It may hang up before it has read everything.
            let _ = stream.write_all(garbage).await;
            let _ = timeout(Duration::from_millis(100), stream.read(&mut [0; 100])).await;
        }
        still_serves(&cluster).await;
        drop(silent);
    });
}

/// Messages of another cluster, or of nobody: refused, before the store sees them.
#[test]
fn another_cluster() {
    run(async {
        let cluster = Cluster::start(1).await;
        let mut client = connect(cluster.stores()[0].address).await.expect("the store listens");
        for named in [Some("4711"), None] {
            let batch = BatchRaftMessage { msgs: vec![RaftMessage::default()] };
            let mut request = Request::new(tokio_stream::once(batch));
            if let Some(named) = named {
                request.metadata_mut().insert("raftkv-cluster", named.parse().expect("ASCII"));
            }
            let status = client.batch_raft(request).await.expect_err("it is of another cluster");
            assert_eq!(status.code(), Code::FailedPrecondition, "{status}");
        }
        still_serves(&cluster).await;
    });
}

/// Messages of this cluster that make no sense: dropped.
#[test]
fn messages_that_make_no_sense() {
    run(async {
        let cluster = Cluster::start(1).await;
        let cluster_id = cluster.scheduler().cluster_id();
        let mut client = connect(cluster.stores()[0].address).await.expect("the store listens");
        let to = |id, store_id| Some(Peer { id, store_id, ..Default::default() });
        let msgs = vec![
            RaftMessage::default(),
            RaftMessage { region_id: 99, from_peer: to(0, 0), to_peer: to(0, 1), ..Default::default() },
            RaftMessage { region_id: 99, from_peer: to(1, 9), to_peer: to(7, 77), ..Default::default() },
        ];
        let mut request = Request::new(tokio_stream::once(BatchRaftMessage { msgs }));
        request.metadata_mut().insert("raftkv-cluster", cluster_id.to_string().parse().expect("ASCII"));
        client.batch_raft(request).await.expect("it is taken in, and dropped");
        still_serves(&cluster).await;
    });
}

/// A client that asks, and does not read its answer, holds up nobody.
#[test]
fn a_slow_client() {
    run(async {
        let cluster = Cluster::start(1).await;
        let client = cluster.client().await;
        for n in 0..8 {
            client.put("default", &[b'k', n], &vec![b'v'; 1 << 20]).await.expect("a put");
        }
        // 8 MiB are more than the system's buffers hold; nobody polls this future after the first time.
        let slow = cluster.client().await;
        let mut scan = Box::pin(slow.scan("default", b"", b"", 100));
        let _ = timeout(Duration::from_millis(200), &mut scan).await;
        still_serves(&cluster).await;
        drop(scan);
    });
}
