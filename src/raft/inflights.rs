//! The appends that are on their way to one follower.

use std::collections::VecDeque;

use crate::ids::Index;

/// A sliding window of unanswered appends, each known by the index of its last entry.
///
/// - Indexes are strictly ascending: appends leave in the order of the log.
/// - There are never more than the capacity: a follower that does not answer is not flooded.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Inflights {
    capacity: usize,
    last_indexes: VecDeque<Index>,
}

impl Inflights {
    /// An empty window for `capacity` appends.
    pub fn new(capacity: usize) -> Inflights {
        Inflights { capacity, last_indexes: VecDeque::new() }
    }

    /// True when the next append has to wait for an answer.
    pub fn is_full(&self) -> bool {
        self.last_indexes.len() >= self.capacity
    }

    /// How many appends are unanswered.
    pub fn len(&self) -> usize {
        self.last_indexes.len()
    }

    /// True if every append has been answered.
    pub fn is_empty(&self) -> bool {
        self.last_indexes.is_empty()
    }

    /// Notes an append that ends with entry `last`.
    pub fn add(&mut self, last: Index) {
        debug_assert!(!self.is_full() && self.last_indexes.back().is_none_or(|&newest| newest < last));
        self.last_indexes.push_back(last);
    }

    /// An answer covers every append that ends at or before `index`: answers may be lost or overtake.
    pub fn free_to(&mut self, index: Index) {
        while self.last_indexes.front().is_some_and(|&oldest| oldest <= index) {
            self.last_indexes.pop_front();
        }
    }

    /// Makes room for one append when the window is full, although nothing was answered: the follower is
    /// alive, so the answers were probably lost.
    pub fn free_one(&mut self) {
        self.last_indexes.pop_front();
    }

    /// Forgets all: the pipeline starts over.
    pub fn clear(&mut self) {
        self.last_indexes.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_frees_everything_up_to_its_index() {
        let mut window = Inflights::new(3);
        for last in [4, 6, 9] {
            window.add(last);
        }
        assert!(window.is_full());
        window.free_to(3);
        assert_eq!(window.len(), 3, "3 lies before the first append's last entry");
        window.free_to(7);
        assert_eq!(window.len(), 1, "4 and 6 are answered, 9 is not");
        window.free_to(100);
        assert!(window.is_empty());
    }
}
