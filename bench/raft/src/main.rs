//! Our Raft against the raft crate.
fn main() {}
