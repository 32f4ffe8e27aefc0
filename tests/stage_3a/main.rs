//! Stage 3a: leadership transfer and one-at-a-time membership changes, in Raft alone.

mod chaos;
mod two_nodes;
