//! The store thread: the only one that touches the store.
//!
//! ```text
//!   services ---+                                  +---> transport (messages to other stores)
//!   transport --+--->  queue  --->  handle, drain -+---> workers, scheduler (tasks)
//!   workers ----+                                  +---> whoever waits for an answer
//! ```
//!
//! It takes everything that has come, and then works on it in one round: all commands of all regions that came while
//! the last round waited for the disk share one synced write. Nobody waits for a timer.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use super::handle::{Input, Load};
use super::waiting::Waiting;
use super::workers::Workers;
use super::{Metrics, Outlets};
use crate::raftstore::{Effect, Event, Store, StoreError};

/// So many inputs are taken in before the store works. It bounds how long a message waits for the round that it is part
/// of.
const ROUND: usize = 1024;

/// A tick that comes late is not made up for beyond this: a process that was stopped for a minute must not think that
/// its leader was silent for a minute.
const LATE: u32 = 2;

/// What the thread owns.
pub(super) struct StoreThread {
    pub store: Store,
    pub inputs: Receiver<Input>,
    pub load: Arc<Load>,
    pub outlets: Outlets,
    pub workers: Workers,
    pub metrics: Metrics,
    pub tick: Duration,
    waiting: Waiting,
    next_tick: Instant,
}

/// How a store ends.
pub(super) enum End {
    /// It was asked to.
    Stopped,
    /// It cannot go on.
    Failed(StoreError),
}

impl StoreThread {
    pub fn new(
        store: Store,
        inputs: Receiver<Input>,
        load: Arc<Load>,
        outlets: Outlets,
        workers: Workers,
        metrics: Metrics,
        tick: Duration,
    ) -> StoreThread {
        let (waiting, next_tick) = (Waiting::default(), Instant::now() + tick);
        StoreThread { store, inputs, load, outlets, workers, metrics, tick, waiting, next_tick }
    }

    /// Serves the store until its end. Everyone who waits has an answer then.
    pub fn run(mut self) -> End {
        let end = loop {
            let goes_on = self.take_in();
            if let Err(error) = self.work() {
                break End::Failed(error);
            }
            if !goes_on {
                break End::Stopped;
            }
        };
        let StoreThread { store, mut outlets, mut waiting, workers, .. } = self;
        store.shutdown(&mut |effect| match effect {
            Effect::Reply { id, result } => waiting.answer(id, result),
            Effect::Send(message) => outlets.send(message),
            Effect::Schedule(_) => {}
        });
        workers.stop();
        end
    }

    /// Waits until something has come, or a tick is due, and takes in all that has come. False at the end.
    fn take_in(&mut self) -> bool {
        let wait = self.next_tick.saturating_duration_since(Instant::now());
        let first = match self.inputs.recv_timeout(wait) {
            Ok(input) => Some(input),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return false,
        };
        let mut goes_on = true;
        let mut count = 0;
        let mut next = first;
        while let Some(input) = next {
            count += 1;
            self.load.taken(&input);
            goes_on &= self.handle(input);
            next = if count < ROUND { self.inputs.try_recv().ok() } else { None };
        }
        self.metrics.round(count);
        let now = Instant::now();
        if now >= self.next_tick {
            self.store.handle(Event::Tick);
            self.next_tick = (self.next_tick + self.tick).max(now - LATE * self.tick);
        }
        goes_on
    }

    fn handle(&mut self, input: Input) -> bool {
        match input {
            Input::Command(request, reply) => match self.waiting.add(&request, reply) {
                Some(id) => self.store.handle(Event::Command { id, request: *request }),
                None => self.metrics.read_shared(),
            },
            Input::Messages(messages) => {
                for message in messages {
                    self.store.handle(Event::RaftMessage(message));
                }
            }
            Input::Snapshot(message, copy) => self.store.handle(Event::Snapshot { message: *message, copy }),
            Input::TaskDone(done) => self.store.handle(Event::TaskDone(*done)),
            Input::Look(look) => look(&self.store),
            Input::Stop => return false,
        }
        true
    }

    fn work(&mut self) -> Result<(), StoreError> {
        let StoreThread { store, outlets, workers, waiting, metrics, .. } = self;
        waiting.close();
        while store.has_work() {
            let begun = Instant::now();
            store.drain(&mut |effect| match effect {
                Effect::Send(message) => outlets.send(message),
                Effect::Schedule(task) => {
                    if let Some(task) = workers.schedule(task) {
                        outlets.schedule(task);
                    }
                }
                Effect::Reply { id, result } => waiting.answer(id, result),
            })?;
            metrics.drained(begun.elapsed());
        }
        Ok(())
    }
}
