//! RawScan: order, limit, values.

use bytes::Bytes;
use pretty_assertions::assert_eq;
use raftkv::proto::kvrpcpb::{KvPair, RawBatchPutRequest, RawScanRequest};
use raftkv::storage::raw_batch_put;
use raftkv_testkit::lab;

use crate::server::{on_each_engine, scan};

/// A scan returns pairs in the order of their keys, whatever the order in which they were put.
#[test]
fn pairs_come_in_key_order() {
    let _lab = lab!();
    on_each_engine(|server| {
        server.put_keys("c a d b 10 9");
        let pair = |key: &'static str| KvPair { key: key.into(), value: key.into(), error: None };
        let expected: Vec<_> = ["10", "9", "a", "b", "c", "d"].map(pair).into();
        assert_eq!(server.scan(scan("", "")), expected, "byte order: `10` is before `9`");
    });
}

/// An empty storage has nothing to return, and that is no error.
#[test]
fn an_empty_storage_has_no_pairs() {
    let _lab = lab!();
    on_each_engine(|server| {
        assert_eq!(server.scan_keys(scan("", "")), "");
        assert_eq!(server.scan_keys(RawScanRequest { reverse: true, ..scan("", "") }), "");
    });
}

/// Never more than `limit` pairs, and exactly that many where there are enough.
#[test]
fn the_limit_is_respected() {
    let _lab = lab!();
    on_each_engine(|server| {
        server.put_keys("a b c d");
        for (limit, forward, backward) in [
            (1, "a", "d"),
            (2, "a b", "d c"),
            (3, "a b c", "d c b"),
            (4, "a b c d", "d c b a"),
            (5, "a b c d", "d c b a"),
            (u32::MAX, "a b c d", "d c b a"),
        ] {
            let request = RawScanRequest { limit, ..scan("", "") };
            assert_eq!(server.scan_keys(request.clone()), forward, "forward, limit {limit}");
            let request = RawScanRequest { reverse: true, ..request };
            assert_eq!(server.scan_keys(request), backward, "in reverse, limit {limit}");
        }
    });
}

/// A limit of 0 asks for nothing and gets it, without an error.
#[test]
fn a_limit_of_zero_returns_nothing() {
    let _lab = lab!();
    on_each_engine(|server| {
        server.put_keys("a b");
        let request = RawScanRequest { limit: 0, ..scan("", "") };
        assert_eq!(server.scan_keys(request.clone()), "", "0 is a limit, it does not mean `no limit`");
        assert_eq!(server.scan_keys(RawScanRequest { reverse: true, ..request }), "");
    });
}

/// There is no limit but the one that the client sets.
#[test]
fn a_large_scan_is_whole() {
    let _lab = lab!();
    on_each_engine(|server| {
        let key = |i: usize| format!("{i:04}");
        let pair = |i| KvPair { key: key(i).into(), value: vec![b'v'; 100].into(), error: None };
        let request = RawBatchPutRequest { pairs: (0..3000).map(pair).collect(), ..Default::default() };
        assert_eq!(raw_batch_put(&server.storage, &request).error, "");
        for (reverse, last) in [(false, 2499), (true, 500)] {
            let pairs = server.scan(RawScanRequest { limit: 2500, reverse, ..scan("", "") });
            assert_eq!(pairs.len(), 2500, "there are 3000 keys and the limit is 2500");
            assert_eq!(pairs[2499].key, key(last), "the last of 2500 keys, reverse: {reverse}");
        }
    });
}

/// With `key_only` the keys come without their values.
#[test]
fn key_only_leaves_the_values_out() {
    let _lab = lab!();
    on_each_engine(|server| {
        server.put_keys("a b");
        for reverse in [false, true] {
            let pairs = server.scan(RawScanRequest { key_only: true, reverse, ..scan("", "") });
            assert_eq!(pairs.len(), 2, "`key_only` does not change which pairs there are");
            assert!(pairs.iter().all(|pair| pair.value.is_empty()), "no values: {pairs:?}");
            let pairs = server.scan(RawScanRequest { reverse, ..scan("", "") });
            assert!(pairs.iter().all(|pair| pair.value == pair.key), "with their values: {pairs:?}");
        }
    });
}

/// A pair with an empty value is a pair like any other.
#[test]
fn empty_values_are_returned() {
    let _lab = lab!();
    on_each_engine(|server| {
        server.put("a", "1");
        server.put("b", "");
        server.put("c", "3");
        let values: Vec<Bytes> = server.scan(scan("", "")).into_iter().map(|pair| pair.value).collect();
        assert_eq!(values, ["1", "", "3"], "the values of a, b and c");
        let request = RawScanRequest { limit: 2, ..scan("", "") };
        assert_eq!(server.scan_keys(request), "a b", "it counts for the limit too");
    });
}

/// A scan sees every put that was acknowledged before it: new keys in their places and new values.
#[test]
fn a_scan_sees_what_was_put_before() {
    let _lab = lab!();
    on_each_engine(|server| {
        server.put_keys("b d");
        assert_eq!(server.scan_keys(scan("", "")), "b d");
        server.put_keys("a c e");
        server.put("b", "new");
        assert_eq!(server.scan_keys(scan("", "")), "a b c d e");
        let values: Vec<Bytes> = server.scan(scan("b", "c")).into_iter().map(|pair| pair.value).collect();
        assert_eq!(values, ["new"], "the value of b");
    });
}

/// A scan does not return what was deleted, and what was deleted does not count for the limit.
#[test]
fn a_scan_skips_what_was_deleted() {
    let _lab = lab!();
    on_each_engine(|server| {
        server.put_keys("a b c d e");
        server.delete("a");
        server.delete("c");
        server.delete("e");
        let three = RawScanRequest { limit: 3, ..scan("", "") };
        assert_eq!(server.scan_keys(three.clone()), "b d");
        assert_eq!(server.scan_keys(RawScanRequest { reverse: true, ..three }), "d b");
        assert_eq!(server.scan_keys(scan("c", "")), "d", "from a key that was deleted");
        server.put("c", "back");
        assert_eq!(server.scan_keys(scan("", "")), "b c d");
    });
}
