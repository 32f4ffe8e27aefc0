//! Many Raft groups on one store, each replicating one region of the key space.
//!
//! ```text
//!      Event                                                              Effect
//!   Tick, RaftMessage, Command, Snapshot, TaskDone          Send, Reply, Schedule
//!        |                                                                 ^
//!        v                                                                 |
//!   +----------------------------------- Store ----------------------------------+
//!   | handle:  message.rs   to the peer it is for                                 |
//!   |          propose.rs   check the header, put it into the log, note who waits |
//!   |                                                                             |
//!   | drain:   ready.rs     1 send what needs no disk                             |
//!   |                       2 one synced write for all peers   ---> raft engine   |
//!   |                       3 send the promises                                   |
//!   |          apply/       4 carry out what is committed      ---> kv engine     |
//!   |                       5 answer who waits, advance                           |
//!   |                                                                             |
//!   |    Peer (region 1)          Peer (region 2)          ...                    |
//!   |      RawNode<PeerStorage>     RawNode<PeerStorage>                          |
//!   |      Proposals                Proposals                                     |
//!   +-----------------------------------------------------------------------------+
//! ```
//!
//! Nothing in here has a thread, a clock or a socket: the owner of a [`Store`] brings [`Event`]s in and carries
//! [`Effect`]s out. So the same code runs in the server and in the simulator, where one seed is one history.
//!
//! | file | what |
//! |---|---|
//! | `event.rs` | the seam: events, effects, answers |
//! | `store.rs` | the store: `handle`, `drain`, `shutdown` |
//! | `peer.rs`, `meta.rs` | one replica; which region lies where |
//! | `bootstrap.rs` | the first records on a new disk |
//! | `peer_storage.rs` | Raft's log and states on the disk (2b) |
//! | `message.rs`, `command.rs` | what comes in: Raft messages in their envelopes, commands |
//! | `propose.rs`, `proposals.rs` | from a command to a log entry, and who waits for it (2b) |
//! | `ready.rs` | the order of writing, sending, applying (2b) |
//! | `apply/` | from a committed entry to data and an answer (2b) |
//! | `log_gc.rs` | when the log is compacted (2c) |
//! | `snapshot.rs` | snapshots of a region, given and taken (2c) |
//! | `epoch.rs` | which edition of the region a command is for (3b) |
//! | `conf_change.rs`, `transfer.rs`, `split.rs` | members come and go, another leads, one region becomes several (3b) |
//! | `lifecycle.rs` | peers are created and destroyed; messages that come late (3b) |
//! | `overlap.rs` | whose keys a snapshot may bring (3b) |
//! | `scheduling.rs` | what the scheduler is told, and its orders (3b) |
//! | `task.rs` | what is done elsewhere, and what comes of it |
//! | `region_error.rs`, `region_snapshot.rs` | what is answered: errors, and the data at one moment |

mod apply;
mod bootstrap;
mod command;
mod conf_change;
mod config;
mod epoch;
mod error;
mod event;
mod lifecycle;
mod log_gc;
mod message;
mod meta;
mod overlap;
mod peer;
mod peer_storage;
mod proposals;
mod propose;
mod ready;
mod region;
pub mod region_error;
mod region_snapshot;
mod scheduling;
mod snapshot;
mod split;
mod store;
mod task;
mod transfer;

pub use bootstrap::{INIT_INDEX, INIT_TERM, bootstrap_region, bootstrap_store, store_name};
pub use config::Config;
pub use error::{StoreError, StoreName};
pub use event::{Answer, CommandId, CommandResult, Effect, Event};
pub use lifecycle::RegionChange;
pub use meta::StoreMeta;
pub use peer::Peer;
pub use peer_storage::PeerStorage;
pub use proposals::{Proposals, Settled};
pub use region_snapshot::RegionSnapshot;
pub use snapshot::Generation;
pub use store::{Engines, Store};
pub use task::{Generate, SnapFileSet, SnapKey, Task, TaskDone};
