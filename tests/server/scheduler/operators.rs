//! Operators: ordered by people over HTTP, carried out by leaders that hear of them in answers to heartbeats.

use raftkv::proto::eraftpb::ConfChangeType;
use raftkv::proto::pdpb::*;
use raftkv::server::scheduler::Running;
use serde_json::{Value, json};

use super::http::{get, post};
use super::{Heartbeats, bootstrapped, bounded, header, page_of, peer, region};

async fn order(running: &Running, body: &str) -> (u16, Value) {
    let (status, body) = post(page_of(running), "/operators", body).await;
    (status, serde_json::from_str(&body).unwrap_or_else(|error| panic!("{error}: {body}")))
}

async fn operators(running: &Running) -> Value {
    let (status, body) = get(page_of(running), "/operators").await;
    assert_eq!(status, 200);
    serde_json::from_str(&body).expect("JSON")
}

/// An order comes with the answers to heartbeats until one shows that it is done.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_is_added() {
    bounded(async {
        let (running, mut client) = bootstrapped(&[1, 4]).await;
        let mut heartbeats = Heartbeats::begin(&mut client).await;
        let mut group = region(10, ["", ""], [1, 1], &[1]);
        assert_eq!(heartbeats.send(group.clone()).await.change_peer, None);
        let wish = r#"{"region":10,"kind":"add-peer","store":4}"#;
        assert_eq!(order(&running, wish).await, (202, json!({"region": 10, "kind": "add-peer", "store": 4})));
        let (status, refused) = order(&running, wish).await;
        assert_eq!((status, refused["error"].is_string()), (409, true), "one is running: {refused}");
        let change = heartbeats.send(group.clone()).await.change_peer.expect("an order");
        let new = change.peer.expect("it names the peer");
        assert_eq!((change.change_type(), new.store_id), (ConfChangeType::AddNode, 4));
        assert_eq!(heartbeats.send(group.clone()).await.change_peer, Some(change), "until it is done");
        assert_eq!(operators(&running).await[0]["state"], "running");
        group.peers.push(new);
        group.region_epoch.as_mut().expect("it has one").conf_ver += 1;
        assert_eq!(heartbeats.send(group).await.change_peer, None);
        let done = json!([{"region": 10, "kind": "add-peer", "store": 4, "state": "done"}]);
        assert_eq!(operators(&running).await, done);
    })
    .await;
}

/// The leadership moves, then a peer goes.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_is_moved_and_a_peer_removed() {
    bounded(async {
        let (running, mut client) = bootstrapped(&[1, 2]).await;
        let mut heartbeats = Heartbeats::begin(&mut client).await;
        let group = region(10, ["", ""], [1, 2], &[1, 2]);
        heartbeats.send(group.clone()).await;
        assert_eq!(order(&running, r#"{"region":10,"kind":"transfer-leader","store":2}"#).await.0, 202);
        let transfer = heartbeats.send(group.clone()).await.transfer_leader.expect("an order");
        assert_eq!(transfer.peer, Some(peer(10, 2)));
        let by_store_2 = RegionHeartbeatRequest {
            header: header(),
            region: Some(group),
            leader: Some(peer(10, 2)),
            term: 7,
            ..Default::default()
        };
        assert_eq!(heartbeats.exchange(by_store_2.clone()).await.transfer_leader, None);
        assert_eq!(operators(&running).await[0]["state"], "done");
        assert_eq!(order(&running, r#"{"region":10,"kind":"remove-peer","store":1}"#).await.0, 202);
        let change = heartbeats.exchange(by_store_2).await.change_peer.expect("an order");
        assert_eq!((change.change_type(), change.peer), (ConfChangeType::RemoveNode, Some(peer(10, 1))));
    })
    .await;
}

/// What cannot be begun is refused, with a reason.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_order_is_refused_with_a_reason() {
    bounded(async {
        let (running, _client) = bootstrapped(&[1, 2]).await;
        for (body, wanted) in [
            (r#"{"region":11,"kind":"add-peer","store":2}"#, 404),
            (r#"{"region":10,"kind":"add-peer","store":9}"#, 409),
            (r#"{"region":10,"kind":"add-peer","store":1}"#, 409),
            (r#"{"region":10,"kind":"remove-peer","store":1}"#, 409),
            (r#"{"region":10,"kind":"move-peer","store":2}"#, 422),
            (r#"{"region":10,"kind":"merge","store":2}"#, 422),
            (r#"{"region":10,"kind":"add-peer","store":2,"more":1}"#, 422),
            (r#"{"region":-1,"kind":"add-peer","store":2}"#, 422),
            (r#"{"region":"#, 400),
            ("", 400),
        ] {
            let (status, answer) = order(&running, body).await;
            assert_eq!(status, wanted, "{body}: {answer}");
            assert!(answer["error"].as_str().is_some_and(|why| !why.is_empty()), "{body}: {answer}");
        }
        assert_eq!(operators(&running).await, json!([]));
    })
    .await;
}
