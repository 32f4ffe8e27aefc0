//! Snapshots in Raft itself: `src/raft/snapshot.rs`, without a store.

mod chaos;
mod compact;
mod follower;
mod group;
mod leader;
mod ready;
mod restart;
