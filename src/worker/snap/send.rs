//! A snapshot leaves a store, chunk by chunk.

use prost::Message;

use super::files::name;
use super::{Permit, SnapError, SnapFiles};
use crate::engine::{EngineError, FileReader};
use crate::proto::eraftpb::MessageType;
use crate::proto::raft_serverpb::{RaftMessage, RaftSnapshotData, SnapshotCfFile, SnapshotChunk};
use crate::raftstore::{SnapFileSet, SnapKey};

/// One snapshot on its way out.
///
/// - `message` is there until the first chunk has left.
/// - `rest` are the files that have not been begun, in the order of the message; `open` is the one at hand.
pub struct SnapSender {
    files: SnapFiles,
    key: SnapKey,
    message: Option<RaftMessage>,
    rest: std::vec::IntoIter<SnapshotCfFile>,
    open: Option<Box<dyn FileReader>>,
    chunk_size: usize,
    _permit: Permit,
}

impl SnapSender {
    /// Sends the files that belong to this message. Each chunk of data has at most `chunk_size` bytes.
    ///
    /// # Errors
    /// [`SnapError::BadMessage`] if it is no message with a snapshot.
    pub fn new(
        files: SnapFiles,
        message: RaftMessage,
        chunk_size: usize,
        permit: Permit,
    ) -> Result<SnapSender, SnapError> {
        let (key, data) = describe(&message)?;
        let rest = data.meta.unwrap_or_default().cf_files.into_iter();
        Ok(SnapSender { files, key, message: Some(message), rest, open: None, chunk_size, _permit: permit })
    }

    /// The next chunk; `None` when all have been given. The first has the message and no data, every other one data of
    /// one file: at most the chunk size, and never none. Nothing is read before it is asked for.
    ///
    /// # Errors
    /// A file is gone or cannot be read. The stream then has to break, so that the receiver throws away what it has.
    pub fn next_chunk(&mut self) -> Result<Option<SnapshotChunk>, EngineError> {
        // LAB 2c BEGIN: the message; then read from the open file; then open the next one
        if let Some(message) = self.message.take() {
            return Ok(Some(SnapshotChunk { message: Some(message), ..Default::default() }));
        }
        loop {
            if let Some(file) = &mut self.open {
                let data = file.read(self.chunk_size)?;
                if !data.is_empty() {
                    return Ok(Some(SnapshotChunk { message: None, data }));
                }
            }
            let Some(file) = self.rest.next() else { return Ok(None) };
            self.open = Some(self.files.folder().open(&name(self.key, SnapFileSet::Made, &file.cf))?);
        }
        // LAB 2c END
    }

    /// Which snapshot it is.
    pub fn key(&self) -> SnapKey {
        self.key
    }
}

/// What a message says about the snapshot in it.
///
/// # Errors
/// [`SnapError::BadMessage`]
pub(super) fn describe(message: &RaftMessage) -> Result<(SnapKey, RaftSnapshotData), SnapError> {
    let m = message.message.as_ref().filter(|m| m.msg_type() == MessageType::MsgSnapshot);
    let snapshot = m.and_then(|m| m.snapshot.as_ref());
    let snapshot = snapshot.ok_or(SnapError::BadMessage("there is none in the message"))?;
    if message.to_peer.is_none() {
        return Err(SnapError::BadMessage("it is for nobody"));
    }
    let key = SnapKey::of(message.region_id, snapshot)
        .ok_or(SnapError::BadMessage("it does not say which entry it ends with"))?;
    let data = RaftSnapshotData::decode(snapshot.data.clone())
        .map_err(|_| SnapError::BadMessage("it does not say which files belong to it"))?;
    Ok((key, data))
}
