//! The disk, as the rest of the store sees it: an ordered map from key to value in each column family.
//!
//! ```text
//!     StandaloneStorage, raftstore
//!              |
//!    write(batch, sync)       snapshot() ---> Snapshot: get(cf, key)
//!              |                                 |
//!              v                                 +----> Cursor: seek, next, prev
//!     +-----------------+
//!     |  trait Engine   |
//!     +--------+--------+
//!         |         |
//!    RocksEngine  MemEngine ----> MemDisk: crashes on demand
//!    (a folder)   (the simulator's disk)
//! ```
//!
//! What every engine promises, and `tests/engine` checks on both:
//!
//! - **A batch is atomic.** After a crash all of it is there or nothing.
//! - **Synced is safe.** A write with `sync` survives any crash, and so does every write before it. One
//!   without may be lost in a crash, but never while a later one survives.
//! - **A snapshot stands still.** It shows the engine as it was when it was taken, whatever is written later,
//!   and it blocks no writer.
//! - **Pairs come in by the million** through [`Engine::ingest`], without passing through memory or log: that is how a
//!   snapshot's data arrives.
//! - **An engine is closed when its last handle and its last snapshot are dropped.** Before that it cannot be
//!   opened a second time.
//!
//! The store has two engines: `raft` for the logs and `kv` for the data ([`keys`] says what lies where). Beside the
//! engines a store has a [`Folder`] of plain files, for the snapshots of regions on their way between stores.

mod batch;
mod cf;
mod dir_folder;
mod error;
mod folder;
pub mod keys;
mod mem;
mod mem_disk;
mod mem_folder;
mod ordmap;
mod pairs;
mod range;
#[cfg(feature = "rocksdb")]
mod rocks;

use bytes::Bytes;

pub use batch::{WriteBatch, WriteOp};
pub use cf::{Cf, UnknownCf};
pub use dir_folder::DirFolder;
pub use error::EngineError;
pub use folder::{FileReader, FileWriter, Folder};
pub use mem::MemEngine;
pub use mem_disk::{Fault, MemDisk};
pub use mem_folder::MemFolder;
pub(crate) use ordmap::{MapCursor, OrdMap, delete_range};
pub use pairs::{Pair, Pairs};
pub use range::KeyRange;
#[cfg(feature = "rocksdb")]
pub use rocks::RocksEngine;

/// The longest key that an engine takes, in bytes. With a limit there is a key above all keys, which is how
/// an engine without open-ended ranges deletes "everything from here on".
pub const MAX_KEY_LEN: usize = 8 * 1024;

/// An ordered key-value store with atomic batches and snapshots. See the [module](self) for its promises.
///
/// All methods take `&self`: the store thread writes while workers read.
pub trait Engine: Send + Sync {
    /// Carries out all operations of the batch in their order, or none. With `sync` it returns when the batch
    /// and everything written before are safe on disk.
    fn write(&self, batch: WriteBatch, sync: bool) -> Result<(), EngineError>;

    /// Returns when everything written is safe on disk.
    fn sync(&self) -> Result<(), EngineError>;

    /// Takes in pairs as if each were put, without holding more than a few of them in memory. When it returns, they are
    /// safe on disk; what was written before and not synced is not, so sync first what must not be lost while they
    /// stay.
    ///
    /// # Errors
    /// The source fails, or its keys do not ascend: nothing is taken in. Of a crash nothing is promised but that the
    /// whole can be done again.
    fn ingest(&self, cf: Cf, pairs: &mut Pairs<'_>) -> Result<(), EngineError>;

    /// The engine as it is now.
    fn snapshot(&self) -> Box<dyn Snapshot>;
}

/// An engine at one moment.
pub trait Snapshot: Send + Sync {
    /// The key's value, or `None` where the key does not exist. An empty value is a value.
    fn get(&self, cf: Cf, key: &[u8]) -> Result<Option<Bytes>, EngineError>;

    /// A cursor over the keys of the range, not yet on any of them.
    fn cursor(&self, cf: Cf, range: KeyRange) -> Box<dyn Cursor + '_>;
}

/// A position among the keys of a range: on one of them, or on none.
///
/// ```text
/// cursor.seek(b"k")?;
/// while let Some((key, value)) = cursor.entry() {
///     ...
///     cursor.next()?;
/// }
/// ```
///
/// Every move can fail, since it may have to read the disk. Keys outside the range do not exist for a cursor:
/// seeking to one goes to the nearest key inside, in the direction of the seek.
pub trait Cursor {
    /// To the smallest key that is `key` or greater.
    fn seek(&mut self, key: &[u8]) -> Result<(), EngineError>;

    /// To the greatest key that is `key` or smaller.
    fn seek_for_prev(&mut self, key: &[u8]) -> Result<(), EngineError>;

    /// To the smallest key.
    fn seek_to_first(&mut self) -> Result<(), EngineError>;

    /// To the greatest key.
    fn seek_to_last(&mut self) -> Result<(), EngineError>;

    /// To the next greater key. A cursor that is on no key stays there.
    fn next(&mut self) -> Result<(), EngineError>;

    /// To the next smaller key. A cursor that is on no key stays there.
    fn prev(&mut self) -> Result<(), EngineError>;

    /// The key that the cursor is on and its value, or `None` where it is on no key.
    fn entry(&self) -> Option<(&[u8], &[u8])>;
}
