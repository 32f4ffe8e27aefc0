//! [`LogStorage`] in memory: the disk of the tests and the worked example for `PeerStorage` of stage 2b.

use super::storage::{LogStorage, StorageError};
use crate::ids::{Index, PeerId, Term};
use crate::proto::eraftpb::{ConfState, Entry, HardState, Snapshot, SnapshotMetadata};

/// A log in memory. What was written here counts as being on disk.
///
/// - `entries` has no gaps: entry `i` of the vector has index `truncated_index + 1 + i`.
/// - `truncated_index` and `truncated_term` are those of the last entry that was compacted away.
#[derive(Clone, Debug, Default)]
pub struct MemLogStorage {
    hard_state: HardState,
    conf_state: ConfState,
    /// The members of the group at the last entry that was compacted away: what a snapshot names.
    truncated_conf_state: ConfState,
    truncated_index: Index,
    truncated_term: Term,
    entries: Vec<Entry>,
}

impl MemLogStorage {
    /// The storage of a peer that has never run, in a group of these voters.
    pub fn new_with_voters(voters: &[PeerId]) -> MemLogStorage {
        let conf_state = ConfState { voters: voters.to_vec(), ..Default::default() };
        MemLogStorage { truncated_conf_state: conf_state.clone(), conf_state, ..Default::default() }
    }

    /// Saves entries. An entry that is there already, and all behind it, give way: a later leader's log
    /// has replaced them (section 5.3).
    ///
    /// # Panics
    /// If the entries would leave a gap, or reach into the compacted part: the caller has lost track.
    pub fn append(&mut self, entries: &[Entry]) {
        let Some(first) = entries.first() else { return };
        let next = self.truncated_index + 1 + self.entries.len() as u64;
        assert!(
            self.truncated_index < first.index && first.index <= next,
            "append at {}: the log holds {}..{next}",
            first.index,
            self.truncated_index + 1,
        );
        self.entries.truncate((first.index - self.truncated_index - 1) as usize);
        self.entries.extend_from_slice(entries);
    }

    /// Saves term, vote and commit index.
    pub fn set_hard_state(&mut self, hard_state: HardState) {
        self.hard_state = hard_state;
    }

    /// What [`MemLogStorage::set_hard_state`] saved last.
    pub fn hard_state(&self) -> &HardState {
        &self.hard_state
    }

    /// Saves the members of the group.
    pub fn set_conf_state(&mut self, conf_state: ConfState) {
        self.conf_state = conf_state;
    }

    /// Saves a snapshot in place of the log: the log is empty and begins behind it.
    pub fn apply_snapshot(&mut self, snapshot: &Snapshot) {
        let Some(metadata) = &snapshot.metadata else { return };
        self.conf_state = metadata.conf_state.clone().unwrap_or_default();
        self.truncated_conf_state = self.conf_state.clone();
        (self.truncated_index, self.truncated_term) = (metadata.index, metadata.term);
        self.entries.clear();
    }

    /// Drops the entries up to and including `index`. The state machine must have applied them, and no change of the
    /// group behind them: the snapshot, which is of this place, names the members as they are now.
    pub fn compact(&mut self, index: Index) -> Result<(), StorageError> {
        if index <= self.truncated_index {
            return Err(StorageError::Compacted(index));
        }
        let term = self.term(index)?;
        self.entries.drain(..(index - self.truncated_index) as usize);
        self.truncated_index = index;
        self.truncated_term = term;
        self.truncated_conf_state = self.conf_state.clone();
        Ok(())
    }
}

impl LogStorage for MemLogStorage {
    fn initial_state(&self) -> Result<(HardState, ConfState), StorageError> {
        Ok((self.hard_state, self.conf_state.clone()))
    }

    fn entries(&self, low: Index, high: Index) -> Result<Vec<Entry>, StorageError> {
        if low <= self.truncated_index {
            return Err(StorageError::Compacted(low));
        }
        let from = (low - self.truncated_index - 1) as usize;
        let to = (high.max(low) - self.truncated_index - 1) as usize;
        self.entries
            .get(from..to)
            .map(<[Entry]>::to_vec)
            .ok_or(StorageError::Unavailable(self.truncated_index + self.entries.len() as u64 + 1))
    }

    fn term(&self, index: Index) -> Result<Term, StorageError> {
        if index == self.truncated_index {
            return Ok(self.truncated_term);
        }
        let Some(offset) = index.checked_sub(self.truncated_index + 1) else {
            return Err(StorageError::Compacted(index));
        };
        self.entries.get(offset as usize).map(|e| e.term).ok_or(StorageError::Unavailable(index))
    }

    fn first_index(&self) -> Result<Index, StorageError> {
        Ok(self.truncated_index + 1)
    }

    fn last_index(&self) -> Result<Index, StorageError> {
        Ok(self.truncated_index + self.entries.len() as u64)
    }

    fn snapshot(&self) -> Result<Snapshot, StorageError> {
        // One that was made before the group changed does not name who needs it.
        if self.truncated_index == 0 || self.truncated_conf_state != self.conf_state {
            return Err(StorageError::SnapshotTemporarilyUnavailable);
        }
        let metadata = SnapshotMetadata {
            conf_state: Some(self.truncated_conf_state.clone()),
            index: self.truncated_index,
            term: self.truncated_term,
        };
        Ok(Snapshot { metadata: Some(metadata), ..Default::default() })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(terms: &[Term]) -> MemLogStorage {
        let mut storage = MemLogStorage::new_with_voters(&[1]);
        let entry = |(i, &term): (usize, &Term)| Entry { index: i as u64 + 1, term, ..Default::default() };
        storage.append(&terms.iter().enumerate().map(entry).collect::<Vec<_>>());
        storage
    }

    #[test]
    fn compaction_keeps_the_term_of_the_last_entry_it_dropped() {
        let mut storage = log(&[1, 1, 2, 3]);
        storage.compact(3).unwrap();
        assert_eq!((storage.first_index(), storage.last_index()), (Ok(4), Ok(4)));
        assert_eq!(storage.term(3), Ok(2));
        assert_eq!(storage.term(2), Err(StorageError::Compacted(2)));
        assert_eq!(storage.term(5), Err(StorageError::Unavailable(5)));
        assert_eq!(storage.entries(4, 5).unwrap().len(), 1);
        assert_eq!(storage.entries(3, 5), Err(StorageError::Compacted(3)));
        assert_eq!(storage.compact(3), Err(StorageError::Compacted(3)));
    }

    #[test]
    fn an_append_replaces_what_stands_from_its_first_index_on() {
        let mut storage = log(&[1, 1, 1]);
        storage.append(&[Entry { index: 2, term: 2, ..Default::default() }]);
        assert_eq!(storage.last_index(), Ok(2));
        assert_eq!((storage.term(1), storage.term(2)), (Ok(1), Ok(2)));
    }

    #[test]
    #[should_panic(expected = "append at 5")]
    fn a_gap_is_a_bug_of_the_caller() {
        log(&[1, 1]).append(&[Entry { index: 5, term: 1, ..Default::default() }]);
    }
}
