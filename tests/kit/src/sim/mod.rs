//! Whole stores in virtual time: a network, disks and clocks that fail as the test wants, and clients that do not care.
//!
//! ```text
//!    clients --request--> [ store 1 ] <===messages===> [ store 2 ]   [ store 3 ]
//!       ^                     |  ^                         |              |
//!       +-----response--------+  +-- ticks               disk           disk
//!
//!    one list of what will happen, by (time, order of planning); one seed for every draw
//! ```
//!
//! Nothing here waits, and nothing looks at a clock: a second of virtual time costs what its events cost. The same seed
//! and the same script give the same run ([`Sim::trace_hash`]).
//!
//! A test reads like a story:
//!
//! ```ignore
//! let mut sim = Setup::of(&lab, 3).start();
//! sim.put("color", "blue");
//! let leader = sim.leader();
//! sim.partition(&[&[leader]]);                  // alone against the others
//! sim.put("color", "red");                      // clients find the new leader
//! sim.heal();
//! assert_eq!(sim.get("color"), Some("red".into()));
//! sim.finish();                                 // liveness, equal data, linearizability
//! ```
//!
//! | words | what happens |
//! |---|---|
//! | `put`, `get`, `delete`, `swap`, `scan`, `batch_put`, ... | a client asks until it is done, wherever the leader is |
//! | `ask_store(s, request)` | one question to one store, and its answer as it is |
//! | `begin(request)`, `ending(call)` | a question whose answer is looked at later |
//! | `command(s, command)` | a command as the store gets it from its owner |
//! | `clients(mix)`, `until_answered(n, ..)`, `stop_clients()` | many clients at once, on the same keys |
//! | `leader()`, `peer(s)`, `store(s)` | who leads; what a store knows |
//! | `run(time)`, `until(what, limit, condition)` | time passes |
//! | `partition(&[&[1, 2]])`, `cut(a, b)`, `isolate(s)`, `cut_clients(s)`, `heal()` | which messages get through |
//! | `hold(a, b)`, `release()` | messages that come late, in any order |
//! | `weather(..)` | loss, duplication, delay |
//! | `crash(s)`, `kill(s)`, `crash_at_write(s, n, fault)`, `kill_at_write(..)`, `restart(s)`, `shut_down(s)` | power cut, dead process, stop in the middle |
//! | `slow_workers(s, ..)`, `Weather::stream_trouble` | snapshots that take long to make or load; streams that break |
//! | `edit_disk(s, ..)`, `edit_files(s, ..)` | somebody changes the disk of a machine that is down |
//! | `log_on_disk(s)`, `holders_of_put(key, value)`, `data(s, key)` | what lies on the disks |
//! | `slow_disk(s, ..)`, `drift(s, percent)` | a slow disk, a wrong clock |
//! | `trouble(nemesis)`, `end_trouble()` | all of that at random |
//! | `add_peer(region, s)`, `remove_peer(..)`, `transfer(..)`, `split(key)` | a region is changed, and that is waited for |
//! | `admin(s, region, change)` | a change of a region as a store gets it, and its answer as it is |
//! | `region_map()`, `region_at(key)`, `leader_of(region)`, `peer_of(s, region)` | what lies where |
//! | `say(text)`, `keep_transcript()`, `transcript()` | the story, for people |
//! | `finish()` | the trouble ends: everybody must come to the same data, and the history must have an order |
//! | `assert_struck(&[..])` | the faults of the test were real |

mod calls;
mod causes;
mod cluster;
mod disk;
mod events;
mod faults;
mod finish;
pub mod invariants;
mod machine;
mod nemesis;
mod network;
mod placement;
mod power;
mod probes;
mod raw;
mod report;
mod reshape;
#[cfg(feature = "rocksdb")]
mod rocks_disk;
mod script;
mod setup;
mod stop;
mod streams;
mod trace;
mod troubles;
mod workers;
mod workload;

pub use calls::{CallId, Ending};
pub use cluster::{Counts, Sim};
pub use disk::{Crash, Disk, on_rocksdb};
pub use faults::Fault;
pub use machine::TICK;
pub use nemesis::Nemesis;
pub use network::{Link, Weather};
pub use placement::{batch_split, change_peer, transfer_leader};
pub use raw::{Request, Response};
pub use script::{get_request, put_request, swap_request};
pub use setup::{CLUSTER, REGION, Setup};
pub use stop::{Stop, sweep};
pub use workload::Mix;

/// A moment, or a span, of virtual time: in millionths of a second.
pub type Micros = u64;

/// Thousandths of a second.
pub const fn millis(n: u64) -> Micros {
    n * 1000
}

/// Seconds.
pub const fn secs(n: u64) -> Micros {
    n * 1_000_000
}

/// From here on a disk counts as slow.
pub(crate) const SLOW: Micros = millis(5);

#[cfg(test)]
mod tests;
