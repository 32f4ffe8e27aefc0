//! A snapshot comes in, chunk by chunk.

use prost::Message;

use super::files::{FORMAT, META_MAX, name, temporary};
use super::send::describe;
use super::{Permit, SnapError, SnapFiles};
use crate::engine::{Cf, FileWriter};
use crate::proto::raft_serverpb::{RaftMessage, RaftSnapshotData, SnapshotCfFile, SnapshotChunk};
use crate::raftstore::{Event, SnapFileSet, SnapKey};

/// One snapshot on its way in. Dropping it before it is complete removes what has come.
///
/// - The files before `at` are complete, and their contents are what was announced.
/// - `open` is the file at hand, with how much of it has come.
pub struct SnapReceiver {
    files: SnapFiles,
    copy: u64,
    key: SnapKey,
    message: RaftMessage,
    data: RaftSnapshotData,
    at: usize,
    open: Option<Incoming>,
    /// Its files are the store's now.
    is_finished: bool,
    _permit: Permit,
}

/// A file that is being received.
struct Incoming {
    file: Box<dyn FileWriter>,
    received: u64,
    checksum: crc32fast::Hasher,
}

impl SnapReceiver {
    /// Begins with the first chunk.
    ///
    /// # Errors
    /// [`SnapError::BadMessage`] for a first chunk that is none.
    pub fn new(files: SnapFiles, first: SnapshotChunk, permit: Permit) -> Result<SnapReceiver, SnapError> {
        let message = first.message.ok_or(SnapError::BadMessage("the first chunk has no message"))?;
        if !first.data.is_empty() {
            return Err(SnapError::BadMessage("the first chunk has data"));
        }
        let (key, data) = describe(&message)?;
        if data.version != FORMAT {
            return Err(SnapError::BadMessage("its files are of another format"));
        }
        if data.encoded_len() > META_MAX || !data.data.is_empty() {
            return Err(SnapError::BadMessage("what it says about itself is too long"));
        }
        let listed = data.meta.iter().flat_map(|meta| &meta.cf_files);
        // Each column family once and in order: a name decides which file is overwritten.
        if !listed.clone().map(|file| &file.cf[..]).eq(Cf::DATA.map(Cf::name)) {
            return Err(SnapError::BadMessage("it needs one file for each column family, in order"));
        }
        if listed.map(|file| file.size).try_fold(0, u64::checked_add) != Some(data.file_size) {
            return Err(SnapError::BadMessage("the sizes of its files do not add up"));
        }
        let receiver = SnapReceiver {
            copy: files.next_copy(),
            files,
            key,
            message,
            data,
            at: 0,
            open: None,
            is_finished: false,
            _permit: permit,
        };
        Ok(receiver)
    }

    /// Takes in a chunk of data. Chunks come in order; where one file ends and the next begins, the sizes in the
    /// message say.
    ///
    /// After: the data is in the temporary file at hand. A file that has got all that was announced for it has been
    /// compared with its checksum, and made safe.
    ///
    /// # Errors
    /// A full disk, a wrong checksum, more data than announced: the stream is to be broken off, and the receiver
    /// dropped.
    pub fn take(&mut self, chunk: SnapshotChunk) -> Result<(), SnapError> {
        // LAB 2c BEGIN: split the chunk where a file ends; `file_at`, `open_file`, `close_file`
        let mut data = chunk.data;
        while !data.is_empty() {
            let Some(expected) = self.file_at() else {
                let (received, expected) = (self.data.file_size + data.len() as u64, self.data.file_size);
                return Err(SnapError::Size { file: self.key.to_string(), received, expected });
            };
            let mut incoming = match self.open.take() {
                Some(incoming) => incoming,
                None => self.open_file()?,
            };
            let missing = usize::try_from(expected.size - incoming.received).unwrap_or(usize::MAX);
            let part = data.split_to(missing.min(data.len()));
            incoming.checksum.update(&part);
            incoming.file.append(&part)?;
            incoming.received += part.len() as u64;
            if incoming.received < expected.size {
                self.open = Some(incoming);
            } else {
                self.close_file(incoming, &expected)?;
            }
            self.skip_empty_files()?;
        }
        Ok(())
        // LAB 2c END
    }

    /// The stream has ended. Gives the files their names, the meta file last, and returns what the store is to be told.
    ///
    /// # Errors
    /// Less has come than was announced, or the disk failed. Nothing is left of the snapshot.
    pub fn finish(mut self) -> Result<Event, SnapError> {
        // LAB 2c BEGIN: is everything there? then rename; the meta file says that the rest is complete
        self.skip_empty_files()?;
        if let Some(expected) = self.file_at() {
            let received = self.open.as_ref().map_or(0, |incoming| incoming.received);
            return Err(SnapError::Size { file: expected.cf, received, expected: expected.size });
        }
        let mut meta = self.files.folder().create(&temporary(self.copy, "meta"))?;
        meta.append(&self.data.encode_to_vec())?;
        meta.sync()?;
        for part in Cf::DATA.map(Cf::name).into_iter().chain(["meta"]) {
            let (from, to) = (temporary(self.copy, part), name(self.key, SnapFileSet::Copy(self.copy), part));
            self.files.folder().rename(&from, &to)?;
        }
        self.is_finished = true;
        Ok(Event::Snapshot { message: std::mem::take(&mut self.message), copy: self.copy })
        // LAB 2c END
    }

    /// What was announced of the file at hand; `None` when all are complete.
    fn file_at(&self) -> Option<SnapshotCfFile> {
        self.data.meta.as_ref()?.cf_files.get(self.at).cloned()
    }

    /// Begins the temporary file of the column family at hand.
    fn open_file(&self) -> Result<Incoming, SnapError> {
        let cf = self.file_at().map(|file| file.cf).unwrap_or_default();
        let file = self.files.folder().create(&temporary(self.copy, &cf))?;
        Ok(Incoming { file, received: 0, checksum: crc32fast::Hasher::new() })
    }

    /// All of the file at hand has come: is it what was sent? The next one is at hand then.
    fn close_file(&mut self, mut incoming: Incoming, expected: &SnapshotCfFile) -> Result<(), SnapError> {
        // LAB 2c BEGIN: checksum, sync
        let received = incoming.checksum.finalize();
        if received != expected.checksum {
            let (file, expected) = (expected.cf.clone(), expected.checksum);
            return Err(SnapError::Checksum { file, received, expected });
        }
        incoming.file.sync()?;
        self.at += 1;
        Ok(())
        // LAB 2c END
    }

    /// For a file without data no chunk comes.
    fn skip_empty_files(&mut self) -> Result<(), SnapError> {
        while let Some(expected) = self.file_at().filter(|file| file.size == 0 && self.open.is_none()) {
            let incoming = self.open_file()?;
            self.close_file(incoming, &expected)?;
        }
        Ok(())
    }
}

impl Drop for SnapReceiver {
    fn drop(&mut self) {
        if self.is_finished {
            return;
        }
        let parts = Cf::DATA.map(Cf::name).into_iter().chain(["meta"]);
        let removed: Vec<_> =
            parts.map(|part| self.files.folder().remove(&temporary(self.copy, part))).collect();
        let named = self.files.remove(self.key, SnapFileSet::Copy(self.copy));
        if let Err(error) = removed.into_iter().collect::<Result<(), _>>().and(named) {
            tracing::warn!(%error, "files of a broken stream stay until the store starts again");
        }
    }
}
