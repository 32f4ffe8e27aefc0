//! Stage 1: `StandaloneStorage` and the raw handlers.
//!
//! Every test goes the way of a client: a request into a handler, the response out of it. The storage is on an
//! engine in memory, and on RocksDB too where that is built.

mod atomic;
mod cas;
mod cf;
mod delete;
mod errors;
mod get;
mod given;
#[path = "../engine/machine.rs"]
mod machine;
mod model;
mod persist;
mod put;
mod reader;
mod rival;
mod scan;
mod scan_range;
mod seam;
mod server;
mod stubs;
