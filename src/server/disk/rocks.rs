//! Engines that outlive the process.

use std::path::Path;
use std::sync::Arc;

use super::EngineKind;
use crate::engine::{DirFolder, Engine, EngineError, Folder, MemDisk, RocksEngine};

/// What a new server keeps its data in.
pub const DEFAULT_ENGINE: EngineKind = EngineKind::Rocksdb;

/// One engine of a server, by name.
pub fn open_engine(kind: EngineKind, dir: &Path, name: &str) -> Result<Arc<dyn Engine>, EngineError> {
    match kind {
        EngineKind::Rocksdb => Ok(Arc::new(RocksEngine::open(dir.join(name))?)),
        EngineKind::Memory => Ok(Arc::new(MemDisk::new().open(name)?)),
    }
}

/// The folder for the files of snapshots.
pub fn open_folder(kind: EngineKind, dir: &Path) -> Result<Arc<dyn Folder>, EngineError> {
    match kind {
        EngineKind::Rocksdb => Ok(Arc::new(DirFolder::open(dir.join("snap"))?)),
        EngineKind::Memory => Ok(Arc::new(MemDisk::new().folder())),
    }
}
