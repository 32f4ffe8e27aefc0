//! Stage 3b: regions that move, grow members and split.

mod alone;
mod basic;
mod chaos;
mod growth;
mod placement;
mod scheduling;
mod split;
mod split_check;
mod split_commands;
mod split_late;
mod split_recover;
mod split_refused;
mod split_sweep;
