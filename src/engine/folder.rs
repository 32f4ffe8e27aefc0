//! Files beside the engines: where a snapshot's data lies between two stores.
//!
//! No path and no file handle of the operating system shows through, so the simulator can put a disk below that is
//! full when it should be, and that forgets.

use bytes::Bytes;

use super::EngineError;

/// A folder of plain files, without folders in it.
///
/// - **What is synced is safe**, under the name that it had then or was given since. What was only appended may be gone
///   after a loss of power, and a file that was never synced may be gone with its name.
/// - **A file that is open can be read to its end**, even if it is replaced or removed meanwhile.
pub trait Folder: Send + Sync {
    /// Makes an empty file, in place of the one that is there.
    fn create(&self, name: &str) -> Result<Box<dyn FileWriter>, EngineError>;

    /// Opens a file to read it from its start.
    ///
    /// # Errors
    /// Also if there is no such file.
    fn open(&self, name: &str) -> Result<Box<dyn FileReader>, EngineError>;

    /// Gives a file, which must be there, another name, in place of the file that had it. The new name is safe when
    /// this returns; whether the contents are, is up to [`FileWriter::sync`].
    fn rename(&self, from: &str, to: &str) -> Result<(), EngineError>;

    /// Removes a file, if it is there. After a loss of power it may be there again, until a rename has made the folder
    /// safe.
    fn remove(&self, name: &str) -> Result<(), EngineError>;

    /// The names of all files, in order.
    fn list(&self) -> Result<Vec<String>, EngineError>;
}

/// A file that is being written.
pub trait FileWriter: Send {
    /// Adds to the end.
    fn append(&mut self, data: &[u8]) -> Result<(), EngineError>;

    /// Returns when everything appended is safe on disk.
    fn sync(&mut self) -> Result<(), EngineError>;
}

/// A file that is being read.
pub trait FileReader: Send {
    /// The next bytes: as many as asked for, fewer at the end of the file, none behind it.
    fn read(&mut self, most: usize) -> Result<Bytes, EngineError>;
}
