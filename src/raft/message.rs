//! Messages between peers: how they are made, and which are not worth looking at.
//!
//! The types are those of the wire. One struct serves every kind of message; which fields a kind uses is
//! tabulated at [`Message`].

use super::RaftError;
use crate::ids::{Index, NO_PEER, PeerId, Term};
use crate::proto::eraftpb::{Message, MessageType};

/// No group holds that many elections. A peer that believed a larger term could run out of terms.
const MAX_TERM: Term = Term::MAX / 2;

/// No log gets that long. What lies behind the last index must be a number, too.
const MAX_INDEX: Index = Index::MAX / 2;

/// An otherwise empty message of this type. Sender and term are filled in when it is sent.
pub fn message(msg_type: MessageType, to: PeerId) -> Message {
    Message { msg_type: msg_type.into(), to, ..Default::default() }
}

/// True for what only the leader of a term sends: hearing it means knowing the leader.
pub fn is_from_leader(msg_type: MessageType) -> bool {
    use MessageType::{MsgAppend, MsgHeartbeat, MsgSnapshot};
    matches!(msg_type, MsgAppend | MsgHeartbeat | MsgSnapshot)
}

/// True for what a sender may send before its own disk has the state it belongs to.
///
/// A leader replicates while it writes (thesis, section 10.2.1): its appends, heartbeats and snapshots promise nothing
/// about its own disk, and it counts itself as a holder of an entry only once that entry is persisted. Proposals and
/// wishes promise nothing at all. A vote and an acknowledgement are promises that must outlive a crash. So is a request
/// for votes: its sender has voted for itself and must not forget that.
pub fn may_precede_persist(msg_type: MessageType) -> bool {
    use MessageType::{MsgAppend, MsgHeartbeat, MsgPropose, MsgSnapshot, MsgTimeoutNow, MsgTransferLeader};
    matches!(
        msg_type,
        MsgAppend | MsgHeartbeat | MsgSnapshot | MsgPropose | MsgTransferLeader | MsgTimeoutNow
    )
}

/// Refuses messages that contradict themselves, so that the rest of the code need not think of them: a
/// garbled or misdirected message must not bring a peer down. Raft does not defend against peers that lie.
pub(super) fn validate(m: &Message, id: PeerId) -> Result<(), RaftError> {
    let bad = |why: String| Err(RaftError::BadMessage { from: m.from, why });
    if m.to != id {
        return bad(format!("it is addressed to {}, and this is {id}", m.to));
    }
    if m.msg_type() == MessageType::MsgPropose {
        return Ok(());
    }
    // A wish for a leader comes in the name of the one that is wanted: it may be this peer.
    let is_wish = m.msg_type() == MessageType::MsgTransferLeader;
    if m.from == NO_PEER || (m.from == id && !is_wish) {
        return bad("a peer does not write to itself, and nobody has id 0".to_string());
    }
    if m.term == 0 || m.term > MAX_TERM {
        return bad(format!("term {} cannot be: the first is 1, and none is beyond {MAX_TERM}", m.term));
    }
    if m.log_term > m.term {
        return bad(format!("an entry of term {} cannot be known in term {}", m.log_term, m.term));
    }
    if m.msg_type() == MessageType::MsgSnapshot {
        return validate_snapshot(m);
    }
    let mut last = (m.index, m.log_term);
    for entry in &m.entries {
        if last.0.checked_add(1) != Some(entry.index) || entry.term < last.1 || entry.term > m.term {
            return bad(format!(
                "entry {} of term {} cannot follow entry {} of term {} in a message of term {}",
                entry.index, entry.term, last.0, last.1, m.term
            ));
        }
        last = (entry.index, entry.term);
    }
    Ok(())
}

fn validate_snapshot(m: &Message) -> Result<(), RaftError> {
    let metadata = m.snapshot.as_ref().and_then(|snapshot| snapshot.metadata.as_ref());
    match metadata {
        Some(last) if (1..=MAX_INDEX).contains(&last.index) && last.term > 0 && last.term <= m.term => Ok(()),
        Some(last) => {
            let why =
                format!("no snapshot of term {} ends at entry {} of term {}", m.term, last.index, last.term);
            Err(RaftError::BadMessage { from: m.from, why })
        }
        None => {
            let why = "a snapshot must say where it ends".to_string();
            Err(RaftError::BadMessage { from: m.from, why })
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::eraftpb::{Entry, Snapshot, SnapshotMetadata};

    fn append(entries: &[(u64, u64)]) -> Message {
        let entries = entries.iter().map(|&(index, term)| Entry { index, term, ..Default::default() });
        let m = message(MessageType::MsgAppend, 1);
        Message { from: 2, term: 3, index: 4, log_term: 2, entries: entries.collect(), ..m }
    }

    #[test]
    fn a_sound_append_is_accepted() {
        assert!(validate(&append(&[]), 1).is_ok());
        assert!(validate(&append(&[(5, 2), (6, 3)]), 1).is_ok());
    }

    #[test]
    fn what_no_peer_sends_is_refused() {
        let refused = |m: Message, why: &str| {
            let text = validate(&m, 1).unwrap_err().to_string();
            assert!(text.contains(why), "{text}");
        };
        refused(append(&[(6, 2)]), "entry 6");
        refused(append(&[(5, 1)]), "of term 1 cannot follow");
        refused(append(&[(5, 4)]), "of term 4 cannot follow");
        refused(Message { index: u64::MAX, ..append(&[(0, 3)]) }, "cannot follow");
        refused(Message { to: 9, ..append(&[]) }, "addressed to 9");
        refused(Message { from: 1, ..append(&[]) }, "itself");
        refused(Message { term: 0, ..append(&[]) }, "term 0");
        refused(Message { term: u64::MAX, ..append(&[]) }, "none is beyond");
        refused(Message { log_term: 4, ..append(&[]) }, "cannot be known in term 3");
    }

    #[test]
    fn a_snapshot_says_where_it_ends() {
        let ending = |index, term| {
            let metadata = Some(SnapshotMetadata { index, term, ..Default::default() });
            let snapshot = Some(Snapshot { metadata, ..Default::default() });
            Message { from: 2, term: 3, snapshot, ..message(MessageType::MsgSnapshot, 1) }
        };
        assert!(validate(&ending(9, 3), 1).is_ok());
        for (index, term) in [(0, 1), (9, 0), (9, 4), (u64::MAX, 1)] {
            assert!(validate(&ending(index, term), 1).is_err(), "{index}@{term}");
        }
        assert!(validate(&Message { snapshot: None, ..ending(9, 3) }, 1).is_err());
    }
}
