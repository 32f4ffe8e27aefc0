//! A store comes back with everything that it has told to others.

use std::collections::BTreeMap;

use raftkv::ids::{Index, PeerId, Term};
use raftkv::proto::eraftpb::MessageType;
use raftkv::proto::raft_serverpb::RaftMessage;
use raftkv::raftstore::Peer;

use super::{Disks, Invariant, Place, Verdict, check, entry_on_disk};

/// The latest promises of a peer.
#[derive(Clone, Copy, Default)]
struct Told {
    term: Term,
    /// In `term`; 0 if it told of none.
    vote: PeerId,
    /// The last entry acknowledged in `term`, and the term of that entry.
    index: Index,
    log_term: Term,
}

/// What each peer has told.
#[derive(Default)]
pub struct Restart {
    told: BTreeMap<Place, Told>,
}

impl Invariant for Restart {
    fn forget(&mut self, at: Place) {
        self.told.remove(&at);
    }

    fn rule(&self) -> &'static str {
        "a store that starts again has the term, the vote and the entries that it has told others of (figure 2, \"Persistent \
         state\"; section 5.5)"
    }

    fn on_send(&mut self, disks: &Disks<'_>, at: Place, m: &RaftMessage) -> Verdict {
        let Some(m) = &m.message else { return Ok(()) };
        let told = self.told.entry(at).or_default();
        if m.term > told.term {
            *told = Told { term: m.term, ..Told::default() };
        }
        if m.term == told.term && !m.reject {
            match m.msg_type() {
                MessageType::MsgRequestVote => told.vote = m.from,
                MessageType::MsgRequestVoteResponse => told.vote = m.to,
                MessageType::MsgAppendResponse if m.index > told.index => {
                    told.index = m.index;
                    let entry = entry_on_disk(disks.raft(), at.1, m.index);
                    told.log_term = entry.map_or(0, |entry| entry.term);
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn on_start(&mut self, _disks: &Disks<'_>, at: Place, peer: &Peer) -> Verdict {
        let told = self.told.get(&at).copied().unwrap_or_default();
        let raft = peer.node().raft();
        check(raft.term() >= told.term, || {
            format!("it has told of term {}, and comes back with term {}", told.term, raft.term())
        })?;
        if raft.term() > told.term {
            return Ok(());
        }
        check(told.vote == 0 || raft.vote() == told.vote, || {
            let now = raft.vote();
            format!(
                "it has voted for {} in term {}, and comes back with a vote for {now}",
                told.vote, told.term
            )
        })?;
        check(raft.log().last_index() >= told.index, || {
            let last = raft.log().last_index();
            format!("it has acknowledged entry {}, and comes back with a log that ends at {last}", told.index)
        })?;
        // Within a term nobody takes back what the leader of that term has sent.
        let term = raft.log().term(told.index);
        check(told.log_term == 0 || term.is_none() || term == Some(told.log_term), || {
            let (index, was, now) = (told.index, told.log_term, term.unwrap_or_default());
            format!("it has acknowledged entry {index}@{was}, and comes back with {index}@{now}")
        })
    }
}
