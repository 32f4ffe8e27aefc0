//! The seam of the store: plain values in, plain values out.
//!
//! Whoever owns a [`Store`](super::Store) turns what happens into an [`Event`] and carries out each [`Effect`]. The
//! server does it with sockets and threads, the simulator with a list of events in virtual time; the store cannot
//! tell which.

use super::{RegionSnapshot, Task, TaskDone};
use crate::error::Error;
use crate::proto::raft_cmdpb::{RaftCmdRequest, RaftCmdResponse};
use crate::proto::raft_serverpb::RaftMessage;

/// Tells commands apart. The owner chooses; the store only hands it back.
pub type CommandId = u64;

/// What happens to a store.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Time has passed: one tick for every peer.
    Tick,
    /// Another store has sent something. It may be lost, late, doubled, or for a peer that is not here. Snapshots do
    /// not come this way: one that does is dropped.
    RaftMessage(RaftMessage),
    /// Another store has sent a snapshot, and the files that belong to it are complete and safe on this store's disk.
    Snapshot {
        /// With what it says about itself.
        message: RaftMessage,
        /// Which copy of the files: the same snapshot may come again.
        copy: u64,
    },
    /// A worker has finished what [`Effect::Schedule`] asked for.
    TaskDone(TaskDone),
    /// Somebody wants something done. It gets exactly one [`Effect::Reply`] with the same id, unless the machine
    /// stops. The asker may be gone by then: that changes nothing here.
    Command {
        /// Comes back in the reply.
        id: CommandId,
        /// For which region, and what.
        request: RaftCmdRequest,
    },
}

/// What a store wants done.
#[expect(
    clippy::large_enum_variant,
    reason = "most effects are messages: a box each would cost more than it saves"
)]
#[derive(Debug)]
pub enum Effect {
    /// Take this to the store in `to_peer`. It may get lost.
    Send(RaftMessage),
    /// Have a worker do this. Its result comes back as [`Event::TaskDone`], where it has one.
    Schedule(Task),
    /// Answer a command.
    Reply {
        /// The id that came with it.
        id: CommandId,
        /// What came of it.
        result: CommandResult,
    },
}

/// What came of a command.
///
/// - `Ok`: it was carried out, exactly once, on a majority.
/// - [`Error::Region`] and [`Error::Rejected`]: it was not carried out, and never will be. Asking again is safe, also
///   for a command that must not run twice.
/// - [`Error::Undetermined`]: nobody knows. It was carried out, or it will be, or not.
pub type CommandResult = Result<Answer, Error>;

/// The results of a command, as of its place in the log.
#[derive(Clone, Debug)]
pub struct Answer {
    /// One response for each request, in the same order and of the same type.
    pub response: RaftCmdResponse,
    /// The data, if the command was a `Snap`.
    pub snapshot: Option<RegionSnapshot>,
}
