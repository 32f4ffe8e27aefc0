//! What the staged suites are written with.
//!
//! Every test starts with [`lab!`], which gives it its seed, a watchdog, and, when the grader runs it, the
//! means to prove that it came to its end. The Raft suites are scripts for a [`raft_net`].

pub mod raft_net;

mod lab;
mod rng;

pub use lab::Lab;
pub use rng::Rng;
