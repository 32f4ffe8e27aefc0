//! Requests that cannot be served.

use std::sync::Arc;

use bytes::Bytes;
use pretty_assertions::assert_eq;
use raftkv::engine::{Fault, MAX_KEY_LEN, MemDisk};
use raftkv::proto::kvrpcpb::{
    RawDeleteRequest, RawGetRequest, RawGetResponse, RawPutRequest, RawScanRequest,
};
use raftkv::storage::{raw_delete, raw_get, raw_put, raw_scan};
use raftkv_testkit::lab;
use rstest::rstest;

use crate::server::{Server, on_each_engine};

/// A column family that there is not is an error in every response, and nothing is written. `raft` is the
/// store's own: for clients there is no such family.
#[rstest]
#[case::unknown("nope")]
#[case::wrong_case("Default")]
#[case::internal("raft")]
fn an_unknown_column_family_is_an_error(#[case] cf: &str) {
    let _lab = lab!();
    on_each_engine(|server| {
        server.put("key", "old");
        let (storage, key, cf) = (&server.storage, Bytes::from("key"), cf.to_string());
        let request =
            RawPutRequest { key: key.clone(), value: "new".into(), cf: cf.clone(), ..Default::default() };
        let put = raw_put(storage, &request);
        assert_ne!(put.error, "", "RawPut into {cf:?}");
        assert_eq!(put.region_error, None, "no other store has {cf:?} either, so it is no region error");

        let request = RawDeleteRequest { key: key.clone(), cf: cf.clone(), ..Default::default() };
        assert_ne!(raw_delete(storage, &request).error, "", "RawDelete in {cf:?}");

        let get = raw_get(storage, &RawGetRequest { key, cf: cf.clone(), ..Default::default() });
        let expected = RawGetResponse { error: get.error.clone(), ..Default::default() };
        assert_ne!(get.error, "", "RawGet in {cf:?}");
        assert_eq!(get, expected, "beside an error every other field has its default, `not_found` too");

        let scan = raw_scan(storage, &RawScanRequest { cf: cf.clone(), limit: 10, ..Default::default() });
        let errors: Vec<_> = scan.kvs.iter().map(|pair| pair.error.clone()).collect();
        assert_eq!(errors.len(), 1, "RawScan in {cf:?}: one pair that carries the error: {:?}", scan.kvs);
        assert_ne!(errors[0].clone().unwrap_or_default().abort, "", "its `abort` says what is wrong");

        assert_eq!(server.get("key"), Some("old".into()), "a request that was refused changes nothing");
    });
}

/// A key has at least one byte and at most `MAX_KEY_LEN`.
#[rstest]
#[case::empty(0)]
#[case::too_long(MAX_KEY_LEN + 1)]
fn a_key_that_cannot_be_is_an_error(#[case] len: usize) {
    let _lab = lab!();
    on_each_engine(|server| {
        let (storage, key) = (&server.storage, Bytes::from(vec![b'k'; len]));
        let request = RawPutRequest { key: key.clone(), value: "1".into(), ..Default::default() };
        let put = raw_put(storage, &request);
        assert_ne!(put.error, "", "RawPut with a key of {len} bytes");
        assert_eq!(put.region_error, None, "no other store takes that key either, so it is no region error");
        let request = RawDeleteRequest { key: key.clone(), ..Default::default() };
        assert_ne!(raw_delete(storage, &request).error, "", "RawDelete with a key of {len} bytes");
        let get = raw_get(storage, &RawGetRequest { key, ..Default::default() });
        assert_ne!(get.error, "", "RawGet with a key of {len} bytes");
        assert!(!get.not_found, "`not_found` is for keys that could exist");
        assert_eq!(server.all_keys(""), "", "a request that was refused changes nothing");
    });
}

/// A write that the disk refuses is told to the client, and leaves the old data as it was.
#[test]
fn a_failed_disk_write_is_not_acknowledged() {
    let _lab = lab!();
    let disk = MemDisk::new();
    let server = Server::on(Arc::new(disk.open("kv").unwrap()));
    server.put("a", "old");
    server.put("b", "old");
    disk.plan(disk.writes() + 1, Fault::Fail);
    let request = RawPutRequest { key: "a".into(), value: "new".into(), ..Default::default() };
    let response = raw_put(&server.storage, &request);
    assert_ne!(response.error, "", "RawPut: the disk failed, so the client must not believe in the write");
    assert_eq!(server.get("a"), Some("old".into()), "the write did not happen");

    disk.plan(disk.writes() + 1, Fault::Fail);
    let request = RawDeleteRequest { key: "b".into(), ..Default::default() };
    let response = raw_delete(&server.storage, &request);
    assert_ne!(response.error, "", "RawDelete: the disk failed, so the client must not believe in it");
    assert_eq!(server.get("b"), Some("old".into()), "the delete did not happen");

    server.put("a", "new");
    assert_eq!(server.get("a"), Some("new".into()), "the next write finds a healthy disk");
}
