//! The files of snapshots in a store's folder.
//!
//! | name | what |
//! |---|---|
//! | `made_7_6_120_default` | the pairs of column family `default` of region 7, up to entry 120 of term 6; made here, to be sent |
//! | `received_7_6_120_3_default` | the same, received, to be loaded; copy 3, for it may come again |
//! | `received_7_6_120_3_meta` | the `RaftSnapshotData` of the snapshot: comes last, goes first, so where it is the others are complete |
//! | `temporary_...` | something that is not complete |

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use prost::Message;

use super::{PairFile, PairFileWriter};
use crate::engine::{Cf, EngineError, Folder};
use crate::proto::raft_serverpb::{RaftSnapshotData, SnapshotCfFile};
use crate::raftstore::{SnapFileSet, SnapKey};

/// The format of the files: see `pair_file.rs`. (`RaftSnapshotData::version`; TiKV's formats are numbered below this.)
pub const FORMAT: u64 = 100;

/// What the names of files begin with that are not complete.
const TEMPORARY: &str = "temporary_";

/// What all names begin with. Others in the folder are somebody else's.
const PREFIXES: [&str; 3] = ["made_", "received_", TEMPORARY];

/// The most bytes that a meta file has: a region with so many peers does not exist.
pub(super) const META_MAX: usize = 1 << 20;

/// The snapshots of one store. Clones share the folder.
#[derive(Clone)]
pub struct SnapFiles {
    folder: Arc<dyn Folder>,
    /// The number of the next copy that is received.
    next_copy: Arc<AtomicU64>,
}

impl SnapFiles {
    /// The files that a starting store finds: those of the received snapshots that it still needs
    /// ([`Store::snapshots_in_use`](crate::raftstore::Store)). All others are removed: nobody knows any more what they
    /// were for.
    pub fn open(folder: Arc<dyn Folder>, keep: &[SnapKey]) -> Result<SnapFiles, EngineError> {
        let files = SnapFiles { folder, next_copy: Arc::default() };
        let kept: Vec<String> = keep.iter().map(|key| prefix(*key, SnapFileSet::Received)).collect();
        let is_ours = |name: &str| PREFIXES.iter().any(|prefix| name.starts_with(prefix));
        files.remove_where(|name| is_ours(name) && !kept.iter().any(|prefix| name.starts_with(prefix)))?;
        let copies = files.list()?.iter().filter_map(|name| copy_of(name)).max();
        files.next_copy.store(copies.map_or(1, |copy| copy + 1), Ordering::Relaxed);
        Ok(files)
    }

    /// A new file for the pairs of one column family.
    pub fn write(&self, key: SnapKey, cf: Cf) -> Result<PairFileWriter, EngineError> {
        Ok(PairFileWriter::new(self.folder.create(&name(key, SnapFileSet::Made, cf.name()))?))
    }

    /// The files of a received snapshot, to be loaded: of the first copy that is complete, for they are all the same.
    /// (A removal that was not safe yet when the power went may leave any part of another one.)
    ///
    /// # Errors
    /// There is none.
    pub fn read(&self, key: SnapKey) -> Result<Vec<(Cf, PairFile)>, EngineError> {
        let all = prefix(key, SnapFileSet::Received);
        let names = self.folder.list()?;
        let metas = names.iter().filter(|name| name.starts_with(&all) && name.ends_with("_meta"));
        let mut failure = EngineError::Io(format!("the {key} is not here"));
        for copy in metas.filter_map(|name| copy_of(name)) {
            match self.read_copy(key, SnapFileSet::Copy(copy)) {
                Ok(files) => return Ok(files),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    fn read_copy(&self, key: SnapKey, copy: SnapFileSet) -> Result<Vec<(Cf, PairFile)>, EngineError> {
        let damaged = |why: &str| EngineError::Io(format!("the {key} is damaged: {why}"));
        let meta = self.folder.open(&name(key, copy, "meta"))?.read(META_MAX)?;
        let data = RaftSnapshotData::decode(meta).map_err(|error| damaged(&error.to_string()))?;
        let open = |file: &SnapshotCfFile| {
            let cf = Cf::parse(&file.cf).map_err(|error| damaged(&error.to_string()))?;
            let reader = self.folder.open(&name(key, copy, cf.name()))?;
            Ok((cf, PairFile::new(reader, file.size, file.checksum)))
        };
        let files = data.meta.unwrap_or_default().cf_files;
        if files.len() != Cf::DATA.len() {
            return Err(damaged("its meta file does not name its files"));
        }
        files.iter().map(open).collect()
    }

    /// Removes files of a snapshot, as far as they are there. Meta files go first: a copy with a missing file must not
    /// look complete.
    pub fn remove(&self, key: SnapKey, set: SnapFileSet) -> Result<(), EngineError> {
        let prefix = prefix(key, set);
        self.remove_where(|name| name.starts_with(&prefix) && name.ends_with("_meta"))?;
        self.remove_where(|name| name.starts_with(&prefix))
    }

    /// A number for a copy that is about to be received.
    pub(super) fn next_copy(&self) -> u64 {
        self.next_copy.fetch_add(1, Ordering::Relaxed)
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

/// What the names of these files begin with.
fn prefix(key: SnapKey, set: SnapFileSet) -> String {
    let numbers = format!("{}_{}_{}_", key.region, key.term, key.index);
    match set {
        SnapFileSet::Made => format!("made_{numbers}"),
        SnapFileSet::Received => format!("received_{numbers}"),
        SnapFileSet::Copy(copy) => format!("received_{numbers}{copy}_"),
    }
}

/// The copy to which a received file belongs.
fn copy_of(name: &str) -> Option<u64> {
    name.strip_prefix("received_")?.split('_').nth(3)?.parse().ok()
}

/// The name of one file of a snapshot.
pub(super) fn name(key: SnapKey, set: SnapFileSet, part: &str) -> String {
    prefix(key, set) + part
}

/// The name of a file that is being received, of this copy.
pub(super) fn temporary(copy: u64, part: &str) -> String {
    format!("{TEMPORARY}{copy}_{part}")
}
