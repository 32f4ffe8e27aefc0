//! The first records on a new disk.

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

/// The raft engine's record of a region that begins now, where its peer was created by a message before, and may have given its vote: a
/// vote is not taken back.
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

/// Whose data this is; `None` on a new disk.
pub(super) fn read_name(kv: &dyn Snapshot) -> Result<Option<StoreName>, StoreError> {
    let Some(ident) = read::<StoreIdent>(kv, Cf::Raft, &keys::store_ident(), "store ident")? else {
        return Ok(None);
    };
    Ok(Some(StoreName { cluster: ident.cluster_id, store: ident.store_id }))
}

/// The regions of which there is a peer here, and those of which there was one.
pub(super) fn read_regions(kv: &dyn Snapshot) -> Result<(Vec<Region>, Vec<RegionId>), StoreError> {
    let mut cursor = kv.cursor(Cf::Raft, keys::all_region_states());
    let (mut regions, mut gone) = (Vec::new(), Vec::new());
    cursor.seek_to_first()?;
    while let Some((key, value)) = cursor.entry() {
        if let Some(id) = keys::region_of_state(key) {
            let what = format!("state of region {id}");
            let local: RegionLocalState = decode(value, &what)?;
            match (local.state(), local.region) {
                (PeerState::Tombstone, _) => gone.push(id),
                (_, Some(region)) if region.id == id => regions.push(region),
                _ => return Err(StoreError::Corrupt(format!("{what}: it is of another region"))),
            }
        }
        cursor.next()?;
    }
    Ok((regions, gone))
}

/// What is left on the raft engine of peers that are gone, since the store stopped before it was removed. The vote of a peer that was
/// created again by a message, and has no log, stays.
pub(super) fn finish_burials(engines: &Engines, gone: &[RegionId]) -> Result<(), StoreError> {
    for &id in gone {
        let raft = engines.raft.snapshot();
        let state: Option<RaftLocalState> = read(&*raft, Cf::Default, &keys::raft_state(id), "raft state")?;
        if state.is_some_and(|state| state.last_index > 0) {
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
