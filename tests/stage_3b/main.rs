//! Stage 3b: regions that move, grow members and split.

mod answers;
mod basic;
mod chaos;
mod conf_change;
mod destroy;
mod epoch;
mod lifecycle;
mod lone;
mod new_peer;
mod overlap;
mod recover;
mod remove_leader;
mod stale;
mod sweep;
mod transfer;
mod two_members;
