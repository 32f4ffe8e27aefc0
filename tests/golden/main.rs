//! Transcripts of the reference solution: what it says and does, line by line, in situations that the paper
//! describes. They are for reading, and show when the reference changes its behaviour; nobody is graded by
//! them. Accept a change with `INSTA_UPDATE=always just test`, after reading it.
//!
//! Stages 2aa to 2ac and 3a are told on the scripted network, stage 2b in the simulator.
//!
//! `4@2=x` is the entry at index 4 of term 2 with command x. A line with `>` is what the script does; below
//! it stand the messages that arrive, and under each what it changes.

mod determinism;
mod elections;
#[cfg(feature = "stage-3a")]
mod groups;
mod logs;
#[cfg(feature = "stage-2b")]
mod stores;

use raftkv_testkit::raft_net::{Direct, Net, Setup};

/// A net that remembers everything. The seed is fixed: a transcript must not depend on `SIM_SEED`.
fn net(setup: Setup) -> Net<Direct> {
    let mut net = setup.start();
    net.keep_transcript();
    net
}
