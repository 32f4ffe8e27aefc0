//! What a message promises is on the disk when it leaves.

use raftkv::proto::eraftpb::MessageType;
use raftkv::proto::raft_serverpb::RaftMessage;

use super::{Disks, Invariant, Place, Verdict, check, entry_on_disk};

/// Looks at the sender's raft engine in the moment of sending: at what would be left if the power were cut now.
pub struct SavedBeforeTold;

impl Invariant for SavedBeforeTold {
    fn rule(&self) -> &'static str {
        "votes, requests for votes and acknowledgements leave when what they promise is on the disk, synced, not before (figure 2, \
         \"Persistent state\": updated on stable storage before responding to RPCs)"
    }

    fn on_send(&mut self, disks: &Disks<'_>, at: Place, m: &RaftMessage) -> Verdict {
        let Some(m) = &m.message else { return Ok(()) };
        let kind = m.msg_type();
        let promises = match kind {
            MessageType::MsgRequestVote => true,
            MessageType::MsgRequestVoteResponse | MessageType::MsgAppendResponse => !m.reject,
            _ => false,
        };
        if !promises {
            return Ok(());
        }
        let disk = disks.raft();
        let state = disks.raft_state(at.1)?;
        let saved = state.hard_state.unwrap_or_default();
        check(saved.term >= m.term, || {
            format!(
                "it sends {kind:?} of term {}, and the disk has term {}: is the hard state in the batch, and does the message leave \
                 after the write?",
                m.term, saved.term
            )
        })?;
        if saved.term > m.term {
            return Ok(());
        }
        match kind {
            MessageType::MsgAppendResponse => {
                let has_entry = entry_on_disk(disk, at.1, m.index).is_some();
                // Without an entry, a snapshot has to be there.
                let is_saved = has_entry || m.index <= disks.truncated(at.1)?;
                check(state.last_index >= m.index && is_saved, || {
                    format!(
                        "it acknowledges entry {}, and the log on the disk ends at {}",
                        m.index, state.last_index
                    )
                })
            }
            _ => {
                let candidate = if kind == MessageType::MsgRequestVote { m.from } else { m.to };
                check(saved.vote == candidate, || {
                    format!(
                        "it tells of its vote for {candidate}, and on the disk the vote is {}",
                        saved.vote
                    )
                })
            }
        }
    }
}
