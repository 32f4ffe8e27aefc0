//! The programs: what has sockets, threads and a clock, around the core, which has none of them.
//!
//! ```text
//!   raftkv-ctl, TiKV's clients                     raftkv-scheduler (scheduler/)
//!        |  gRPC                                        ^  gRPC: ids, regions, heartbeats, orders
//!        v                                              |
//!   service/ ---- StoreHandle ---> node/ (the store thread) ---> reports.rs
//!                                    |      ^                          other stores
//!                                    |      +--- service/ <-- gRPC --- transport.rs, snapshots.rs
//!                                    +---> workers, transport.rs, snapshots.rs
//! ```
//!
//! | module | what |
//! |---|---|
//! | [`start`] | a server, from its settings to its end |
//! | `join` | how a store comes into its cluster |
//! | [`node`] | the store thread and its workers: the only place that touches the store |
//! | [`service`] | the calls of clients, and what other stores send |
//! | [`transport`], `snapshots`, [`peers`], [`directory`] | to other stores, and who they are |
//! | [`scheduler_client`], `reports` | to the scheduler |
//! | `retry` | what is done again until somebody is reached |
//! | [`scheduler`] | the scheduler itself |
//! | [`client`] | finds the leader of a key, and goes where it is sent |
//! | [`disk`] | the data directory: whose it is, and who may use it |
//! | [`status`], `latencies`, `html` | the pages |
//! | [`process`], [`settings`], [`rpc`] | signals and the log; the settings; the generated services |

#![expect(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "the shell around the core: here are the threads, the sockets and the clock"
)]

pub mod client;
pub mod directory;
pub mod disk;
mod html;
mod join;
mod latencies;
pub mod node;
pub mod peers;
pub mod process;
mod reports;
mod retry;
pub mod rpc;
pub mod scheduler;
pub mod scheduler_client;
pub mod service;
pub mod settings;
mod snapshots;
pub mod start;
pub mod status;
pub mod transport;
