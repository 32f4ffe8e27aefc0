//! Stage 2aa: leader election and heartbeats (sections 5.1, 5.2 and 5.4.1).
//!
//! Nothing here needs replication: a new leader's empty entry need not get any further than its own log.

mod campaign;
mod chaos;
mod groups;
mod leader;
mod paper;
mod quorum;
mod restart;
mod terms;
mod timer;
mod votes;
