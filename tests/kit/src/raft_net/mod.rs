//! A scripted Raft network: nodes under test, a wire that loses what it is told to lose, disks that survive
//! crashes, and a watch over all of it.
//!
//! A test reads like the story it tests:
//!
//! ```
//! use raftkv_testkit::raft_net::Setup;
//!
//! # fn story() {
//! let mut net = Setup::seeded(1, 3).start();
//! net.elect(1);
//! net.isolate(3);
//! net.propose(1, "x");
//! net.deliver_all();
//! assert_eq!(net.commit(1), 2, "2 of 3 have the no-op and x");
//! net.heal();
//! net.stabilise();
//! assert_eq!(net.applied(3), ["x"], "and in the end all have it");
//! # }
//! ```
//!
//! | to | words |
//! |---|---|
//! | begin | [`Setup::of`], `log`, `term`, `commit`, `compacted`, `tune`, `puppets`, `start`, `start_raw_nodes` |
//! | let time pass | `tick`, `ticks`, `tick_all`, `run`, `run_until` |
//! | deliver | `deliver_one`, `deliver_all`, `deliver_where`, `round`, `stabilise` |
//! | make trouble | `lose`, `lose_one`, `drop_where`, `duplicate_where`, `reorder`, `hold`, `release`, `cut`, `cut_one_way`, `isolate`, `partition`, `heal`, `crash`, `restart`, `hold_disk`, `write_oldest`, `release_disk`, `hold_applying`, `release_applying` |
//! | act | `campaign`, `elect`, `propose`, `propose_batch`, `transfer`, `join`, `join_blank`, `add`, `remove`, `try_change` |
//! | speak for a puppet | `hand`, `ask`, `inject`, `mail`, and the letters in [`letter`] |
//! | look | `role`, `term`, `vote`, `leader`, `commit`, `log`, `applied`, `group`, `node`, `raft` |
//! | leave it to chance | `chaos`, `calm`, `assert_struck` |
//!
//! The nodes run on their public interface alone: `Raft` before stage 2ac, `RawNode` from there on; the
//! [`driver`] is the only difference. What must hold at every moment is in [`invariants`].

pub mod driver;
pub mod invariants;
pub mod letter;

mod chaos;
mod faults;
mod group;
mod net;
mod node;
mod script;
mod setup;
mod trace;

pub use chaos::Chaos;
pub use driver::{Direct, Driver, Readied};
pub use faults::Fault;
pub use net::Net;
pub use node::{Node, Seen};
pub use setup::Setup;
pub use trace::{Event, Trace};
