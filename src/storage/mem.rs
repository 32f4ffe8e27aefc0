//! A storage in memory: the worked example.
//!
//! It keeps the contract of [`Storage`] with the least that is needed for it, which leaves three questions to
//! look at:
//!
//! 1. **How do column families stay apart?** There is one map for each.
//! 2. **Why does nobody ever see half a write?** All changes of a write happen under one lock, and a reader
//!    takes its copy under the same lock: it comes before the write or after it.
//! 3. **Why does a reader stand still, and why does it block nobody?** It owns its copy and holds no lock. The
//!    copy costs nothing, however large the map is: a map here shares its nodes with its copies, and a change
//!    makes new nodes for what it touches.
//!
//! ```text
//!    before the write             after put(c)
//!
//!    storage --+                  storage ---> root'
//!              v                              /     \
//!    reader -> root               reader --> root    c'      root' is new, so is c';
//!             /    \                        /    \           a is shared by both
//!            a      c                      a      c
//! ```
//!
//! What it lacks is a disk: when it is dropped, the data is gone. That is the part of
//! [`StandaloneStorage`](super::StandaloneStorage).

use std::sync::{Mutex, MutexGuard};

use bytes::Bytes;

use super::{CompareAndSwap, Modify, Storage, StorageReader, Swapped};
use crate::engine::{Cf, Cursor, KeyRange, MapCursor, OrdMap, delete_range};
use crate::error::Error;
use crate::proto::kvrpcpb::Context;

/// One map for each column family, in the order of [`Cf::ALL`].
type Maps = [OrdMap; Cf::ALL.len()];

/// A [`Storage`] that forgets everything when it is dropped.
#[derive(Default)]
pub struct MemStorage {
    maps: Mutex<Maps>,
}

impl MemStorage {
    /// An empty storage.
    pub fn new() -> MemStorage {
        MemStorage::default()
    }

    fn lock(&self) -> MutexGuard<'_, Maps> {
        self.maps.lock().expect("nothing panics while it holds the maps")
    }
}

impl Storage for MemStorage {
    fn write(&self, _context: Option<&Context>, changes: Vec<Modify>) -> Result<(), Error> {
        // One guard for all changes: taken once per change, it would let a reader in between two of them.
        let mut maps = self.lock();
        for change in changes {
            match change {
                Modify::Put { cf, key, value } => maps[cf as usize].insert_mut(key, value),
                Modify::Delete { cf, key } => {
                    // Deleting what is not there is no error, so the answer does not matter.
                    maps[cf as usize].remove_mut(&key);
                }
                Modify::DeleteRange { cf, range } => delete_range(&mut maps[cf as usize], &range),
            }
        }
        Ok(())
    }

    fn compare_and_swap(&self, _context: Option<&Context>, swap: CompareAndSwap) -> Result<Swapped, Error> {
        // One guard for the look and the change, or a write could come between them.
        let mut maps = self.lock();
        let map = &mut maps[swap.cf as usize];
        let previous = map.get(&swap.key).cloned();
        let done = previous == swap.expected;
        if done {
            map.insert_mut(swap.key, swap.value);
        }
        Ok(Swapped { done, previous })
    }

    fn reader(&self, _context: Option<&Context>) -> Result<Box<dyn StorageReader>, Error> {
        let maps = self.lock().clone();
        Ok(Box::new(MemReader { maps }))
    }
}

/// The maps as they were when the reader was opened.
struct MemReader {
    maps: Maps,
}

impl StorageReader for MemReader {
    fn get_cf(&self, cf: Cf, key: &[u8]) -> Result<Option<Bytes>, Error> {
        // `None` is "no such key". A key with an empty value is `Some` of no bytes.
        Ok(self.maps[cf as usize].get(key).cloned())
    }

    fn iter_cf(&self, cf: Cf, range: KeyRange) -> Result<Box<dyn Cursor + '_>, Error> {
        Ok(Box::new(MapCursor::new(&self.maps[cf as usize], range)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(key: &'static str, value: &'static str) -> Modify {
        Modify::Put { cf: Cf::Default, key: key.into(), value: value.into() }
    }

    /// All pairs of the range, as text.
    fn pairs(storage: &MemStorage, range: KeyRange) -> Vec<(String, String)> {
        let reader = storage.reader(None).unwrap();
        let mut cursor = reader.iter_cf(Cf::Default, range).unwrap();
        let mut pairs = Vec::new();
        cursor.seek_to_first().unwrap();
        while let Some((key, value)) = cursor.entry() {
            pairs.push((String::from_utf8_lossy(key).into(), String::from_utf8_lossy(value).into()));
            cursor.next().unwrap();
        }
        pairs
    }

    #[test]
    fn later_changes_of_a_write_win() {
        let storage = MemStorage::new();
        let delete = Modify::Delete { cf: Cf::Default, key: "b".into() };
        storage.write(None, vec![put("a", "1"), put("b", "1"), put("a", "2"), delete]).unwrap();
        assert_eq!(pairs(&storage, KeyRange::all()), [("a".into(), "2".into())]);
    }

    #[test]
    fn column_families_stay_apart() {
        let storage = MemStorage::new();
        storage.write(None, vec![put("a", "1")]).unwrap();
        let reader = storage.reader(None).unwrap();
        assert_eq!(reader.get_cf(Cf::Default, b"a").unwrap(), Some("1".into()));
        assert_eq!(reader.get_cf(Cf::Lock, b"a").unwrap(), None);
    }

    #[test]
    fn a_reader_stands_still_and_blocks_no_write() {
        let storage = MemStorage::new();
        let before = storage.reader(None).unwrap();
        storage.write(None, vec![put("a", "")]).unwrap();
        assert_eq!(before.get_cf(Cf::Default, b"a").unwrap(), None);
        let after = storage.reader(None).unwrap();
        assert_eq!(after.get_cf(Cf::Default, b"a").unwrap(), Some("".into()), "an empty value is a value");
    }

    #[test]
    fn a_range_is_deleted_up_to_its_end() {
        let storage = MemStorage::new();
        let range = KeyRange::new("b", "d");
        let changes = ["a", "b", "c", "d"].map(|key| put(key, "1")).into_iter();
        storage
            .write(None, changes.chain([Modify::DeleteRange { cf: Cf::Default, range }]).collect())
            .unwrap();
        assert_eq!(pairs(&storage, KeyRange::all()).len(), 2);
        assert_eq!(pairs(&storage, KeyRange::new("b", "d")), []);
    }
}
