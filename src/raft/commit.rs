//! When a leader may call an entry committed (sections 5.3 and 5.4.2).

use super::quorum::majority;
use super::storage::LogStorage;
use super::{Raft, Role};
use crate::ids::{Index, Term};

/// The largest index that a majority has reached, given how far each voter is. Reorders `matched`. An
/// empty group has reached nothing: 0.
pub fn majority_index(matched: &mut [Index]) -> Index {
    // LAB 2ab BEGIN: in descending order, which position has been reached by a majority?
    if matched.is_empty() {
        return 0;
    }
    let position = majority(matched.len()) - 1;
    *matched.select_nth_unstable_by(position, |a, b| b.cmp(a)).1
    // LAB 2ab END
}

impl<S: LogStorage> Raft<S> {
    /// Raises the leader's commit index to the last entry that a majority has on disk, if that entry is of
    /// the leader's own term: an older one may still be replaced although a majority holds it (section
    /// 5.4.2, figure 8). Older entries are committed with the first of the own term behind them.
    ///
    /// After: if the commit index has grown, the followers will be told.
    pub(super) fn maybe_commit(&mut self) {
        // LAB 2ab BEGIN: what has a majority? is it of this term?
        let mut matched: Vec<Index> = self.progress.values().map(|p| p.matched).collect();
        let index = majority_index(&mut matched);
        if index > self.log.committed() && self.log.term(index) == Some(self.term) {
            self.log.commit_to(index);
            self.append_due = true;
        }
        // LAB 2ab END
    }

    /// The owner has persisted the entries up to `index`, of term `term`. It writes in the order in which
    /// entries were replaced, and reports a write before it starts another one that replaces what was written.
    ///
    /// After: the log knows it; a leader has become a holder of them, like any follower that acknowledges
    /// (it does not count itself before, so an entry is never committed on a disk that lost it).
    pub fn on_persisted(&mut self, index: Index, term: Term) {
        // LAB 2ab BEGIN idle: tell the log; then a leader's own progress
        self.log.stable_to(index, term);
        if self.role != Role::Leader {
            return;
        }
        let stabled = self.log.stabled();
        if self.progress.get_mut(&self.config.id).is_some_and(|own| own.accepted(stabled)) {
            self.maybe_commit();
        }
        // LAB 2ab END
    }

    /// The owner has applied the committed entries up to `index`.
    pub fn on_applied(&mut self, index: Index) {
        // LAB 2ab BEGIN idle: tell the log
        self.log.applied_to(index);
        // LAB 2ab END
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_majority_index_is_reached_by_a_majority_and_the_next_is_not() {
        // All vectors of up to five voters over four indexes: small enough to try every one.
        for voters in 1..=5u32 {
            for code in 0..4u64.pow(voters) {
                let matched: Vec<u64> = (0..voters).map(|i| code / 4u64.pow(i) % 4).collect();
                let index = majority_index(&mut matched.clone());
                let reached = |i: u64| matched.iter().filter(|m| **m >= i).count();
                assert!(reached(index) >= majority(matched.len()), "{matched:?} gives {index}");
                assert!(reached(index + 1) < majority(matched.len()), "{matched:?} gives only {index}");
            }
        }
        assert_eq!(majority_index(&mut []), 0);
    }
}
