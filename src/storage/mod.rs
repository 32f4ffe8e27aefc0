//! What a client's request is served from.
//!
//! ```text
//!   request                                                        response
//!      |                                                               ^
//!      v                                                               |
//!   +-------------------------------------------------------------------+
//!   | handlers (raw, raw_batch, raw_cas): check, ask once, answer       |
//!   +-------------------------------------------------------------------+
//!      |  write, compare_and_swap         |  reader
//!      v                                  v
//!   +-------------------------------------------------------------------+
//!   | trait Storage                                                     |
//!   +-------------------------------------------------------------------+
//!      |                    |                          |
//!   MemStorage      StandaloneStorage          replicated.rs
//!   (maps)          (one Engine)               (through Raft, many stores)
//! ```
//!
//! Read [`MemStorage`] first: it is the whole contract on one page, without a disk.
//!
//! # Why the handlers can stay as they are
//! A replicated storage has its answer only after messages have gone back and forth. The server could let a
//! thread wait for it, but in the simulator there is one thread and nobody to wait for. So there is a rule: a
//! handler is a plain function that asks its storage **once** (one `write`, one `compare_and_swap` or one
//! `reader`) and has no effect of its own. Such a function can be run twice. The first run is on a storage that
//! only notes what it was asked for; that goes through Raft; the second run is on a storage that hands out what
//! came back, and its response is the one that counts. Server and simulator drive handlers in the same way, no
//! thread waits, and a caller that goes away in between takes nothing with it.

mod answer;
mod check;
mod mem;
mod raw;
mod raw_batch;
mod raw_batch_scan;
mod raw_cas;
mod replicated;
mod standalone;

use bytes::Bytes;

use crate::engine::{Cf, Cursor, KeyRange};
use crate::error::Error;
use crate::proto::kvrpcpb::Context;

pub use answer::{pairs_answer, write_answer};
pub use check::check_key;
pub use mem::MemStorage;
pub use raw::{raw_delete, raw_get, raw_put, raw_scan};
pub use raw_batch::{raw_batch_delete, raw_batch_get, raw_batch_put, raw_delete_range};
pub use raw_batch_scan::raw_batch_scan;
pub use raw_cas::raw_compare_and_swap;
pub use replicated::{Asked, answer, ask};
pub use standalone::StandaloneStorage;

/// A key-value store with column families.
///
/// `context` is the request's: it says for which region the client believes it asks. A storage that is not
/// replicated has no regions and ignores it.
pub trait Storage {
    /// Carries out all changes in their order, or none. When it returns `Ok`, they survive a crash and every
    /// reader that is opened from now on sees them. After an error they may have been carried out or not.
    fn write(&self, context: Option<&Context>, changes: Vec<Modify>) -> Result<(), Error>;

    /// Sets a key if it holds what the caller expects, and says what it held. No other change comes between the
    /// look and this one. A guess that is wrong is an answer and no error. Apart from that, it is a write: after
    /// `Ok` it survives a crash and every later reader sees it, after an error it may have been done or not.
    fn compare_and_swap(&self, context: Option<&Context>, swap: CompareAndSwap) -> Result<Swapped, Error>;

    /// The data as it is now: with everything that was acknowledged, and not moved by any later write.
    ///
    /// A reader may live as long as its holder likes. It never makes a write wait, and no write makes it wait.
    fn reader(&self, context: Option<&Context>) -> Result<Box<dyn StorageReader>, Error>;
}

/// The data at one moment.
pub trait StorageReader: Send {
    /// The key's value, or `None` where the key does not exist. An empty value is a value.
    fn get_cf(&self, cf: Cf, key: &[u8]) -> Result<Option<Bytes>, Error>;

    /// A cursor over the keys of the range, not yet on any of them.
    fn iter_cf(&self, cf: Cf, range: KeyRange) -> Result<Box<dyn Cursor + '_>, Error>;
}

/// One change to the data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Modify {
    /// Sets a key, whether it exists or not.
    Put {
        /// Column family.
        cf: Cf,
        /// Key.
        key: Bytes,
        /// May be empty.
        value: Bytes,
    },
    /// Removes a key, whether it exists or not.
    Delete {
        /// Column family.
        cf: Cf,
        /// Key.
        key: Bytes,
    },
    /// Removes every key of a range.
    DeleteRange {
        /// Column family.
        cf: Cf,
        /// Which keys.
        range: KeyRange,
    },
}

/// A change with a condition.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CompareAndSwap {
    /// Column family.
    pub cf: Cf,
    /// Key.
    pub key: Bytes,
    /// What the key must hold; `None`: it must not exist. An empty value is a value.
    pub expected: Option<Bytes>,
    /// What it holds afterwards. May be empty.
    pub value: Bytes,
}

/// What came of a [`CompareAndSwap`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Swapped {
    /// The key was set.
    pub done: bool,
    /// What it held before.
    pub previous: Option<Bytes>,
}
