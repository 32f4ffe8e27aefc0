//! The door of the store thread: what others may hand in.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{SendError, Sender};

use tokio::sync::oneshot;

use crate::error::Error;
use crate::proto::raft_cmdpb::RaftCmdRequest;
use crate::proto::raft_serverpb::RaftMessage;
use crate::raftstore::{CommandResult, Store, TaskDone, region_error};

/// Commands that wait to be looked at. More are refused at once: whoever asks again later is served sooner than at the
/// end of a queue that nobody can work off.
const MAX_COMMANDS: usize = 4096;

/// Messages of other stores that wait. More are dropped, as a network may: Raft sends again what matters.
const MAX_MESSAGES: usize = 16 * 1024;

/// What comes to the store thread.
pub(super) enum Input {
    /// A command, and where its answer goes.
    Command(Box<RaftCmdRequest>, oneshot::Sender<CommandResult>),
    /// Messages of another store, in their order.
    Messages(Vec<RaftMessage>),
    /// A snapshot whose files are here.
    Snapshot(Box<RaftMessage>, u64),
    /// A worker is done, or the scheduler has answered.
    TaskDone(Box<TaskDone>),
    /// Somebody wants to look at the store.
    Look(Box<dyn FnOnce(&Store) + Send>),
    /// The end: what has come before is still worked on.
    Stop,
}

/// How much waits.
#[derive(Default)]
pub(super) struct Load {
    commands: AtomicUsize,
    messages: AtomicUsize,
}

impl Load {
    /// The store thread has taken this in.
    pub fn taken(&self, input: &Input) {
        match input {
            Input::Command(..) => drop(self.commands.fetch_sub(1, Ordering::Relaxed)),
            Input::Messages(messages) => drop(self.messages.fetch_sub(messages.len(), Ordering::Relaxed)),
            _ => {}
        }
    }
}

/// Hands things to the store thread. Clones lead to the same one.
#[derive(Clone)]
pub struct StoreHandle {
    inputs: Sender<Input>,
    load: Arc<Load>,
}

impl StoreHandle {
    pub(super) fn new(inputs: Sender<Input>, load: Arc<Load>) -> StoreHandle {
        StoreHandle { inputs, load }
    }

    /// Has a command carried out, and waits for what comes of it. If the caller does not wait any more, the command
    /// goes its way all the same.
    pub async fn command(&self, request: Box<RaftCmdRequest>) -> CommandResult {
        if self.load.commands.fetch_add(1, Ordering::Relaxed) >= MAX_COMMANDS {
            self.load.commands.fetch_sub(1, Ordering::Relaxed);
            return Err(region_error::server_is_busy("the store has too many commands to look at"));
        }
        let region = request.header.as_ref().map_or(0, |header| header.region_id);
        let (reply, answer) = oneshot::channel();
        if self.inputs.send(Input::Command(request, reply)).is_err() {
            // It never got in, so it will never be carried out: whoever asked may ask elsewhere.
            return Err(region_error::not_leader(region, None));
        }
        answer.await.unwrap_or_else(|_| Err(Error::Undetermined("the store has stopped".to_string())))
    }

    /// Hands in messages of another store; or none of them, if too many wait.
    pub fn messages(&self, messages: Vec<RaftMessage>) {
        let count = messages.len();
        if self.load.messages.fetch_add(count, Ordering::Relaxed) + count > MAX_MESSAGES {
            self.load.messages.fetch_sub(count, Ordering::Relaxed);
            tracing::warn!(count, "messages are dropped: the store cannot keep up");
            return;
        }
        self.give(Input::Messages(messages));
    }

    /// Hands in a snapshot whose files are here: copy `copy` of them.
    pub fn snapshot(&self, message: RaftMessage, copy: u64) {
        self.give(Input::Snapshot(Box::new(message), copy));
    }

    /// Hands in the result of a task.
    pub fn task_done(&self, done: TaskDone) {
        self.give(Input::TaskDone(Box::new(done)));
    }

    /// Looks at the store, between two rounds of work. None where it has stopped.
    pub async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Store) -> T + Send + 'static,
    ) -> Option<T> {
        let (reply, answer) = oneshot::channel();
        // Whoever asked may be gone: then nobody misses the answer.
        let look = move |store: &Store| drop(reply.send(look(store)));
        self.give(Input::Look(Box::new(look)));
        answer.await.ok()
    }

    pub(super) fn stop(&self) {
        self.give(Input::Stop);
    }

    /// A store that has stopped needs nothing any more.
    fn give(&self, input: Input) {
        if let Err(SendError(input)) = self.inputs.send(input) {
            self.load.taken(&input);
        }
    }
}
