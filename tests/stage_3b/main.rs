//! Stage 3b: regions that move, grow members and split.

mod basic;
mod chaos;
mod destroy;
mod lifecycle;
mod lone;
mod new_peer;
mod overlap;
mod stale;
mod two_members;
