//! What can be wrong with a folder.

use std::fs;

use raftkv::engine::RocksEngine;
use raftkv_testkit::lab;
use tempfile::TempDir;

/// A folder that cannot be a database is an error with the path in it, and no panic.
#[test]
fn a_bad_folder_is_a_clear_error() {
    let _lab = lab!();
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("file");
    fs::write(&file, "not a folder").unwrap();
    for path in [file.clone(), file.join("below")] {
        let error = RocksEngine::open(&path).err().expect("there can be no database").to_string();
        let start = format!("cannot open the database in {}: ", path.display());
        assert!(error.starts_with(&start), "{error}");
    }
}

/// A damaged database is an error, not an empty one.
#[test]
fn a_damaged_database_is_not_taken_for_a_new_one() {
    let _lab = lab!();
    let folder = TempDir::new().unwrap();
    drop(RocksEngine::open(folder.path()).unwrap());
    fs::write(folder.path().join("CURRENT"), "nonsense\n").unwrap();
    assert!(RocksEngine::open(folder.path()).is_err());
}
