//! Engines of a program that was built without RocksDB: what they hold goes with the process.

use std::path::Path;
use std::sync::Arc;

use super::EngineKind;
use crate::engine::{Engine, EngineError, Folder, MemDisk};

/// What a new server keeps its data in.
pub const DEFAULT_ENGINE: EngineKind = EngineKind::Memory;

/// One engine of a server, by name.
pub fn open_engine(kind: EngineKind, dir: &Path, name: &str) -> Result<Arc<dyn Engine>, EngineError> {
    match kind {
        EngineKind::Rocksdb => Err(EngineError::Open {
            path: dir.join(name),
            reason: "this program was built without RocksDB: build it with the feature `rocksdb`, or keep the data in \
                     memory with `--engine memory`"
                .to_string(),
        }),
        EngineKind::Memory => Ok(Arc::new(MemDisk::new().open(name)?)),
    }
}

/// The folder for the files of snapshots.
pub fn open_folder(_kind: EngineKind, _dir: &Path) -> Result<Arc<dyn Folder>, EngineError> {
    Ok(Arc::new(MemDisk::new().folder()))
}
