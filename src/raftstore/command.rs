//! A command as the store understands it.
//!
//! On the wire and in the log a command is a message with many optional fields. It is read once, here, and what cannot be
//! read is refused before it gets into the log: an entry that no peer can apply would stop all of them.

use bytes::Bytes;

use crate::engine::{Cf, KeyRange};
use crate::error::{Rejection, check_key};
use crate::ids::Index;
use crate::proto::metapb::{Region, RegionEpoch};
use crate::proto::raft_cmdpb::{AdminCmdType, AdminRequest, CmdType, RaftCmdRequest, Request};

/// One operation on the data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Operation {
    /// Reads one key.
    Get {
        /// Column family.
        cf: Cf,
        /// Key.
        key: Bytes,
    },
    /// Sets one key.
    Put {
        /// Column family.
        cf: Cf,
        /// Key.
        key: Bytes,
        /// May be empty.
        value: Bytes,
    },
    /// Removes one key.
    Delete {
        /// Column family.
        cf: Cf,
        /// Key.
        key: Bytes,
    },
    /// Removes every key of a range.
    DeleteRange {
        /// Column family.
        cf: Cf,
        /// Which keys.
        range: KeyRange,
    },
    /// Asks for the data as of here. It stands alone in its command.
    Snap,
    /// Sets one key, if it holds what is expected.
    CompareAndSwap {
        /// Column family.
        cf: Cf,
        /// Key.
        key: Bytes,
        /// `None`: the key must not exist.
        expected: Option<Bytes>,
        /// May be empty.
        value: Bytes,
    },
}

/// One change of the region itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admin {
    /// The log up to here is not needed any more.
    CompactLog {
        /// The last entry that may go.
        index: Index,
    },
}

/// What a client wants done: all operations, in their order, or none. Or one change of the region.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// For which edition of the region.
    pub epoch: RegionEpoch,
    /// The operations.
    pub operations: Vec<Operation>,
    /// Instead of operations.
    pub admin: Option<Admin>,
}

impl Command {
    /// Reads a command.
    ///
    /// # Errors
    /// It makes no sense, on any store.
    pub fn parse(request: &RaftCmdRequest) -> Result<Command, Rejection> {
        let admin = request.admin_request.as_ref().map(parse_admin).transpose()?;
        if admin.is_some() && !request.requests.is_empty() {
            return Err(Rejection::BadCommand("a command changes data or the region, not both"));
        }
        let epoch = request.header.as_ref().and_then(|header| header.region_epoch).unwrap_or_default();
        let operations = request.requests.iter().map(parse).collect::<Result<Vec<_>, _>>()?;
        if operations.len() > 1 && operations.contains(&Operation::Snap) {
            return Err(Rejection::BadCommand("a Snap must be the only request of its command"));
        }
        Ok(Command { epoch, operations, admin })
    }

    /// A key that the region does not hold, if there is one. Of a range to delete, both ends have to be in the region; its
    /// end, which is exclusive, may be the region's.
    pub fn key_outside(&self, region: &Region) -> Option<&[u8]> {
        let held = region.range();
        self.operations.iter().find_map(|operation| match operation {
            Operation::Get { key, .. }
            | Operation::Put { key, .. }
            | Operation::Delete { key, .. }
            | Operation::CompareAndSwap { key, .. } => (!held.contains(key)).then_some(&key[..]),
            Operation::DeleteRange { range, .. } if range.is_empty() => None,
            Operation::DeleteRange { range, .. } => range.outside(&held),
            Operation::Snap => None,
        })
    }
}

fn parse(request: &Request) -> Result<Operation, Rejection> {
    const MISSING: Rejection = Rejection::BadCommand("a request has no content, or not that of its type");
    match request.cmd_type() {
        CmdType::Get => {
            let get = request.get.as_ref().ok_or(MISSING)?;
            Ok(Operation::Get { cf: Cf::parse(&get.cf)?, key: checked(&get.key)? })
        }
        CmdType::Put => {
            let put = request.put.as_ref().ok_or(MISSING)?;
            Ok(Operation::Put { cf: Cf::parse(&put.cf)?, key: checked(&put.key)?, value: put.value.clone() })
        }
        CmdType::Delete => {
            let delete = request.delete.as_ref().ok_or(MISSING)?;
            Ok(Operation::Delete { cf: Cf::parse(&delete.cf)?, key: checked(&delete.key)? })
        }
        CmdType::DeleteRange => {
            let delete = request.delete_range.as_ref().ok_or(MISSING)?;
            let range = KeyRange::new(delete.start_key.clone(), delete.end_key.clone());
            Ok(Operation::DeleteRange { cf: Cf::parse(&delete.cf)?, range })
        }
        CmdType::Snap => Ok(Operation::Snap),
        CmdType::CompareAndSwap => {
            let swap = request.compare_and_swap.as_ref().ok_or(MISSING)?;
            Ok(Operation::CompareAndSwap {
                cf: Cf::parse(&swap.cf)?,
                key: checked(&swap.key)?,
                expected: (!swap.previous_not_exist).then(|| swap.previous_value.clone()),
                value: swap.value.clone(),
            })
        }
        CmdType::Invalid => Err(Rejection::BadCommand("a request has no known type")),
    }
}

fn parse_admin(request: &AdminRequest) -> Result<Admin, Rejection> {
    match (request.cmd_type(), request.compact_log) {
        (AdminCmdType::CompactLog, Some(compact)) => Ok(Admin::CompactLog { index: compact.compact_index }),
        _ => {
            Err(Rejection::BadCommand("the admin command has no known type, or not the content of its type"))
        }
    }
}

fn checked(key: &Bytes) -> Result<Bytes, Rejection> {
    check_key(key)?;
    Ok(key.clone())
}
