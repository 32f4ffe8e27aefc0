//! What can go wrong, sorted by whose business it is.
//!
//! The difference decides the exit status: a caller's mistake is 1, trouble of the grader's own is 2. What
//! is wrong with submitted code is no error at all but a verdict, and stands in the report.

use std::io;
use std::path::Path;

use crate::text;

/// A command that could not do its work. Every message is one line and says what to do.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The caller gave something that cannot be used: a folder, a file, an option.
    #[error("{0}")]
    Input(String),
    /// The grader or its machine is in trouble. Never a student's loss: nothing is graded.
    #[error("{0}")]
    Infra(String),
}

/// What the functions of this crate return.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// A caller's mistake.
    pub fn input(message: impl Into<String>) -> Error {
        Error::Input(message.into())
    }

    /// Trouble of the grader's own.
    pub fn infra(message: impl Into<String>) -> Error {
        Error::Infra(message.into())
    }

    /// A file or folder that the caller named and that cannot be used.
    pub fn input_io(path: &Path, error: &io::Error) -> Error {
        Error::Input(describe(path, error))
    }

    /// A file or folder that the grader itself needs.
    pub fn infra_io(path: &Path, error: &io::Error) -> Error {
        Error::Infra(describe(path, error))
    }

    /// The process's exit status for this error.
    pub fn exit_code(&self) -> u8 {
        match self {
            Error::Input(_) => 1,
            Error::Infra(_) => 2,
        }
    }
}

/// An I/O error in words that say what to do about it.
pub fn describe(path: &Path, error: &io::Error) -> String {
    let shown = text::path(path);
    match error.kind() {
        io::ErrorKind::NotFound => format!("{shown}: no such file or folder"),
        io::ErrorKind::PermissionDenied => format!("{shown}: permission denied"),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            format!("{shown}: the disk is full: free some space and run the command again")
        }
        io::ErrorKind::ReadOnlyFilesystem => format!("{shown}: the file system is read-only"),
        _ => format!("{shown}: {}", text::one_line(&error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_named_as_such() {
        let full = io::Error::from(io::ErrorKind::StorageFull);
        assert_eq!(
            describe(Path::new("out/grade.json"), &full),
            "out/grade.json: the disk is full: free some space and run the command again"
        );
    }
}
