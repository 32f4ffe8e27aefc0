//! What clients asked and heard, and whether one copy of the data could have answered so.
//!
//! - [`Recorder`] notes calls as they begin and end.
//! - [`check`] looks for an order in which they could have been carried out one by one, each between its begin and its
//!   end: linearizability (Herlihy and Wing, "Linearizability: a correctness condition for concurrent objects", 1990).
//!   It is local, so each key is looked at by itself; a call on several keys counts as one on each.

mod explain;
mod linear;
mod recorder;

use bytes::Bytes;

pub use explain::Violation;
pub use linear::check;
pub use recorder::Recorder;

/// A key in its column family.
pub type Key = (String, Bytes);

/// What one call does to one key. `None` is "no such key".
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Op {
    /// Reads it, and saw this.
    Read(Option<Bytes>),
    /// Sets it, or removes it.
    Write(Option<Bytes>),
    /// Sets it if it holds what is expected, and was told what came of it.
    Swap {
        /// What it must hold.
        expected: Option<Bytes>,
        /// What it holds afterwards.
        value: Bytes,
        /// Whether it was set and what it held before; `None` if the client was not told.
        told: Option<(bool, Option<Bytes>)>,
    },
}

/// One call as far as one key is concerned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Operation {
    /// Who called.
    pub client: u64,
    /// Which key.
    pub key: Key,
    /// What it does.
    pub op: Op,
    /// When it began.
    pub invoked: u64,
    /// When the client had its answer. `None`: never, so it may have been carried out at any later time, or not at all.
    ///
    /// An operation that returned at t comes before one that was invoked later than t. At the same t, either order will
    /// do.
    pub returned: Option<u64>,
}
