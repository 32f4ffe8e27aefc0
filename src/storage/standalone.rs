//! A storage on one disk, for one server alone: no Raft, no second copy.
//!
//! What is added to [`MemStorage`](super::MemStorage), the example, is that acknowledged data survives a crash.
//! The work is all in [`Engine`]: its batches are atomic, its snapshots stand still. This file says which
//! engine call keeps which promise of [`Storage`].

use std::sync::Arc;

use bytes::Bytes;

use super::{Modify, Storage, StorageReader};
use crate::engine::{Cf, Cursor, Engine, KeyRange, Snapshot, WriteBatch};
use crate::error::Error;
use crate::proto::kvrpcpb::Context;

/// A [`Storage`] over one engine.
///
/// - It keeps no data of its own: what is not in the engine is gone after a crash.
/// - The engine closes when the storage and its last reader are dropped, so nothing here may keep a handle on
///   it for longer.
pub struct StandaloneStorage {
    engine: Arc<dyn Engine>,
}

impl StandaloneStorage {
    /// A storage that serves what is in the engine.
    pub fn new(engine: Arc<dyn Engine>) -> StandaloneStorage {
        StandaloneStorage { engine }
    }
}

impl Storage for StandaloneStorage {
    /// Carries out all changes in their order, or none, whenever the machine stops.
    ///
    /// After `Ok` they survive a crash. After an error nothing more may be done for this write: it was carried
    /// out whole or not at all, and the caller must find out by reading.
    fn write(&self, _context: Option<&Context>, changes: Vec<Modify>) -> Result<(), Error> {
        // LAB 1 BEGIN: one batch, one write to the engine; think about what `sync` promises
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
