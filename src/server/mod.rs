//! The programs: what has sockets, threads and a clock, around the core, which has none of them.

pub mod disk;
pub mod process;
pub mod rpc;
