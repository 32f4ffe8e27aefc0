//! What a leader knows of one follower, and how fast it may send.
//!
//! ```text
//!            becomes leader
//!                  |
//!                  v       an append is accepted
//!             +---------+ ------------------------> +-----------+
//!             |  Probe  |                           | Replicate |
//!             +---------+ <------------------------ +-----------+
//!               |     ^     an append is refused          |
//!               |     |                                   |
//!               |     | snapshot installed, or lost       |
//!               v     |                                   |
//!             +----------+ <------------------------------+
//!             | Snapshot |   its next entry is compacted
//!             +----------+
//! ```
//!
//! - **Probe**: where the two logs agree is not known yet. One append at a time; each answer says more.
//! - **Replicate**: the logs agree. Appends are pipelined: `next` moves on when they are sent, not when they
//!   are answered (thesis, section 10.2.2), as far as the window of unanswered appends allows.
//! - **Snapshot**: the entry it needs is gone; nothing is sent until the snapshot is answered (stage 2c).

use super::inflights::Inflights;
use crate::ids::Index;

/// How a leader sends to one follower. The picture is in the module's documentation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProgressState {
    /// Looking for the place where the logs agree.
    Probe,
    /// Streaming.
    Replicate,
    /// Waiting until the follower has installed the snapshot that ends at this index.
    Snapshot(Index),
}

/// A leader's view of one follower (the paper's `nextIndex` and `matchIndex`, figure 2).
///
/// - `matched < next`, always: what is known to be there need not be sent.
/// - `matched` never goes back during one leadership, and never passes what the follower acknowledged in
///   this term.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Progress {
    /// The last entry that the follower is known to hold on disk as the leader holds it.
    pub matched: Index,
    /// The next entry to send.
    pub next: Index,
    /// How to send.
    pub state: ProgressState,
    /// Probing only: an append is on its way, so wait for the answer or the next heartbeat's.
    pub probe_sent: bool,
    /// Send an append soon, even an empty one: its answer tells how far the follower really is.
    pub ask: bool,
    /// How much of the leader's commit index the follower has been told. Only to spare empty appends: what
    /// gets lost is made good by the next heartbeat.
    pub commit_sent: Index,
    /// Replicating only: the unanswered appends.
    pub inflights: Inflights,
}

impl Progress {
    /// What a new leader assumes: nothing about the follower, so it asks at the end of its own log
    /// (`next`), and goes back from there (section 5.3).
    pub fn new(next: Index, max_inflight: usize) -> Progress {
        Progress {
            matched: 0,
            next,
            state: ProgressState::Probe,
            probe_sent: false,
            ask: false,
            commit_sent: 0,
            inflights: Inflights::new(max_inflight),
        }
    }

    /// True while nothing may be sent to this follower.
    pub fn is_paused(&self) -> bool {
        match self.state {
            ProgressState::Probe => self.probe_sent,
            ProgressState::Replicate => self.inflights.is_full(),
            ProgressState::Snapshot(_) => true,
        }
    }

    /// Notes that an append with the entries `next..=last` has been sent; `last` is `next - 1` when it was
    /// empty. `commit` is the commit index it carried.
    ///
    /// After: probing, nothing more is sent until an answer; replicating, `next` is behind `last`.
    pub fn sent(&mut self, last: Index, commit: Index) {
        // LAB 2ab BEGIN: who probes waits for the answer; who replicates moves on, within the window
        self.ask = false;
        self.commit_sent = commit.min(last);
        match self.state {
            ProgressState::Probe => self.probe_sent = true,
            ProgressState::Replicate if last >= self.next => {
                self.next = last + 1;
                self.inflights.add(last);
            }
            ProgressState::Replicate | ProgressState::Snapshot(_) => {}
        }
        // LAB 2ab END
    }

    /// The follower holds everything up to `index`. Answers may come late and out of order: an old one
    /// must not lower anything.
    ///
    /// After: `matched` and `next` account for `index`; a probing follower replicates, unless the answer is an
    /// old one, from before `matched`; answered appends have left the window. Returns true if `matched` has
    /// grown.
    pub fn accepted(&mut self, index: Index) -> bool {
        // LAB 2ab BEGIN: raise matched and next, never lower them; an answered probe ends the probing
        let grown = index > self.matched;
        self.matched = self.matched.max(index);
        self.next = self.next.max(index + 1);
        match self.state {
            ProgressState::Probe if index == self.matched => self.become_replicate(),
            ProgressState::Probe | ProgressState::Snapshot(_) => {}
            ProgressState::Replicate => self.inflights.free_to(index),
        }
        grown
        // LAB 2ab END
    }

    /// The follower refused an append whose previous entry was `rejected`, and says that its log may agree
    /// with the leader's up to `hint`. Late refusals of appends that have been made good since are ignored.
    ///
    /// After: the follower is probed from `hint + 1` on, never at or below `matched`. Returns false if the
    /// refusal was an old one.
    pub fn rejected(&mut self, rejected: Index, hint: Index) -> bool {
        // LAB 2ab BEGIN: is it the answer to what was sent last? then go back, but not below what is known
        let is_stale = match self.state {
            // Several appends are out: only what is known to be there contradicts the refusal.
            ProgressState::Replicate => rejected <= self.matched,
            // One append is out: it started at next.
            ProgressState::Probe => rejected != self.next - 1,
            ProgressState::Snapshot(_) => true,
        };
        if is_stale {
            return false;
        }
        self.become_probe(hint.min(rejected.saturating_sub(1)) + 1);
        true
        // LAB 2ab END
    }

    /// The follower has answered a heartbeat: it is alive, but may have missed appends, or their answers
    /// may have been lost.
    ///
    /// After: sending is possible again, and if the follower lacks something of a log that ends at
    /// `last_index`, an append goes out soon.
    pub fn heard(&mut self, last_index: Index) {
        // LAB 2ab BEGIN: do not wait for lost answers; does the follower lack anything?
        self.probe_sent = false;
        if self.inflights.is_full() {
            self.inflights.free_one();
        }
        self.ask = self.matched < last_index;
        // LAB 2ab END
    }

    /// Goes looking for the place where the logs agree, from `next` on, but not below what is known.
    pub(super) fn become_probe(&mut self, next: Index) {
        // LAB 2ab BEGIN: the window starts over; next stays behind matched
        self.state = ProgressState::Probe;
        self.next = next.max(self.matched + 1);
        self.probe_sent = false;
        self.ask = true;
        self.inflights.clear();
        // LAB 2ab END
    }

    /// Starts streaming behind what is known to be there.
    fn become_replicate(&mut self) {
        // LAB 2ab BEGIN: stream from behind matched
        self.state = ProgressState::Replicate;
        self.next = self.matched + 1;
        self.probe_sent = false;
        // LAB 2ab END
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replicating(matched: Index) -> Progress {
        let mut progress = Progress::new(matched + 1, 2);
        progress.accepted(matched);
        assert_eq!(progress.state, ProgressState::Replicate);
        progress
    }

    #[test]
    fn a_probe_waits_for_its_answer_and_then_streams() {
        let mut progress = Progress::new(5, 2);
        progress.sent(7, 0);
        assert!(progress.is_paused());
        assert_eq!(progress.next, 5, "a probe does not move on before it is answered");
        assert!(progress.accepted(7));
        assert_eq!((progress.matched, progress.next), (7, 8));
        assert!(!progress.is_paused());
    }

    #[test]
    fn streaming_stops_when_the_window_is_full() {
        let mut progress = replicating(4);
        progress.sent(5, 0);
        progress.sent(6, 0);
        assert_eq!((progress.matched, progress.next), (4, 7));
        assert!(progress.is_paused());
        progress.accepted(5);
        assert!(!progress.is_paused());
    }

    #[test]
    fn late_answers_lower_nothing() {
        let mut progress = replicating(9);
        assert!(!progress.accepted(3));
        assert!(!progress.rejected(8, 2));
        assert_eq!((progress.matched, progress.next), (9, 10));
        let mut probing = Progress::new(10, 2);
        assert!(!probing.rejected(5, 2), "the probe that is out ends at 9, not at 5");
        assert_eq!(probing.next, 10);
    }

    #[test]
    fn a_refusal_goes_back_to_the_hint_but_not_below_what_is_known() {
        let mut progress = Progress::new(10, 2);
        assert!(progress.rejected(9, 3));
        assert_eq!(progress.next, 4);
        let mut progress = replicating(6);
        progress.sent(8, 0);
        assert!(progress.rejected(8, 2));
        assert_eq!((progress.state, progress.next), (ProgressState::Probe, 7));
    }
}
