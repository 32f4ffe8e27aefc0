//! The errors that send a client elsewhere, one constructor each.
//!
//! All of them promise that the command was not carried out and never will be.

use crate::error::Error;
use crate::ids::{PeerId, RegionId, StoreId};
use crate::proto::errorpb::{
    self, EpochNotMatch, KeyNotInRegion, NotLeader, RaftEntryTooLarge, RegionNotFound, ServerIsBusy,
    StaleCommand, StoreNotMatch,
};
use crate::proto::metapb::{Peer, Region};

/// The command names another store. The client has an old address.
pub fn store_not_match(requested: StoreId, actual: StoreId) -> Error {
    region_error(errorpb::Error {
        message: format!("this is store {actual}, not store {requested}"),
        store_not_match: Some(StoreNotMatch { request_store_id: requested, actual_store_id: actual }),
        ..Default::default()
    })
}

/// There is no peer of the region here.
pub fn region_not_found(region: RegionId) -> Error {
    region_error(errorpb::Error {
        message: format!("region {region} is not on this store"),
        region_not_found: Some(RegionNotFound { region_id: region }),
        ..Default::default()
    })
}

/// There is a peer of the region here, but not the one that the command names: it was removed and came back under a new
/// id. To the client it is the same as no peer: it must look the region up again.
pub fn peer_not_found(region: RegionId, requested: PeerId, actual: PeerId) -> Error {
    region_error(errorpb::Error {
        message: format!("the peer of region {region} here is {actual}, not {requested}"),
        region_not_found: Some(RegionNotFound { region_id: region }),
        ..Default::default()
    })
}

/// This peer does not lead. `leader` does, if it is known: the client can go there at once.
pub fn not_leader(region: RegionId, leader: Option<&Peer>) -> Error {
    let whom = leader.map_or("nobody that it knows of".to_string(), |p| format!("peer {}", p.id));
    region_error(errorpb::Error {
        message: format!("this peer of region {region} does not lead it, {whom} does"),
        not_leader: Some(NotLeader { region_id: region, leader: leader.copied() }),
        ..Default::default()
    })
}

/// The command was meant for another term, or another leader's entry took its place in the log.
pub fn stale_command(message: impl Into<String>) -> Error {
    region_error(errorpb::Error {
        message: message.into(),
        stale_command: Some(StaleCommand {}),
        ..Default::default()
    })
}

/// The command was made for another edition of the region. `current` are the regions as they are, the one asked for
/// first.
pub fn epoch_not_match(current: Vec<Region>) -> Error {
    let message = match current.first() {
        Some(region) => format!("region {} has another epoch: {:?}", region.id, region.region_epoch),
        None => "the region has another epoch".to_string(),
    };
    region_error(errorpb::Error {
        message,
        epoch_not_match: Some(EpochNotMatch { current_regions: current }),
        ..Default::default()
    })
}

/// The key, or the end of the range, lies outside the region.
pub fn key_not_in_region(key: &[u8], region: &Region) -> Error {
    region_error(errorpb::Error {
        message: format!("key {} is not in region {}", key.escape_ascii(), region.id),
        key_not_in_region: Some(KeyNotInRegion {
            key: key.to_vec().into(),
            region_id: region.id,
            start_key: region.start_key.clone(),
            end_key: region.end_key.clone(),
        }),
        ..Default::default()
    })
}

/// The command is larger than a log entry may be.
pub fn raft_entry_too_large(region: RegionId, size: usize) -> Error {
    region_error(errorpb::Error {
        message: format!("the command has {size} bytes, more than a log entry may have"),
        raft_entry_too_large: Some(RaftEntryTooLarge { region_id: region, entry_size: size as u64 }),
        ..Default::default()
    })
}

/// Too much is waiting already.
pub fn server_is_busy(reason: impl Into<String>) -> Error {
    let reason = reason.into();
    region_error(errorpb::Error {
        message: format!("busy: {reason}"),
        server_is_busy: Some(ServerIsBusy { reason, ..Default::default() }),
        ..Default::default()
    })
}

/// The store has stopped after a failure, and takes nothing in any more. Another one may.
pub fn store_stopped(store: StoreId, why: &str) -> Error {
    server_is_busy(format!("store {store} has stopped: {why}"))
}

fn region_error(error: errorpb::Error) -> Error {
    Error::from(error)
}
