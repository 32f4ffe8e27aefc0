//! Who waits for what.
//!
//! A command that is in the leader's log may still get lost: another leader may put something else in its place. Index
//! and term together name one entry for ever (Log Matching, section 5.3), so they are what a waiting command is known
//! by.

use std::collections::VecDeque;

use super::CommandId;
use crate::ids::{Index, Term};

/// A command on its way through the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Proposal {
    index: Index,
    term: Term,
    id: CommandId,
}

/// What an applied entry means for those who wait.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Settled {
    /// The command that is in this entry, if one of this peer's is.
    pub done: Option<CommandId>,
    /// Commands that will never be committed.
    pub stale: Vec<CommandId>,
}

/// The commands of one peer that wait for their answer.
///
/// - In the order in which they were proposed: neither terms nor, within a term, indexes go back.
/// - Each leaves once, so each is answered once.
#[derive(Clone, Debug, Default)]
pub struct Proposals {
    waiting: VecDeque<Proposal>,
}

impl Proposals {
    /// A command has become the entry `index` of `term`.
    pub fn push(&mut self, index: Index, term: Term, id: CommandId) {
        debug_assert!(
            self.waiting.back().is_none_or(|last| (last.term, last.index) < (term, index)),
            "one leader proposes upwards, and later terms come later"
        );
        self.waiting.push_back(Proposal { index, term, id });
    }

    /// The entry `index` of `term` is applied. Takes out everyone whose fate that decides, and no one else: the command
    /// that is this entry, and all for which no place is left in the log, at this index or behind it, by the Log
    /// Matching Property and because terms never go back along a log (sections 5.3 and 5.4).
    pub fn settle(&mut self, index: Index, term: Term) -> Settled {
        // LAB 2b BEGIN: from the front; the same index is not enough to be the same entry
        let mut settled = Settled::default();
        while let Some(first) = self.waiting.front().copied() {
            if (first.index, first.term) == (index, term) {
                settled.done = Some(first.id);
            } else if first.term < term || first.index <= index {
                settled.stale.push(first.id);
            } else {
                break;
            }
            self.waiting.pop_front();
        }
        settled
        // LAB 2b END
    }

    /// Takes out all: the peer will not learn what becomes of them.
    pub fn take_all(&mut self) -> Vec<CommandId> {
        self.waiting.drain(..).map(|proposal| proposal.id).collect()
    }

    /// A snapshot up to `index` has taken the place of the log. Takes out everyone whose command may be in it: nobody
    /// can tell any more whether it is. Who waited behind it is told by [`Proposals::settle`], now or with the next
    /// entry.
    pub fn take_covered(&mut self, index: Index) -> Vec<CommandId> {
        let is_covered = |proposal: &Proposal| proposal.index <= index;
        let covered = self.waiting.iter().filter(|p| is_covered(p)).map(|p| p.id).collect();
        self.waiting.retain(|proposal| !is_covered(proposal));
        covered
    }

    /// How many wait.
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// True where nobody waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waiting(proposals: &[(Index, Term, CommandId)]) -> Proposals {
        let mut waiting = Proposals::default();
        proposals.iter().for_each(|&(index, term, id)| waiting.push(index, term, id));
        waiting
    }

    #[test]
    fn the_entry_itself_is_done_and_later_ones_wait() {
        let mut proposals = waiting(&[(7, 2, 70), (8, 2, 80)]);
        assert_eq!(proposals.settle(6, 1), Settled::default());
        assert_eq!(proposals.settle(7, 2), Settled { done: Some(70), stale: vec![] });
        assert_eq!(proposals.len(), 1);
    }

    #[test]
    fn a_snapshot_takes_out_what_it_may_contain() {
        let mut proposals = waiting(&[(7, 2, 70), (8, 2, 80), (9, 2, 90), (8, 4, 84)]);
        assert_eq!(proposals.take_covered(8), [70, 80, 84]);
        assert_eq!(proposals.take_all(), [90]);
    }

    #[test]
    fn another_term_at_the_same_index_overtakes_all_of_the_old_term() {
        let mut proposals = waiting(&[(7, 2, 70), (8, 2, 80), (9, 4, 90)]);
        assert_eq!(proposals.settle(7, 3), Settled { done: None, stale: vec![70, 80] });
        assert_eq!(proposals.take_all(), [90]);
        assert!(proposals.is_empty());
    }
}
