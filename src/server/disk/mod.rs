//! The data directory of a server: who may use it, and what is in it.
//!
//! | name | what |
//! |---|---|
//! | `LOCK` | held by the one process that uses the directory; the system releases it when that ends, however it ends |
//! | `raftkv.toml` | whose data this is: of which kind of server |
//! | `kv/`, `raft/` | the engines of a store |
//! | `snap/` | the files of snapshots |
//! | `data/` | the engine of a standalone server, or of a scheduler |

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::engine::{Engine, EngineError, Folder};

mod measured;
#[cfg(not(feature = "rocksdb"))]
mod memory;
#[cfg(feature = "rocksdb")]
mod rocks;
#[cfg(not(feature = "rocksdb"))]
use memory as engines;
#[cfg(feature = "rocksdb")]
use rocks as engines;

pub use engines::DEFAULT_ENGINE;
pub use measured::WriteTimes;

/// The layout of the directory. A program refuses one that it does not know.
const FORMAT: u32 = 1;

/// What a server keeps its data in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum EngineKind {
    /// RocksDB, in the data directory.
    Rocksdb,
    /// Nothing but memory: what it holds goes with the process. For trying things out.
    Memory,
}

/// Whose data it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A store of a cluster.
    Store,
    /// A server that stands alone.
    Standalone,
    /// A scheduler.
    Scheduler,
}

/// Why a data directory cannot be used.
#[derive(Debug, Error)]
pub enum DirError {
    /// It cannot be made, read or written.
    #[error("the data directory {path} cannot be used: {error}")]
    Io {
        /// Which one.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },

    /// A second process would destroy what the first one writes.
    #[error(
        "the data directory {0} is in use by another process: stop that one, or give this one a directory of its own"
    )]
    InUse(PathBuf),

    /// It has data of another kind of server.
    #[error(
        "the data directory {path} has the data of a {found:?}, not of a {expected:?}: give it its own directory"
    )]
    WrongKind {
        /// Which one.
        path: PathBuf,
        /// What was to be started.
        expected: Kind,
        /// What it is.
        found: Kind,
    },

    /// It was written by a program with another layout.
    #[error("the data directory {path} has format {found}; this program knows format {FORMAT}")]
    Format {
        /// Which one.
        path: PathBuf,
        /// Its format.
        found: u32,
    },

    /// `raftkv.toml` is not what was written there.
    #[error("{path} is damaged: {reason}")]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },

    /// An engine does not open.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

#[derive(Serialize, Deserialize)]
struct Label {
    kind: Kind,
    format: u32,
}

/// A data directory that this process has to itself until it is dropped.
pub struct DataDir {
    path: PathBuf,
    engine: EngineKind,
    _lock: Option<File>,
}

impl DataDir {
    /// Takes the directory, and makes it if it is missing. With [`EngineKind::Memory`] there is none.
    ///
    /// # Errors
    /// See [`DirError`].
    pub fn open(path: &Path, kind: Kind, engine: EngineKind) -> Result<DataDir, DirError> {
        let path = path.to_path_buf();
        if engine == EngineKind::Memory {
            return Ok(DataDir { path, engine, _lock: None });
        }
        let io = |error| DirError::Io { path: path.clone(), error };
        fs::create_dir_all(&path).map_err(io)?;
        let lock = File::create(path.join("LOCK")).map_err(io)?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(DirError::InUse(path)),
            Err(TryLockError::Error(error)) => return Err(io(error)),
        }
        check_label(&path, kind)?;
        Ok(DataDir { path, engine, _lock: Some(lock) })
    }

    /// One of its engines.
    pub fn open_engine(&self, name: &str) -> Result<Arc<dyn Engine>, EngineError> {
        engines::open_engine(self.engine, &self.path, name)
    }

    /// The folder for the files of snapshots.
    pub fn open_folder(&self) -> Result<Arc<dyn Folder>, EngineError> {
        engines::open_folder(self.engine, &self.path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Is it the data of such a server? A new directory gets a label, whole or not at all.
fn check_label(dir: &Path, expected: Kind) -> Result<(), DirError> {
    let file = dir.join("raftkv.toml");
    let io = |error| DirError::Io { path: file.clone(), error };
    let damaged = |reason: String| DirError::Damaged { path: file.clone(), reason };
    match fs::read_to_string(&file) {
        Ok(text) => {
            let Label { kind: found, format } =
                toml::from_str(&text).map_err(|error| damaged(error.to_string()))?;
            if format != FORMAT {
                return Err(DirError::Format { path: dir.to_path_buf(), found: format });
            }
            if found != expected {
                return Err(DirError::WrongKind { path: dir.to_path_buf(), expected, found });
            }
            Ok(())
        }
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let label = Label { kind: expected, format: FORMAT };
            let text = toml::to_string(&label).map_err(|error| damaged(error.to_string()))?;
            let new = dir.join("raftkv.toml.new");
            let mut new_file = File::create(&new).map_err(io)?;
            std::io::Write::write_all(&mut new_file, text.as_bytes()).map_err(io)?;
            new_file.sync_all().map_err(io)?;
            fs::rename(&new, &file).map_err(io)?;
            File::open(dir).and_then(|dir| dir.sync_all()).map_err(io)
        }
        Err(error) => Err(io(error)),
    }
}
