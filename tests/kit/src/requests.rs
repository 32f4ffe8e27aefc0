//! The requests of a command, in few words.

use bytes::Bytes;
use raftkv::proto::raft_cmdpb::{
    CmdType, CompareAndSwapRequest, DeleteRangeRequest, DeleteRequest, GetRequest, PutRequest, Request,
    SnapRequest,
};

/// Sets a key, in the column family `default`, as all of these.
pub fn put(key: &str, value: &str) -> Request {
    let put = PutRequest { cf: "default".into(), key: bytes(key), value: bytes(value) };
    Request { cmd_type: CmdType::Put.into(), put: Some(put), ..Default::default() }
}

/// Reads a key.
pub fn get(key: &str) -> Request {
    let get = GetRequest { cf: "default".into(), key: bytes(key) };
    Request { cmd_type: CmdType::Get.into(), get: Some(get), ..Default::default() }
}

/// Removes a key.
pub fn delete(key: &str) -> Request {
    let delete = DeleteRequest { cf: "default".into(), key: bytes(key) };
    Request { cmd_type: CmdType::Delete.into(), delete: Some(delete), ..Default::default() }
}

/// Removes the keys from `start` to before `end`.
pub fn delete_range(start: &str, end: &str) -> Request {
    let range = DeleteRangeRequest { cf: "default".into(), start_key: bytes(start), end_key: bytes(end) };
    Request { cmd_type: CmdType::DeleteRange.into(), delete_range: Some(range), ..Default::default() }
}

/// Asks for the data.
pub fn snap() -> Request {
    Request { cmd_type: CmdType::Snap.into(), snap: Some(SnapRequest {}), ..Default::default() }
}

/// Sets a key if it holds what is expected; `None`: if it does not exist.
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

/// A text as the protocol's bytes.
pub fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}
