//! The kit from which the grader runs: where it is, which files make it up.
//!
//! There are two kinds. An instructor's kit is a checkout with the reference. A student's kit was made from
//! it by `starter` and carries `labs/handed-out.txt`, the list of its files as they were handed out. Both
//! give one submission the same number, for in both the tree that is built consists of handed-out files
//! plus the editable ones of the submission, and nothing else.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::error::{Error, Result};
use crate::labs::{self, Labs};
use crate::text;
use crate::tree::{self, Tree};

/// The list of files in a student's kit.
pub const HANDED_OUT: &str = "labs/handed-out.txt";

/// A kit on disk.
#[derive(Debug)]
pub struct Kit {
    /// Its folder.
    pub root: PathBuf,
    /// Its stages.
    pub labs: Labs,
}

impl Kit {
    /// The kit at `named`, or else the one that the current folder lies in.
    pub fn find(named: Option<&Path>) -> Result<Kit> {
        let start = match named {
            Some(dir) => dir.to_path_buf(),
            None => std::env::current_dir().map_err(|e| Error::input_io(Path::new("."), &e))?,
        };
        let start = start.canonicalize().map_err(|e| Error::input_io(&start, &e))?;
        let mut up = start.ancestors().take(if named.is_some() { 1 } else { usize::MAX });
        let Some(root) = up.find(|dir| dir.join(labs::PATH).is_file() && dir.join("Cargo.toml").is_file())
        else {
            return Err(Error::input(format!(
                "{}: not a kit ({} is missing): run this in the kit's folder, or name it with --kit",
                text::path(&start),
                labs::PATH
            )));
        };
        Ok(Kit { root: root.to_path_buf(), labs: Labs::read(root)? })
    }

    /// Everything that builds and tests are made from. In a student's kit it is checked to be as handed out.
    pub fn pristine(&self) -> Result<Tree> {
        let list = self.root.join(HANDED_OUT);
        if list.exists() {
            let text = std::fs::read_to_string(&list).map_err(|e| Error::input_io(&list, &e))?;
            return self.handed_out(&text);
        }
        // New files count before they are committed; what git ignores never does.
        let paths = match self.git(&["--cached", "--others", "--exclude-standard"])? {
            Some(paths) => paths,
            None => tree::list(&self.root)?,
        };
        Tree::read(&self.root, paths.iter().map(String::as_str).filter(|path| counts(path)))
    }

    /// What a starter is made from: only files under version control, so that no private note slips in.
    pub fn tracked(&self) -> Result<Tree> {
        let paths = match self.git(&["--cached"])? {
            Some(paths) => paths,
            None => tree::list(&self.root)?,
        };
        Tree::read(&self.root, paths.iter().map(String::as_str))
    }

    /// `git ls-files`, or nothing where this is no checkout of its own.
    fn git(&self, which: &[&str]) -> Result<Option<Vec<String>>> {
        if !self.root.join(".git").exists() {
            return Ok(None);
        }
        let output = Command::new("git")
            .arg("-C")
            .arg(&self.root)
            .args(["ls-files", "-z"])
            .args(which)
            .stdin(Stdio::null())
            .output()
            .map_err(|e| {
                Error::infra(format!("git: {e}: install git, or use a copy without a .git folder"))
            })?;
        if !output.status.success() {
            let why = text::one_line(&String::from_utf8_lossy(&output.stderr));
            return Err(Error::infra(format!("git ls-files: {why}")));
        }
        let names = String::from_utf8_lossy(&output.stdout);
        Ok(Some(names.split('\0').filter(|n| labs::is_inside(n)).map(str::to_string).collect()))
    }

    fn handed_out(&self, list: &str) -> Result<Tree> {
        let listed = read_list(list)?;
        let tree = Tree::read(&self.root, listed.keys().copied().filter(|path| counts(path)))?;
        let editable = self.labs.editable();
        let mut changed = Vec::new();
        for (path, sum) in listed.iter().filter(|(path, _)| counts(path) && !editable.contains(path)) {
            match tree.files.get(*path) {
                Some(file) if format!("{:016x}", checksum(&file.bytes)) == *sum => {}
                _ => changed.push(*path),
            }
        }
        match changed.as_slice() {
            [] => Ok(tree),
            [first, rest @ ..] => {
                let more =
                    if rest.is_empty() { String::new() } else { format!(" (and {} more)", rest.len()) };
                Err(Error::input(format!(
                    "{first}{more} is not as it was handed out, and your instructor grades with the original: \
                     undo the change (only the files that {} lists as editable count)",
                    labs::PATH
                )))
            }
        }
    }
}

/// Whether a file takes part in builds and tests. Texts and recipes do not, so a student may change them.
fn counts(path: &str) -> bool {
    let mut parts = path.split('/');
    match (parts.next(), parts.next()) {
        (Some(name), None) => {
            matches!(name, "Cargo.toml" | "Cargo.lock" | "rust-toolchain.toml" | "build.rs")
        }
        (Some("labs"), Some(name)) => name == "labs.toml",
        (Some(".git" | ".ci" | "docs" | "target" | "book"), _) => false,
        _ => true,
    }
}

/// The list of a student's kit: a checksum and a path a line.
pub fn write_list(tree: &Tree) -> String {
    let mut out = String::from("# The files of this kit as they were handed out, for `just grade`.\n");
    for (path, file) in &tree.files {
        out.push_str(&format!("{:016x} {path}\n", checksum(&file.bytes)));
    }
    out
}

fn read_list(text: &str) -> Result<BTreeMap<&str, &str>> {
    let mut out = BTreeMap::new();
    for (at, line) in text.lines().enumerate().filter(|(_, line)| !line.starts_with('#')) {
        match line.split_once(' ') {
            Some((sum, path)) if labs::is_inside(path) => out.insert(path, sum),
            _ => return Err(Error::input(format!("{HANDED_OUT}:{}: not a checksum and a path", at + 1))),
        };
    }
    Ok(out)
}

/// FNV-1a: it finds a change made by mistake. Whoever changes a kit on purpose changes only what his own
/// machine says.
fn checksum(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |sum, byte| (sum ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_may_change_and_sources_count() {
        for path in
            ["Cargo.toml", "src/raft/mod.rs", "tests/kit/src/lab.rs", "labs/labs.toml", ".cargo/config.toml"]
        {
            assert!(counts(path), "{path}");
        }
        for path in ["README.md", "justfile", "labs/2a/README.md", "docs/raft.md"] {
            assert!(!counts(path), "{path}");
        }
    }

    #[test]
    fn the_list_reads_back() {
        let mut tree = Tree::default();
        tree.put("src/a b.rs", "x");
        let text = write_list(&tree);
        let list = read_list(&text).expect("its own list");
        assert_eq!(list.into_iter().collect::<Vec<_>>(), [("src/a b.rs", "af63f54c86021707")]);
        assert!(read_list("0 ../x\n").is_err());
    }
}
