//! What can be wrong with a folder.

use std::fs;

use raftkv::engine::{Cf, Engine, RocksEngine};
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

/// A process that was killed at the wrong moment leaves a second name for a file that the database uses, of the kind
/// that it takes pairs in by. The next time pairs are taken in, that file must not be written to.
#[test]
fn a_name_that_was_left_behind_is_not_written_to() {
    let _lab = lab!();
    let folder = TempDir::new().expect("a temporary folder");
    let pairs =
        |value: &'static str| (0..100_u32).map(move |n| Ok((n.to_be_bytes().to_vec().into(), value.into())));
    {
        let engine = RocksEngine::open(folder.path()).expect("a new folder");
        engine.ingest(Cf::Default, &mut pairs("old")).expect("a healthy disk");
    }
    let used = std::fs::read_dir(folder.path()).expect("the folder").flatten().map(|entry| entry.path());
    let used: Vec<_> = used.filter(|path| path.extension().is_some_and(|ending| ending == "sst")).collect();
    assert_eq!(used.len(), 1, "{used:?}");
    std::fs::hard_link(&used[0], folder.path().join("ingest-default-0.sst")).expect("a second name");
    let engine = RocksEngine::open(folder.path()).expect("it opens");
    engine.ingest(Cf::Default, &mut (0..1).map(|_| Ok(("new".into(), "1".into())))).expect("a healthy disk");
    drop(engine);
    let engine = RocksEngine::open(folder.path()).expect("its files are whole");
    let snapshot = engine.snapshot();
    for n in 0..100_u32 {
        assert_eq!(snapshot.get(Cf::Default, &n.to_be_bytes()).expect("it can be read"), Some("old".into()));
    }
}
