//! One vote a term, first come, first served (section 5.2; figure 2, "votedFor").

use std::collections::BTreeMap;

use raftkv::ids::{NO_PEER, PeerId, Term};
use raftkv::proto::eraftpb::{Message, MessageType};

use super::{Invariant, Verdict, World, check};

/// Remembers whom each node voted for, by what it says of itself and by what it tells others: a node that
/// forgets its vote in a crash is found out by its messages.
#[derive(Default)]
pub struct OneVote {
    latest: BTreeMap<PeerId, (Term, PeerId)>,
    told: BTreeMap<(PeerId, Term), PeerId>,
}

impl Invariant for OneVote {
    fn rule(&self) -> &'static str {
        "a node votes for at most one candidate in a term, and the vote stands until the next term \
         (section 5.2; figure 2, votedFor)"
    }

    fn after_step(&mut self, world: &World, id: PeerId) -> Verdict {
        let seen = world.seen(id);
        let (term, vote) = self.latest.insert(id, (seen.term, seen.vote)).unwrap_or_default();
        check(term != seen.term || vote == NO_PEER || vote == seen.vote, || {
            format!("in term {term} node {id} had voted for {vote}, and now its vote is {}", seen.vote)
        })
    }

    fn on_send(&mut self, _world: &World, m: &Message) -> Verdict {
        let candidate = match m.msg_type() {
            MessageType::MsgRequestVote => m.from,
            MessageType::MsgRequestVoteResponse if !m.reject => m.to,
            _ => return Ok(()),
        };
        let first = *self.told.entry((m.from, m.term)).or_insert(candidate);
        check(first == candidate, || {
            format!("in term {} node {} gave its vote to {first}, and now to {candidate}", m.term, m.from)
        })
    }

    fn on_start(&mut self, world: &World, id: PeerId) -> Verdict {
        let saved = world.nodes[&id].hard_state();
        self.latest.insert(id, (saved.term, saved.vote));
        Ok(())
    }
}
