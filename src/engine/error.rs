//! What can go wrong between the store and its disk.

use std::path::PathBuf;

use thiserror::Error;

use super::MAX_KEY_LEN;

/// Why an engine did not do what it was asked to.
///
/// None of these can be mended from inside: see [`crate::error::Error::stops_store`].
#[derive(Clone, Debug, Error)]
pub enum EngineError {
    /// The engine could not be opened: no such folder, no permission, another process has it open.
    #[error("cannot open the database in {}: {reason}", path.display())]
    Open {
        /// The folder.
        path: PathBuf,
        /// In the words of the database.
        reason: String,
    },

    /// The disk failed: a full disk, a damaged file.
    #[error("disk error: {0}")]
    Io(String),

    /// A key that is too long reached the engine. Requests are checked earlier, so this is a bug above.
    #[error("a key of {0} bytes is too long: at most {MAX_KEY_LEN} are allowed")]
    KeyTooLong(usize),

    /// The simulated machine has stopped, or this handle is from before it stopped.
    #[error("the machine has crashed")]
    Crashed,
}
