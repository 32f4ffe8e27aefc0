//! What the staged suites are written with.
//!
//! Every test starts with [`lab!`], which gives it its seed, a watchdog, and, when the grader runs it, the
//! means to prove that it came to its end.

mod lab;

pub use lab::Lab;
