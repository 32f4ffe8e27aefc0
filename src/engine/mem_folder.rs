//! The files of a simulated machine.

use std::collections::BTreeMap;

use bytes::Bytes;

use super::mem_disk::MemDisk;
use super::{EngineError, FileReader, FileWriter, Folder};

/// One file.
///
/// - `current` is what is read.
/// - `synced` is what a loss of power leaves; `None` where nothing was ever synced.
/// - `named`: the folder's entry is safe, because the file was given its name by a rename.
#[derive(Clone, Debug, Default)]
pub(super) struct StoredFile {
    current: Vec<u8>,
    synced: Option<Vec<u8>>,
    named: bool,
}

/// All files of a disk.
///
/// - `removed`: names whose removal is not safe yet. A rename, which waits for the folder, makes it so.
#[derive(Clone, Debug, Default)]
pub(super) struct Files {
    named: BTreeMap<String, StoredFile>,
    removed: BTreeMap<String, StoredFile>,
}

impl Files {
    /// The power was cut: what was not synced is gone, a file that was renamed before it was synced is there and empty,
    /// and one that was removed is there again.
    pub fn lose_unsynced(&mut self) {
        for (name, file) in std::mem::take(&mut self.removed) {
            self.named.entry(name).or_insert(file);
        }
        self.named.retain(|_, file| file.synced.is_some() || file.named);
        for file in self.named.values_mut() {
            file.current = file.synced.clone().unwrap_or_default();
        }
    }

    fn rename(&mut self, from: &str, to: &str) {
        if let Some(file) = self.named.remove(from) {
            self.named.insert(to.to_string(), StoredFile { named: true, ..file });
            self.removed.clear();
        }
    }

    fn remove(&mut self, name: &str) {
        if let Some(file) = self.named.remove(name) {
            self.removed.insert(name.to_string(), file);
        }
    }
}

/// The files of a [`MemDisk`]. A change counts as a write to the disk, so planned faults strike here too.
pub struct MemFolder {
    disk: MemDisk,
    boot: u64,
}

impl MemFolder {
    pub(super) fn new_on(disk: MemDisk, boot: u64) -> MemFolder {
        MemFolder { disk, boot }
    }
}

impl Folder for MemFolder {
    fn create(&self, name: &str) -> Result<Box<dyn FileWriter>, EngineError> {
        self.disk.change_files(self.boot, |files| {
            files.named.insert(name.to_string(), StoredFile::default());
        })?;
        let (disk, boot) = (self.disk.clone(), self.boot);
        Ok(Box::new(MemWriter { disk, boot, name: name.to_string() }))
    }

    fn open(&self, name: &str) -> Result<Box<dyn FileReader>, EngineError> {
        let data = self.disk.with_files(self.boot, |files| {
            files.named.get(name).map(|file| Bytes::copy_from_slice(&file.current))
        })?;
        match data {
            Some(rest) => Ok(Box::new(MemReader { rest })),
            None => Err(EngineError::Io(format!("there is no file {name}"))),
        }
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), EngineError> {
        if !self.disk.with_files(self.boot, |files| files.named.contains_key(from))? {
            return Err(EngineError::Io(format!("there is no file {from}")));
        }
        self.disk.change_files(self.boot, |files| files.rename(from, to))
    }

    fn remove(&self, name: &str) -> Result<(), EngineError> {
        self.disk.change_files(self.boot, |files| files.remove(name))
    }

    fn list(&self) -> Result<Vec<String>, EngineError> {
        self.disk.with_files(self.boot, |files| files.named.keys().cloned().collect())
    }
}

struct MemWriter {
    disk: MemDisk,
    boot: u64,
    name: String,
}

impl MemWriter {
    fn change(&self, change: impl FnOnce(&mut StoredFile)) -> Result<(), EngineError> {
        self.disk.change_files(self.boot, |files| {
            if let Some(file) = files.named.get_mut(&self.name) {
                change(file);
            }
        })
    }
}

impl FileWriter for MemWriter {
    fn append(&mut self, data: &[u8]) -> Result<(), EngineError> {
        self.change(|file| file.current.extend_from_slice(data))
    }

    fn sync(&mut self) -> Result<(), EngineError> {
        self.change(|file| file.synced = Some(file.current.clone()))
    }
}

struct MemReader {
    rest: Bytes,
}

impl FileReader for MemReader {
    fn read(&mut self, most: usize) -> Result<Bytes, EngineError> {
        Ok(self.rest.split_to(most.min(self.rest.len())))
    }
}
