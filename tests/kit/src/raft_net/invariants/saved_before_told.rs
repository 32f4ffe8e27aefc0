//! Saved before told: term, vote and entries are on disk before a message promises them (figure 2: "Updated
//! on stable storage before responding to RPCs").

use raftkv::ids::PeerId;
use raftkv::proto::eraftpb::{Message, MessageType};
use raftkv::raft::{LogStorage, Role};

use super::{Invariant, Verdict, World, check};

/// Compares each message with its sender's disk at the moment it is sent.
pub struct SavedBeforeTold;

impl Invariant for SavedBeforeTold {
    fn rule(&self) -> &'static str {
        "a node saves its term, its vote and its entries before it tells others of them: else a crash makes \
         it break its word (figure 2, persistent state)"
    }

    fn on_send(&mut self, world: &World, m: &Message) -> Verdict {
        // Proposals and wishes promise nothing.
        if matches!(m.msg_type(), MessageType::MsgPropose | MessageType::MsgTransferLeader) {
            return Ok(());
        }
        let saved = world.nodes[&m.from].hard_state();
        check(saved.term >= m.term, || {
            format!("node {} speaks in term {}, and its disk still says {}", m.from, m.term, saved.term)
        })?;
        let vote_saved = |candidate: PeerId| {
            check(saved.term > m.term || saved.vote == candidate, || {
                format!(
                    "node {} gives {candidate} its vote of term {}, and its disk has vote {}",
                    m.from, m.term, saved.vote
                )
            })
        };
        match m.msg_type() {
            MessageType::MsgRequestVote => vote_saved(m.from),
            MessageType::MsgRequestVoteResponse if !m.reject => vote_saved(m.to),
            MessageType::MsgAppendResponse if !m.reject && saved.term == m.term => entries_saved(world, m),
            _ => Ok(()),
        }
    }
}

fn entries_saved(world: &World, m: &Message) -> Verdict {
    let node = &world.nodes[&m.from];
    let disk_last = node.disk.last_index().expect("MemLogStorage does not fail");
    check(disk_last >= m.index, || {
        format!("node {} acknowledges entry {}, and its disk ends at {disk_last}", m.from, m.index)
    })?;
    // Agreeing up to an index means: with the leader's log, where that can be seen.
    let Some(leader) = world.nodes.get(&m.to).map(|n| &n.seen) else { return Ok(()) };
    if leader.role != Role::Leader || leader.term != m.term || m.index < leader.first {
        return Ok(());
    }
    let theirs = leader.entry(m.index).map(|e| e.term);
    check(theirs.is_some_and(|term| node.has_on_disk(m.index, term)), || {
        format!(
            "node {} says that its log agrees with leader {}'s up to {}; there its disk has {:?}, the leader's \
             log has {theirs:?} (terms)",
            m.from,
            m.to,
            m.index,
            node.disk.term(m.index).ok()
        )
    })
}
