//! The files of snapshots in a store's folder.
//!
//! | name | what |
//! |---|---|
//! | `made_7_6_120_default` | the pairs of column family `default` of region 7, up to entry 120 of term 6; made here, to be sent |
//! | `received_7_6_120_default` | the same, received, to be loaded |
//! | `received_7_6_120_meta` | the `RaftSnapshotData` of the snapshot; it is there if, and only if, all others are there and complete |
//! | `temporary_...` | something that is not complete |

use std::sync::Arc;

use prost::Message;

use super::{PairFile, PairFileWriter};
use crate::engine::{Cf, EngineError, Folder};
use crate::proto::raft_serverpb::{RaftSnapshotData, SnapshotCfFile};
use crate::raftstore::{Origin, SnapKey};

/// The format of the files: see `pair_file.rs`. (`RaftSnapshotData::version`; TiKV's formats are numbered below this.)
pub const FORMAT: u64 = 100;

/// What the names of files begin with that are not complete.
const TEMPORARY: &str = "temporary_";

/// The most bytes that a meta file has: a region with so many peers does not exist.
const META_MAX: usize = 1 << 20;

/// The snapshots of one store. Clones share the folder.
#[derive(Clone)]
pub struct SnapFiles {
    folder: Arc<dyn Folder>,
}

impl SnapFiles {
    /// The files that a starting store finds: those of the received snapshots that it still needs
    /// ([`Store::snapshots_in_use`](crate::raftstore::Store)). All others are removed: nobody knows any more what they were for.
    pub fn open(folder: Arc<dyn Folder>, keep: &[SnapKey]) -> Result<SnapFiles, EngineError> {
        let files = SnapFiles { folder };
        let kept: Vec<String> = keep.iter().map(|key| prefix(*key, Origin::Received)).collect();
        files.remove_where(|name| !kept.iter().any(|prefix| name.starts_with(prefix)))?;
        Ok(files)
    }

    /// A new file for the pairs of one column family.
    pub fn write(&self, key: SnapKey, cf: Cf) -> Result<PairFileWriter, EngineError> {
        Ok(PairFileWriter::new(self.folder.create(&name(key, Origin::Made, cf.name()))?))
    }

    /// The files of a received snapshot, to be loaded.
    ///
    /// # Errors
    /// It is not there, or not complete.
    pub fn read(&self, key: SnapKey) -> Result<Vec<(Cf, PairFile)>, EngineError> {
        let meta = self.folder.open(&name(key, Origin::Received, "meta"))?.read(META_MAX)?;
        let data = RaftSnapshotData::decode(meta).map_err(|e| EngineError::Io(format!("{key}: {e}")))?;
        let open = |file: &SnapshotCfFile| {
            let cf = Cf::parse(&file.cf).map_err(|error| EngineError::Io(format!("{key}: {error}")))?;
            let reader = self.folder.open(&name(key, Origin::Received, cf.name()))?;
            Ok((cf, PairFile::new(reader, file.size, file.checksum)))
        };
        data.meta.unwrap_or_default().cf_files.iter().map(open).collect()
    }

    /// Removes a snapshot, as far as it is there. The meta file goes first: a snapshot with a missing file must not look complete.
    pub fn remove(&self, key: SnapKey, origin: Origin) -> Result<(), EngineError> {
        let prefix = prefix(key, origin);
        self.folder.remove(&format!("{prefix}meta"))?;
        self.remove_where(|name| name.starts_with(&prefix))
    }

    /// The names of all files: for those who look whether something was left behind.
    pub fn list(&self) -> Result<Vec<String>, EngineError> {
        self.folder.list()
    }

    pub(super) fn folder(&self) -> &dyn Folder {
        &*self.folder
    }

    fn remove_where(&self, is_waste: impl Fn(&str) -> bool) -> Result<(), EngineError> {
        let names = self.folder.list()?;
        names.iter().filter(|name| is_waste(name)).try_for_each(|name| self.folder.remove(name))
    }
}

/// What the names of a snapshot's files begin with.
fn prefix(key: SnapKey, origin: Origin) -> String {
    let origin = match origin {
        Origin::Made => "made",
        Origin::Received => "received",
    };
    format!("{origin}_{}_{}_{}_", key.region, key.term, key.index)
}

/// The name of one file of a snapshot.
pub(super) fn name(key: SnapKey, origin: Origin, part: &str) -> String {
    prefix(key, origin) + part
}

/// The name of a file that is being received, by the `stream`-th stream since the store started.
pub(super) fn temporary(stream: u64, part: &str) -> String {
    format!("{TEMPORARY}{stream}_{part}")
}
