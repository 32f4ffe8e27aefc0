//! The status page, its JSON, the metrics, and the states of stores.

use bytes::Bytes;
use raftkv::proto::metapb::{Region, Store, StoreState};
use raftkv::proto::pdpb::*;
use raftkv::server::scheduler::Running;
use serde_json::{Value, json};

use super::http::{call, get, post};
use super::{
    CLUSTER, Heartbeats, Tso, bootstrapped, bounded, header, kind, page_of, put_store, refusal, region,
};

async fn status(running: &Running) -> Value {
    let (status, body) = get(page_of(running), "/status").await;
    assert_eq!(status, 200);
    serde_json::from_str(&body).expect("JSON")
}

/// The JSON has what is known of stores, regions and operators.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_json_has_all_that_is_known() {
    bounded(async {
        let (running, mut client) = bootstrapped(&[1, 2]).await;
        let stats = Some(StoreStats { store_id: 1, region_count: 5, ..Default::default() });
        client.store_heartbeat(StoreHeartbeatRequest { header: header(), stats }).await.expect("an answer");
        let mut group = region(10, ["", ""], [1, 2], &[1, 2]);
        group.end_key = Bytes::from_static(b"a\"<\xff\\");
        group.region_epoch.as_mut().expect("it has one").version = 2;
        Heartbeats::begin(&mut client).await.send(group).await;
        let status = status(&running).await;
        assert_eq!(status["cluster_id"], CLUSTER);
        assert_eq!(status["bootstrapped"], true);
        assert_eq!(status["address"], running.address().to_string());
        let [one, two] = [&status["stores"][0], &status["stores"][1]];
        assert!(one["heartbeat_age_ms"].is_u64() && one["state"] == "up" && one["leaders"] == 1, "{one}");
        assert!(two["heartbeat_age_ms"].is_null() && two["address"] == "store-2:20160", "{two}");
        let peer = |id, store| json!({"id": id, "store": store, "pending": false, "down_seconds": null});
        let wanted = json!([{
            "id": 10, "start_key": "", "end_key": "a\\\"<\\xff\\\\", "version": 2, "conf_ver": 2, "leader": 1001,
            "term": 6, "approximate_size": 0, "peers": [peer(1001, 1), peer(1002, 2)],
        }]);
        assert_eq!(status["regions"], wanted);
        assert_eq!(status["operators"], json!([]));
    })
    .await;
}

/// Nothing that a store or a client has written becomes markup.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_page_shows_text_as_text() {
    bounded(async {
        let (running, mut client) = bootstrapped(&[1]).await;
        let address = "<script>alert(1)</script>".to_string();
        let put =
            PutStoreRequest { header: header(), store: Some(Store { id: 2, address, ..Default::default() }) };
        assert_eq!(refusal(&client.put_store(put).await.expect("an answer").into_inner().header), None);
        let end_key = Bytes::from_static(b"<img src=x>\x00\xc3\xa4");
        let part = Region { end_key, ..region(10, ["", ""], [2, 1], &[1]) };
        Heartbeats::begin(&mut client).await.send(part).await;
        let (status, head, page) = call(page_of(&running), "GET / HTTP/1.1\r\n", "").await;
        assert_eq!(status, 200);
        assert!(
            head.contains("content-type: text/html") && head.contains("content-security-policy:"),
            "{head}"
        );
        assert!(page.contains("&lt;script&gt;alert(1)") && !page.contains("<script"), "{page}");
        assert!(page.contains("&lt;img src=x&gt;\\x00\\xc3\\xa4") && !page.contains("<img"), "{page}");
        assert!(page.contains(&format!("Cluster {CLUSTER}")), "{page}");
    })
    .await;
}

/// Prometheus finds calls by name, timestamps, stores and regions.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_metrics_count() {
    bounded(async {
        let (running, mut client) = bootstrapped(&[1, 2]).await;
        Tso::begin(&mut client).await.get(40).await;
        client.bootstrap(super::bootstrap(1)).await.expect("an answer");
        let (status, text) = get(page_of(&running), "/metrics").await;
        assert_eq!(status, 200);
        for line in [
            "raftkv_scheduler_calls_total{call=\"Bootstrap\",result=\"ok\"} 1",
            "raftkv_scheduler_calls_total{call=\"Bootstrap\",result=\"refused\"} 1",
            "raftkv_scheduler_calls_total{call=\"PutStore\",result=\"ok\"} 1",
            "raftkv_scheduler_tso_given_total 40",
            "raftkv_scheduler_stores{state=\"up\"} 2",
            "raftkv_scheduler_regions 1",
            "raftkv_scheduler_regions_without_leader 1",
            "raftkv_scheduler_operators{state=\"running\"} 0",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is missing in\n{text}");
        }
    })
    .await;
}

/// People take stores out of use, and back; a tombstone stays.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_state_of_a_store_is_set() {
    bounded(async {
        let (running, mut client) = bootstrapped(&[1, 2]).await;
        let mut set = async |id: &str, body: &str| {
            let (code, text) = post(page_of(&running), &format!("/stores/{id}/state"), body).await;
            let is_refused = text.contains("\"error\":");
            assert_eq!(is_refused, code >= 400, "{id} {body}: {code} {text}");
            let request = GetStoreRequest { header: header(), store_id: 2 };
            let store = client.get_store(request).await.expect("an answer").into_inner().store;
            (code, store.expect("it is known").state())
        };
        assert_eq!(set("2", r#"{"state":"offline"}"#).await, (204, StoreState::Offline));
        assert_eq!(set("2", r#"{"state":"up"}"#).await, (204, StoreState::Up));
        assert_eq!(set("2", r#"{"state":"gone"}"#).await, (422, StoreState::Up));
        assert_eq!(set("3", r#"{"state":"up"}"#).await, (404, StoreState::Up));
        assert_eq!(set("x", r#"{"state":"up"}"#).await, (400, StoreState::Up));
        assert_eq!(set("2", r#"{"state":"tombstone"}"#).await, (204, StoreState::Tombstone));
        assert_eq!(set("2", r#"{"state":"up"}"#).await, (409, StoreState::Tombstone));
        let again = client.put_store(put_store(2)).await.expect("an answer").into_inner();
        assert_eq!(kind(&again.header), Some(ErrorType::StoreTombstone));
        let request = GetAllStoresRequest { header: header(), exclude_tombstone_stores: true };
        let live = client.get_all_stores(request).await.expect("an answer").into_inner().stores;
        assert_eq!(live.iter().map(|store| store.id).collect::<Vec<_>>(), [1]);
    })
    .await;
}

/// What is not there is answered as an error, and a form of some other page is not taken.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_there_is_an_error() {
    bounded(async {
        let (running, _client) = bootstrapped(&[1]).await;
        let address = page_of(&running);
        assert_eq!(get(address, "/nothing").await.0, 404);
        assert_eq!(post(address, "/status", "{}").await.0, 405);
        let form = "POST /stores/1/state HTTP/1.1\r\nContent-Type: text/plain\r\n";
        let (code, _, body) = call(address, form, r#"{"state":"tombstone"}"#).await;
        assert_eq!((code, body.contains("error")), (415, true), "{body}");
        assert_eq!(status(&running).await["stores"][0]["state"], "up");
    })
    .await;
}
