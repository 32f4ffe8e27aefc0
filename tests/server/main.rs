//! The programs as their clients see them: real sockets on the loopback address, ports that the system picks, and a
//! limit on how long each test may take.

#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "these tests are about sockets and processes; some of them only with RocksDB"
)]

mod calls;
mod cluster;
mod fixed;
#[cfg(feature = "rocksdb")]
mod load;
#[allow(dead_code, reason = "processes need RocksDB")]
mod process;
#[cfg(feature = "rocksdb")]
mod processes;
mod scheduler;
mod standalone;
