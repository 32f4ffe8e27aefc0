//! RawGet.

use bytes::Bytes;
use pretty_assertions::assert_eq;
use raftkv::proto::kvrpcpb::{RawGetRequest, RawGetResponse};
use raftkv::storage::raw_get;
use raftkv_testkit::lab;

use crate::server::on_each_engine;

/// A key that was put is found, with its value.
#[test]
fn an_existing_key_has_its_value() {
    let _lab = lab!();
    on_each_engine(|server| {
        server.put("key", "value");
        let request = RawGetRequest { key: "key".into(), ..Default::default() };
        let response = raw_get(&server.storage, &request);
        let expected = RawGetResponse { value: "value".into(), ..Default::default() };
        assert_eq!(response, expected, "the value, `not_found` false, and no error of either kind");
    });
}

/// A missing key is `not_found`. That is a good answer: both error fields stay empty.
#[test]
fn a_missing_key_is_not_found() {
    let _lab = lab!();
    on_each_engine(|server| {
        let request = RawGetRequest { key: "nobody".into(), ..Default::default() };
        let response = raw_get(&server.storage, &request);
        let expected = RawGetResponse { not_found: true, ..Default::default() };
        assert_eq!(response, expected, "`not_found`, no value, and no error of either kind");
    });
}

/// An empty value is a value: its key exists.
#[test]
fn an_empty_value_is_found() {
    let _lab = lab!();
    on_each_engine(|server| {
        server.put("key", "");
        assert_eq!(
            server.get("key"),
            Some(Bytes::new()),
            "a key with an empty value exists, so `not_found` is false"
        );
    });
}

/// The whole key counts: neither a prefix of a key nor what it is a prefix of exists with it.
#[test]
fn only_the_exact_key_is_found() {
    let _lab = lab!();
    on_each_engine(|server| {
        server.put("key", "value");
        for other in ["k", "ke", "kez", "key1", "key\0", "Key"] {
            assert_eq!(server.get(other), None, "only `key` was put, so {other:?} does not exist");
        }
    });
}
