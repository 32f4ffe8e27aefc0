//! The region worker: makes snapshots of regions, and loads them.
//!
//! Its tasks are carried out in order: files are removed after whatever was scheduled before has had its use of them.

use prost::Message;

use super::snap::{PairFile, PairFileWriter, SnapFiles};
use crate::engine::{Cf, Engine, EngineError, KeyRange, Snapshot, WriteBatch};
use crate::proto::eraftpb::{self, ConfState, SnapshotMetadata};
use crate::proto::raft_serverpb::{RaftSnapshotData, SnapshotCfFile, SnapshotMeta};
use crate::raftstore::{Generate, SnapKey};

/// Writes the files of a snapshot, one for each data column family, and says in an [`eraftpb::Snapshot`] what a
/// receiver has to know: which entry it ends with, the members and the range of the region, and of each file its size
/// and its checksum.
///
/// Memory: one pair at a time, and a buffer.
///
/// # Errors
/// The data cannot be read, or the files not be written: a full disk. What was begun is removed by
/// [`SnapFiles::remove`].
pub fn generate(files: &SnapFiles, task: &Generate) -> Result<eraftpb::Snapshot, EngineError> {
    // LAB 2c BEGIN: copy_pairs for each of Cf::DATA; RaftSnapshotData; SnapshotMetadata
    let Generate { key, region, data } = task;
    let mut cf_files = Vec::new();
    for cf in Cf::DATA {
        let mut file = files.write(*key, cf)?;
        copy_pairs(&**data, cf, region.range(), &mut file)?;
        let (size, checksum) = file.finish()?;
        cf_files.push(SnapshotCfFile { cf: cf.name().to_string(), size, checksum });
    }
    let data = RaftSnapshotData {
        region: Some(region.clone()),
        file_size: cf_files.iter().map(|file| file.size).sum(),
        version: super::snap::FORMAT,
        meta: Some(SnapshotMeta { cf_files }),
        ..Default::default()
    };
    let voters = region.peers.iter().map(|peer| peer.id).collect();
    let conf_state = Some(ConfState { voters, ..Default::default() });
    let metadata = SnapshotMetadata { conf_state, index: key.index, term: key.term };
    Ok(eraftpb::Snapshot { data: data.encode_to_vec().into(), metadata: Some(metadata) })
    // LAB 2c END
}

/// Writes the pairs of a range, in order, into a file.
fn copy_pairs(
    data: &dyn Snapshot,
    cf: Cf,
    range: KeyRange,
    file: &mut PairFileWriter,
) -> Result<(), EngineError> {
    let mut cursor = data.cursor(cf, range);
    cursor.seek_to_first()?;
    while let Some((key, value)) = cursor.entry() {
        file.append(key, value)?;
        cursor.next()?;
    }
    Ok(())
}

/// Loads a received snapshot: the range holds what is in its files, and nothing else.
///
/// It may be stopped at any point, and is then done again from the start. Therefore it clears the range first, of
/// whatever is there. That is synced, so that the order holds on the disk, too: what [`Engine::ingest`] takes in is
/// safe at once.
///
/// # Errors
/// The files are not there or damaged, or the disk failed.
pub fn load(kv: &dyn Engine, files: &SnapFiles, key: SnapKey, range: &KeyRange) -> Result<(), EngineError> {
    // LAB 2c BEGIN: clear all data column families; then ingest file by file
    let mut batch = WriteBatch::new();
    Cf::DATA.into_iter().for_each(|cf| batch.delete_range(cf, range.clone()));
    kv.write(batch, true)?;
    for (cf, file) in files.read(key)? {
        let mut pairs = pairs_within(file, range);
        kv.ingest(cf, &mut pairs)?;
    }
    Ok(())
    // LAB 2c END
}

/// The pairs of a file. One that is not of the region would overwrite another region's data: it is an error.
fn pairs_within<'a>(
    file: PairFile,
    range: &'a KeyRange,
) -> impl Iterator<Item = Result<crate::engine::Pair, EngineError>> + 'a {
    file.map(move |pair| {
        let (key, value) = pair?;
        if range.contains(&key) {
            return Ok((key, value));
        }
        Err(EngineError::Io(format!(
            "the snapshot has key {}, which is not of its region",
            key.escape_ascii()
        )))
    })
}
