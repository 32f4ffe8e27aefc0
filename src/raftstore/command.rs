//! A command as the store understands it.
//!
//! On the wire and in the log a command is a message with many optional fields. It is read once, here, and what cannot
//! be read is refused before it gets into the log: an entry that no peer can apply would stop all of them.

use bytes::Bytes;

use crate::engine::{Cf, KeyRange};
use crate::error::{Rejection, check_key};
use crate::ids::{Index, PeerId, RegionId};
use crate::proto::eraftpb::ConfChangeType;
use crate::proto::metapb::{Peer, PeerRole, Region, RegionEpoch};
use crate::proto::raft_cmdpb::{
    AdminCmdType, AdminRequest, BatchSplitRequest, ChangePeerRequest, CmdType, RaftCmdRequest, Request,
    SplitRequest,
};

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
#[derive(Clone, Debug, PartialEq)]
pub enum Admin {
    /// The log up to here is not needed any more.
    CompactLog {
        /// The last entry that may go.
        index: Index,
    },
    /// One peer comes or goes.
    ChangePeer(PeerChange),
    /// The region becomes several. The old one keeps the leftmost part, or the rightmost.
    Split {
        /// From left to right.
        cuts: Vec<Cut>,
        /// Which part is the old region's.
        right_derive: bool,
    },
    /// Another peer is to lead. It does not go through the log.
    TransferLeader {
        /// Which one.
        to: Peer,
    },
}

/// One peer comes or goes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PeerChange {
    /// Added or removed; never a learner.
    pub kind: ConfChangeType,
    /// Which one, and on which store.
    pub peer: Peer,
}

/// One place where a region is cut in two.
#[derive(Clone, Debug, PartialEq)]
pub struct Cut {
    /// The first key of the part on the right.
    pub key: Bytes,
    /// The region that is new.
    pub region: RegionId,
    /// Its peers, in the order of the old region's.
    pub peers: Vec<PeerId>,
}

/// What a client wants done: all operations, in their order, or none. Or one change of the region.
#[derive(Clone, Debug, PartialEq)]
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

    /// About how many bytes of keys and values it writes.
    pub fn size(&self) -> u64 {
        let bytes = self.operations.iter().map(|operation| match operation {
            Operation::Put { key, value, .. } | Operation::CompareAndSwap { key, value, .. } => {
                key.len() + value.len()
            }
            Operation::Get { .. }
            | Operation::Delete { .. }
            | Operation::DeleteRange { .. }
            | Operation::Snap => 0,
        });
        bytes.sum::<usize>() as u64
    }

    /// A key that the region does not hold, if there is one. Of a range to delete, both ends have to be in the region;
    /// its end, which is exclusive, may be the region's.
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
    const MISSING: Rejection =
        Rejection::BadCommand("the admin command has no known type, or not the content of its type");
    match request.cmd_type() {
        AdminCmdType::CompactLog => {
            let index = request.compact_log.ok_or(MISSING)?.compact_index;
            Ok(Admin::CompactLog { index })
        }
        AdminCmdType::ChangePeer => parse_change(request.change_peer.as_ref().ok_or(MISSING)?),
        AdminCmdType::TransferLeader => {
            let to = request.transfer_leader.as_ref().and_then(|transfer| transfer.peer).ok_or(MISSING)?;
            Ok(Admin::TransferLeader { to })
        }
        AdminCmdType::BatchSplit => parse_split(request.splits.as_ref().ok_or(MISSING)?),
        AdminCmdType::InvalidAdmin => Err(MISSING),
    }
}

fn parse_change(request: &ChangePeerRequest) -> Result<Admin, Rejection> {
    let bad = |why| Err(Rejection::BadCommand(why));
    let Some(peer) = request.peer.filter(|peer| peer.id != 0 && peer.store_id != 0) else {
        return bad("a change of peers names a peer and its store");
    };
    if peer.role() != PeerRole::Voter {
        return bad("a peer that is added or removed is a voter; there are no learners here");
    }
    match ConfChangeType::try_from(request.change_type) {
        Ok(kind @ (ConfChangeType::AddNode | ConfChangeType::RemoveNode)) => {
            Ok(Admin::ChangePeer(PeerChange { kind, peer }))
        }
        _ => bad("a peer is added or removed; there are no learners here"),
    }
}

fn parse_split(request: &BatchSplitRequest) -> Result<Admin, Rejection> {
    let bad = |why| Err(Rejection::BadCommand(why));
    let cuts: Vec<Cut> = request.requests.iter().map(cut).collect();
    if cuts.is_empty() || !cuts.is_sorted_by(|a, b| a.key < b.key) {
        return bad("a split has at least one key, and its keys ascend");
    }
    for cut in &cuts {
        check_key(&cut.key)?;
    }
    let ids = || cuts.iter().flat_map(|cut| cut.peers.iter().copied());
    let regions = || cuts.iter().map(|cut| cut.region);
    if regions().chain(ids()).any(|id| id == 0) || has_twice(regions()) || has_twice(ids()) {
        return bad("a split has an id for each new region and each new peer, and none of them twice");
    }
    Ok(Admin::Split { cuts, right_derive: request.right_derive })
}

fn has_twice(ids: impl Iterator<Item = u64>) -> bool {
    let mut seen = std::collections::BTreeSet::new();
    !ids.into_iter().all(|id| seen.insert(id))
}

fn cut(request: &SplitRequest) -> Cut {
    Cut { key: request.split_key.clone(), region: request.new_region_id, peers: request.new_peer_ids.clone() }
}

fn checked(key: &Bytes) -> Result<Bytes, Rejection> {
    check_key(key)?;
    Ok(key.clone())
}
