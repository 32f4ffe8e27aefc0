//! Snapshots of a region, as its peer's storage sees them: given away on one store, taken over on another.
//!
//! ```text
//!   giver                                              taker
//!   Raft asks for a snapshot: not yet                  the files have arrived and are complete
//!     Task::Generate  ->  region worker                MsgSnapshot  ->  Raft restores its log
//!     TaskDone::Generated                              save_snapshot:
//!   Raft asks again: here it is                          1 kv engine:   Applying, where the log begins   (synced)
//!     Task::Send      ->  snap worker                    2 raft engine: where the log ends, no old entries (synced)
//!     TaskDone::Sent                                   acknowledged
//!                                                      Task::Load  ->  region worker
//!                                                      TaskDone::Loaded
//!                                                        3 kv engine:   Normal, applied index            (synced)
//!                                                      entries behind the snapshot are applied
//! ```
//!
//! **Between 1 and 2 the machine may stop.** Then the kv engine knows of the snapshot, and the raft engine does not:
//! its log may end before the snapshot, or hold other entries in its place. `repair`, at the next start, does what 2
//! would have done. The other order would not do: with the old entries gone and the snapshot unknown, the peer would
//! have lost what it has acknowledged.
//!
//! **Between 2 and 3** the data is of no moment at all. Whatever of it is loaded is loaded again.

use prost::Message;

use super::region::region_of;
use super::task::{Generate, SnapFileSet, SnapKey, Task};
use super::{PeerStorage, StoreError};
use crate::engine::{Cf, WriteBatch, keys};
use crate::proto::eraftpb::{HardState, Snapshot};
use crate::proto::raft_serverpb::{PeerState, RaftApplyState, RaftTruncatedState, RegionLocalState};
use crate::raft::{LogStorage, StorageError};

/// So many looks find a snapshot unused before it is given up.
const IDLE_LOOKS: u32 = 3;

/// Where a peer is with making a snapshot of its region.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Generation {
    /// Nobody has asked.
    #[default]
    Idle,
    /// Raft has asked. The next round of work schedules it.
    Wanted,
    /// A worker is at it.
    Running(SnapKey),
    /// It is made. Every follower that needs one gets it, as long as the log goes on behind it.
    Done(SnapKey, Snapshot),
}

/// As the giver.
impl PeerStorage {
    /// The snapshot for a follower, if one is made and still good for it: the log must have all entries behind it, and
    /// the region must be the one of then, with the same epoch. Otherwise one is wanted from now on, unless that is
    /// under way.
    ///
    /// # Errors
    /// `SnapshotTemporarilyUnavailable`: ask again later. So it is, too, for a peer that is loading a snapshot itself:
    /// its data is of no moment.
    pub(super) fn give_snapshot(&self) -> Result<Snapshot, StorageError> {
        // LAB 2c BEGIN: `generation` is behind a RefCell, for Raft only reads its storage
        let mut generation = self.generation.borrow_mut();
        match &*generation {
            Generation::Done(key, snapshot)
                if key.index >= self.truncated_state().index
                    && region_of(snapshot)
                        .is_some_and(|then| then.region_epoch == self.region.region_epoch) =>
            {
                return Ok(snapshot.clone());
            }
            Generation::Idle | Generation::Done(..) if self.loading.is_none() => {
                *generation = Generation::Wanted;
            }
            _ => {}
        }
        Err(StorageError::SnapshotTemporarilyUnavailable)
        // LAB 2c END
    }

    /// The region worker has finished.
    pub(super) fn generated(&mut self, key: SnapKey, result: Result<Snapshot, String>) {
        self.note_made(key);
        if *self.generation.borrow() == Generation::Running(key) {
            let outcome = result.map_or(Generation::Idle, |snapshot| Generation::Done(key, snapshot));
            self.generation.replace(outcome);
            self.idle_looks = 0;
        }
    }

    /// There are, or may be, files of this snapshot. If it is not wanted, they are removed.
    pub(super) fn note_made(&mut self, key: SnapKey) {
        if !self.made.contains(&key) {
            self.made.push(key);
        }
    }

    /// Looks, from time to time, whether the snapshot is still of use: `in_use` while some follower waits for it.
    /// Between two looks a follower may have had no chance to ask, so one look decides nothing.
    pub(super) fn retire_snapshot(&mut self, in_use: bool) {
        self.idle_looks = if in_use { 0 } else { self.idle_looks + 1 };
        let is_done = matches!(*self.generation.borrow(), Generation::Done(..));
        if is_done && self.idle_looks >= IDLE_LOOKS {
            self.generation.replace(Generation::Idle);
        }
    }

    /// What the worker needs to make a snapshot of the data as it is now. (Called between two rounds of work: then the
    /// data is exactly that of the applied index.)
    ///
    /// After: it is running.
    fn generate(&self) -> Result<Generate, StorageError> {
        // LAB 2c BEGIN: which entry does the data end with, and what was its term?
        let index = self.apply_state.applied_index;
        let term = LogStorage::term(self, index)?;
        let key = SnapKey { region: self.region.id, term, index };
        self.generation.replace(Generation::Running(key));
        Ok(Generate { key, region: self.region.clone(), data: self.engines.kv.snapshot() })
        // LAB 2c END
    }
}

/// As the taker.
impl PeerStorage {
    /// A snapshot takes the place of the log and of the data: writes 1 to the kv engine, and adds 2 to the batch for
    /// the raft engine, in front of what the same `Ready` adds. (Drawing above.) Before stage 2c there is none.
    ///
    /// - 1, one synced batch: the region's state is `Applying`, with the region of the snapshot; the log begins behind
    ///   the snapshot; keys that belonged to the region and do not any more are deleted. The applied index stays: what
    ///   it speaks of is still to come.
    /// - 2: the log ends with the snapshot; no entry of the region is left on the raft engine, also none that lay
    ///   behind `last_index`.
    ///
    /// Before: the snapshot says of which region it is, and is of this one. A region without peers is that of a peer
    /// that knows nothing yet: it has no keys to give up.
    ///
    /// After: [`PeerStorage::loading`] is this snapshot, and a task to load it is due.
    ///
    /// # Errors
    /// The disk failed.
    pub(super) fn save_snapshot(
        &mut self,
        snapshot: &Snapshot,
        batch: &mut WriteBatch,
    ) -> Result<(), StoreError> {
        // LAB 2c BEGIN idle: two engines, and a crash between any two writes
        let id = self.region.id;
        let (key, region) = SnapKey::of(id, snapshot).zip(region_of(snapshot)).ok_or_else(|| {
            StoreError::Corrupt(format!("a snapshot for region {id} does not say what it is"))
        })?;
        let truncated = RaftTruncatedState { index: key.index, term: key.term };
        let apply_state = RaftApplyState { truncated_state: Some(truncated), ..self.apply_state };
        let state = RegionLocalState { state: PeerState::Applying.into(), region: Some(region.clone()) };
        let mut kv = WriteBatch::new();
        let given_up = self.region.range().without(&region.range());
        for range in given_up.into_iter().filter(|_| !self.region.peers.is_empty()) {
            Cf::DATA.into_iter().for_each(|cf| kv.delete_range(cf, range.clone()));
        }
        kv.put(Cf::Raft, keys::region_state(id), state.encode_to_vec());
        kv.put(Cf::Raft, keys::apply_state(id), apply_state.encode_to_vec());
        self.engines.kv.write(kv, true)?;
        (self.region, self.apply_state) = (region, apply_state);
        self.restart_log(batch);
        self.start_loading(key);
        // LAB 2c END
        Ok(())
    }

    /// A peer that was stopped while it took over a snapshot starts again. If the raft engine does not know of the
    /// snapshot yet, it learns of it now; and the data is loaded, however much of it is there.
    ///
    /// After: the log on the raft engine begins and ends as the drawing's step 2 leaves it, or goes on behind that; the
    /// saved term is not below the snapshot's; a task to load the snapshot is due.
    pub(super) fn repair(&mut self) -> Result<(), StoreError> {
        // LAB 2c BEGIN: how can you tell whether step 2 was done? what if the saved term is older than the snapshot's?
        let RaftTruncatedState { index, term } = self.truncated_state();
        let id = self.region.id;
        let old_entry = self.engines.raft.snapshot().get(Cf::Default, &keys::raft_log(id, index))?;
        if self.raft_state.last_index < index || old_entry.is_some() {
            let mut batch = WriteBatch::new();
            let saved = self.raft_state.hard_state.unwrap_or_default();
            let vote = if term > saved.term { 0 } else { saved.vote };
            let hard_state = HardState { term: saved.term.max(term), vote, commit: index };
            self.raft_state.hard_state = Some(hard_state);
            self.restart_log(&mut batch);
            self.engines.raft.write(batch, true)?;
        }
        self.start_loading(SnapKey { region: id, term, index });
        Ok(())
        // LAB 2c END
    }

    /// The data is loaded: the region's state is `Normal` again, and everything up to the snapshot is applied, in one
    /// synced batch, since the snapshot's files are removed next.
    ///
    /// After: nothing is being loaded any more.
    pub(super) fn finish_snapshot(&mut self) -> Result<(), StoreError> {
        // LAB 2c BEGIN: RegionLocalState and RaftApplyState
        let id = self.region.id;
        (self.loading, self.load_due) = (None, false);
        self.apply_state.applied_index = self.truncated_state().index;
        let state = RegionLocalState { state: PeerState::Normal.into(), region: Some(self.region.clone()) };
        let mut kv = WriteBatch::new();
        kv.put(Cf::Raft, keys::region_state(id), state.encode_to_vec());
        kv.put(Cf::Raft, keys::apply_state(id), self.apply_state.encode_to_vec());
        self.engines.kv.write(kv, true)?;
        Ok(())
        // LAB 2c END
    }

    // SOLUTION 2c BEGIN
    /// The log has no entries, and ends where it begins.
    fn restart_log(&mut self, batch: &mut WriteBatch) {
        let (id, index) = (self.region.id, self.truncated_state().index);
        batch.delete_range(Cf::Default, keys::raft_log_range(id, 0, u64::MAX));
        self.raft_state.last_index = index;
        batch.put(Cf::Default, keys::raft_state(id), self.raft_state.encode_to_vec());
    }
    // SOLUTION 2c END

    /// From now on the peer's data is that of this snapshot, as soon as it is loaded.
    fn start_loading(&mut self, key: SnapKey) {
        self.loading = Some(key);
        self.load_due = true;
    }
}

/// What is to be done elsewhere.
impl PeerStorage {
    /// True if [`PeerStorage::take_tasks`] has something to give.
    pub(super) fn has_tasks(&self) -> bool {
        self.is_wanted() || self.load_due || self.made.iter().any(|key| !self.is_kept(*key))
    }

    /// What workers are to do for this peer: load a snapshot, make one, remove one that is not wanted any more.
    pub(super) fn take_tasks(&mut self) -> Result<Vec<Task>, StorageError> {
        let mut tasks = Vec::new();
        if let Some(key) = self.loading.filter(|_| std::mem::take(&mut self.load_due)) {
            tasks.push(Task::Load { key, range: self.region.range() });
        }
        if self.is_wanted() {
            tasks.push(Task::Generate(self.generate()?));
        }
        let waste = self.made.iter().copied().filter(|key| !self.is_kept(*key));
        tasks.extend(waste.map(|key| Task::Remove { key, set: SnapFileSet::Made }));
        let generation = self.generation.borrow();
        self.made.retain(|key| generation.is_of(*key));
        Ok(tasks)
    }

    fn is_wanted(&self) -> bool {
        self.loading.is_none() && *self.generation.borrow() == Generation::Wanted
    }

    fn is_kept(&self, key: SnapKey) -> bool {
        self.generation.borrow().is_of(key)
    }
}

impl Generation {
    /// The snapshot that is being made, or is made.
    pub fn key(&self) -> Option<SnapKey> {
        match self {
            Generation::Running(key) | Generation::Done(key, _) => Some(*key),
            Generation::Idle | Generation::Wanted => None,
        }
    }

    fn is_of(&self, key: SnapKey) -> bool {
        self.key() == Some(key)
    }
}
