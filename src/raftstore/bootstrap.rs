//! The first records on a new disk.

use std::collections::BTreeSet;

use prost::Message;

use super::{Engines, StoreError, StoreName};
use crate::engine::{Cf, Snapshot, WriteBatch, keys};
use crate::ids::{Index, RegionId, Term};
use crate::proto::eraftpb::HardState;
use crate::proto::metapb::Region;
use crate::proto::raft_serverpb::{
    PeerState, RaftApplyState, RaftLocalState, RaftTruncatedState, RegionLocalState, StoreIdent,
};

/// Where the log of a region begins that was not created by a message. Above 0, so that a peer that was, and that knows
/// nothing yet, is behind: it gets a snapshot and no entries (stage 2c).
pub const INIT_INDEX: Index = 5;

/// See [`INIT_INDEX`].
pub const INIT_TERM: Term = 5;

/// Writes on two empty disks whose they are.
///
/// # Errors
/// [`StoreError::AlreadyBootstrapped`] if they are not new.
pub fn bootstrap_store(engines: &Engines, name: StoreName) -> Result<(), StoreError> {
    if let Some(found) = read_name(&*engines.kv.snapshot())? {
        return Err(StoreError::AlreadyBootstrapped(found));
    }
    let ident = StoreIdent { cluster_id: name.cluster, store_id: name.store };
    let mut batch = WriteBatch::new();
    batch.put(Cf::Raft, keys::store_ident(), ident.encode_to_vec());
    engines.kv.write(batch, true)?;
    Ok(())
}

/// Writes the first records of a region that the store is to have a peer of: the cluster's first region, on each of its
/// stores.
///
/// The region state is what a starting store looks for, and it comes last: stopped in between, there is no region here,
/// and the whole can be done again.
pub fn bootstrap_region(engines: &Engines, region: &Region) -> Result<(), StoreError> {
    let mut batch = WriteBatch::new();
    batch.put(Cf::Default, keys::raft_state(region.id), initial_raft_state().encode_to_vec());
    engines.raft.write(batch, true)?;
    let mut batch = WriteBatch::new();
    put_initial_region(&mut batch, region);
    engines.kv.write(batch, true)?;
    Ok(())
}

/// The raft engine's record of a region that begins now.
fn initial_raft_state() -> RaftLocalState {
    grown_raft_state(&RaftLocalState::default())
}

/// The raft engine's record of a region that begins now, where its peer was created by a message before, and may have
/// given its vote: a vote is not taken back.
pub(super) fn grown_raft_state(known: &RaftLocalState) -> RaftLocalState {
    let known = known.hard_state.unwrap_or_default();
    let (term, vote) = if known.term < INIT_TERM { (INIT_TERM, 0) } else { (known.term, known.vote) };
    let hard_state = HardState { term, vote, commit: INIT_INDEX };
    RaftLocalState { hard_state: Some(hard_state), last_index: INIT_INDEX }
}

/// The kv engine's records of a region that begins now.
pub(super) fn put_initial_region(batch: &mut WriteBatch, region: &Region) {
    let truncated_state = Some(RaftTruncatedState { index: INIT_INDEX, term: INIT_TERM });
    let apply_state = RaftApplyState { applied_index: INIT_INDEX, truncated_state };
    let local_state = RegionLocalState { state: PeerState::Normal.into(), region: Some(region.clone()) };
    batch.put(Cf::Raft, keys::apply_state(region.id), apply_state.encode_to_vec());
    batch.put(Cf::Raft, keys::region_state(region.id), local_state.encode_to_vec());
}

/// Whose disks these are; `None` if they are new.
///
/// # Errors
/// They cannot be read.
pub fn store_name(engines: &Engines) -> Result<Option<StoreName>, StoreError> {
    read_name(&*engines.kv.snapshot())
}

/// Whose data this is; `None` on a new disk.
pub(super) fn read_name(kv: &dyn Snapshot) -> Result<Option<StoreName>, StoreError> {
    let Some(ident) = read::<StoreIdent>(kv, Cf::Raft, &keys::store_ident(), "store ident")? else {
        return Ok(None);
    };
    Ok(Some(StoreName { cluster: ident.cluster_id, store: ident.store_id }))
}

/// Which peers a store has, as its disk says.
#[derive(Default)]
pub(super) struct Inventory {
    /// The regions that are known.
    pub regions: Vec<Region>,
    /// Those that have a tombstone.
    pub gone: Vec<RegionId>,
    /// Those that have a peer that they do not name: it was removed, or a message has created it.
    pub unnamed: BTreeSet<RegionId>,
}

/// Looks for the records of all regions.
pub(super) fn take_inventory(kv: &dyn Snapshot) -> Result<Inventory, StoreError> {
    let mut cursor = kv.cursor(Cf::Raft, keys::all_region_meta());
    let mut found = Inventory::default();
    cursor.seek_to_first()?;
    while let Some((key, value)) = cursor.entry() {
        if let Some(id) = keys::region_of_unnamed(key) {
            found.unnamed.insert(id);
        }
        if let Some(id) = keys::region_of_state(key) {
            let what = format!("state of region {id}");
            let local: RegionLocalState = decode(value, &what)?;
            match (local.state(), local.region) {
                (PeerState::Tombstone, _) => found.gone.push(id),
                (_, Some(region)) if region.id == id => found.regions.push(region),
                _ => return Err(StoreError::Corrupt(format!("{what}: it is of another region"))),
            }
        }
        cursor.next()?;
    }
    Ok(found)
}

/// Takes away what the raft engine still has of peers that are gone, where the store stopped before that was done. A
/// later peer of the region stays, and with it its vote.
pub(super) fn finish_burials(engines: &Engines, found: &Inventory) -> Result<(), StoreError> {
    for &id in found.gone.iter().filter(|id| !found.unnamed.contains(id)) {
        if engines.raft.snapshot().get(Cf::Default, &keys::raft_state(id))?.is_some() {
            engines.raft.write(super::lifecycle::remove_log(id), true)?;
        }
    }
    Ok(())
}

/// A record, if it is there.
pub(super) fn read<M: Message + Default>(
    snapshot: &dyn Snapshot,
    cf: Cf,
    key: &[u8],
    what: &str,
) -> Result<Option<M>, StoreError> {
    snapshot.get(cf, key)?.map(|value| decode(&value, what)).transpose()
}

/// A record from its bytes.
pub(super) fn decode<M: Message + Default>(bytes: &[u8], what: &str) -> Result<M, StoreError> {
    M::decode(bytes).map_err(|error| StoreError::Corrupt(format!("{what}: {error}")))
}
