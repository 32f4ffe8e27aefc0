//! Writing a report to a file, whole or not at all.

use std::fs::File;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

use crate::error::{Error, Result};
use crate::report::Report;
use crate::text;

/// A JSON file to come. It is opened before grading starts, so that a bad path is found in the first second
/// and not after the last test; a reader never sees half a report.
#[derive(Debug)]
pub struct JsonFile {
    path: PathBuf,
    temp: NamedTempFile,
}

impl JsonFile {
    /// Prepares to write `path`.
    pub fn open(path: &Path) -> Result<JsonFile> {
        if std::fs::symlink_metadata(path).is_ok_and(|meta| !meta.is_file()) {
            return Err(Error::input(format!(
                "{}: not a regular file: name a file to write",
                text::path(path)
            )));
        }
        let folder = match path.parent() {
            Some(parent) if !parent.as_os_str().is_empty() => parent,
            _ => Path::new("."),
        };
        let temp = tempfile::Builder::new().prefix(".raftkv-grade-").tempfile_in(folder);
        let temp = temp.map_err(|e| Error::input_io(folder, &e))?;
        Ok(JsonFile { path: path.to_path_buf(), temp })
    }

    /// Writes the report and puts it in place.
    pub fn write(mut self, report: &Report) -> Result<()> {
        let mut text =
            serde_json::to_string_pretty(report).map_err(|e| Error::infra(format!("JSON: {e}")))?;
        text.push('\n');
        fill(self.temp.as_file_mut(), &text).map_err(|e| Error::infra_io(&self.path, &e))?;
        make_readable(self.temp.as_file()).map_err(|e| Error::infra_io(&self.path, &e))?;
        self.temp.persist(&self.path).map_err(|e| Error::infra_io(&self.path, &e.error))?;
        Ok(())
    }
}

/// With the sync, a disk that turns out to be full says so now and not to the reader.
fn fill(file: &mut File, text: &str) -> io::Result<()> {
    file.write_all(text.as_bytes())?;
    file.sync_all()
}

/// A temporary file is its owner's alone; a report is for others to read.
fn make_readable(file: &File) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    file.set_permissions(std::fs::Permissions::from_mode(0o644))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn empty() -> Report {
        Report::new("x".to_string(), 1, Vec::new(), Vec::new())
    }

    #[test]
    fn a_report_is_written_whole() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("grade.json");
        std::fs::write(&path, "old").expect("a file");
        JsonFile::open(&path).expect("a good path").write(&empty()).expect("written");
        let text = std::fs::read_to_string(&path).expect("a file");
        let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        assert_eq!(value["schema"], "raftkv-grade/1");
        assert_eq!(std::fs::read_dir(dir.path()).expect("a folder").count(), 1, "nothing is left beside it");
    }

    #[test]
    fn a_path_that_cannot_be_written_is_refused_at_once() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        for (path, wanted) in [
            (dir.path().join("no/such/grade.json"), "no such file or folder"),
            (dir.path().to_path_buf(), "not a regular file"),
            (PathBuf::from("/dev/full"), "not a regular file"),
        ] {
            let message = JsonFile::open(&path).expect_err("refused").to_string();
            assert!(message.contains(wanted) && !message.contains('\n'), "{message}");
        }
    }

    #[test]
    fn a_full_disk_is_one_clear_line() {
        let Ok(mut full) = File::options().write(true).open("/dev/full") else { return };
        let error = fill(&mut full, "text").expect_err("no space");
        let message = Error::infra_io(Path::new("grade.json"), &error).to_string();
        assert_eq!(message, "grade.json: the disk is full: free some space and run the command again");
    }
}
