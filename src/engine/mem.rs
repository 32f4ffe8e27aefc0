//! An engine in memory.

use std::sync::Arc;

use bytes::Bytes;

use super::mem_disk::MemDisk;
use super::ordmap::{MapCursor, OrdMap, delete_range};
use super::pairs::sorted;
use super::{Cf, Cursor, Engine, EngineError, KeyRange, Pairs, Snapshot, WriteBatch, WriteOp};

/// One map per column family, in the order of [`Cf::ALL`]. A clone shares everything, so it costs nothing.
pub(super) type Maps = [OrdMap; Cf::ALL.len()];

/// Held by an engine and its snapshots: while one of them lives, the engine counts as open.
pub(super) struct Lease;

/// The engine of tests and of the simulator. Its contents belong to a [`MemDisk`] and outlive it there.
pub struct MemEngine {
    disk: MemDisk,
    name: String,
    boot: u64,
    lease: Arc<Lease>,
}

impl MemEngine {
    /// An engine on a disk of its own, for those who need neither crashes nor a second look at the data.
    pub fn new() -> MemEngine {
        MemDisk::new().open("memory").expect("nothing on a new disk is open")
    }

    pub(super) fn new_on(disk: MemDisk, name: &str, boot: u64, lease: Arc<Lease>) -> MemEngine {
        MemEngine { disk, name: name.to_string(), boot, lease }
    }
}

impl Default for MemEngine {
    fn default() -> MemEngine {
        MemEngine::new()
    }
}

impl Engine for MemEngine {
    fn write(&self, batch: WriteBatch, sync: bool) -> Result<(), EngineError> {
        self.disk.write(&self.name, self.boot, batch, sync)
    }

    fn sync(&self) -> Result<(), EngineError> {
        self.disk.sync(&self.name, self.boot)
    }

    fn ingest(&self, cf: Cf, pairs: &mut Pairs<'_>) -> Result<(), EngineError> {
        self.disk.ingest(&self.name, self.boot, cf, &mut sorted(pairs))
    }

    fn snapshot(&self) -> Box<dyn Snapshot> {
        Box::new(MemSnapshot { maps: self.disk.maps(&self.name), _lease: self.lease.clone() })
    }
}

struct MemSnapshot {
    maps: Maps,
    _lease: Arc<Lease>,
}

/// Contents that belong to no open engine.
pub(super) fn snapshot_of(maps: Maps) -> Box<dyn Snapshot> {
    Box::new(MemSnapshot { maps, _lease: Arc::new(Lease) })
}

impl Snapshot for MemSnapshot {
    fn get(&self, cf: Cf, key: &[u8]) -> Result<Option<Bytes>, EngineError> {
        Ok(self.maps[cf as usize].get(key).cloned())
    }

    fn cursor(&self, cf: Cf, range: KeyRange) -> Box<dyn Cursor + '_> {
        Box::new(MapCursor::new(&self.maps[cf as usize], range))
    }
}

/// Carries out a batch. It cannot fail, and readers hold copies: so it is atomic.
pub(super) fn apply(maps: &mut Maps, batch: WriteBatch) {
    for op in batch.into_ops() {
        match op {
            WriteOp::Put { cf, key, value } => maps[cf as usize].insert_mut(key, value),
            WriteOp::Delete { cf, key } => {
                maps[cf as usize].remove_mut(&key);
            }
            WriteOp::DeleteRange { cf, range } => delete_range(&mut maps[cf as usize], &range),
        }
    }
}
