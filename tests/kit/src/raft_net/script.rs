//! The vocabulary of scripts: time, delivery, elections, proposals, and questions about the outcome.

use std::collections::VecDeque;

use bytes::Bytes;
use raftkv::ids::{Index, PeerId, Term};
use raftkv::proto::eraftpb::{Entry, EntryType, Message, MessageType};
use raftkv::raft::{MemLogStorage, Raft, RaftError, Role};

use super::driver::Driver;
use super::letter::{entry_text, log_text, message_text};
use super::net::Net;
use super::node::Node;
use super::trace::Event;

/// So many messages in one delivery are a storm. The largest honest test needs a few hundred.
const STORM: usize = 3_000;

/// Time and delivery.
impl<D: Driver> Net<D> {
    /// One tick for one node.
    #[track_caller]
    pub fn tick(&mut self, id: PeerId) {
        self.trace.note(Event::Tick(Some(id), 1));
        self.tick_quietly(id);
    }

    /// So many ticks for one node. What it sends stays on the wire.
    #[track_caller]
    pub fn ticks(&mut self, id: PeerId, times: u64) {
        for _ in 0..times {
            self.tick(id);
        }
    }

    /// One tick for every node that is up.
    #[track_caller]
    pub fn tick_all(&mut self) {
        self.trace.note(Event::Tick(None, 1));
        for id in self.up() {
            self.tick_quietly(id);
        }
    }

    #[track_caller]
    fn tick_quietly(&mut self, id: PeerId) {
        self.peer(id).tick();
        self.settle(id);
    }

    /// So many rounds of: a tick for every node, and all messages delivered.
    #[track_caller]
    pub fn run(&mut self, ticks: u64) {
        for _ in 0..ticks {
            self.tick_all();
            self.deliver_all();
        }
    }

    /// Runs until `done` holds, for at most `ticks` ticks. `what` says what is waited for, and why.
    #[track_caller]
    pub fn run_until(&mut self, ticks: u64, what: &str, done: impl Fn(&Net<D>) -> bool) {
        for _ in 0..ticks {
            if done(self) {
                return;
            }
            self.run(1);
        }
        assert!(done(self), "not within {ticks} ticks: {what}");
    }

    /// Delivers the oldest message. False if there is none.
    #[track_caller]
    pub fn deliver_one(&mut self) -> bool {
        let Some(m) = self.wire.pop_front() else { return false };
        self.deliver(m);
        true
    }

    /// Delivers the message at this place on the wire; those before it are overtaken.
    #[track_caller]
    pub(super) fn deliver_nth(&mut self, n: usize) {
        let m = self.wire.remove(n).expect("the caller knows how many there are");
        if n > 0 {
            self.faults.count(super::faults::Fault::Disorder);
        }
        self.deliver(m);
    }

    /// Delivers what is on its way, what comes of that, and so on until all is quiet.
    #[track_caller]
    pub fn deliver_all(&mut self) {
        for _ in 0..STORM {
            if !self.deliver_one() {
                return;
            }
        }
        panic!(
            "message storm: {STORM} messages without a tick, and no end. Do two nodes answer each other's \
             answers, or does a leader send again although nothing has changed?"
        );
    }

    /// Delivers what is on its way now, but not what comes of it: one half of a round trip.
    #[track_caller]
    pub fn round(&mut self) -> usize {
        let now = self.wire.len();
        for _ in 0..now {
            self.deliver_one();
        }
        now
    }

    /// Gives the net this many round trips, with a heartbeat of the leader in each, for `done` to come true.
    #[track_caller]
    pub fn round_trips_until(&mut self, limit: u64, what: &str, done: impl Fn(&Net<D>) -> bool) {
        for _ in 0..limit {
            if done(self) {
                return;
            }
            self.round();
            self.round();
            if let Some(leader) = self.leader() {
                self.tick(leader);
            }
        }
        assert!(done(self), "not within {limit} round trips: {what}");
    }

    /// Delivers the messages of this kind that are on their way now; the others wait. Returns how many.
    #[track_caller]
    pub fn deliver_where(&mut self, choose: impl Fn(&Message) -> bool) -> usize {
        let (chosen, others): (VecDeque<_>, _) =
            std::mem::take(&mut self.wire).into_iter().partition(|m| choose(m));
        self.wire = others;
        let count = chosen.len();
        for m in chosen {
            self.deliver(m);
        }
        count
    }

    /// What is on its way, oldest first.
    pub fn on_the_wire(&self) -> impl Iterator<Item = &Message> {
        self.wire.iter()
    }
}

/// Puppets and messages by hand.
impl<D: Driver> Net<D> {
    /// A message that the test has written arrives. The node's verdict comes back.
    #[track_caller]
    pub fn inject(&mut self, m: impl Into<Message>) -> Result<(), RaftError> {
        let m = m.into();
        self.world.injected(&m);
        self.ask_invariants(|invariant, _| {
            invariant.on_inject(&m);
            Ok(())
        });
        self.trace.note(Event::Delivered(m.clone()));
        let id = m.to;
        let result = self.act(id, |peer| peer.step(m));
        if let Err(e) = &result {
            self.trace.note(Event::Refused(id, e.to_string()));
        }
        result
    }

    /// A message that the test has written arrives, and is no error.
    #[track_caller]
    pub fn hand(&mut self, m: impl Into<Message>) {
        let m = m.into();
        let text = message_text(&m);
        if let Err(e) = self.inject(m) {
            panic!("a message that correct peers send is refused with an error: {e}\n  message: {text}");
        }
    }

    /// A request that the test has written arrives; the answer comes back.
    #[track_caller]
    pub fn ask(&mut self, m: impl Into<Message>) -> Message {
        let m = m.into();
        let answer = match m.msg_type() {
            MessageType::MsgAppend | MessageType::MsgSnapshot => MessageType::MsgAppendResponse,
            MessageType::MsgHeartbeat => MessageType::MsgHeartbeatResponse,
            MessageType::MsgRequestVote => MessageType::MsgRequestVoteResponse,
            other => panic!("{other:?} has no answer to wait for"),
        };
        let (from, to, text) = (m.from, m.to, message_text(&m));
        self.mail(from);
        self.hand(m);
        let mut answers = self.mail(from);
        answers.retain(|a| a.msg_type() == answer);
        answers.pop().unwrap_or_else(|| {
            panic!("node {to} must answer every request (figure 2), also with a no: {text}")
        })
    }

    /// What has reached this puppet since the last time.
    pub fn mail(&mut self, puppet: PeerId) -> Vec<Message> {
        assert!(self.world.puppets.contains(&puppet), "{puppet} is no puppet: it reads its own mail");
        self.mail.remove(&puppet).unwrap_or_default()
    }

    /// What has reached all puppets since the last time.
    pub fn all_mail(&mut self) -> Vec<Message> {
        std::mem::take(&mut self.mail).into_values().flatten().collect()
    }
}

/// Elections and proposals.
impl<D: Driver> Net<D> {
    /// The node stands for election now. Nothing is delivered yet.
    #[track_caller]
    pub fn campaign(&mut self, id: PeerId) {
        self.command(format!("campaign {id}"));
        self.peer(id).campaign();
        self.settle(id);
    }

    /// The node stands for election, wins it, and everybody who can hear it learns so.
    #[track_caller]
    pub fn elect(&mut self, id: PeerId) {
        self.campaign(id);
        self.deliver_all();
        assert_eq!(
            self.role(id),
            Role::Leader,
            "node {id} stood for election with an up-to-date log, and all answers are delivered: it must lead \
             (section 5.2)"
        );
        self.heartbeat(id);
    }

    /// A puppet votes for the node, which needs just that vote, and so on until it leads.
    #[track_caller]
    pub fn elect_by_puppets(&mut self, id: PeerId) {
        self.campaign(id);
        let term = self.term(id);
        for puppet in self.world.puppets.clone() {
            if self.role(id) == Role::Candidate {
                self.hand(super::letter::vote_reply(puppet, id).term(term));
            }
        }
        assert_eq!(
            self.role(id),
            Role::Leader,
            "node {id} has the votes of all puppets: it leads (section 5.2)"
        );
    }

    /// The node ticks for one heartbeat interval, and all messages are delivered.
    #[track_caller]
    pub fn heartbeat(&mut self, id: PeerId) {
        self.tick(id);
        self.deliver_all();
    }

    /// Delivers everything, and gives the leader some heartbeats to make good what got lost. Then all that
    /// it can reach have what it has.
    #[track_caller]
    pub fn stabilise(&mut self) {
        self.deliver_all();
        for _ in 0..5 {
            if let Some(leader) = self.leader() {
                self.heartbeat(leader);
            }
        }
    }

    /// A client proposes; the node must take it.
    #[track_caller]
    pub fn propose(&mut self, id: PeerId, text: &str) {
        if let Err(e) = self.try_propose(id, text) {
            panic!("node {id} refuses a proposal, although it leads or knows the leader: {e}");
        }
    }

    /// A client proposes.
    #[track_caller]
    pub fn try_propose(&mut self, id: PeerId, text: &str) -> Result<(), RaftError> {
        self.command(format!("propose {id} {text:?}"));
        let result = self.act(id, |peer| peer.propose(Bytes::copy_from_slice(text.as_bytes())));
        if let Err(e) = &result {
            self.trace.note(Event::Refused(id, e.to_string()));
        }
        result
    }

    /// Several steps of one node before it gets to write or send anything.
    #[track_caller]
    pub fn at_once(&mut self, id: PeerId, steps: impl FnOnce(&mut D) -> Result<(), RaftError>) {
        self.command(format!("several steps of {id} at once"));
        self.act(id, steps).expect("none of the steps is an error");
    }

    /// The node's owner drops the applied log up to `index` from its disk. The node hears of it with its next write.
    #[track_caller]
    pub fn compact(&mut self, id: PeerId, index: Index) {
        self.command(format!("compact {id} up to {index}"));
        let node = self.node_mut(id);
        assert!(
            node.group_since <= index || node.group_since == 0,
            "a snapshot up to {index} would name the members of {}: compact up to there",
            node.group_since
        );
        node.disk
            .compact(index)
            .unwrap_or_else(|e| panic!("node {id} cannot be compacted up to {index}: {e}"));
        self.peer(id).disk().compact(index).expect("its own view of the disk is the same");
    }

    /// The node's state machine loads no snapshot, until [`Net::release_loading`].
    #[track_caller]
    pub fn hold_loading(&mut self, id: PeerId) {
        self.command(format!("hold the loading of {id}"));
        self.node_mut(id).loading_held = true;
    }

    /// It does again.
    #[track_caller]
    pub fn release_loading(&mut self, id: PeerId) {
        self.command(format!("release the loading of {id}"));
        self.node_mut(id).loading_held = false;
        self.load_snapshot(id);
        self.settle(id);
    }

    /// Many proposals at once, before the node gets to do anything else.
    #[track_caller]
    pub fn propose_batch(&mut self, id: PeerId, texts: &[String]) {
        self.command(format!("propose {id} {} commands at once", texts.len()));
        let propose_all = |peer: &mut D| {
            texts.iter().try_for_each(|text| peer.propose(Bytes::copy_from_slice(text.as_bytes())))
        };
        self.act(id, propose_all).expect("a leader takes proposals");
    }
}

/// Questions. They are answered from what the node showed after its last step.
impl<D: Driver> Net<D> {
    /// The node, with its disk and its state machine.
    #[track_caller]
    pub fn node(&self, id: PeerId) -> &Node {
        self.world.nodes.get(&id).unwrap_or_else(|| panic!("the net has no node {id}"))
    }

    /// The code under test itself, for what its contract exposes.
    #[track_caller]
    pub fn raft(&self, id: PeerId) -> &Raft<MemLogStorage> {
        self.peers.get(&id).unwrap_or_else(|| panic!("node {id} is down")).raft()
    }

    /// The nodes, up or down.
    pub fn everybody(&self) -> Vec<PeerId> {
        self.world.nodes.keys().copied().collect()
    }

    /// The nodes that are up.
    pub fn up(&self) -> Vec<PeerId> {
        self.peers.keys().copied().collect()
    }

    /// The one leader of the highest term, of those that are up.
    pub fn leader(&self) -> Option<PeerId> {
        let up = self.peers.keys().map(|id| self.node(*id));
        up.filter(|n| n.seen.role == Role::Leader).max_by_key(|n| n.seen.term).map(|n| n.id)
    }

    /// A leader whom all nodes that are up follow, in its term.
    pub fn agreed_leader(&self) -> Option<PeerId> {
        let leader = self.leader()?;
        let term = self.term(leader);
        let follows = |id: &PeerId| (self.term(*id), self.leader_of(*id)) == (term, leader);
        self.peers.keys().all(follows).then_some(leader)
    }

    /// Leader, candidate or follower.
    #[track_caller]
    pub fn role(&self, id: PeerId) -> Role {
        self.node(id).seen.role
    }

    /// The node's term.
    #[track_caller]
    pub fn term(&self, id: PeerId) -> Term {
        self.node(id).seen.term
    }

    /// Whom it voted for in its term, or 0.
    #[track_caller]
    pub fn vote(&self, id: PeerId) -> PeerId {
        self.node(id).seen.vote
    }

    /// Whom it takes for the leader, or 0.
    #[track_caller]
    pub fn leader_of(&self, id: PeerId) -> PeerId {
        self.node(id).seen.leader
    }

    /// Its commit index.
    #[track_caller]
    pub fn commit(&self, id: PeerId) -> Index {
        self.node(id).seen.commit
    }

    /// The last index of its log.
    #[track_caller]
    pub fn last(&self, id: PeerId) -> Index {
        self.node(id).seen.last()
    }

    /// The terms of the entries in its log.
    #[track_caller]
    pub fn terms(&self, id: PeerId) -> Vec<Term> {
        self.node(id).seen.log.iter().map(|e| e.term).collect()
    }

    /// Its log, an entry a line: `4@2=x` is index 4, term 2, command x. For `assert_eq!`, which shows a diff.
    #[track_caller]
    pub fn log(&self, id: PeerId) -> Vec<String> {
        self.node(id).seen.log.iter().map(entry_text).collect()
    }

    /// The commands that its state machine was given, in order, without the empty entries of new leaders and the
    /// changes of the group.
    #[track_caller]
    pub fn applied(&self, id: PeerId) -> Vec<String> {
        texts(&self.node(id).applied)
    }

    /// True if these nodes have the same log.
    pub fn same_logs(&self, ids: &[PeerId]) -> bool {
        ids.windows(2).all(|pair| self.node(pair[0]).seen.log == self.node(pair[1]).seen.log)
    }

    /// Says what comes next: a comment in the transcript.
    pub fn say(&mut self, text: &str) {
        self.trace.note(Event::Comment(text.to_string()));
    }

    /// From now on the transcript forgets nothing.
    pub fn keep_transcript(&mut self) {
        self.trace.keep_all();
    }

    /// What has happened, line by line, and how the nodes are now.
    pub fn transcript(&self) -> String {
        format!("{}\n{}", self.trace.text(), self.status())
    }

    pub(super) fn command(&mut self, text: String) {
        self.trace.note(Event::Command(text));
    }

    /// What a failing test prints: every node, and what happened last.
    pub fn report(&self) -> String {
        format!(
            "nodes (4@2 is the entry at index 4 of term 2):\n{}\nwhat happened last (without heartbeats that changed nothing):\n{}",
            self.status(),
            self.trace.text()
        )
    }

    /// A line for each node.
    fn status(&self) -> String {
        let mut text = format!(
            "  {:<5}{:<11}{:<6}{:<6}{:<8}{:<8}{:<9}{}\n",
            "node", "role", "term", "vote", "leader", "commit", "applied", "log"
        );
        for node in self.world.nodes.values() {
            let seen = &node.seen;
            let role = if node.up { super::trace::role_name(seen) } else { "down".to_string() };
            text += &format!(
                "  {:<5}{:<11}{:<6}{:<6}{:<8}{:<8}{:<9}{}\n",
                node.id,
                role,
                seen.term,
                seen.vote,
                seen.leader,
                seen.commit,
                seen.applied,
                log_text(&seen.log)
            );
        }
        for puppet in &self.world.puppets {
            text += &format!("  {puppet:<5}puppet\n");
        }
        text
    }
}

fn texts(entries: &[Entry]) -> Vec<String> {
    let is_command = |e: &&Entry| !e.data.is_empty() && e.entry_type() == EntryType::EntryNormal;
    let commands = entries.iter().filter(is_command);
    commands.map(|e| String::from_utf8_lossy(&e.data).into_owned()).collect()
}
