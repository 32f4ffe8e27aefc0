//! What a store has done elsewhere, because it takes long: the log's garbage, and everything about snapshots.
//!
//! A [`Task`] leaves the store as an [`Effect::Schedule`], some worker carries it out (`src/worker/`), and
//! [`Event::TaskDone`](super::Event) brings the result back. Meanwhile the store goes on.

use bytes::Bytes;

use super::{Effect, Peer, Store, StoreError, region_error};
use crate::engine::{KeyRange, Snapshot};
use crate::error::Error;
use crate::ids::{Index, PeerId, RegionId, Term};
use crate::proto::eraftpb;
use crate::proto::metapb::{Region, RegionEpoch};
use crate::proto::pdpb::{RegionHeartbeatRequest, RegionHeartbeatResponse, SplitId, StoreHeartbeatRequest};
use crate::proto::raft_serverpb::RaftMessage;
use crate::raft::ProgressState;

/// One snapshot of one region: it holds what the entries up to `index` have made of the data. No other has the same
/// three numbers and other data (Log Matching, section 5.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SnapKey {
    /// Of which region.
    pub region: RegionId,
    /// The term of the last entry in it.
    pub term: Term,
    /// The last entry in it.
    pub index: Index,
}

impl SnapKey {
    /// The key of a snapshot of this region, if it says where it ends.
    pub fn of(region: RegionId, snapshot: &eraftpb::Snapshot) -> Option<SnapKey> {
        let last = snapshot.metadata.as_ref()?;
        Some(SnapKey { region, term: last.term, index: last.index })
    }
}

impl std::fmt::Display for SnapKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "snapshot of region {} up to entry {}@{}", self.region, self.index, self.term)
    }
}

/// Which files of a snapshot. The same snapshot may be made here and received, and received more than once; the files
/// of one of these must never be taken for another's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum SnapFileSet {
    /// Made here, to be sent.
    Made,
    /// All that were received, to be loaded.
    Received,
    /// The copy of this number among those that were received.
    Copy(u64),
}

/// Work for a worker, or a question to the scheduler. Those of one worker are carried out in the order in which they
/// were scheduled.
pub enum Task {
    /// For the raftlog-gc worker: the log entries before `end` are compacted, and may go from the disk.
    DeleteLog {
        /// Whose.
        region: RegionId,
        /// The first entry that stays.
        end: Index,
    },
    /// For the region worker: make a snapshot.
    Generate(Generate),
    /// For the region worker: clear the range, and load the snapshot's data into it.
    Load {
        /// Which one.
        key: SnapKey,
        /// The region's keys.
        range: KeyRange,
    },
    /// For the region worker: these files are not needed any more.
    Remove {
        /// Of which snapshot.
        key: SnapKey,
        /// Which of its files.
        set: SnapFileSet,
    },
    /// For the snap worker: take this message, with the files that belong to it, to the store in `to_peer`.
    Send(Box<RaftMessage>),
    /// For the split_check worker: how large is the region? If it is too large, where is its middle?
    CheckSplit {
        /// As of then.
        region: Box<Region>,
        /// The store's data as of then.
        data: Box<dyn Snapshot>,
        /// In bytes.
        max_size: u64,
    },
    /// For the scheduler: a region and its leader.
    ReportRegion(Box<RegionHeartbeatRequest>),
    /// For the scheduler: this store.
    ReportStore(Box<StoreHeartbeatRequest>),
    /// For the scheduler: ids are needed to split this region at this key.
    AskSplit {
        /// As of then.
        region: Box<Region>,
        /// The first key of what will be the right half.
        key: Bytes,
    },
    /// For the scheduler: one region has become several.
    ReportSplit(Vec<Region>),
}

/// Without the data that a task is about: that is a handle, and says nothing.
impl std::fmt::Debug for Task {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Task::DeleteLog { region, end } => write!(f, "DeleteLog(region {region} before {end})"),
            Task::Generate(generate) => generate.fmt(f),
            Task::Load { key, .. } => write!(f, "Load({key})"),
            Task::Remove { key, set } => write!(f, "Remove({key}, {set:?})"),
            Task::Send(message) => message.fmt(f),
            Task::CheckSplit { region, .. } => write!(f, "CheckSplit({region:?})"),
            Task::ReportRegion(report) => report.fmt(f),
            Task::ReportStore(report) => report.fmt(f),
            Task::AskSplit { region, key } => {
                write!(f, "AskSplit({region:?} at {})", key.escape_ascii())
            }
            Task::ReportSplit(regions) => write!(f, "ReportSplit({regions:?})"),
        }
    }
}

/// What a snapshot is to be made of.
pub struct Generate {
    /// Which one.
    pub key: SnapKey,
    /// The region as of then.
    pub region: Region,
    /// The store's data as of then.
    pub data: Box<dyn Snapshot>,
}

impl std::fmt::Debug for Generate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Generate").field("key", &self.key).finish_non_exhaustive()
    }
}

/// What came of a task. Errors are texts for whoever runs the store.
#[derive(Clone, Debug, PartialEq)]
pub enum TaskDone {
    /// Of [`Task::DeleteLog`]. An error stops the store.
    LogDeleted(Result<(), String>),
    /// Of [`Task::Generate`]. After an error it is tried again, if still needed.
    Generated {
        /// Which one.
        key: SnapKey,
        /// Ready to be sent.
        result: Result<eraftpb::Snapshot, String>,
    },
    /// Of [`Task::Load`]. An error stops the store, if a peer goes by this snapshot: it has promised to have the data.
    Loaded {
        /// Which one.
        key: SnapKey,
        /// Or why not.
        result: Result<(), String>,
    },
    /// Of [`Task::Remove`]. After an error it is tried again.
    Removed {
        /// Which one.
        key: SnapKey,
        /// As in the task.
        set: SnapFileSet,
        /// Or why not.
        result: Result<(), String>,
    },
    /// Of [`Task::Send`]. After an error it is tried again, if still needed.
    Sent {
        /// Which one.
        key: SnapKey,
        /// To which peer.
        to: PeerId,
        /// Whether all of it has arrived, and the receiver has taken it.
        result: Result<(), String>,
    },
    /// Of [`Task::CheckSplit`]. An error is as good as a region that is small enough.
    SplitChecked {
        /// Which region.
        region: RegionId,
        /// As of then.
        epoch: RegionEpoch,
        /// How many bytes it has, and where its middle is, if that is too many.
        result: Result<(u64, Option<Bytes>), String>,
    },
    /// The scheduler's answer to [`Task::ReportRegion`].
    Ordered(Box<RegionHeartbeatResponse>),
    /// The scheduler's answer to [`Task::AskSplit`].
    SplitIds {
        /// As in the task.
        region: Box<Region>,
        /// As in the task.
        key: Bytes,
        /// None if it does not want that, or could not be reached.
        ids: Option<SplitId>,
    },
}

impl Store {
    /// A worker has finished something.
    pub(super) fn on_task_done(&mut self, done: TaskDone) -> Result<(), StoreError> {
        match done {
            TaskDone::LogDeleted(result) => result.map_err(StoreError::Worker),
            TaskDone::Loaded { key, result } => self.on_loaded(key, result),
            TaskDone::Generated { key, result } => {
                self.on_generated(key, result);
                Ok(())
            }
            TaskDone::Removed { key, set, result } => {
                self.on_removed(key, set, &result);
                Ok(())
            }
            TaskDone::Sent { key, to, result } => {
                self.on_sent(key, to, &result);
                Ok(())
            }
            TaskDone::SplitChecked { region, epoch, result } => {
                let (size, key) = result.unwrap_or_else(|error| {
                    tracing::warn!(region, error, "cannot look at the size of a region");
                    (0, None)
                });
                self.on_split_checked(region, epoch, size, key);
                Ok(())
            }
            TaskDone::Ordered(order) => {
                self.on_order(&order);
                Ok(())
            }
            TaskDone::SplitIds { region, key, ids } => {
                self.on_split_ids(&region, key, ids);
                Ok(())
            }
        }
    }

    fn on_loaded(&mut self, key: SnapKey, result: Result<(), String>) -> Result<(), StoreError> {
        if let Some(peer) = self.peers.get_mut(&key.region)
            && peer.node.storage().loading() == Some(key)
        {
            result.map_err(StoreError::Worker)?;
            peer.node.storage_mut().finish_snapshot()?;
            peer.node.raft_mut().on_applied(key.index);
            tracing::info!(%key, "loaded");
        }
        self.remove_files(key, SnapFileSet::Received);
        self.finish_destroy(key.region)
    }

    fn on_removed(&mut self, key: SnapKey, set: SnapFileSet, result: &Result<(), String>) {
        if let Err(error) = result {
            tracing::warn!(%key, %error, "cannot remove the files of a snapshot");
            self.leftovers.push((key, set));
        }
    }

    /// Has the files of a snapshot removed.
    pub(super) fn remove_files(&mut self, key: SnapKey, set: SnapFileSet) {
        self.tasks.push(Task::Remove { key, set });
    }

    fn on_generated(&mut self, key: SnapKey, result: Result<eraftpb::Snapshot, String>) {
        if let Err(error) = &result {
            tracing::warn!(%key, %error, "cannot make a snapshot");
        }
        match self.peers.get_mut(&key.region) {
            Some(peer) => peer.node.storage_mut().generated(key, result),
            None => self.remove_files(key, SnapFileSet::Made),
        }
    }

    fn on_sent(&mut self, key: SnapKey, to: PeerId, result: &Result<(), String>) {
        if let Err(error) = result {
            tracing::warn!(%key, to, %error, "cannot send a snapshot");
        }
        if let Some(peer) = self.peers.get_mut(&key.region)
            && peer.awaits_snapshot(to) == Some(key.index)
        {
            peer.node.report_snapshot(to, result.is_ok());
        }
    }

    /// Hands out what is to be done elsewhere, once what it depends on is written.
    pub(super) fn schedule(&mut self, out: &mut dyn FnMut(Effect)) -> Result<(), StoreError> {
        for (&region, peer) in self.peers.iter_mut().filter(|(_, peer)| peer.node.storage().has_tasks()) {
            let tasks = peer.node.storage_mut().take_tasks();
            let tasks = tasks.map_err(|error| StoreError::Raft { region, error: error.into() })?;
            if let Some(Task::Load { key, .. }) = tasks.first() {
                // The peer goes by the snapshot's edition of the region from now on.
                self.meta.insert(peer.node.storage().region());
                peer.senders.clear();
                let why = "a snapshot has taken the place of the log that the command was in";
                for id in peer.proposals.take_covered(key.index) {
                    let result = Err(Error::Undetermined(why.to_string()));
                    self.outbox.push_back(Effect::Reply { id, result });
                }
                for id in peer.proposals.settle(key.index, key.term).stale {
                    let result = Err(region_error::stale_command(why));
                    self.outbox.push_back(Effect::Reply { id, result });
                }
            }
            self.tasks.extend(tasks);
        }
        self.tasks.drain(..).map(Effect::Schedule).for_each(out);
        Ok(())
    }

    /// From time to time: gives up snapshots that nobody waits for any more, and tries again to remove what could not
    /// be removed.
    pub(super) fn look_at_snapshots(&mut self) {
        for peer in self.peers.values_mut() {
            let in_use = peer.sends_snapshot();
            peer.node.storage_mut().retire_snapshot(in_use);
        }
        for (key, set) in std::mem::take(&mut self.leftovers) {
            match self.peers.get_mut(&key.region) {
                // It may have been made again since: its storage knows.
                Some(peer) if set == SnapFileSet::Made => peer.node.storage_mut().note_made(key),
                _ => self.remove_files(key, set),
            }
        }
    }

    /// The received snapshots whose files are still needed. Whoever opens the store keeps these, and removes all other
    /// files of snapshots.
    pub fn snapshots_in_use(&self) -> Vec<SnapKey> {
        self.peers.values().filter_map(Peer::snapshot_in_use).collect()
    }
}

impl Peer {
    /// True while some follower waits for a snapshot from this peer.
    fn sends_snapshot(&self) -> bool {
        self.node.raft().voters().any(|id| self.awaits_snapshot(id).is_some())
    }

    /// Where the snapshot ends that a follower waits for, if it waits for one.
    fn awaits_snapshot(&self, peer: PeerId) -> Option<Index> {
        match self.node.raft().progress(peer)?.state {
            ProgressState::Snapshot(index) if self.is_leader() => Some(index),
            _ => None,
        }
    }

    /// The last entry of the oldest snapshot that is made, or is on its way to some follower: whoever gets it needs the
    /// entries behind.
    pub(super) fn snapshot_floor(&self) -> Option<Index> {
        let sent = self.node.raft().voters().filter_map(|id| self.awaits_snapshot(id));
        let made = self.node.storage().generation().key().map(|key| key.index);
        sent.chain(made).min()
    }
}
