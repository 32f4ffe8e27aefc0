//! Stage 3b: regions that move, grow members and split.
//!
//! `basic` first. `lone` drives one store by hand, and `messages` has what others say to it; the rest drives clusters
//! in the simulator, with a scheduler, and clients that have an old picture of where the regions are.

mod answers;
mod basic;
mod chaos;
mod conf_change;
mod destroy;
mod epoch;
mod growth;
mod lifecycle;
mod lone;
mod messages;
mod new_peer;
mod overlap;
mod placement;
mod recover;
mod remove_leader;
mod scheduling;
mod split;
mod split_check;
mod split_commands;
mod split_late;
mod split_recover;
mod split_refused;
mod split_sweep;
mod stale;
mod sweep;
mod transfer;
mod two_members;
