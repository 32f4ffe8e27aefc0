//! What stores have done by workers: in virtual time, one task after the other on each.

use std::collections::VecDeque;

use raftkv::ids::StoreId;
use raftkv::raftstore::{Effect, Event, Task, TaskDone};
use raftkv::worker;

use super::events::Happening;
use super::faults::Fault;
use super::invariants::work;
use super::streams::Stream;
use super::trace::What;
use super::{Micros, Sim};

/// Which of a store's workers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Worker {
    RaftlogGc,
    Region,
    SplitCheck,
}

/// The tasks of one store. They go down with it.
#[derive(Debug, Default)]
pub(super) struct Queues {
    raftlog_gc: VecDeque<Task>,
    region: VecDeque<Task>,
    split_check: VecDeque<Task>,
}

impl Queues {
    fn of(&mut self, worker: Worker) -> &mut VecDeque<Task> {
        match worker {
            Worker::RaftlogGc => &mut self.raftlog_gc,
            Worker::Region => &mut self.region,
            Worker::SplitCheck => &mut self.split_check,
        }
    }

    /// True if nothing is to be done.
    pub fn are_empty(&self) -> bool {
        self.raftlog_gc.is_empty() && self.region.is_empty() && self.split_check.is_empty()
    }
}

impl Sim {
    /// A store wants something done.
    pub(super) fn on_schedule(&mut self, id: StoreId, task: Task, delay: Micros) {
        let worker = match task {
            Task::Send(message) => return self.schedule(delay, Happening::Send(id, message)),
            Task::DeleteLog { .. } => Worker::RaftlogGc,
            Task::Generate(_) | Task::Load { .. } | Task::Remove { .. } => Worker::Region,
            Task::CheckSplit { .. } => Worker::SplitCheck,
            Task::ReportRegion(_) | Task::ReportStore(_) | Task::AskSplit { .. } | Task::ReportSplit(_) => {
                return self.send_to_scheduler(id, task, delay);
            }
        };
        if let Task::Generate(generate) = &task {
            self.counts.generated += 1;
            let checked = self.snapshots.on_generate(generate);
            self.must_hold(id, checked);
        }
        let queue = self.machines.get_mut(&id).expect("it has a store").queues.of(worker);
        queue.push_back(task);
        if queue.len() == 1 {
            self.plan_work(id, worker, delay);
        }
    }

    fn plan_work(&mut self, id: StoreId, worker: Worker, delay: Micros) {
        let (least, most) = self.machines[&id].worker_latency;
        let time = least + self.rng.below(most - least + 1);
        let boot = self.machines[&id].boot;
        self.schedule(delay + time, Happening::Work(id, boot, worker));
    }

    /// A worker has come to the end of its first task: all that the task does, happens now.
    pub(super) fn on_work(&mut self, id: StoreId, boot: u64, worker: Worker) {
        let machine = self.machines.get_mut(&id).expect("every store has a machine");
        if machine.boot != boot {
            return;
        }
        let Some(task) = machine.queues.of(worker).pop_front() else { return };
        if !machine.queues.of(worker).is_empty() {
            self.plan_work(id, worker, 0);
        }
        let (Some(store), Some(files)) = (self.stores.get(&id), &self.machines[&id].files) else { return };
        let engines = store.engines().clone();
        let files = files.clone();
        self.trace.note(self.now, What::Worked(id, work::task_text(&task)));
        let struck = self.machines[&id].disk.struck();
        let done = worker::carry_out(&engines, &files, &task);
        if self.machines[&id].disk.is_stopped() {
            return self.on_failure(id, "it stopped while a worker wrote".to_string());
        }
        if self.machines[&id].disk.struck() > struck {
            self.network.strike(Fault::WorkerDiskError);
        }
        let checked = work::after(&task, done.as_ref(), &self.stores[&id], &self.machines[&id].disk)
            .and_then(|()| self.snapshots.after(&task, done.as_ref(), &engines));
        self.must_hold(id, checked);
        if let Some(done) = done {
            self.schedule(0, Happening::TaskDone(id, boot, Box::new(done)));
        }
    }

    /// The result of a task comes to its store.
    pub(super) fn on_task_done(&mut self, id: StoreId, boot: u64, done: TaskDone) -> Option<StoreId> {
        if self.machines[&id].boot != boot {
            return None;
        }
        self.hand(id, Event::TaskDone(done))
    }

    pub(super) fn must_hold(&self, id: StoreId, checked: Result<(), (&'static str, String)>) {
        if let Err((rule, happened)) = checked {
            self.break_off(rule, &format!("store {id}: {happened}"));
        }
    }

    /// True if no store has anything under way beside itself: no task, no snapshot.
    pub(super) fn workers_rest(&self) -> bool {
        self.streams.is_empty()
            && self.machines.values().all(|machine| machine.queues.are_empty() && machine.outgoing.is_empty())
    }

    /// What is under way beside the stores.
    pub(super) fn under_way(&self) -> String {
        let streams = self.streams.values().map(Stream::text);
        let busy = self.machines.iter().filter(|(_, machine)| !machine.queues.are_empty());
        streams
            .chain(busy.map(|(id, machine)| format!("store {id}: {:?}", machine.queues)))
            .collect::<Vec<_>>()
            .join("; ")
    }

    /// What a store that ends says goes out; what it wants done does not happen any more.
    pub(super) fn carry_out_last(&mut self, id: StoreId, effects: Vec<Effect>) {
        for effect in effects {
            if !matches!(effect, Effect::Schedule(_)) {
                self.carry_out(id, effect, 0);
            }
        }
    }
}
