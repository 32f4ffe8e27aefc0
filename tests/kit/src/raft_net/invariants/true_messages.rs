//! A leader sends what its log has, and only a leader sends it (section 5.3, figure 2).

use std::collections::BTreeSet;

use raftkv::ids::{PeerId, Term};
use raftkv::proto::eraftpb::{Message, MessageType};
use raftkv::raft::{LogStorage, Role};

use super::{Invariant, Verdict, World, check};
use crate::raft_net::letter::log_text;

/// Compares each message with its sender, and remembers who has led: a leader that is removed from the group says so,
/// and is none when the message leaves.
#[derive(Default)]
pub struct TrueMessages {
    led: BTreeSet<(Term, PeerId)>,
}

impl Invariant for TrueMessages {
    fn rule(&self) -> &'static str {
        "messages are true: signed by their sender, addressed to another member; appends and heartbeats come \
         from leaders only, and an append is a piece of the leader's log (section 5.3)"
    }

    fn after_step(&mut self, world: &World, id: PeerId) -> Verdict {
        let seen = world.seen(id);
        if seen.role == Role::Leader {
            self.led.insert((seen.term, id));
        }
        Ok(())
    }

    fn on_send(&mut self, world: &World, m: &Message) -> Verdict {
        if m.msg_type() == MessageType::MsgTransferLeader {
            return Ok(()); // in the name of the one that is wanted
        }
        check(world.everybody().contains(&m.to) && m.to != m.from, || {
            format!("node {} writes to {}", m.from, m.to)
        })?;
        let leads = raftkv::raft::is_from_leader(m.msg_type());
        let seen = world.seen(m.from);
        // A message that waited for the disk may be of an earlier term: nothing to compare it with.
        if !leads || seen.term != m.term {
            return Ok(());
        }
        check(self.led.contains(&(m.term, m.from)), || {
            format!("node {} is a {:?} and sends {:?}", m.from, seen.role, m.msg_type())
        })?;
        if m.msg_type() == MessageType::MsgSnapshot {
            return is_own_snapshot(world, m);
        }
        if m.msg_type() != MessageType::MsgAppend {
            return Ok(());
        }
        let before = seen.entry(m.index).map(|e| e.term);
        check(m.index < seen.first || before == Some(m.log_term), || {
            format!(
                "node {} says in an append that its entry {} is of term {}; its log has {before:?}",
                m.from, m.index, m.log_term
            )
        })?;
        // What is compacted by the time that a message leaves cannot be compared either.
        for (index, entry) in (m.index + 1..).zip(&m.entries).filter(|(index, _)| *index >= seen.first) {
            check(seen.entry(index) == Some(entry), || {
                format!(
                    "node {} appends [{}] after {}; that is not what its log has at {index}",
                    m.from,
                    log_text(&m.entries),
                    m.index
                )
            })?;
        }
        Ok(())
    }
}

/// A snapshot is of what the sender has applied, names its term, and leaves no gap to the sender's log.
fn is_own_snapshot(world: &World, m: &Message) -> Verdict {
    let seen = world.seen(m.from);
    let last = m.snapshot.clone().unwrap_or_default().metadata.unwrap_or_default();
    let node = &world.nodes[&m.from];
    check(node.has_on_disk(last.index, last.term) && last.index <= seen.applied, || {
        format!(
            "node {} sends a snapshot up to {}@{}, and has applied {}; its disk has {:?} there",
            m.from,
            last.index,
            last.term,
            seen.applied,
            node.disk.term(last.index)
        )
    })
}
