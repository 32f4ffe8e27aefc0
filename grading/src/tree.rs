//! A folder of source files, held in memory.
//!
//! The kit is a few megabytes, so every step (strip, overlay, mutate) is a function from files to files,
//! and the disk is touched twice: once to read, once to bring a scratch folder to the wanted content.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;
use std::thread;
use std::time::{Duration, SystemTime};

use crate::error::{Error, Result};

/// One file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct File {
    /// Its content.
    pub bytes: Vec<u8>,
    /// Whether it may be executed, as `setup` may.
    pub executable: bool,
}

/// Files by their path, which is relative and uses `/`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tree {
    /// The files.
    pub files: BTreeMap<String, File>,
}

impl Tree {
    /// Reads the given files of `root`. A path that is no regular file is left out: a kit has no links.
    pub fn read<'a>(root: &Path, paths: impl IntoIterator<Item = &'a str>) -> Result<Tree> {
        let mut tree = Tree::default();
        for path in paths {
            let full = root.join(path);
            match fs::symlink_metadata(&full) {
                Ok(meta) if meta.is_file() => {
                    let bytes = fs::read(&full).map_err(|e| Error::input_io(&full, &e))?;
                    let executable = is_executable(&meta);
                    tree.files.insert(path.to_string(), File { bytes, executable });
                }
                Ok(_) => {}
                Err(e) if e.kind() == io::ErrorKind::NotFound => {}
                Err(e) => return Err(Error::input_io(&full, &e)),
            }
        }
        Ok(tree)
    }

    /// The text of a file, where it is there and is text.
    pub fn text(&self, path: &str) -> Option<&str> {
        std::str::from_utf8(&self.files.get(path)?.bytes).ok()
    }

    /// Puts text in place of a file, or adds one.
    pub fn put(&mut self, path: &str, bytes: impl Into<Vec<u8>>) {
        let executable = self.files.get(path).is_some_and(|f| f.executable);
        self.files.insert(path.to_string(), File { bytes: bytes.into(), executable });
    }

    /// Writes every file below `root`.
    pub fn write(&self, root: &Path) -> Result<()> {
        for (path, file) in &self.files {
            write_file(&root.join(path), file).map_err(|e| Error::infra_io(&root.join(path), &e))?;
        }
        Ok(())
    }

    /// Makes `root` hold exactly these files. What is already right is not touched, so that cargo sees
    /// only true changes.
    ///
    /// Cargo tells a change by its time stamp. `built` is a file written when the last build ended: every
    /// changed file gets a later time than it, however coarse the file system's clock, or the verdict on
    /// one submission would be given to the binary of the one before.
    pub fn sync(&self, root: &Path, built: &Path) -> Result<()> {
        let fail = |path: &Path| {
            let path = path.to_path_buf();
            move |e: io::Error| Error::infra_io(&path, &e)
        };
        fs::create_dir_all(root).map_err(fail(root))?;
        let last_build = fs::metadata(built).and_then(|m| m.modified()).ok();
        let mut present = Vec::new();
        walk(root, root, &mut present).map_err(fail(root))?;
        for path in present.iter().filter(|path| !self.files.contains_key(*path)) {
            fs::remove_file(root.join(path)).map_err(fail(&root.join(path)))?;
        }
        for (path, file) in &self.files {
            let full = root.join(path);
            let regular = fs::symlink_metadata(&full).is_ok_and(|m| m.is_file());
            if regular && fs::read(&full).is_ok_and(|bytes| bytes == file.bytes) {
                continue;
            }
            write_later(&full, file, last_build).map_err(fail(&full))?;
        }
        Ok(())
    }
}

/// Notes that a build has ended, for `Tree::sync`.
pub fn stamp_build(built: &Path) -> Result<()> {
    fs::write(built, "").map_err(|e| Error::infra_io(built, &e))
}

/// Every file below `root`, sorted, without what builds and version control leave at the top.
pub fn list(root: &Path) -> Result<Vec<String>> {
    let mut out = Vec::new();
    walk(root, root, &mut out).map_err(|e| Error::input_io(root, &e))?;
    out.sort();
    Ok(out)
}

fn walk(root: &Path, dir: &Path, out: &mut Vec<String>) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let entry = entry?;
        let path = entry.path();
        let at_top = dir == root;
        if at_top && ["target", ".git", "book"].iter().any(|name| entry.file_name() == *name) {
            continue;
        }
        // A link is no folder here: it is not followed.
        if entry.file_type()?.is_dir() {
            walk(root, &path, out)?;
        } else if let Some(name) = path.strip_prefix(root).ok().and_then(Path::to_str) {
            out.push(name.to_string());
        }
    }
    Ok(())
}

fn write_file(path: &Path, file: &File) -> io::Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    // A link or a folder in the way would lead the write elsewhere.
    match fs::symlink_metadata(path) {
        Ok(meta) if meta.is_dir() => fs::remove_dir_all(path)?,
        Ok(_) => fs::remove_file(path)?,
        Err(_) => {}
    }
    fs::write(path, &file.bytes)?;
    if file.executable {
        make_executable(path)?;
    }
    Ok(())
}

fn write_later(path: &Path, file: &File, than: Option<SystemTime>) -> io::Result<()> {
    loop {
        write_file(path, file)?;
        if than.is_none_or(|than| fs::metadata(path).and_then(|m| m.modified()).is_ok_and(|at| at > than)) {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(20));
    }
}

#[cfg(unix)]
fn is_executable(meta: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    meta.permissions().mode() & 0o111 != 0
}

#[cfg(unix)]
fn make_executable(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o755))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> Tree {
        let mut tree = Tree::default();
        for (path, text) in files {
            tree.put(path, *text);
        }
        tree
    }

    #[test]
    fn a_sync_leaves_exactly_the_tree_and_touches_only_changes() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let root = dir.path().join("tree");
        let built = dir.path().join("built");
        tree(&[("a/x", "1"), ("a/y", "2"), ("z", "3")]).sync(&root, &built).expect("first");
        let kept = fs::metadata(root.join("a/x")).and_then(|m| m.modified()).expect("a time");
        stamp_build(&built).expect("a stamp");
        let wanted = tree(&[("a/x", "1"), ("a/y", "changed")]);
        wanted.sync(&root, &built).expect("second");
        let names = list(&root).expect("a list");
        assert_eq!(names, ["a/x", "a/y"]);
        assert_eq!(Tree::read(&root, names.iter().map(String::as_str)).expect("read back"), wanted);
        let time = |path: &Path| fs::metadata(path).and_then(|m| m.modified()).expect("a time");
        assert_eq!(time(&root.join("a/x")), kept, "an unchanged file keeps its time");
        assert!(time(&root.join("a/y")) > time(&built), "a changed file is later than the last build");
    }

    #[test]
    fn a_link_in_the_scratch_folder_is_replaced_not_followed() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let outside = dir.path().join("outside");
        fs::write(&outside, "precious").expect("a file");
        let root = dir.path().join("tree");
        fs::create_dir(&root).expect("a folder");
        std::os::unix::fs::symlink(&outside, root.join("f")).expect("a link");
        tree(&[("f", "new")]).sync(&root, &dir.path().join("built")).expect("a sync");
        assert_eq!(fs::read_to_string(&outside).expect("still there"), "precious");
        assert_eq!(fs::read_to_string(root.join("f")).expect("a file"), "new");
    }
}
