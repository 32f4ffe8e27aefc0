//! The programs, with what a student has written in them: real processes and real sockets, data in memory.
//!
//! The suites call the code; nobody in them starts a server. Here one is started for every store, and asked as
//! clients ask it: over gRPC. Nothing here calls a student's code in this process. Each test has programs of its
//! own, and shows the end of their logs when it fails.

#![allow(
    clippy::disallowed_types,
    clippy::disallowed_methods,
    reason = "these tests are about sockets and processes"
)]

#[allow(dead_code, reason = "it is shared with the server's own tests")]
#[path = "../server/calls.rs"]
mod calls;
#[cfg(feature = "stage-2b")]
#[path = "../server/load.rs"]
mod load;
#[allow(dead_code, reason = "it is shared with the server's own tests")]
#[path = "../server/process.rs"]
mod process;
mod running;
mod stage_1;
#[cfg(feature = "stage-2b")]
mod stage_2b;
#[cfg(feature = "stage-3b")]
mod stage_3b;
