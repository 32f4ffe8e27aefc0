//! What will happen, in the order in which it will.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;

use raftkv::ids::StoreId;
use raftkv::proto::raft_serverpb::{RaftMessage, SnapshotChunk};
use raftkv::raftstore::{CommandId, Event, Task, TaskDone};

use super::Micros;
use super::calls::CallId;
use super::raw::Response;
use super::workers::Worker;

/// Something that will happen.
#[derive(Debug)]
pub(super) enum Happening {
    /// A store's clock ticks, if it is still in the same life.
    Tick(StoreId, u64),
    /// A message arrives.
    Message(Box<RaftMessage>),
    /// A client's request arrives at a store.
    Request { store: StoreId, id: CommandId },
    /// A store's disk is done, if it is still in the same life: what has come meanwhile is taken in at once.
    DiskDone(StoreId, u64),
    /// A response arrives at the client.
    Response { id: CommandId, response: Box<Response> },
    /// A client's patience with one attempt ends.
    Impatience(CommandId),
    /// A client asks, or asks again.
    Ask(CallId),
    /// A client of the workload goes on to the next operation.
    Resume(u64),
    /// A worker's first task is done, if its store is still in the same life.
    Work(StoreId, u64, Worker),
    /// What came of a task comes to its store, if that is still in the same life.
    TaskDone(StoreId, u64, Box<TaskDone>),
    /// What a store has for the scheduler arrives there.
    AtScheduler(StoreId, u64, Box<Task>),
    /// A store wants a snapshot sent.
    Send(StoreId, Box<RaftMessage>),
    /// A store may have a permit to send another one.
    Resend(StoreId),
    /// A chunk of a stream arrives; without content if it is lost.
    Chunk(u64, Option<Box<SnapshotChunk>>),
    /// All chunks of a stream have been sent.
    StreamEnd(u64),
    /// The sender of a stream hears that all has arrived.
    StreamDone(u64),
    /// Both ends of a stream notice that it is broken.
    StreamBroken(u64),
    /// A snapshot has been received: the store hears of it, if it is still in the same life.
    Snapshot(StoreId, u64, Box<Event>),
    /// A crashed machine comes back.
    Restart(StoreId),
    /// The next stroke of random trouble.
    Trouble,
}

impl Happening {
    /// The store that takes it in, where it is something for a store.
    pub fn recipient(&self) -> Option<StoreId> {
        match self {
            Happening::Tick(id, _)
            | Happening::Request { store: id, .. }
            | Happening::TaskDone(id, ..)
            | Happening::Snapshot(id, ..) => Some(*id),
            Happening::Message(message) => Some(message.to_peer?.store_id),
            _ => None,
        }
    }
}

/// All that is planned, ordered by time; at the same time, by when it was planned. So there is one order, and no draw.
#[derive(Debug, Default)]
pub(super) struct Agenda {
    heap: BinaryHeap<Reverse<Planned>>,
    seq: u64,
}

impl Agenda {
    pub fn plan(&mut self, at: Micros, what: Happening) {
        self.seq += 1;
        self.heap.push(Reverse(Planned { at, seq: self.seq, what }));
    }

    /// When the next thing happens.
    pub fn next_at(&self) -> Option<Micros> {
        self.heap.peek().map(|Reverse(next)| next.at)
    }

    pub fn pop(&mut self) -> Option<(Micros, Happening)> {
        self.heap.pop().map(|Reverse(next)| (next.at, next.what))
    }

    pub fn len(&self) -> usize {
        self.heap.len()
    }
}

#[derive(Debug)]
struct Planned {
    at: Micros,
    seq: u64,
    what: Happening,
}

impl PartialEq for Planned {
    fn eq(&self, other: &Planned) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for Planned {}

impl PartialOrd for Planned {
    fn partial_cmp(&self, other: &Planned) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Planned {
    fn cmp(&self, other: &Planned) -> Ordering {
        (self.at, self.seq).cmp(&(other.at, other.seq))
    }
}
