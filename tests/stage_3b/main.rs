//! Stage 3b: regions that move, grow members and split.

mod alone;
mod basic;
mod chaos;
mod split;
mod split_check;
mod split_commands;
mod split_refused;
