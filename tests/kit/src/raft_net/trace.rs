//! What happened in a net, line by line.

use std::collections::VecDeque;
use std::fmt::Write;

use raftkv::ids::{Index, PeerId};
use raftkv::proto::eraftpb::{Message, MessageType};

use super::letter::{log_text, message_text};
use super::node::{Node, Seen};

/// How many events a net remembers for the report of a failure.
const REMEMBERED: usize = 40;

/// One thing that happened.
#[derive(Clone, Debug)]
pub enum Event {
    /// The script says what it is about to show.
    Comment(String),
    /// The script does something.
    Command(String),
    /// Time passes for one node, or for all: so many ticks.
    Tick(Option<PeerId>, u64),
    /// A message arrived.
    Delivered(Message),
    /// A message was lost, and why.
    Lost(Message, &'static str),
    /// A message waits for its release.
    Held(Message),
    /// A node refused a message with an error.
    Refused(PeerId, String),
    /// A node is different from what it was: role, term, leader, commit or log.
    Changed(PeerId, String),
}

/// The line of one event: commands at the margin, what follows from them indented.
fn line(event: &Event) -> String {
    match event {
        Event::Comment(text) => format!("# {text}"),
        Event::Command(text) => format!("> {text}"),
        Event::Tick(who, times) => {
            let who = who.map_or("all".to_string(), |id| id.to_string());
            let times = if *times > 1 { format!(" ({times} times)") } else { String::new() };
            format!("> tick {who}{times}")
        }
        Event::Delivered(m) => format!("    {}", message_text(m)),
        Event::Lost(m, why) => format!("    {}   ... LOST: {why}", message_text(m)),
        Event::Held(m) => format!("    {}   ... HELD", message_text(m)),
        Event::Refused(id, why) => format!("    {id} refuses it: {why}"),
        Event::Changed(id, what) => format!("        {id}: {what}"),
    }
}

/// The events of one net: the latest ones, or all if a transcript was asked for.
#[derive(Debug, Default)]
pub struct Trace {
    events: VecDeque<Event>,
    keep_all: bool,
}

impl Trace {
    /// From now on nothing is forgotten.
    pub fn keep_all(&mut self) {
        self.keep_all = true;
    }

    /// Notes one event. Ticks in which nothing happens become one line; heartbeats that change nothing are
    /// left out, unless all is kept.
    pub fn note(&mut self, event: Event) {
        if let (Event::Tick(who, more), Some(Event::Tick(same, times))) = (&event, self.events.back_mut())
            && who == same
        {
            *times += more;
            return;
        }
        if !self.keep_all && self.events.back().is_some_and(is_dull) && !is_effect(&event) {
            self.events.pop_back();
            return self.note(event);
        }
        if !self.keep_all && self.events.len() == REMEMBERED {
            self.events.pop_front();
        }
        self.events.push_back(event);
    }

    /// All that is remembered, oldest first. A blank line stands before each comment.
    pub fn text(&self) -> String {
        let mut text = String::new();
        for (i, event) in self.events.iter().enumerate() {
            if i > 0 && matches!(event, Event::Comment(_)) {
                text.push('\n');
            }
            writeln!(text, "{}", line(event)).expect("writing to a String");
        }
        text
    }
}

/// A heartbeat or its answer: of interest only if something comes of it.
fn is_dull(event: &Event) -> bool {
    let Event::Delivered(m) = event else { return false };
    matches!(m.msg_type(), MessageType::MsgHeartbeat | MessageType::MsgHeartbeatResponse)
}

fn is_effect(event: &Event) -> bool {
    matches!(event, Event::Changed(..) | Event::Refused(..))
}

/// What a reader of a transcript wants to hear about a step, or `None` if nothing showed.
pub(super) fn change(old: &Seen, old_last: Index, node: &Node) -> Option<String> {
    let new = &node.seen;
    let mut parts = Vec::new();
    if (old.role, old.term) != (new.role, new.term) {
        parts.push(format!("{} of term {}", role_name(new), new.term));
    }
    if old.vote != new.vote && new.vote != 0 {
        parts.push(format!("votes for {}", new.vote));
    }
    if old.leader != new.leader && new.leader != 0 && new.leader != node.id {
        parts.push(format!("follows {}", new.leader));
    }
    let kept = new.changed_from.saturating_sub(1);
    if old_last > kept {
        parts.push(format!("drops its entries behind {kept}"));
    }
    if new.last() > kept {
        parts.push(format!("adds [{}]", log_text(new.entries_from(new.changed_from))));
    }
    if old.commit != new.commit {
        parts.push(format!("commit {}", new.commit));
    }
    (!parts.is_empty()).then(|| parts.join(", "))
}

/// `leader`, `candidate`, `follower`.
pub(super) fn role_name(seen: &Seen) -> String {
    format!("{:?}", seen.role).to_lowercase()
}
