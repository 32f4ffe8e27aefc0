//! Raft's log and states of one peer, on the store's two disks.
//!
//! | what | engine | written |
//! |---|---|---|
//! | entries, [`RaftLocalState`] | raft | by [`PeerStorage::save_ready_state`]: synced, before anything that promises them is sent |
//! | [`RaftApplyState`] | kv | by the state machine, in one batch with the data |
//!
//! The two disks do not know each other. After a crash the kv engine may be behind: then committed entries are applied
//! again, onto data that is as old as the apply state. It is never ahead, since entries are on the disk before they are
//! applied. A snapshot changes both (stage 2c, `snapshot.rs`).

use std::cell::RefCell;

use prost::Message;

use super::bootstrap::{decode, grown_raft_state, read};
use super::{Engines, Generation, INIT_INDEX, INIT_TERM, SnapKey, StoreError};
use crate::engine::{Cf, WriteBatch, keys};
use crate::ids::{Index, RegionId, Term};
use crate::proto::eraftpb::{ConfState, Entry, HardState, Snapshot};
use crate::proto::metapb::Region;
use crate::proto::raft_serverpb::{
    PeerState, RaftApplyState, RaftLocalState, RaftTruncatedState, RegionLocalState,
};
use crate::raft::{LogStorage, Ready, StorageError};

/// The disk of one peer.
///
/// - `raft_state` and `apply_state` are what the disks hold, or will hold when the batch at hand is written. If that
///   fails, the store stops.
/// - The log is `truncated_state.index + 1 ..= raft_state.last_index`. What lies on the disk behind `last_index` is no
///   part of it.
pub struct PeerStorage {
    pub(super) engines: Engines,
    pub(super) region: Region,
    pub(super) raft_state: RaftLocalState,
    pub(super) apply_state: RaftApplyState,
    /// A snapshot to give away. Raft only reads its storage, and asks for one all the same.
    pub(super) generation: RefCell<Generation>,
    /// Snapshots of which there are files here, made by the region worker.
    pub(super) made: Vec<SnapKey>,
    /// How often in a row the snapshot was found unused.
    pub(super) idle_looks: u32,
    /// The snapshot whose data has to be loaded before anything is applied or given away.
    pub(super) loading: Option<SnapKey>,
    /// Its task has not left yet.
    pub(super) load_due: bool,
}

impl PeerStorage {
    /// The peer's states, as the disks remember them.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`] where a state is missing: the region was bootstrapped, so they were there.
    pub fn open(engines: Engines, region: &Region) -> Result<PeerStorage, StoreError> {
        let id = region.id;
        let missing = |what: &str| StoreError::Corrupt(format!("the {what} of region {id} is missing"));
        let apply_state = read(&*engines.kv.snapshot(), Cf::Raft, &keys::apply_state(id), "apply state")?
            .ok_or_else(|| missing("apply state"))?;
        let local_state: RegionLocalState =
            read(&*engines.kv.snapshot(), Cf::Raft, &keys::region_state(id), "region state")?
                .ok_or_else(|| missing("region state"))?;
        let is_applying = local_state.state() == PeerState::Applying;
        let has_begun_now = is_initial(&apply_state) && !is_applying;
        let raft_state = read_raft_state(&engines, id)?;
        // What a snapshot is taken over into may be a peer that has saved nothing before.
        let raft_state = match raft_state {
            None if is_applying || has_begun_now => RaftLocalState::default(),
            raft_state => raft_state.ok_or_else(|| missing("raft state"))?,
        };
        let mut storage = PeerStorage::of(engines, region.clone(), raft_state, apply_state);
        if is_applying {
            storage.repair()?;
        } else if has_begun_now && storage.raft_state.last_index < INIT_INDEX {
            storage.begin_log()?;
        }
        Ok(storage)
    }

    /// The disk of a peer that was created by a message, and knows nothing yet but the votes that it has given.
    pub(super) fn create(engines: Engines, region: RegionId) -> Result<PeerStorage, StoreError> {
        let raft_state = read_raft_state(&engines, region)?.unwrap_or_default();
        let region = Region { id: region, ..Default::default() };
        Ok(PeerStorage::of(engines, region, raft_state, RaftApplyState::default()))
    }

    fn of(
        engines: Engines,
        region: Region,
        raft_state: RaftLocalState,
        apply_state: RaftApplyState,
    ) -> PeerStorage {
        PeerStorage {
            engines,
            region,
            raft_state,
            apply_state,
            generation: RefCell::default(),
            made: Vec::new(),
            idle_looks: 0,
            loading: None,
            load_due: false,
        }
    }

    /// The region has come out of a split: its log begins now. A peer that was created by a message before keeps its
    /// vote.
    fn begin_log(&mut self) -> Result<(), StoreError> {
        self.raft_state = grown_raft_state(&self.raft_state);
        let mut batch = WriteBatch::new();
        batch.put(Cf::Default, keys::raft_state(self.region.id), self.raft_state.encode_to_vec());
        self.engines.raft.write(batch, true)?;
        Ok(())
    }

    /// True once the peer knows its region: it was there from the beginning, came out of a split, or has taken a
    /// snapshot.
    pub fn is_initialized(&self) -> bool {
        !self.region.peers.is_empty()
    }

    /// The region has changed. The caller writes its state in one batch with the applied index. (Stage 3b.)
    pub(super) fn set_region(&mut self, region: Region, batch: &mut WriteBatch) {
        let state = RegionLocalState { state: PeerState::Normal.into(), region: Some(region.clone()) };
        batch.put(Cf::Raft, keys::region_state(region.id), state.encode_to_vec());
        self.region = region;
    }

    /// Adds to the batch what a `Ready` wants stored: entries, the new end of the log, the hard state. The caller
    /// writes the batch to the raft engine.
    ///
    /// After: [`PeerStorage::raft_state`] is the new state. Entries of the old log that stood behind the first new
    /// entry are no part of the log any more. What has not changed is not in the batch: an empty batch spares a write.
    pub fn save_ready_state(&mut self, ready: &Ready, batch: &mut WriteBatch) {
        // LAB 2b BEGIN: the entries; last_index; the hard state; then the RaftLocalState, if it has changed
        let old = self.raft_state;
        self.append(&ready.entries, batch);
        if let Some(hard_state) = ready.hard_state {
            self.raft_state.hard_state = Some(hard_state);
        }
        if self.raft_state != old {
            batch.put(Cf::Default, keys::raft_state(self.region.id), self.raft_state.encode_to_vec());
        }
        // LAB 2b END
    }

    /// The entries up to `index` are in the data. The caller writes the state in one batch with that data.
    pub fn set_applied(&mut self, index: Index, batch: &mut WriteBatch) {
        // LAB 2b BEGIN: RaftApplyState, in the kv engine's column family `raft`
        self.apply_state.applied_index = index;
        batch.put(Cf::Raft, keys::apply_state(self.region.id), self.apply_state.encode_to_vec());
        // LAB 2b END
    }

    /// The log begins behind `index`, whose term is `term`. The caller writes the state in one batch with the data.
    /// (Stage 2c.)
    pub(super) fn set_truncated(&mut self, index: Index, term: Term, batch: &mut WriteBatch) {
        self.apply_state.truncated_state = Some(RaftTruncatedState { index, term });
        batch.put(Cf::Raft, keys::apply_state(self.region.id), self.apply_state.encode_to_vec());
    }

    /// The snapshot that is being loaded, if one is: until then, the data is of no moment, and nothing is applied.
    pub fn loading(&self) -> Option<SnapKey> {
        self.loading
    }

    /// Where it is with making a snapshot for followers.
    pub fn generation(&self) -> Generation {
        self.generation.borrow().clone()
    }

    /// The region, as of the last applied entry, or of the snapshot that is being loaded.
    pub fn region(&self) -> &Region {
        &self.region
    }

    /// The disks.
    pub fn engines(&self) -> &Engines {
        &self.engines
    }

    /// What is on the raft engine beside the entries.
    pub fn raft_state(&self) -> &RaftLocalState {
        &self.raft_state
    }

    /// How far the data is, and where the log begins.
    pub fn apply_state(&self) -> &RaftApplyState {
        &self.apply_state
    }

    /// The last entry that is no longer in the log.
    pub fn truncated_state(&self) -> RaftTruncatedState {
        self.apply_state.truncated_state.unwrap_or_default()
    }

    // SOLUTION 2b BEGIN
    /// Entries of a new leader replace those of an old one from the first that differs on, and the log ends with them.
    fn append(&mut self, entries: &[Entry], batch: &mut WriteBatch) {
        let Some(last) = entries.last() else { return };
        let id = self.region.id;
        for entry in entries {
            batch.put(Cf::Default, keys::raft_log(id, entry.index), entry.encode_to_vec());
        }
        if last.index < self.raft_state.last_index {
            batch.delete_range(
                Cf::Default,
                keys::raft_log_range(id, last.index + 1, self.raft_state.last_index + 1),
            );
        }
        self.raft_state.last_index = last.index;
    }
    // SOLUTION 2b END
}

impl LogStorage for PeerStorage {
    /// What the disks remember: the saved hard state, and the peers of the region as voters.
    fn initial_state(&self) -> Result<(HardState, ConfState), StorageError> {
        // LAB 2b BEGIN: the members are those of the region
        let voters = self.region.peers.iter().map(|peer| peer.id).collect();
        let hard_state = self.raft_state.hard_state.unwrap_or_default();
        Ok((hard_state, ConfState { voters, ..Default::default() }))
        // LAB 2b END
    }

    /// # Errors
    /// `Compacted(low)` before the first index; `Unavailable` with the first index that is missing, be it behind the
    /// end of the log or in a hole.
    fn entries(&self, low: Index, high: Index) -> Result<Vec<Entry>, StorageError> {
        // LAB 2b BEGIN: refuse what is outside the log; read the rest in one pass, and miss no gap
        if low < self.first_index()? {
            return Err(StorageError::Compacted(low));
        }
        if high > self.last_index()? + 1 {
            return Err(StorageError::Unavailable(self.last_index()? + 1));
        }
        let snapshot = self.engines.raft.snapshot();
        let mut cursor =
            snapshot.cursor(Cf::Default, keys::raft_log_range(self.region.id, low, high.max(low)));
        let mut entries = Vec::new();
        cursor.seek_to_first()?;
        while let Some((_, value)) = cursor.entry() {
            entries.push(decode_entry(self.region.id, value)?);
            cursor.next()?;
        }
        match (low..high)
            .find(|&index| entries.get((index - low) as usize).map(|e: &Entry| e.index) != Some(index))
        {
            Some(missing) => Err(StorageError::Unavailable(missing)),
            None => Ok(entries),
        }
        // LAB 2b END
    }

    fn term(&self, index: Index) -> Result<Term, StorageError> {
        // LAB 2b BEGIN: the last compacted entry is gone, but its term is known
        let truncated = self.truncated_state();
        if index == truncated.index {
            return Ok(truncated.term);
        }
        Ok(self.entries(index, index + 1)?[0].term)
        // LAB 2b END
    }

    fn first_index(&self) -> Result<Index, StorageError> {
        // LAB 2b BEGIN: behind the last compacted entry
        Ok(self.truncated_state().index + 1)
        // LAB 2b END
    }

    fn last_index(&self) -> Result<Index, StorageError> {
        // LAB 2b BEGIN: the disk may hold more than the log
        Ok(self.raft_state.last_index)
        // LAB 2b END
    }

    /// See `PeerStorage::give_snapshot` (stage 2c; before that no log is ever compacted).
    fn snapshot(&self) -> Result<Snapshot, StorageError> {
        self.give_snapshot()
    }
}

/// Nothing was applied and nothing compacted since the region began.
fn is_initial(state: &RaftApplyState) -> bool {
    let truncated = state.truncated_state.unwrap_or_default();
    (state.applied_index, truncated.index, truncated.term) == (INIT_INDEX, INIT_INDEX, INIT_TERM)
}

fn read_raft_state(engines: &Engines, region: RegionId) -> Result<Option<RaftLocalState>, StoreError> {
    read(&*engines.raft.snapshot(), Cf::Default, &keys::raft_state(region), "raft state")
}

// SOLUTION 2b BEGIN
fn decode_entry(region: RegionId, value: &[u8]) -> Result<Entry, StorageError> {
    decode(value, &format!("a log entry of region {region}"))
        .map_err(|error| StorageError::Other(error.to_string()))
}
// SOLUTION 2b END
