//! Commands as the store gets them from its owner, in few words.

use bytes::Bytes;
use raftkv::ids::StoreId;
use raftkv::proto::errorpb;
use raftkv::proto::raft_cmdpb::{
    CmdType, CompareAndSwapRequest, DeleteRangeRequest, DeleteRequest, GetRequest, PutRequest,
    RaftCmdRequest, RaftRequestHeader, Request, SnapRequest,
};
use raftkv::raftstore::{Answer, CommandResult};
use raftkv_testkit::sim::{REGION, Sim};

/// A command for region 1 as a client knows it, at the peer on this store.
pub fn command(sim: &Sim, store: StoreId, requests: Vec<Request>) -> RaftCmdRequest {
    let context = sim.context(REGION, store);
    let header = RaftRequestHeader {
        region_id: context.region_id,
        peer: context.peer,
        region_epoch: context.region_epoch,
        ..Default::default()
    };
    RaftCmdRequest { header: Some(header), requests, admin_request: None }
}

pub fn put(key: &str, value: &str) -> Request {
    let put = PutRequest { cf: "default".into(), key: bytes(key), value: bytes(value) };
    Request { cmd_type: CmdType::Put.into(), put: Some(put), ..Default::default() }
}

pub fn get(key: &str) -> Request {
    let get = GetRequest { cf: "default".into(), key: bytes(key) };
    Request { cmd_type: CmdType::Get.into(), get: Some(get), ..Default::default() }
}

pub fn delete(key: &str) -> Request {
    let delete = DeleteRequest { cf: "default".into(), key: bytes(key) };
    Request { cmd_type: CmdType::Delete.into(), delete: Some(delete), ..Default::default() }
}

pub fn delete_range(start: &str, end: &str) -> Request {
    let range = DeleteRangeRequest { cf: "default".into(), start_key: bytes(start), end_key: bytes(end) };
    Request { cmd_type: CmdType::DeleteRange.into(), delete_range: Some(range), ..Default::default() }
}

pub fn snap() -> Request {
    Request { cmd_type: CmdType::Snap.into(), snap: Some(SnapRequest {}), ..Default::default() }
}

pub fn swap(key: &str, expected: Option<&str>, value: &str) -> Request {
    let swap = CompareAndSwapRequest {
        cf: "default".into(),
        key: bytes(key),
        value: bytes(value),
        previous_not_exist: expected.is_none(),
        previous_value: bytes(expected.unwrap_or_default()),
    };
    Request { cmd_type: CmdType::CompareAndSwap.into(), compare_and_swap: Some(swap), ..Default::default() }
}

/// The column family that a request names, if it is about keys.
pub fn family(request: &mut Request) -> Option<&mut String> {
    let fields = [
        request.get.as_mut().map(|r| &mut r.cf),
        request.put.as_mut().map(|r| &mut r.cf),
        request.delete.as_mut().map(|r| &mut r.cf),
        request.delete_range.as_mut().map(|r| &mut r.cf),
        request.compare_and_swap.as_mut().map(|r| &mut r.cf),
    ];
    fields.into_iter().flatten().next()
}

pub fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

/// The answer to a command that has to be carried out.
pub fn done(result: Option<CommandResult>) -> Answer {
    match result {
        Some(Ok(answer)) => answer,
        Some(Err(error)) => panic!("the command must be carried out, but: {error}"),
        None => panic!("the command must be carried out, and there is no answer"),
    }
}

/// The region error of a command that has to be refused.
pub fn refused(result: Option<CommandResult>) -> errorpb::Error {
    match result {
        Some(Err(error)) => match error.into_response() {
            (Some(region_error), _) => region_error,
            (None, text) => panic!("the command must be refused with a region error, not with: {text}"),
        },
        Some(Ok(answer)) => panic!("the command must be refused, but it was carried out: {answer:?}"),
        None => panic!("the command must be refused, and there is no answer"),
    }
}
