//! Stage 3b: regions that move, grow members and split.

mod alone;
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
