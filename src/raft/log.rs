//! The replicated log of one peer, in memory, and how far it is stored, committed and applied.
//!
//! ```text
//!   truncated   applied      committed        stabled        last_index
//!       |          |             |               |               |
//!   ----+----------+-------------+---------------+---------------+--->
//!    compacted        to apply       waiting for a   not yet on
//!    (snapshot)       (next Ready)   majority        this disk
//! ```
//!
//! After a snapshot came (stage 2c), `applied` lies before `truncated` until its data is loaded: until then nothing is
//! to be applied.
//!
//! The whole log since the last compaction is kept in memory, as references to payloads that the messages
//! share: replicating never reads the disk, and log GC (stage 2c) bounds the memory.

use super::RaftError;
use super::storage::{LogStorage, StorageError};
use crate::ids::{Index, PeerId, Term};
use crate::proto::eraftpb::{Entry, Snapshot};

/// How many entries are handed out to be applied in one go. A peer that has loaded a snapshot may have many behind it.
const APPLY_AT_ONCE: u64 = 1024;

/// The log of one peer.
///
/// - `entries` has no gaps: `entries[i]` has index `truncated_index + 1 + i`.
/// - `applied <= committed <= last_index`, and `truncated_index <= committed`, `truncated_index <= stabled <=
///   last_index`.
/// - `truncated_index <= applied`, except while the data of a snapshot is being loaded.
/// - `committed` and `applied` never go back. `stabled` does, when entries that were on disk are replaced.
/// - What is committed is never replaced (section 5.4.3).
#[derive(Debug)]
pub struct RaftLog<S> {
    storage: S,
    /// The last compacted entry; its term still serves the consistency check of the entry behind it.
    pub(super) truncated_index: Index,
    pub(super) truncated_term: Term,
    pub(super) entries: Vec<Entry>,
    pub(super) committed: Index,
    applied: Index,
    pub(super) stabled: Index,
    /// What has taken the place of the log and is not saved yet.
    pub(super) snapshot: Option<Snapshot>,
}

impl<S: LogStorage> RaftLog<S> {
    /// Reads the stored log. `committed` comes from the hard state, `applied` from the state machine: it may lie before
    /// the log's first entry only if the data of a snapshot is still to be loaded.
    ///
    /// The commit index is saved without waiting for the disk, the applied one together with the data. So
    /// after a crash the state machine may be ahead; whatever it has applied was committed.
    pub fn new(storage: S, committed: Index, applied: Index) -> Result<RaftLog<S>, RaftError> {
        let first = storage.first_index()?;
        let last = storage.last_index()?;
        let truncated_index = first - 1;
        let truncated_term = storage.term(truncated_index)?;
        let entries = storage.entries(first, last + 1)?;
        let is_whole = entries.iter().map(|e| e.index).eq(first..=last)
            && entries.iter().map(|e| e.term).is_sorted()
            && entries.first().is_none_or(|e| e.term >= truncated_term);
        if !is_whole {
            let text =
                format!("what is stored as entries {first}..={last} is no log: gaps, or terms that go back");
            return Err(StorageError::Other(text).into());
        }
        let committed = committed.max(applied).max(truncated_index);
        if committed > last {
            let text = format!("the log ends at {last}, but {committed} is committed: entries are lost");
            return Err(StorageError::Other(text).into());
        }
        Ok(RaftLog {
            storage,
            truncated_index,
            truncated_term,
            entries,
            committed,
            applied,
            stabled: last,
            snapshot: None,
        })
    }

    /// The first entry that is still here.
    pub fn first_index(&self) -> Index {
        self.truncated_index + 1
    }

    /// The last entry; `first_index() - 1` when there is none.
    pub fn last_index(&self) -> Index {
        self.truncated_index + self.entries.len() as u64
    }

    /// The term of the last entry; 0 in a log that never had one.
    pub fn last_term(&self) -> Term {
        self.entries.last().map_or(self.truncated_term, |e| e.term)
    }

    /// The term of an entry; `None` where it is compacted or does not exist.
    pub fn term(&self, index: Index) -> Option<Term> {
        if index == self.truncated_index {
            return Some(self.truncated_term);
        }
        let offset = index.checked_sub(self.truncated_index + 1)?;
        self.entries.get(usize::try_from(offset).ok()?).map(|e| e.term)
    }

    /// The last entry known to be committed.
    pub fn committed(&self) -> Index {
        self.committed
    }

    /// The last entry that the state machine has applied.
    pub fn applied(&self) -> Index {
        self.applied
    }

    /// The last entry that is on this peer's disk.
    pub fn stabled(&self) -> Index {
        self.stabled
    }

    /// The entries from `low` to before `high`, as far as they are here.
    pub fn entries(&self, low: Index, high: Index) -> &[Entry] {
        let high = high.clamp(self.first_index(), self.last_index() + 1);
        let low = low.clamp(self.first_index(), high);
        &self.entries[(low - self.first_index()) as usize..(high - self.first_index()) as usize]
    }

    /// The entries that are not yet on disk.
    pub fn unstable_entries(&self) -> &[Entry] {
        self.entries(self.stabled + 1, self.last_index() + 1)
    }

    /// The next entries that are committed and not yet applied, at most `APPLY_AT_ONCE` of them: the owner has other
    /// things to do, too. None while the data of a snapshot is being loaded: they can be applied only on top of it.
    pub fn next_committed_entries(&self) -> &[Entry] {
        if self.applied < self.truncated_index {
            return &[];
        }
        self.entries(self.applied + 1, (self.committed + 1).min(self.applied + 1 + APPLY_AT_ONCE))
    }

    /// The snapshot that has taken the place of the log and is not saved yet: never, before stage 2c.
    pub fn pending_snapshot(&self) -> Option<&Snapshot> {
        self.snapshot.as_ref()
    }

    /// The disk.
    pub fn storage(&self) -> &S {
        &self.storage
    }

    /// The disk, to write to it.
    pub fn storage_mut(&mut self) -> &mut S {
        &mut self.storage
    }

    /// Appends one entry behind the last.
    pub(super) fn push(&mut self, entry: Entry) {
        debug_assert_eq!(entry.index, self.last_index() + 1, "a log has no gaps");
        debug_assert!(entry.term >= self.last_term(), "terms never go back in a log");
        self.entries.push(entry);
    }

    /// The consistency check (section 5.3): is entry `index` here, with this term? Then, by the Log
    /// Matching Property, everything before it is here too.
    ///
    /// A compacted entry was committed, and every later leader has it (Leader Completeness, section 5.4),
    /// so it matches whatever its term.
    pub(super) fn matches(&self, index: Index, term: Term) -> bool {
        // LAB 2ab BEGIN: an entry that does not exist matches nothing
        index < self.truncated_index || self.term(index) == Some(term)
        // LAB 2ab END
    }

    /// Takes over a leader's entries behind a point at which [`RaftLog::matches`] holds. They have no gaps.
    ///
    /// After: all of them are in the log. An entry that was here with the same term is left alone, together
    /// with what follows it: an old, short append must not cut off entries that are already acknowledged.
    /// From the first one that differs on, the own entries give way (section 5.3), on disk too: `stabled`
    /// says how much of the disk still counts.
    ///
    /// # Errors
    /// [`RaftError::CommittedEntryReplaced`] if the first differing entry is committed; nothing changes.
    pub(super) fn append_from_leader(&mut self, from: PeerId, entries: Vec<Entry>) -> Result<(), RaftError> {
        // LAB 2ab BEGIN: skip what matches; where does the first difference begin?
        let Some(skip) = entries.iter().position(|e| !self.matches(e.index, e.term)) else {
            return Ok(());
        };
        let Entry { index, term, .. } = entries[skip];
        if index <= self.committed {
            let ours = self.term(index).unwrap_or_default();
            return Err(RaftError::CommittedEntryReplaced { from, index, ours, theirs: term });
        }
        self.entries.truncate((index - self.first_index()) as usize);
        self.stabled = self.stabled.min(index - 1);
        self.entries.extend(entries.into_iter().skip(skip));
        Ok(())
        // LAB 2ab END
    }

    /// Where to look next when the logs differ at or before `index`: the last entry at or before it whose term is at
    /// most `term`. Entries in between belong to terms that the other log has not seen there, so they cannot match;
    /// that skips a whole term at a time (end of section 5.3). Where the log is compacted nothing is known: then it is
    /// that place, with term 0.
    pub(super) fn find_conflict_by_term(&self, index: Index, term: Term) -> (Index, Term) {
        // LAB 2ab BEGIN: go back while the own term is larger
        let mut index = index.min(self.last_index());
        loop {
            match self.term(index) {
                Some(ours) if ours > term => index -= 1,
                Some(ours) => return (index, ours),
                None => return (index, 0),
            }
        }
        // LAB 2ab END
    }

    /// Learns that everything up to `index` is committed, as far as the log reaches. Never goes back.
    pub(super) fn commit_to(&mut self, index: Index) {
        // LAB 2ab BEGIN idle: only forward, and not past the last entry
        self.committed = self.committed.max(index.min(self.last_index()));
        // LAB 2ab END
    }

    /// The entries up to `index` are on disk, if `index` still has this term. If not, they have been
    /// replaced while they were being written, and what was written does not count.
    pub(super) fn stable_to(&mut self, index: Index, term: Term) {
        // LAB 2ab BEGIN idle: only if it is still the same entry, and never back
        if self.term(index) == Some(term) {
            self.stabled = self.stabled.max(index);
        }
        // LAB 2ab END
    }

    /// The state machine has applied everything up to `index`, which must be committed. Never goes back.
    pub(super) fn applied_to(&mut self, index: Index) {
        // LAB 2ab BEGIN idle: only forward, and not past what is committed
        self.applied = self.applied.max(index.min(self.committed));
        // LAB 2ab END
    }
}
