//! A folder of the operating system.

use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::{EngineError, FileReader, FileWriter, Folder};

/// A folder of a real disk.
pub struct DirFolder {
    path: PathBuf,
}

impl DirFolder {
    /// Opens the folder, and makes it if it is missing.
    pub fn open(path: impl AsRef<Path>) -> Result<DirFolder, EngineError> {
        let path = path.as_ref().to_path_buf();
        match fs::create_dir_all(&path) {
            Ok(()) => Ok(DirFolder { path }),
            Err(error) => Err(EngineError::Open { path, reason: error.to_string() }),
        }
    }

    fn failed(&self, what: &str, name: &str, error: &io::Error) -> EngineError {
        EngineError::Io(format!("cannot {what} {}: {error}", self.path.join(name).display()))
    }
}

impl Folder for DirFolder {
    fn create(&self, name: &str) -> Result<Box<dyn FileWriter>, EngineError> {
        // A new file, and not the old one cut to nothing: somebody may be reading that.
        self.remove(name)?;
        let file = File::create_new(self.path.join(name)).map_err(|e| self.failed("create", name, &e))?;
        Ok(Box::new(DirFile { file }))
    }

    fn open(&self, name: &str) -> Result<Box<dyn FileReader>, EngineError> {
        let file = File::open(self.path.join(name)).map_err(|e| self.failed("open", name, &e))?;
        Ok(Box::new(DirFile { file }))
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), EngineError> {
        let renamed = fs::rename(self.path.join(from), self.path.join(to));
        // The name is an entry of the folder: it is safe when the folder is.
        let synced = renamed.and_then(|()| File::open(&self.path)?.sync_all());
        synced.map_err(|e| self.failed("rename", from, &e))
    }

    fn remove(&self, name: &str) -> Result<(), EngineError> {
        match fs::remove_file(self.path.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(self.failed("remove", name, &error)),
            _ => Ok(()),
        }
    }

    fn list(&self) -> Result<Vec<String>, EngineError> {
        let failed = |e: io::Error| self.failed("list", "", &e);
        let mut names = Vec::new();
        for entry in fs::read_dir(&self.path).map_err(failed)? {
            let entry = entry.map_err(failed)?;
            if entry.file_type().map_err(failed)?.is_file() {
                // A name that is no text is none of ours.
                names.extend(entry.file_name().into_string());
            }
        }
        names.sort_unstable();
        Ok(names)
    }
}

struct DirFile {
    file: File,
}

impl FileWriter for DirFile {
    fn append(&mut self, data: &[u8]) -> Result<(), EngineError> {
        self.file.write_all(data).map_err(io_error)
    }

    fn sync(&mut self) -> Result<(), EngineError> {
        self.file.sync_all().map_err(io_error)
    }
}

impl FileReader for DirFile {
    fn read(&mut self, most: usize) -> Result<Bytes, EngineError> {
        let mut data = Vec::with_capacity(most);
        let read = (&mut self.file).take(most as u64).read_to_end(&mut data);
        read.map_err(io_error)?;
        Ok(data.into())
    }
}

fn io_error(error: io::Error) -> EngineError {
    EngineError::Io(error.to_string())
}
