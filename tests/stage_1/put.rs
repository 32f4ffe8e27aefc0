//! RawPut.

use bytes::Bytes;
use pretty_assertions::assert_eq;
use raftkv::engine::MAX_KEY_LEN;
use raftkv::proto::kvrpcpb::{RawPutRequest, RawPutResponse};
use raftkv::storage::raw_put;
use raftkv_testkit::lab;

use crate::server::on_each_engine;

/// A put is answered with an empty response, and a get that comes after it sees it.
#[test]
fn a_put_is_seen_by_the_next_get() {
    let _lab = lab!();
    on_each_engine(|server| {
        assert_eq!(server.get("key"), None, "nothing was put yet");
        let request = RawPutRequest { key: "key".into(), value: "value".into(), ..Default::default() };
        assert_eq!(raw_put(&server.storage, &request), RawPutResponse::default(), "a success has no errors");
        assert_eq!(server.get("key"), Some("value".into()));
    });
}

/// A second put of the same key replaces the value, also by an empty one.
#[test]
fn a_put_replaces_the_value() {
    let _lab = lab!();
    on_each_engine(|server| {
        for value in ["first", "second", "", "third"] {
            server.put("key", value);
            assert_eq!(server.get("key"), Some(value.into()), "the value that was put last");
        }
        assert_eq!(server.all_keys(""), "key", "one key, however often it is put");
    });
}

/// Keys and values are bytes, not text, and may be as long as allowed.
#[test]
fn keys_and_values_are_any_bytes() {
    let _lab = lab!();
    let all_bytes: Vec<u8> = (0..=255).collect();
    let pairs: [(Bytes, Bytes); 4] = [
        (Bytes::from_static(b"\0"), Bytes::from_static(b"\0\0")),
        (Bytes::from_static(b"\xff\xff"), all_bytes.clone().into()),
        (all_bytes.into(), Bytes::from_static(b"x")),
        (vec![b'k'; MAX_KEY_LEN].into(), vec![7; 1 << 20].into()),
    ];
    on_each_engine(|server| {
        for (key, value) in &pairs {
            server.put(key.clone(), value.clone());
        }
        for (key, value) in &pairs {
            let found = server.get(key.clone());
            assert!(found.as_ref() == Some(value), "a key of {} bytes has the value it was put", key.len());
        }
    });
}

/// Values do not expire here. A put that asks for it is refused instead of being stored for ever.
#[test]
fn a_time_to_live_is_refused() {
    let _lab = lab!();
    on_each_engine(|server| {
        server.put("key", "old");
        let request = RawPutRequest { key: "key".into(), value: "new".into(), ttl: 60, ..Default::default() };
        let response = raw_put(&server.storage, &request);
        assert_ne!(response.error, "", "a `ttl` that is not 0 is answered with an error");
        assert_eq!(
            response.region_error, None,
            "no other store could do it either, so it is no region error"
        );
        assert_eq!(server.get("key"), Some("old".into()), "a put that was refused changes nothing");
    });
}
