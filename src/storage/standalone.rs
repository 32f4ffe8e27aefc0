//! A storage on one disk, for one server alone: no Raft, no second copy.
//!
//! What is added to [`MemStorage`](super::MemStorage), the example, is that acknowledged data survives a crash.
//! The work is all in [`Engine`]: its batches are atomic, its snapshots stand still. This file says which
//! engine call keeps which promise of [`Storage`].

use std::sync::{Arc, Mutex};

use bytes::Bytes;

use super::{CompareAndSwap, Modify, Storage, StorageReader, Swapped};
use crate::engine::{Cf, Cursor, Engine, KeyRange, Snapshot, WriteBatch};
use crate::error::Error;
use crate::proto::kvrpcpb::Context;

// SOLUTION 1 BEGIN
const NOBODY_PANICS: &str = "nobody panics while writing";
// SOLUTION 1 END

/// A [`Storage`] over one engine.
///
/// - It keeps no data of its own: what is not in the engine is gone after a crash.
/// - The engine closes when the storage and its last reader are dropped, so nothing here may keep a handle on
///   it for longer.
pub struct StandaloneStorage {
    engine: Arc<dyn Engine>,
    /// Held by whoever writes, and by whoever looks and then writes: a batch is atomic, but a look before it is
    /// no part of it.
    writing: Mutex<()>,
}

impl StandaloneStorage {
    /// A storage that serves what is in the engine.
    pub fn new(engine: Arc<dyn Engine>) -> StandaloneStorage {
        StandaloneStorage { engine, writing: Mutex::new(()) }
    }
}

impl Storage for StandaloneStorage {
    /// Carries out all changes in their order, or none, whenever the machine stops.
    ///
    /// After `Ok` they survive a crash. After an error nothing more may be done for this write: it was carried
    /// out whole or not at all, and the caller must find out by reading.
    fn write(&self, _context: Option<&Context>, changes: Vec<Modify>) -> Result<(), Error> {
        // LAB 1 BEGIN: one batch, one write to the engine; think about what `sync` promises
        let _writing = self.writing.lock().expect(NOBODY_PANICS);
        let mut batch = WriteBatch::new();
        for change in changes {
            match change {
                Modify::Put { cf, key, value } => batch.put(cf, key, value),
                Modify::Delete { cf, key } => batch.delete(cf, key),
                Modify::DeleteRange { cf, range } => batch.delete_range(cf, range),
            }
        }
        self.engine.write(batch, true)?;
        Ok(())
        // LAB 1 END
    }

    /// Sets a key if it holds what the caller expects, and says what it held.
    ///
    /// Nobody else's `write` or swap comes between the look and the change. What holds for a write after `Ok` and
    /// after an error, holds here.
    fn compare_and_swap(&self, _context: Option<&Context>, swap: CompareAndSwap) -> Result<Swapped, Error> {
        // LAB 1 BEGIN: who else may write in between? Then look, compare, write
        let _writing = self.writing.lock().expect(NOBODY_PANICS);
        let previous = self.engine.snapshot().get(swap.cf, &swap.key)?;
        let done = previous == swap.expected;
        if done {
            let mut change = WriteBatch::new();
            change.put(swap.cf, swap.key, swap.value);
            self.engine.write(change, true)?;
        }
        Ok(Swapped { done, previous })
        // LAB 1 END
    }

    /// The data as it is now. The reader sees no later write, blocks none, and may outlive the storage.
    fn reader(&self, _context: Option<&Context>) -> Result<Box<dyn StorageReader>, Error> {
        // LAB 1 BEGIN: what does the engine offer that stands still?
        Ok(Box::new(StandaloneReader { snapshot: self.engine.snapshot() }))
        // LAB 1 END
    }
}

/// The engine as it was when the reader was opened.
struct StandaloneReader {
    snapshot: Box<dyn Snapshot>,
}

impl StorageReader for StandaloneReader {
    /// The key's value in this column family, or `None` where the key does not exist there.
    fn get_cf(&self, cf: Cf, key: &[u8]) -> Result<Option<Bytes>, Error> {
        // LAB 1 BEGIN: from the snapshot
        Ok(self.snapshot.get(cf, key)?)
        // LAB 1 END
    }

    /// A cursor over the keys of the range in this column family, not yet on any of them.
    fn iter_cf(&self, cf: Cf, range: KeyRange) -> Result<Box<dyn Cursor + '_>, Error> {
        // LAB 1 BEGIN: from the snapshot
        Ok(self.snapshot.cursor(cf, range))
        // LAB 1 END
    }
}
