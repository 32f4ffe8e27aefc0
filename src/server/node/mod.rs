//! A store at work: its thread, its workers, and the ways out of it.

mod handle;
mod metrics;
mod thread;
mod waiting;
mod workers;

use std::io;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::sync::{mpsc, watch};

pub use handle::StoreHandle;
pub use metrics::Metrics;

use super::snapshots::SnapshotSender;
use super::transport::Transport;
use crate::proto::raft_serverpb::RaftMessage;
use crate::raftstore::{Store, Task};
use crate::worker::snap::SnapFiles;
use handle::Load;
use thread::{End, StoreThread};
use workers::Workers;

/// Where what leaves the store goes.
pub struct Outlets {
    /// To other stores.
    pub transport: Transport,
    /// Snapshots, to other stores.
    pub snapshots: SnapshotSender,
    /// To the scheduler.
    pub scheduler: mpsc::UnboundedSender<Task>,
}

impl Outlets {
    fn send(&mut self, message: RaftMessage) {
        self.transport.send(message);
    }

    /// A task that no worker of the store does.
    fn schedule(&mut self, task: Task) {
        match task {
            Task::Send(message) => self.snapshots.send(*message),
            // A scheduler client that has gone has gone with the process.
            task => drop(self.scheduler.send(task)),
        }
    }
}

/// A running store.
pub struct Node {
    handle: StoreHandle,
    ended: watch::Receiver<Option<Result<(), String>>>,
    thread: JoinHandle<()>,
}

impl Node {
    /// Starts the threads of a store. `outlets` is asked for the ways out, given the way in: answers come back there.
    pub fn start(
        store: Store,
        files: &SnapFiles,
        tick: Duration,
        metrics: Metrics,
        outlets: impl FnOnce(&StoreHandle) -> Outlets,
    ) -> io::Result<Node> {
        let (sender, inputs) = channel();
        let load = Arc::new(Load::default());
        let handle = StoreHandle::new(sender, load.clone());
        let workers = Workers::start(store.engines(), files, &handle)?;
        let id = store.id();
        let thread = StoreThread::new(store, inputs, load, outlets(&handle), workers, metrics, tick);
        let (tell, ended) = watch::channel(None);
        let thread = std::thread::Builder::new().name(format!("store-{id}")).spawn(move || {
            let end = match thread.run() {
                End::Stopped => Ok(()),
                End::Failed(error) => Err(error.to_string()),
            };
            tell.send_replace(Some(end));
        })?;
        Ok(Node { handle, ended, thread })
    }

    /// The way in.
    pub fn handle(&self) -> &StoreHandle {
        &self.handle
    }

    /// Returns when the store has ended: by itself only if it cannot go on.
    ///
    /// # Errors
    /// Why it could not.
    pub async fn ended(&self) -> Result<(), String> {
        let mut ended = self.ended.clone();
        match ended.wait_for(Option::is_some).await {
            Ok(end) => end.clone().expect("that was waited for"),
            Err(_) => Err("the store thread has panicked".to_string()),
        }
    }

    /// Ends the store: what has come in before is worked on, and everyone who waits has an answer.
    ///
    /// # Errors
    /// It had failed, or fails now.
    pub async fn stop(self) -> Result<(), String> {
        self.handle.stop();
        let end = self.ended().await;
        // It has told its end: there is nothing more to wait for than that it returns.
        if self.thread.join().is_err() {
            return Err("the store thread has panicked".to_string());
        }
        end
    }
}
