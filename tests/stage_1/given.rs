//! The handlers that are given, on the student's storage: it has to keep what they rely on.

use pretty_assertions::assert_eq;
use raftkv::proto::kvrpcpb::{
    KvPair, RawBatchDeleteRequest, RawBatchGetRequest, RawBatchPutRequest, RawDeleteRangeRequest,
};
use raftkv::storage::{raw_batch_delete, raw_batch_get, raw_batch_put, raw_delete_range};
use raftkv_testkit::lab;

use crate::server::{Server, keys_of, on_each_engine};

fn batch_put(server: &Server, keys: &[&str]) -> String {
    let pair = |key: &&str| KvPair { key: key.to_string().into(), value: "1".into(), error: None };
    let request = RawBatchPutRequest { pairs: keys.iter().map(pair).collect(), ..Default::default() };
    raw_batch_put(&server.storage, &request).error
}

/// RawBatchPut writes all of its pairs; RawBatchGet returns those that exist, in the order asked.
#[test]
fn batch_put_and_batch_get() {
    let _lab = lab!();
    on_each_engine(|server| {
        assert_eq!(batch_put(server, &["c", "a", "b"]), "");
        assert_eq!(server.all_keys(""), "a b c");
        let keys = ["b", "nobody", "c", "b"].map(|key| key.into()).into();
        let response = raw_batch_get(&server.storage, &RawBatchGetRequest { keys, ..Default::default() });
        assert_eq!(keys_of(&response.pairs), "b c b", "what exists, in the order asked");
    });
}

/// A batch with one key that cannot be, or one value that is to expire, is refused whole.
#[test]
fn a_batch_with_a_bad_key_is_refused_whole() {
    let _lab = lab!();
    on_each_engine(|server| {
        server.put("a", "1");
        assert_ne!(batch_put(server, &["b", "", "c"]), "", "an empty key is an error");
        let pair = |key: &'static str| KvPair { key: key.into(), value: "1".into(), error: None };
        let request =
            RawBatchPutRequest { pairs: ["b", "c"].map(pair).into(), ttls: vec![0, 5], ..Default::default() };
        let error = raw_batch_put(&server.storage, &request).error;
        assert_ne!(error, "", "a time to live is an error, for it would not be kept");
        assert_eq!(server.all_keys(""), "a", "nothing of the batch was written");
    });
}

/// RawBatchDelete removes all of its keys, whether they exist or not.
#[test]
fn batch_delete() {
    let _lab = lab!();
    on_each_engine(|server| {
        server.put_keys("a b c d");
        let keys = ["d", "nobody", "b"].map(|key| key.into()).into();
        let response =
            raw_batch_delete(&server.storage, &RawBatchDeleteRequest { keys, ..Default::default() });
        assert_eq!(response.error, "");
        assert_eq!(server.all_keys(""), "a c");
    });
}

/// RawDeleteRange removes `start_key <= key < end_key` in one column family; an empty end is no bound.
#[test]
fn delete_range() {
    let _lab = lab!();
    on_each_engine(|server| {
        for (start, end, left) in
            [("b", "d", "a d e"), ("d", "b", "a b c d e"), ("c", "", "a b"), ("", "", "")]
        {
            server.put_keys("a b c d e");
            server.put_cf("lock", "c", "1");
            let request =
                RawDeleteRangeRequest { start_key: start.into(), end_key: end.into(), ..Default::default() };
            assert_eq!(raw_delete_range(&server.storage, &request).error, "");
            assert_eq!(server.all_keys(""), left, "after the keys from {start:?} to {end:?} were deleted");
            assert_eq!(server.all_keys("lock"), "c", "another column family is not touched");
        }
    });
}
