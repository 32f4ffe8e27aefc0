//! What workers must have done when they say so.

use std::collections::BTreeMap;

use raftkv::engine::{Cf, KeyRange, Snapshot, keys};
use raftkv::proto::raft_serverpb::RaftApplyState;
use raftkv::raftstore::{Engines, Generate, SnapKey, Store, Task, TaskDone};

use super::super::disk::Disk;
use super::{Broken, entry_on_disk, fingerprint};
use prost::Message;

/// A task in a few words.
pub fn task_text(task: &Task) -> String {
    match task {
        Task::DeleteLog { region, end } => format!("deletes the log entries of region {region} before {end}"),
        Task::Generate(generate) => format!("makes the {}", generate.key),
        Task::Load { key, .. } => format!("loads the {key}"),
        Task::Remove { key, set } => format!("removes files of the {key}: {set:?}"),
        Task::Send(_) => "sends a snapshot".to_string(),
        Task::CheckSplit { region, .. } => format!("looks at the size of region {}", region.id),
        Task::ReportRegion(_) | Task::ReportStore(_) | Task::AskSplit { .. } | Task::ReportSplit(_) => {
            "speaks to the scheduler".to_string()
        }
    }
}

/// Looks at the disks after a task.
pub(in crate::sim) fn after(
    task: &Task,
    done: Option<&TaskDone>,
    store: &Store,
    disk: &Disk,
) -> Result<(), Broken> {
    match (task, done) {
        (Task::DeleteLog { region, end }, Some(TaskDone::LogDeleted(Ok(())))) => {
            deleted_what_is_safe(*region, *end, store, disk)?;
            deleted_all_and_no_more(*region, *end, store)
        }
        _ => Ok(()),
    }
}

/// A power cut now must leave a kv engine that can do without the entries. A peer that knows no region yet has none:
/// the task was for an earlier one.
fn deleted_what_is_safe(region: u64, end: u64, store: &Store, disk: &Disk) -> Result<(), Broken> {
    let safe = disk.synced("kv").unwrap_or_else(|| store.engines().kv.snapshot());
    let state = apply_state(&*safe, region);
    let (truncated, applied) = (state.truncated_state.unwrap_or_default().index, state.applied_index);
    if truncated + 1 >= end && applied + 1 >= end.min(truncated + 1)
        || store.peer(region).is_none_or(|peer| !peer.is_initialized())
    {
        return Ok(());
    }
    Err((
        "log entries are deleted from the disk when a loss of power cannot bring back a state that needs them: the truncated state and \
         the data are synced on the kv engine first (section 7; raftlog_gc)",
        format!(
            "the entries of region {region} before {end} are deleted; what a power cut would leave on the kv engine has applied \
             {applied}, and a log that begins behind {truncated}"
        ),
    ))
}

fn deleted_all_and_no_more(region: u64, end: u64, store: &Store) -> Result<(), Broken> {
    let raft = store.engines().raft.snapshot();
    let left = {
        let mut cursor = raft.cursor(Cf::Default, keys::raft_log_range(region, 0, end));
        cursor.seek_to_first().expect("the simulated disk can be read");
        cursor.entry().and_then(|(key, _)| keys::raft_log_index(region, key))
    };
    if let Some(index) = left {
        return Err((
            "what is compacted is deleted from the disk (section 7; raftlog_gc)",
            format!("entries of region {region} before {end} should be gone, and entry {index} is there"),
        ));
    }
    let Some(peer) = store.peer(region) else { return Ok(()) };
    let log = peer.node().raft().log();
    let kept = log.entries(end, log.stabled() + 1);
    match kept.iter().find(|entry| entry_on_disk(&*raft, region, entry.index).is_none()) {
        None => Ok(()),
        Some(entry) => Err((
            "only what is compacted is deleted from the disk (section 7; raftlog_gc)",
            format!(
                "the entries of region {region} before {end} may go, and entry {}@{}, which is in the log, is gone too",
                entry.index, entry.term
            ),
        )),
    }
}

fn apply_state(kv: &dyn Snapshot, region: u64) -> RaftApplyState {
    let value = kv.get(Cf::Raft, &keys::apply_state(region)).expect("the simulated disk can be read");
    value.and_then(|value| RaftApplyState::decode(value).ok()).unwrap_or_default()
}

/// What each snapshot was made of.
#[derive(Debug, Default)]
pub struct Snapshots {
    made_of: BTreeMap<SnapKey, u64>,
}

impl Snapshots {
    /// A store wants a snapshot made: the data that it hands over must be of the moment that it names.
    pub(in crate::sim) fn on_generate(&mut self, task: &Generate) -> Result<(), Broken> {
        let applied = apply_state(&*task.data, task.key.region).applied_index;
        if applied != task.key.index {
            return Err((
                "a snapshot is the state machine as of one entry, and names this entry (section 7; figure 12)",
                format!("the {} is to be made of data with applied index {applied}", task.key),
            ));
        }
        self.made_of.insert(task.key, data_of(&*task.data, &task.region.range()));
        Ok(())
    }

    /// A worker has done something.
    pub(in crate::sim) fn after(
        &self,
        task: &Task,
        done: Option<&TaskDone>,
        engines: &Engines,
    ) -> Result<(), Broken> {
        let (Task::Load { key, range }, Some(TaskDone::Loaded { result: Ok(()), .. })) = (task, done) else {
            return Ok(());
        };
        let Some(made_of) = self.made_of.get(key) else { return Ok(()) };
        if data_of(&*engines.kv.snapshot(), range) == *made_of {
            return Ok(());
        }
        Err((
            "a loaded snapshot is what was there when it was made: all pairs of all column families, and none of those that were here \
             before (section 7; figure 13, step 8)",
            format!(
                "the {key} is loaded, and the data differs from the giver's at that entry. Is a column family missing, or are keys \
                 left that were deleted?"
            ),
        ))
    }
}

fn data_of(data: &dyn Snapshot, range: &KeyRange) -> u64 {
    let mut bytes = Vec::new();
    for cf in Cf::DATA {
        let mut cursor = data.cursor(cf, range.clone());
        cursor.seek_to_first().expect("the simulated disk can be read");
        while let Some((key, value)) = cursor.entry() {
            for part in [cf.name().as_bytes(), key, value] {
                bytes.extend_from_slice(&(part.len() as u64).to_be_bytes());
                bytes.extend_from_slice(part);
            }
            cursor.next().expect("the simulated disk can be read");
        }
    }
    fingerprint(&bytes)
}
