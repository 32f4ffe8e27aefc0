//! The files of the repository, as text.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Where nothing of ours lies: what is built, what is cached, what version control keeps.
const FOREIGN: [&str; 4] = ["target", "book", ".git", "node_modules"];

/// All text files by their path from the top, with `/` between the parts.
pub struct Repo {
    files: BTreeMap<String, String>,
    folders: BTreeSet<String>,
}

impl Repo {
    /// The repository that this crate stands in.
    pub fn here() -> Repo {
        let top = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
        let mut files = BTreeMap::new();
        walk(&top, "", &mut files);
        Repo::new(files)
    }

    /// A small repository for the tests of a rule.
    pub fn of(files: &[(&str, &str)]) -> Repo {
        Repo::new(files.iter().map(|(path, text)| (path.to_string(), text.to_string())).collect())
    }

    fn new(files: BTreeMap<String, String>) -> Repo {
        let folders = files
            .keys()
            .flat_map(|path| path.match_indices('/').map(|(i, _)| path[..i].to_string()))
            .collect();
        Repo { files, folders }
    }

    /// The files below a folder (`""` for all) whose names end like this, in order.
    pub fn files<'a>(&'a self, folder: &'a str, ending: &'a str) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.files
            .iter()
            .filter(move |(path, _)| path.starts_with(folder) && path.ends_with(ending))
            .map(|(path, text)| (path.as_str(), text.as_str()))
    }

    /// The text of one file.
    pub fn text(&self, path: &str) -> Option<&str> {
        self.files.get(path).map(String::as_str)
    }

    /// Whether there is such a file or folder.
    pub fn has(&self, path: &str) -> bool {
        let path = path.trim_end_matches('/');
        path.is_empty() || self.files.contains_key(path) || self.folders.contains(path)
    }
}

fn walk(top: &Path, folder: &str, files: &mut BTreeMap<String, String>) {
    let entries = fs::read_dir(top.join(folder)).unwrap_or_else(|e| panic!("{folder}: {e}"));
    for entry in entries {
        let entry = entry.unwrap_or_else(|e| panic!("{folder}: {e}"));
        let name = entry.file_name().into_string().expect("file names are plain text");
        let path = if folder.is_empty() { name.clone() } else { format!("{folder}/{name}") };
        if entry.path().is_dir() {
            if !FOREIGN.contains(&name.as_str()) {
                walk(top, &path, files);
            }
        } else if let Ok(text) = fs::read_to_string(entry.path()) {
            files.insert(path, text);
        }
    }
}

/// Fails with all findings at once.
///
/// # Panics
/// Where there is a finding.
pub fn assert_clean(findings: &[String]) {
    assert!(findings.is_empty(), "{} to mend:\n{}", findings.len(), findings.join("\n"));
}
