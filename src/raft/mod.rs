//! Raft: several peers agree on one sequence of commands, and keep it through crashes.
//!
//! This page retells the paper (Ongaro and Ousterhout, "In Search of an Understandable Consensus Algorithm",
//! extended version, 2014) in its own order and says where each rule lives. "Thesis" is Ongaro's dissertation
//! "Consensus: Bridging Theory and Practice" (2014). Nothing here does anything by itself: no clock, no
//! thread, no socket, no disk. Ticks and messages come in, a [`Ready`] goes out.
//!
//! ```text
//!   tick()  step(message)  propose(command)
//!      |          |             |
//!      v          v             v
//!   +------------------------------------+        +-----------------+
//!   | Raft   role, term, vote, progress  | reads  | LogStorage      |
//!   |   RaftLog   entries, commit index  |<-------| (at start only) |
//!   +------------------------------------+        +-----------------+
//!      |                                                   ^
//!      v                                                   | writes
//!   Ready: store this, send that, apply those  ------>  the owner
//! ```
//!
//! # Terms and roles (section 5.1): [`raft.rs`](Raft), `election.rs`
//!
//! Time is cut into terms, numbered upwards. Each has one leader at most. A peer is a follower, a candidate or
//! the leader ([`Role`]). Every message carries its sender's term, and terms are how a peer finds out that
//! it has missed something: a higher one makes it a follower of that term, a lower one is refused with the
//! own term in the answer. Term and vote are on disk before anybody hears of them ([`Ready::hard_state`]).
//!
//! # Leader election (section 5.2): `election.rs`, `heartbeat.rs`, `quorum.rs`
//!
//! A follower that hears from no leader for an election timeout becomes a candidate: next term, a vote for
//! itself, a request to all others. Each peer has one vote a term. A [`majority`] makes a leader, and since
//! two majorities share a member, there are never two. Timeouts are drawn at random, so that one peer wakes
//! before the others and split votes are rare; a candidate without result tries again in a new term. The
//! leader stays leader by heartbeats.
//!
//! # Log replication (section 5.3): `replication.rs`, `follower.rs`, `log.rs`, `progress.rs`
//!
//! The leader puts each command behind the last entry of its log and sends it to the followers, with index
//! and term of the entry before it. A follower takes it only if it has that entry too: the consistency
//! check. By induction, two logs that agree at one entry agree up to it (Log Matching). Where the check
//! fails, the leader goes back until the logs agree, and the follower's differing entries give way. What
//! the leader believes about a follower is its [`Progress`].
//!
//! # Safety (section 5.4): `election.rs`, `commit.rs`
//!
//! - 5.4.1: a vote goes only to a candidate whose log is at least as up to date as the voter's. A committed
//!   entry is on a majority, so whoever wins has it: Leader Completeness.
//! - 5.4.2: an entry of an earlier term is not committed by counting its copies, for a later leader may still
//!   replace it (figure 8). The leader counts only entries of its own term; older ones are committed along
//!   with them. That is why a new leader starts with an empty entry (section 8).
//! - 5.4.3: so no two peers ever apply different commands at one index: State Machine Safety.
//!
//! # Crashes and timing (sections 5.5 and 5.6): [`Ready`], [`Config`]
//!
//! Every message may be lost, doubled, delayed or overtaken. Entries that were lost on their way are sent
//! again after the next heartbeat, and twice the same append or answer is as good as once. Lost votes cost a
//! new election. Only a proposal on its way to the leader may get lost, or arrive twice, for good. A peer that
//! restarts knows its term, its vote and its log. Safety never depends on time; only progress needs an election
//! timeout well above the time a message takes.
//!
//! # Log compaction (section 7): `snapshot.rs`
//!
//! A log must not grow for ever. Each peer drops the beginning of its own, once the owner has applied it. A follower
//! that needs what its leader has dropped gets a snapshot: the state machine at one entry. Its log then begins behind
//! that.
//!
//! # Leadership transfer (thesis, section 3.10): `transfer.rs`
//!
//! A leader that is to make way brings its successor up to date, takes no proposals meanwhile, and tells it to campaign
//! at once. The rest is an ordinary election.
//!
//! # Membership changes (thesis, sections 4.1 and 4.2): `membership.rs`
//!
//! One peer comes or goes at a time, by an entry of the log: then the majorities of the old group and of the new one
//! overlap, and no two leaders can be elected side by side. The file says which rules that rests on.
//!
//! # Clients (section 8)
//!
//! Reading, and commands that must not run twice, are the business of the store above (stage 2b).
//!
//! # Beyond the paper
//!
//! - The leader writes to its own disk while the followers write to theirs, and counts itself only then
//!   (thesis, section 10.2.1): two outboxes, see [`may_precede_persist`].
//! - Appends are pipelined, in a window, and made when the outbox is taken: proposals batch by themselves.
//! - A refusal names the place to try next and skips whole terms (end of section 5.3 describes the idea).
//! - A change of the group counts when it is applied, not when it is appended; see `membership.rs`.
//! - Who refuses its vote says what it knows to be committed: a group from which a peer was removed may need that to go
//!   on without it.
//! - A heartbeat is a message of its own, not an empty append. It carries a commit index, never beyond what
//!   the follower is known to hold, and no consistency check.
//!
//! # Left out
//!
//! - A snapshot in pieces (figure 13, `offset` and `done`): its data does not travel with Raft's messages at all.
//! - Joint consensus (section 6): one change at a time is enough for this store.
//! - Learners (thesis, section 4.2.1): they shorten a gap in availability, not in safety.
//! - Pre-vote (thesis, section 9.6): a peer that returns from a partition makes the group elect once more.
//!   That costs a moment, and students can see it happen.
//! - Catching up a new server before it counts (thesis, section 4.2.1, same section): a peer that is added counts at
//!   once.
//! - Check quorum (thesis, section 6.2): a leader that is cut off goes on believing until it hears a higher
//!   term. It cannot commit anything meanwhile, and the store above reads through the log.
//! - Read index and leases (thesis, section 6.4): reads go through the log (stage 2b).

mod commit;
mod config;
mod election;
mod error;
mod follower;
mod heartbeat;
mod inflights;
mod log;
mod mem_storage;
mod membership;
mod message;
mod progress;
mod quorum;
#[expect(clippy::module_inception, reason = "the struct Raft lives in raft.rs, as in the field's code")]
mod raft;
mod raw_node;
mod replication;
mod snapshot;
mod storage;
mod transfer;

pub use commit::majority_index;
pub use config::Config;
pub use error::RaftError;
pub use inflights::Inflights;
pub use log::RaftLog;
pub use mem_storage::MemLogStorage;
pub use message::{is_from_leader, may_precede_persist, message};
pub use progress::{Progress, ProgressState};
pub use quorum::{VoteResult, majority, vote_result};
pub use raft::{Outbox, Raft, Role, SoftState};
pub use raw_node::{RawNode, Ready};
pub use storage::{LogStorage, StorageError};
