//! What is done beside a store, because it takes long.
//!
//! A store schedules a [`Task`] and goes on; a worker carries it out and tells what came of it. Workers have no threads
//! of their own: whoever owns the store runs them, one task after the other, on a thread each in the server, in virtual
//! time in the simulator.
//!
//! ```text
//!                     Effect::Schedule                                          Event::TaskDone
//!   Store --+--> DeleteLog -----------> raftlog_gc  deletes from the raft engine -----> Store
//!           +--> Generate, Load,
//!           |    Remove --------------> region      snapshot <-> files -----------------> Store
//!           +--> Send ----------------> snap        files --> chunks --> other store ---> Store
//!                                       snap        chunks --> files --> Event::Snapshot -> Store
//! ```
//!
//! | worker | file | stage |
//! |---|---|---|
//! | raftlog-gc | `raftlog_gc.rs` | 2c |
//! | region | `region.rs` | 2c |
//! | snap | `snap/` | 2c |
//! | split_check | `split_check.rs` | 3b |
//!
//! What a store tells and asks the scheduler leaves it as tasks, too; those are carried by whoever can reach the
//! scheduler.

pub mod raftlog_gc;
pub mod region;
pub mod snap;
pub mod split_check;

use crate::raftstore::{Engines, Task, TaskDone};

/// Carries out one task of the raftlog-gc, the region or the split_check worker. Nothing comes of a [`Task::Send`],
/// which is a stream's business ([`snap`]), or of what is for the scheduler.
pub fn carry_out(engines: &Engines, files: &snap::SnapFiles, task: &Task) -> Option<TaskDone> {
    match task {
        Task::DeleteLog { region, end } => {
            let result = raftlog_gc::delete_log(engines, *region, *end);
            Some(TaskDone::LogDeleted(result.map_err(|error| error.to_string())))
        }
        Task::Generate(generate) => {
            let result = region::generate(files, generate).map_err(|error| error.to_string());
            Some(TaskDone::Generated { key: generate.key, result })
        }
        Task::Load { key, range } => {
            let result = region::load(&*engines.kv, files, *key, range).map_err(|error| error.to_string());
            Some(TaskDone::Loaded { key: *key, result })
        }
        Task::Remove { key, set } => {
            let result = files.remove(*key, *set).map_err(|error| error.to_string());
            Some(TaskDone::Removed { key: *key, set: *set, result })
        }
        Task::CheckSplit { region, data, max_size } => {
            let result = split_check::check_split(region, &**data, *max_size);
            Some(TaskDone::SplitChecked {
                region: region.id,
                epoch: region.region_epoch.unwrap_or_default(),
                result: result.map_err(|error| error.to_string()),
            })
        }
        Task::Send(_)
        | Task::ReportRegion(_)
        | Task::ReportStore(_)
        | Task::AskSplit { .. }
        | Task::ReportSplit(_) => None,
    }
}
