//! The worker threads of a store: one for each kind of task, so that a large snapshot does not hold up the log's
//! garbage.

use std::io;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;

use super::StoreHandle;
use crate::raftstore::{Engines, Task};
use crate::worker::{carry_out, snap::SnapFiles};

/// The three queues. Dropping them ends the threads, after the task at hand.
pub(super) struct Workers {
    raftlog_gc: Sender<Task>,
    region: Sender<Task>,
    split_check: Sender<Task>,
    threads: Vec<JoinHandle<()>>,
}

impl Workers {
    /// Starts the threads. What they have done goes to the store.
    pub fn start(engines: &Engines, files: &SnapFiles, store: &StoreHandle) -> io::Result<Workers> {
        let mut threads = Vec::new();
        let mut worker = |name: &str| -> io::Result<Sender<Task>> {
            let (queue, tasks) = channel();
            let (engines, files, store) = (engines.clone(), files.clone(), store.clone());
            let work = move || work(&tasks, &engines, &files, &store);
            threads.push(std::thread::Builder::new().name(name.to_string()).spawn(work)?);
            Ok(queue)
        };
        let (raftlog_gc, region) = (worker("raftlog-gc")?, worker("region")?);
        let split_check = worker("split-check")?;
        Ok(Workers { raftlog_gc, region, split_check, threads })
    }

    /// Takes a task that is for a worker; gives back any other.
    pub fn schedule(&self, task: Task) -> Option<Task> {
        let queue = match task {
            Task::DeleteLog { .. } => &self.raftlog_gc,
            Task::Generate(_) | Task::Load { .. } | Task::Remove { .. } => &self.region,
            Task::CheckSplit { .. } => &self.split_check,
            Task::Send(_)
            | Task::ReportRegion(_)
            | Task::ReportStore(_)
            | Task::AskSplit { .. }
            | Task::ReportSplit(_) => return Some(task),
        };
        if queue.send(task).is_err() {
            tracing::error!("a worker thread is gone: it has panicked");
        }
        None
    }

    /// Waits for the task at hand of each, and ends them.
    pub fn stop(self) {
        let Workers { raftlog_gc, region, split_check, threads } = self;
        drop((raftlog_gc, region, split_check));
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!("a worker thread has panicked");
            }
        }
    }
}

fn work(tasks: &Receiver<Task>, engines: &Engines, files: &SnapFiles, store: &StoreHandle) {
    for task in tasks {
        let span = tracing::debug_span!("task", ?task);
        if let Some(done) = span.in_scope(|| carry_out(engines, files, &task)) {
            store.task_done(done);
        }
    }
}
