//! What a handler and its storage may expect of each other: a storage that takes notes, and one that breaks.

use pretty_assertions::assert_eq;
use raftkv::engine::Cf;
use raftkv::proto::kvrpcpb::{
    Context, RawDeleteRequest, RawGetRequest, RawPutRequest, RawScanRequest, RawScanResponse,
};
use raftkv::storage::{Modify, raw_delete, raw_get, raw_put, raw_scan};
use raftkv_testkit::lab;

use crate::stubs::{Asked, Breaking, Refusing, disk_failed, not_leader};

/// A handler asks its storage once, hands on the context, and asks for exactly what the client asked.
#[test]
fn a_handler_asks_its_storage_once() {
    let _lab = lab!();
    let storage = Refusing::as_follower();
    let key = "key";
    let context = Some(Context { region_id: 2, term: 6, ..Default::default() });
    raw_get(&storage, &RawGetRequest { key: key.into(), context, ..Default::default() });
    let request = RawPutRequest {
        key: key.into(),
        value: "value".into(),
        cf: "lock".into(),
        context,
        ..Default::default()
    };
    raw_put(&storage, &request);
    let request = RawDeleteRequest { key: key.into(), cf: "write".into(), context, ..Default::default() };
    raw_delete(&storage, &request);
    raw_scan(&storage, &RawScanRequest { limit: 3, context, ..Default::default() });
    let put = Modify::Put { cf: Cf::Lock, key: key.into(), value: "value".into() };
    let delete = Modify::Delete { cf: Cf::Write, key: key.into() };
    let expected = [
        Asked::Reader(context),
        Asked::Write(context, vec![put]),
        Asked::Write(context, vec![delete]),
        Asked::Reader(context),
    ];
    assert_eq!(*storage.asked.borrow(), expected, "one call for each of RawGet, RawPut, RawDelete, RawScan");
}

/// A region error goes into `region_error`, whole: the client's library reads from it where to ask next. It
/// does not go into `error`, which the library gives to its user.
#[test]
fn a_region_error_is_handed_on() {
    let _lab = lab!();
    let storage = Refusing::as_follower();
    let get = raw_get(&storage, &RawGetRequest { key: "key".into(), ..Default::default() });
    assert_eq!((get.region_error, get.error), (Some(not_leader()), String::new()), "RawGet");
    assert!(!get.not_found, "RawGet: who cannot look must not say that there is nothing");
    let put = raw_put(&storage, &RawPutRequest { key: "key".into(), ..Default::default() });
    assert_eq!((put.region_error, put.error), (Some(not_leader()), String::new()), "RawPut");
    let delete = raw_delete(&storage, &RawDeleteRequest { key: "key".into(), ..Default::default() });
    assert_eq!((delete.region_error, delete.error), (Some(not_leader()), String::new()), "RawDelete");
    let scan = raw_scan(&storage, &RawScanRequest { limit: 3, ..Default::default() });
    assert_eq!((scan.region_error, scan.kvs), (Some(not_leader()), vec![]), "RawScan");
}

/// A failed disk is told in `error`: it is no region error, for no client library can help it.
#[test]
fn a_disk_error_is_told() {
    let _lab = lab!();
    let storage = Refusing::without_disk();
    let text = disk_failed().to_string();
    let get = raw_get(&storage, &RawGetRequest { key: "key".into(), ..Default::default() });
    assert_eq!((get.region_error, get.error), (None, text.clone()), "RawGet");
    assert!(!get.not_found, "RawGet: who cannot look must not say that there is nothing");
    let put = raw_put(&storage, &RawPutRequest { key: "key".into(), ..Default::default() });
    assert_eq!((put.region_error, put.error), (None, text.clone()), "RawPut");
    let delete = raw_delete(&storage, &RawDeleteRequest { key: "key".into(), ..Default::default() });
    assert_eq!((delete.region_error, delete.error), (None, text), "RawDelete");
    let scan = raw_scan(&storage, &RawScanRequest { limit: 3, ..Default::default() });
    assert_is_disk_error(scan, "RawScan");
}

/// A disk that fails while it is read makes an error, too. A scan that breaks off half way has no result: a
/// client would take the first half for all there is.
#[test]
fn a_read_that_breaks_off_is_an_error() {
    let _lab = lab!();
    let get = raw_get(&Breaking, &RawGetRequest { key: "key".into(), ..Default::default() });
    assert_eq!((get.error, get.not_found), (disk_failed().to_string(), false), "RawGet");
    for reverse in [false, true] {
        let scan = raw_scan(&Breaking, &RawScanRequest { limit: 3, reverse, ..Default::default() });
        assert_is_disk_error(scan, "RawScan, when the second key cannot be read");
    }
}

fn assert_is_disk_error(scan: RawScanResponse, what: &str) {
    assert_eq!(scan.region_error, None, "{what}: no region error");
    let errors: Vec<_> = scan.kvs.iter().map(|pair| pair.error.clone().unwrap_or_default().abort).collect();
    assert_eq!(errors, [disk_failed().to_string()], "{what}: one pair, which carries the error");
}

/// A request that makes no sense is refused before the storage is asked for anything.
#[test]
fn a_bad_request_does_not_reach_the_storage() {
    let _lab = lab!();
    let storage = Refusing::as_follower();
    raw_get(&storage, &RawGetRequest::default());
    raw_put(&storage, &RawPutRequest { value: "value".into(), ..Default::default() });
    raw_put(&storage, &RawPutRequest { key: "key".into(), ttl: 1, ..Default::default() });
    raw_delete(&storage, &RawDeleteRequest { key: "key".into(), cf: "nope".into(), ..Default::default() });
    raw_scan(&storage, &RawScanRequest { limit: 3, cf: "nope".into(), ..Default::default() });
    assert_eq!(*storage.asked.borrow(), [], "every one of these requests is wrong in itself");
}
