//! Messages written by hand, and messages made readable.
//!
//! Everywhere in the kit `4@2` is the entry at index 4 of term 2; `4@2=x` also shows what it carries.

use std::fmt::Write;

use bytes::Bytes;
use prost::Message as _;
use raftkv::ids::{Index, PeerId, Term};
use raftkv::proto::eraftpb::{
    ConfChange, ConfChangeType, ConfState, Entry, EntryType, Message, MessageType, Snapshot, SnapshotMetadata,
};

/// A message in the making: `append(2, 1).term(3).after(4, 2).entries(&[3, 3]).commit(4)`.
#[derive(Clone, Debug)]
pub struct Letter(Message);

impl From<Letter> for Message {
    fn from(letter: Letter) -> Message {
        letter.0
    }
}

fn letter(msg_type: MessageType, from: PeerId, to: PeerId) -> Letter {
    Letter(Message { msg_type: msg_type.into(), from, to, ..Default::default() })
}

/// An append (AppendEntries). Without more it is empty and follows the empty log.
pub fn append(from: PeerId, to: PeerId) -> Letter {
    letter(MessageType::MsgAppend, from, to)
}

/// The answer to an append.
pub fn append_reply(from: PeerId, to: PeerId) -> Letter {
    letter(MessageType::MsgAppendResponse, from, to)
}

/// A request for a vote (RequestVote). Without more its sender has an empty log.
pub fn vote_request(from: PeerId, to: PeerId) -> Letter {
    letter(MessageType::MsgRequestVote, from, to)
}

/// A granted vote; see [`Letter::refused`].
pub fn vote_reply(from: PeerId, to: PeerId) -> Letter {
    letter(MessageType::MsgRequestVoteResponse, from, to)
}

/// A heartbeat. Without more it carries commit index 0.
pub fn heartbeat(from: PeerId, to: PeerId) -> Letter {
    letter(MessageType::MsgHeartbeat, from, to)
}

/// The answer to a heartbeat.
pub fn heartbeat_reply(from: PeerId, to: PeerId) -> Letter {
    letter(MessageType::MsgHeartbeatResponse, from, to)
}

/// A snapshot (InstallSnapshot) that ends at `index` of `term`, of a group of these voters.
pub fn snapshot(from: PeerId, to: PeerId, (index, term): (Index, Term), voters: &[PeerId]) -> Letter {
    let conf_state = Some(ConfState { voters: voters.to_vec(), ..Default::default() });
    let metadata = Some(SnapshotMetadata { conf_state, index, term });
    let mut l = letter(MessageType::MsgSnapshot, from, to);
    l.0.snapshot = Some(Snapshot { metadata, ..Default::default() });
    l
}

/// A proposal that `from` passes on for a client, one entry for each text.
pub fn proposal(from: PeerId, to: PeerId, texts: &[&str]) -> Letter {
    let mut l = letter(MessageType::MsgPropose, from, to);
    let entry = |text: &&str| Entry { data: Bytes::copy_from_slice(text.as_bytes()), ..Default::default() };
    l.0.entries = texts.iter().map(entry).collect();
    l
}

/// A proposal of changes of the group, that `from` passes on.
pub fn change_proposal(from: PeerId, to: PeerId, changes: &[ConfChange]) -> Letter {
    let mut l = letter(MessageType::MsgPropose, from, to);
    l.0.entries = changes.iter().map(|change| change_entry(0, 0, change)).collect();
    l
}

/// The leader wants the receiver for its successor.
pub fn timeout_now(from: PeerId, to: PeerId) -> Letter {
    letter(MessageType::MsgTimeoutNow, from, to)
}

/// Somebody wants `wanted` for leader, and tells the leader so.
pub fn wish(wanted: PeerId, to: PeerId) -> Letter {
    letter(MessageType::MsgTransferLeader, wanted, to)
}

/// The change that adds a member.
pub fn add_node(id: PeerId) -> ConfChange {
    ConfChange { change_type: ConfChangeType::AddNode.into(), node_id: id, ..Default::default() }
}

/// The change that removes a member.
pub fn remove_node(id: PeerId) -> ConfChange {
    ConfChange { change_type: ConfChangeType::RemoveNode.into(), node_id: id, ..Default::default() }
}

/// An entry with a change of the group. (In a proposal, index and term do not count.)
pub fn change_entry(index: Index, term: Term, change: &ConfChange) -> Entry {
    let entry_type = EntryType::EntryConfChange.into();
    Entry { entry_type, index, term, data: change.encode_to_vec().into(), ..Default::default() }
}

/// `+4`: 4 is added. `-4`: it is removed.
pub fn change_text(change: &ConfChange) -> String {
    match change.change_type() {
        ConfChangeType::AddNode => format!("+{}", change.node_id),
        ConfChangeType::RemoveNode => format!("-{}", change.node_id),
        ConfChangeType::AddLearnerNode => format!("learner {}", change.node_id),
    }
}

impl Letter {
    /// The sender's term.
    pub fn term(mut self, term: Term) -> Letter {
        self.0.term = term;
        self
    }

    /// An append: the entry before the first one it carries (prevLogIndex, prevLogTerm).
    pub fn after(mut self, index: Index, term: Term) -> Letter {
        (self.0.index, self.0.log_term) = (index, term);
        self
    }

    /// A vote request: the candidate's last entry (lastLogIndex, lastLogTerm).
    pub fn last(self, index: Index, term: Term) -> Letter {
        self.after(index, term)
    }

    /// An append: entries of these terms, numbered on from [`Letter::after`], which must come before.
    pub fn entries(mut self, terms: &[Term]) -> Letter {
        self.0.entries = entries(self.0.index + 1, terms);
        self
    }

    /// An append or a proposal: this entry comes next.
    pub fn with(mut self, entry: Entry) -> Letter {
        self.0.entries.push(entry);
        self
    }

    /// The commit index that the leader tells.
    pub fn commit(mut self, index: Index) -> Letter {
        self.0.commit = index;
        self
    }

    /// An append's answer: the log agrees with the leader's up to here.
    pub fn accepted(mut self, index: Index) -> Letter {
        self.0.index = index;
        self
    }

    /// A vote's answer: no.
    pub fn refused(mut self) -> Letter {
        self.0.reject = true;
        self
    }

    /// An append's answer: no entry `index` of the term you said. Up to `hint` (an entry of `hint_term`) the
    /// logs may agree.
    pub fn rejected(mut self, index: Index, hint: Index, hint_term: Term) -> Letter {
        self.0.reject = true;
        (self.0.index, self.0.reject_hint, self.0.log_term) = (index, hint, hint_term);
        self
    }
}

/// Entries of these terms from index `first` on. What an entry carries follows from its index and term, so
/// the same entry is the same on every node.
pub fn entries(first: Index, terms: &[Term]) -> Vec<Entry> {
    let entry = |(i, &term): (usize, &Term)| {
        let index = first + i as u64;
        Entry { index, term, data: Bytes::from(format!("e{index}t{term}")), ..Default::default() }
    };
    terms.iter().enumerate().map(entry).collect()
}

/// `4@2=x`: index, term and what the entry carries. Entries made by [`entries`] and no-ops show only `4@2`.
/// A change of the group shows as `4@2=+3` or `4@2=-3`.
pub fn entry_text(e: &Entry) -> String {
    if let (EntryType::EntryConfChange, Ok(change)) = (e.entry_type(), ConfChange::decode(e.data.clone())) {
        return format!("{}@{}={}", e.index, e.term, change_text(&change));
    }
    let data = String::from_utf8_lossy(&e.data);
    if data.is_empty() || data == format!("e{}t{}", e.index, e.term) {
        return format!("{}@{}", e.index, e.term);
    }
    let shown: String = data.chars().take(16).collect();
    let more = if shown.len() < data.len() { "..." } else { "" };
    format!("{}@{}={}{}", e.index, e.term, shown.escape_default(), more)
}

/// A log on one line, as long as it is short; a long one shows its ends.
pub fn log_text(log: &[Entry]) -> String {
    const WHOLE: usize = 12;
    let texts = |entries: &[Entry]| entries.iter().map(entry_text).collect::<Vec<_>>().join(" ");
    match log.len() {
        0..=WHOLE => texts(log),
        n => format!("{} ... {} ({n} entries)", texts(&log[..3]), texts(&log[n - 3..])),
    }
}

/// One message on one line.
pub fn message_text(m: &Message) -> String {
    let name = format!("{:?}", m.msg_type());
    let name = name.strip_prefix("Msg").unwrap_or(&name);
    let mut text = format!("{} -> {}  {name:<19} term {}", m.from, m.to, m.term);
    let more = match m.msg_type() {
        MessageType::MsgAppend => {
            format!(" after {}@{} [{}] commit {}", m.index, m.log_term, log_text(&m.entries), m.commit)
        }
        MessageType::MsgAppendResponse if m.reject => {
            format!(" REFUSED at {}, try {}@{}", m.index, m.reject_hint, m.log_term)
        }
        MessageType::MsgAppendResponse => format!(" agrees up to {}", m.index),
        MessageType::MsgRequestVote => format!(" last entry {}@{}", m.index, m.log_term),
        MessageType::MsgRequestVoteResponse if m.reject && m.commit > 0 => {
            format!(" REFUSED, {}@{} is committed", m.commit, m.log_term)
        }
        MessageType::MsgRequestVoteResponse if m.reject => " REFUSED".to_string(),
        MessageType::MsgRequestVoteResponse => " granted".to_string(),
        MessageType::MsgHeartbeat => format!(" commit {}", m.commit),
        MessageType::MsgSnapshot => {
            let last = m.snapshot.clone().unwrap_or_default().metadata.unwrap_or_default();
            format!(" up to {}@{}", last.index, last.term)
        }
        MessageType::MsgPropose => {
            let texts =
                m.entries.iter().map(|e| match (e.entry_type(), ConfChange::decode(e.data.clone())) {
                    (EntryType::EntryConfChange, Ok(change)) => change_text(&change),
                    _ => String::from_utf8_lossy(&e.data).into_owned(),
                });
            format!(" [{}]", texts.collect::<Vec<_>>().join(" "))
        }
        _ => String::new(),
    };
    write!(text, "{more}").expect("writing to a String");
    text
}
