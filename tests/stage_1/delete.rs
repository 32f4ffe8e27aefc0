//! RawDelete.

use pretty_assertions::assert_eq;
use raftkv::proto::kvrpcpb::{RawDeleteRequest, RawDeleteResponse};
use raftkv::storage::raw_delete;
use raftkv_testkit::lab;

use crate::server::on_each_engine;

/// After a delete the key does not exist: it is `not_found`, which an empty value would not be.
#[test]
fn a_deleted_key_is_not_found() {
    let _lab = lab!();
    on_each_engine(|server| {
        server.put("key", "value");
        let request = RawDeleteRequest { key: "key".into(), ..Default::default() };
        let response = raw_delete(&server.storage, &request);
        assert_eq!(response, RawDeleteResponse::default(), "a success has no errors");
        assert_eq!(server.get("key"), None, "a deleted key is `not_found`");
        assert_eq!(server.all_keys(""), "", "and no scan returns it");
    });
}

/// Deleting a key that does not exist succeeds: afterwards it does not exist, as was asked.
#[test]
fn deleting_a_missing_key_succeeds() {
    let _lab = lab!();
    on_each_engine(|server| {
        server.delete("nobody");
        server.put("key", "value");
        server.delete("key");
        server.delete("key");
        assert_eq!(server.get("key"), None);
    });
}

/// Only the one key goes: not those that begin with it, nor those that it begins with.
#[test]
fn the_neighbours_stay() {
    let _lab = lab!();
    on_each_engine(|server| {
        server.put_keys("a aa aaa ab b");
        server.delete("aa");
        assert_eq!(server.all_keys(""), "a aaa ab b");
    });
}

/// A deleted key can be put again.
#[test]
fn a_deleted_key_can_come_back() {
    let _lab = lab!();
    on_each_engine(|server| {
        for round in ["1", "2", "3"] {
            server.put("key", round);
            assert_eq!(server.get("key"), Some(round.into()), "the put of round {round}");
            server.delete("key");
            assert_eq!(server.get("key"), None, "the delete of round {round}");
        }
    });
}
