//! The contract of a folder of plain files, in memory and on a real disk; and what the one in memory forgets.

use raftkv::engine::{DirFolder, EngineError, Fault, Folder, MemDisk};
use raftkv_testkit::lab;

fn on_each_folder(test: impl Fn(&dyn Folder)) {
    test(&MemDisk::new().folder());
    let scratch = tempfile::tempdir().expect("a temporary folder");
    test(&DirFolder::open(scratch.path().join("new")).expect("a folder is made"));
}

fn write(folder: &dyn Folder, name: &str, parts: &[&str]) -> Result<(), EngineError> {
    let mut file = folder.create(name)?;
    parts.iter().try_for_each(|part| file.append(part.as_bytes()))?;
    file.sync()
}

fn read(folder: &dyn Folder, name: &str) -> Result<String, EngineError> {
    let data = folder.open(name)?.read(1 << 20)?;
    Ok(String::from_utf8_lossy(&data).into_owned())
}

/// What is written is read, in pieces of the size that is asked for.
#[test]
fn files_are_written_and_read() {
    let _lab = lab!();
    on_each_folder(|folder| {
        write(folder, "b", &["hello, ", "", "world"]).unwrap();
        write(folder, "a", &[]).unwrap();
        assert_eq!(folder.list().unwrap(), ["a", "b"]);
        assert_eq!(read(folder, "a").unwrap(), "");
        let mut file = folder.open("b").unwrap();
        assert_eq!(&file.read(5).unwrap()[..], b"hello");
        assert_eq!(&file.read(100).unwrap()[..], b", world", "fewer at the end");
        assert!(file.read(100).unwrap().is_empty(), "none behind it");
        assert!(folder.open("c").is_err());
    });
}

/// A file gets another name in place of the one that had it; a file is removed, or was not there.
#[test]
fn names_change() {
    let _lab = lab!();
    on_each_folder(|folder| {
        write(folder, "a", &["1"]).unwrap();
        write(folder, "b", &["2"]).unwrap();
        folder.rename("a", "b").unwrap();
        assert_eq!(
            (folder.list().unwrap(), read(folder, "b").unwrap()),
            (vec!["b".to_string()], "1".to_string())
        );
        assert!(folder.rename("a", "c").is_err(), "there is no a any more");
        folder.remove("b").unwrap();
        folder.remove("b").unwrap();
        assert!(folder.list().unwrap().is_empty());
    });
}

/// Who reads a file reads it to its end, whatever happens to its name.
#[test]
fn an_open_file_stays() {
    let _lab = lab!();
    on_each_folder(|folder| {
        for change in ["remove", "replace", "write again"] {
            write(folder, "a", &["old"]).unwrap();
            write(folder, "b", &["new"]).unwrap();
            let mut file = folder.open("a").unwrap();
            match change {
                "remove" => folder.remove("a").unwrap(),
                "replace" => folder.rename("b", "a").unwrap(),
                _ => write(folder, "a", &["newer"]).unwrap(),
            }
            assert_eq!(&file.read(100).unwrap()[..], b"old", "{change}");
        }
    });
}

/// A power cut takes what was not synced: the contents of a file, and the name of one that was never synced. A file
/// that got its name before it was synced is there, and empty: the trap that real disks have, too.
#[test]
fn a_power_cut_takes_what_is_not_synced() {
    let _lab = lab!();
    let disk = MemDisk::new();
    let folder = disk.folder();
    write(&folder, "safe", &["1"]).unwrap();
    let mut longer = folder.create("longer").unwrap();
    longer.append(b"safe").unwrap();
    longer.sync().unwrap();
    longer.append(b" and not").unwrap();
    folder.create("lost").unwrap().append(b"1").unwrap();
    folder.create("temporary").unwrap().append(b"1").unwrap();
    folder.rename("temporary", "empty").unwrap();
    disk.restart();
    assert!(folder.list().is_err(), "the old process is dead");
    assert!(longer.append(b"x").is_err());
    let folder = disk.folder();
    assert_eq!(folder.list().unwrap(), ["empty", "longer", "safe"]);
    assert_eq!(read(&folder, "longer").unwrap(), "safe");
    assert_eq!(read(&folder, "empty").unwrap(), "");
}

/// A removal is an entry of the folder, too: after a loss of power the file may be there again, until a rename has made
/// the folder safe.
#[test]
fn a_removal_may_not_last() {
    let _lab = lab!();
    let disk = MemDisk::new();
    let folder = disk.folder();
    write(&folder, "a", &["1"]).unwrap();
    folder.remove("a").unwrap();
    disk.restart();
    let folder = disk.folder();
    assert_eq!(read(&folder, "a").unwrap(), "1");
    write(&folder, "b", &["2"]).unwrap();
    folder.remove("a").unwrap();
    folder.rename("b", "c").unwrap();
    disk.restart();
    assert_eq!(disk.folder().list().unwrap(), ["c"]);
}

/// A killed process leaves what it wrote.
#[test]
fn a_killed_process_leaves_what_it_wrote() {
    let _lab = lab!();
    let disk = MemDisk::new();
    disk.folder().create("a").unwrap().append(b"1").unwrap();
    disk.restart_process();
    assert_eq!(read(&disk.folder(), "a").unwrap(), "1");
}

/// Changes count as writes, together with those of the engines, and planned faults strike here, too.
#[test]
fn faults_strike_files() {
    let _lab = lab!();
    let disk = MemDisk::new();
    let folder = disk.folder();
    let before = disk.writes();
    write(&folder, "a", &["1", "2"]).unwrap();
    assert_eq!(disk.writes(), before + 4, "a file, two pieces and a sync");
    disk.plan(disk.writes() + 3, Fault::Fail);
    assert!(matches!(write(&folder, "a", &["x", "y", "z"]), Err(EngineError::Io(_))), "the disk is full");
    assert_eq!(read(&folder, "a").unwrap(), "x");
    disk.plan(disk.writes() + 1, Fault::StopAfter);
    assert!(folder.rename("a", "b").is_err(), "the machine has stopped");
    assert_eq!(disk.struck(), 2);
    disk.restart_process();
    assert_eq!(disk.folder().list().unwrap(), ["b"], "right after the write");
}
