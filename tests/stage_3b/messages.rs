//! The region of the tests that drive a single store (`lone`), and what other stores and clients say to that store,
//! made by hand: the messages of Raft, the commands, and the entries of the log that hold them.

use bytes::Bytes;
use prost::Message as _;
use raftkv::error::Error;
use raftkv::proto::eraftpb::{
    ConfChange, ConfChangeType, ConfState, Entry, EntryType, Message, MessageType, Snapshot, SnapshotMetadata,
};
use raftkv::proto::errorpb;
use raftkv::proto::metapb::{Peer, Region, RegionEpoch};
use raftkv::proto::raft_cmdpb::{
    AdminCmdType, AdminRequest, BatchSplitRequest, RaftCmdRequest, RaftRequestHeader, Request, SplitRequest,
};
use raftkv::proto::raft_serverpb::{RaftMessage, RaftSnapshotData};
use raftkv::raftstore::{Answer, CommandResult, SnapKey};
use raftkv_testkit::requests::{bytes, put};
use raftkv_testkit::sim::change_peer;

/// The region of most of these tests.
pub const ID: u64 = 7;

/// The region behind it.
pub const NEXT: u64 = 8;

/// Where the log of a region begins that was bootstrapped.
pub const BEGIN: u64 = 5;

/// Peer `id`, on the store that the last digit of `id` names.
pub fn peer(id: u64) -> Peer {
    at(id, id % 10)
}

/// Peer `id` on any store.
pub fn at(id: u64, store_id: u64) -> Peer {
    Peer { id, store_id, ..Default::default() }
}

/// An edition of a region: `conf_ver` first, as in `RegionEpoch` and everywhere here. The regions of these tests begin
/// with version 30, far from any `conf_ver` that they get to, so that a mistake in the order shows.
pub fn epoch(conf_ver: u64, version: u64) -> Option<RegionEpoch> {
    Some(RegionEpoch { conf_ver, version })
}

/// Region 7: keys b to p, and the peers 1, 2 and 3 on the stores of these numbers.
pub fn region() -> Region {
    let peers = vec![peer(1), peer(2), peer(3)];
    Region { id: ID, start_key: "b".into(), end_key: "p".into(), region_epoch: epoch(5, 30), peers }
}

/// Region 8, behind it: keys p to z, and the peers 21, 22 and 23.
pub fn next_region() -> Region {
    Region { id: NEXT, ..region().keys("p", "z").of([peer(21), peer(22), peer(23)]) }
}

/// Region 7 as in the messages and commands of those who know another `conf_ver`. What the members are then is not in
/// there, so they are the same.
pub fn as_of(conf_ver: u64) -> Region {
    region().edition(conf_ver, 30)
}

/// Variations of a region.
pub trait Vary {
    fn keys(self, start: &str, end: &str) -> Region;
    fn of(self, peers: impl IntoIterator<Item = Peer>) -> Region;
    fn edition(self, conf_ver: u64, version: u64) -> Region;
}

impl Vary for Region {
    fn keys(self, start: &str, end: &str) -> Region {
        Region { start_key: bytes(start), end_key: bytes(end), ..self }
    }

    fn of(self, peers: impl IntoIterator<Item = Peer>) -> Region {
        Region { peers: peers.into_iter().collect(), ..self }
    }

    fn edition(self, conf_ver: u64, version: u64) -> Region {
        Region { region_epoch: epoch(conf_ver, version), ..self }
    }
}

pub fn message(msg_type: MessageType, term: u64) -> Message {
    Message { msg_type: msg_type.into(), term, ..Default::default() }
}

/// What peer `from` says to peer `to`, and what it knows of the region.
pub fn envelope(region: &Region, from: Peer, to: Peer, message: Message) -> RaftMessage {
    RaftMessage {
        region_id: region.id,
        from_peer: Some(from),
        to_peer: Some(to),
        region_epoch: region.region_epoch,
        message: Some(Message { from: from.id, to: to.id, ..message }),
        start_key: region.start_key.clone(),
        end_key: region.end_key.clone(),
        ..Default::default()
    }
}

/// What a leader says to a peer of which it knows nothing.
pub fn hello(from: Peer, to: Peer, conf_ver: u64) -> RaftMessage {
    envelope(&as_of(conf_ver), from, to, message(MessageType::MsgHeartbeat, 6))
}

/// What a candidate says, whose log ends far away.
pub fn vote_request(from: Peer, to: Peer, conf_ver: u64, term: u64) -> RaftMessage {
    let request = Message { index: 100, log_term: term - 1, ..message(MessageType::MsgRequestVote, term) };
    envelope(&as_of(conf_ver), from, to, request)
}

/// Somebody has applied the removal of peer `to`.
pub fn go(to: Peer, conf_ver: u64) -> RaftMessage {
    go_from(&as_of(conf_ver), to)
}

/// The same, in any region.
pub fn go_from(region: &Region, to: Peer) -> RaftMessage {
    RaftMessage {
        region_id: region.id,
        from_peer: Some(peer(2)),
        to_peer: Some(to),
        region_epoch: region.region_epoch,
        is_tombstone: true,
        ..Default::default()
    }
}

/// The peer on store 2 leads in term 6, and sends entries behind `index`, all of term 6, and all committed.
pub fn append(region: &Region, index: u64, entries: Vec<Entry>) -> RaftMessage {
    let log_term = if index == BEGIN { 5 } else { 6 };
    let commit = index + entries.len() as u64;
    let append = Message { index, log_term, entries, commit, ..message(MessageType::MsgAppend, 6) };
    let [from, to] = [2, 1].map(|store| *region.peer_on(store).expect("it is from store 2 to store 1"));
    envelope(region, from, to, append)
}

/// A snapshot of a region, for its peer on store 1.
pub fn snapshot(key: SnapKey, of: &Region) -> RaftMessage {
    let to = *of.peer_on(1).expect("the region has a peer on store 1");
    let from = *of.peers.iter().find(|peer| peer.store_id != 1).expect("and on another one");
    let voters = of.peers.iter().map(|peer| peer.id).collect();
    let conf_state = Some(ConfState { voters, ..Default::default() });
    let metadata = Some(SnapshotMetadata { conf_state, index: key.index, term: key.term });
    let data = RaftSnapshotData { region: Some(of.clone()), ..Default::default() };
    let snapshot = Some(Snapshot { data: data.encode_to_vec().into(), metadata });
    envelope(of, from, to, Message { snapshot, ..message(MessageType::MsgSnapshot, key.term) })
}

/// A command for the region's peer on store 1, made for this edition of the region.
pub fn command(region: &Region, requests: Vec<Request>) -> RaftCmdRequest {
    let peer = *region.peer_on(1).expect("the region has a peer on store 1");
    let (region_id, region_epoch) = (region.id, region.region_epoch);
    let header = RaftRequestHeader { region_id, peer: Some(peer), region_epoch, ..Default::default() };
    RaftCmdRequest { header: Some(header), requests, admin_request: None }
}

/// The same, with a change of the region.
pub fn change(region: &Region, admin: AdminRequest) -> RaftCmdRequest {
    RaftCmdRequest { admin_request: Some(admin), ..command(region, Vec::new()) }
}

/// The command that puts one key.
pub fn put_in(region: &Region, key: &str) -> RaftCmdRequest {
    command(region, vec![put(key, "new")])
}

pub fn add(peer: Peer) -> AdminRequest {
    change_peer(ConfChangeType::AddNode, peer)
}

pub fn remove(peer: Peer) -> AdminRequest {
    change_peer(ConfChangeType::RemoveNode, peer)
}

/// At which key, which new region, with which peers.
pub type Cut = (&'static str, u64, &'static [u64]);

/// A `Cut`, where its type cannot be written.
pub fn cut(key: &'static str, region: u64, peers: &'static [u64]) -> Cut {
    (key, region, peers)
}

/// Cuts: at this key, this region, with these peers.
pub fn split(cuts: &[(&str, u64, &[u64])], right_derive: bool) -> AdminRequest {
    let cut = |&(key, new_region_id, peers): &(&str, u64, &[u64])| SplitRequest {
        split_key: bytes(key),
        new_region_id,
        new_peer_ids: peers.to_vec(),
    };
    let splits = Some(BatchSplitRequest { requests: cuts.iter().map(cut).collect(), right_derive });
    AdminRequest { cmd_type: AdminCmdType::BatchSplit.into(), splits, ..Default::default() }
}

/// A log entry of term 6 with a command.
pub fn entry(index: u64, command: &RaftCmdRequest) -> Entry {
    entry_of(EntryType::EntryNormal, index, command.encode_to_vec().into())
}

/// A log entry of term 6 with a command that changes the members.
pub fn change_entry(index: u64, command: &RaftCmdRequest) -> Entry {
    let change = command.admin_request.as_ref().and_then(|admin| admin.change_peer.as_ref());
    let change = change.expect("it is a change of members");
    let data = ConfChange {
        change_type: change.change_type,
        node_id: change.peer.expect("it names a peer").id,
        context: command.encode_to_vec().into(),
        ..Default::default()
    };
    entry_of(EntryType::EntryConfChange, index, data.encode_to_vec().into())
}

fn entry_of(entry_type: EntryType, index: u64, data: Bytes) -> Entry {
    Entry { entry_type: entry_type.into(), term: 6, index, data, ..Default::default() }
}

/// The error that tells a client that nothing was done.
pub fn refused(result: CommandResult) -> errorpb::Error {
    match result {
        Err(Error::Region(error)) => *error,
        other => panic!("a region error was expected, and it is {:?}", other.map(|a: Answer| a.response)),
    }
}
