//! One server alone: stage 1, over a socket.

use pretty_assertions::assert_eq;
use raftkv::proto::kvrpcpb::{
    KeyRange, KvPair, RawBatchDeleteRequest, RawBatchGetRequest, RawBatchPutRequest, RawBatchScanRequest,
    RawCasRequest, RawDeleteRangeRequest, RawDeleteRequest, RawGetRequest, RawPutRequest, RawScanRequest,
    SplitRegionRequest,
};
use raftkv::server::disk::EngineKind;
use raftkv::server::rpc::tikvpb::tikv_client::TikvClient;
use raftkv::server::settings::Settings;
use raftkv::server::start::{Running, start};
use tonic::Code;
use tonic::transport::Channel;

use crate::calls::connect;
use crate::cluster::run;

async fn alone() -> (Running, TikvClient<Channel>) {
    let settings = Settings {
        listen: "127.0.0.1:0".to_string(),
        status: "127.0.0.1:0".to_string(),
        standalone: true,
        engine: EngineKind::Memory,
        ..Settings::default()
    };
    let running = start(&settings).await.expect("a server on free ports starts");
    let client = connect(running.address).await.expect("it listens");
    (running, client)
}

fn pair(key: &'static str, value: &'static str) -> KvPair {
    KvPair { key: key.into(), value: value.into(), ..Default::default() }
}

/// Every call, with something to do.
#[test]
fn all_calls() {
    run(async {
        let (running, mut client) = alone().await;
        let put = RawPutRequest { key: "a".into(), value: "1".into(), ..Default::default() };
        assert_eq!(client.raw_put(put).await.expect("a put").into_inner().error, "");
        let pairs = vec![pair("b", "2"), pair("c", "3"), pair("d", "4"), pair("e", "5")];
        let batch = RawBatchPutRequest { pairs, ..Default::default() };
        assert_eq!(client.raw_batch_put(batch).await.expect("a put").into_inner().error, "");
        let get = |key: &'static str| RawGetRequest { key: key.into(), ..Default::default() };
        assert_eq!(client.raw_get(get("b")).await.expect("a get").into_inner().value, "2");
        let many =
            RawBatchGetRequest { keys: vec!["c".into(), "x".into(), "a".into()], ..Default::default() };
        let found = client.raw_batch_get(many).await.expect("a get").into_inner().pairs;
        assert_eq!(found, [pair("c", "3"), pair("a", "1")]);
        let delete = RawDeleteRequest { key: "a".into(), ..Default::default() };
        assert_eq!(client.raw_delete(delete).await.expect("a delete").into_inner().error, "");
        assert!(client.raw_get(get("a")).await.expect("a get").into_inner().not_found);
        let scan =
            RawScanRequest { start_key: "b".into(), end_key: "e".into(), limit: 2, ..Default::default() };
        let found = client.raw_scan(scan).await.expect("a scan").into_inner().kvs;
        assert_eq!(found, [pair("b", "2"), pair("c", "3")]);
        let ranges = [("d", ""), ("b", "c")]
            .map(|(start, end)| KeyRange { start_key: start.into(), end_key: end.into() })
            .into();
        let scans = RawBatchScanRequest { ranges, each_limit: 5, ..Default::default() };
        let found = client.raw_batch_scan(scans).await.expect("a scan").into_inner().kvs;
        assert_eq!(found, [pair("d", "4"), pair("e", "5"), pair("b", "2")]);
        let swap = RawCasRequest {
            key: "b".into(),
            value: "6".into(),
            previous_value: "2".into(),
            ..Default::default()
        };
        assert!(client.raw_compare_and_swap(swap).await.expect("a swap").into_inner().succeed);
        let keys = vec!["c".into(), "d".into()];
        let batch = RawBatchDeleteRequest { keys, ..Default::default() };
        assert_eq!(client.raw_batch_delete(batch).await.expect("a delete").into_inner().error, "");
        let range = RawDeleteRangeRequest { start_key: "e".into(), ..Default::default() };
        assert_eq!(client.raw_delete_range(range).await.expect("a delete").into_inner().error, "");
        let scan = RawScanRequest { limit: 10, ..Default::default() };
        assert_eq!(client.raw_scan(scan).await.expect("a scan").into_inner().kvs, [pair("b", "6")]);
        running.stop().await.expect("it ends in order");
    });
}

/// There are no regions here, and no other stores.
#[test]
fn no_cluster() {
    run(async {
        let (_running, mut client) = alone().await;
        let split = SplitRegionRequest { split_keys: vec!["k".into()], ..Default::default() };
        let status = client.split_region(split).await.expect_err("there is no region to split");
        assert_eq!(status.code(), Code::FailedPrecondition);
        let status = client.raft(tokio_stream::empty()).await.expect_err("there is no Raft here");
        assert_eq!(status.code(), Code::FailedPrecondition);
    });
}

/// What makes no sense is refused with a text, and the server goes on.
#[test]
fn bad_requests() {
    run(async {
        let (_running, mut client) = alone().await;
        let put = RawPutRequest { value: "1".into(), ..Default::default() };
        assert_eq!(client.raw_put(put).await.expect("an answer").into_inner().error, "the key is empty");
        let scan = RawScanRequest { cf: "no".into(), limit: 1, ..Default::default() };
        let found = client.raw_scan(scan).await.expect("an answer").into_inner().kvs;
        assert!(found[0].error.is_some(), "a scan tells an error in a pair");
    });
}
