//! The programs: what has sockets, threads and a clock, around the core, which has none of them.

pub mod client;
pub mod disk;
mod join;
pub mod node;
pub mod peers;
pub mod process;
mod reports;
pub mod rpc;
pub mod scheduler;
pub mod scheduler_client;
pub mod service;
pub mod settings;
mod snapshots;
pub mod start;
pub mod status;
pub mod transport;
