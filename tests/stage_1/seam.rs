//! What a handler and its storage may expect of each other: a storage that takes notes.

use std::cell::RefCell;

use pretty_assertions::assert_eq;
use raftkv::engine::Cf;
use raftkv::error::Error;
use raftkv::proto::errorpb::{self, NotLeader};
use raftkv::proto::kvrpcpb::{Context, RawDeleteRequest, RawGetRequest, RawPutRequest, RawScanRequest};
use raftkv::proto::metapb::Peer;
use raftkv::storage::{Modify, Storage, StorageReader, raw_delete, raw_get, raw_put, raw_scan};
use raftkv_testkit::lab;

/// What a storage was asked.
#[derive(Clone, Debug, PartialEq)]
enum Asked {
    Write(Option<Context>, Vec<Modify>),
    Reader(Option<Context>),
}

/// A storage that refuses everything as a peer does that does not lead its region.
#[derive(Default)]
struct Follower {
    asked: RefCell<Vec<Asked>>,
}

impl Follower {
    fn refuse<T>(&self, asked: Asked) -> Result<T, Error> {
        self.asked.borrow_mut().push(asked);
        Err(not_leader().into())
    }
}

impl Storage for Follower {
    fn write(&self, context: Option<&Context>, changes: Vec<Modify>) -> Result<(), Error> {
        self.refuse(Asked::Write(context.cloned(), changes))
    }

    fn reader(&self, context: Option<&Context>) -> Result<Box<dyn StorageReader>, Error> {
        self.refuse(Asked::Reader(context.cloned()))
    }
}

fn not_leader() -> errorpb::Error {
    let leader = Some(Peer { id: 7, store_id: 3, ..Default::default() });
    let not_leader = Some(NotLeader { region_id: 2, leader });
    errorpb::Error { message: "peer 5 does not lead region 2".into(), not_leader, ..Default::default() }
}

fn context() -> Option<Context> {
    Some(Context { region_id: 2, term: 6, ..Default::default() })
}

/// A handler asks its storage once, hands on the context, and asks for exactly what the client asked.
#[test]
fn a_handler_asks_its_storage_once() {
    let _lab = lab!();
    let storage = Follower::default();
    let (key, context) = ("key", context());
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
    let storage = Follower::default();
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

/// A request that makes no sense is refused before the storage is asked for anything.
#[test]
fn a_bad_request_does_not_reach_the_storage() {
    let _lab = lab!();
    let storage = Follower::default();
    raw_get(&storage, &RawGetRequest::default());
    raw_put(&storage, &RawPutRequest { value: "value".into(), ..Default::default() });
    raw_put(&storage, &RawPutRequest { key: "key".into(), ttl: 1, ..Default::default() });
    raw_delete(&storage, &RawDeleteRequest { key: "key".into(), cf: "nope".into(), ..Default::default() });
    raw_scan(&storage, &RawScanRequest { limit: 3, cf: "nope".into(), ..Default::default() });
    assert_eq!(*storage.asked.borrow(), [], "every one of these requests is wrong in itself");
}
