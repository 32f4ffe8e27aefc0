//! What the staged suites are written with.
//!
//! Every test starts with [`lab!`], which gives it its seed, a watchdog, and, when the grader runs it, the
//! means to prove that it came to its end. The Raft suites are scripts for a [`raft_net`],
//! those of the store for a [`sim`]; what its clients heard is a [`history`].

pub mod history;
pub mod raft_net;
pub mod requests;
pub mod sim;

mod lab;
mod rng;

pub use lab::Lab;
pub use rng::Rng;
