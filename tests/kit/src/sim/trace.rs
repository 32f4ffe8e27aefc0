//! What happened, line by line, and a hash over all of it.

use std::collections::{BTreeMap, VecDeque};

use prost::Message as _;
use raftkv::ids::{RegionId, StoreId};
use raftkv::proto::eraftpb::{ConfChange, ConfChangeType, Entry, EntryType, MessageType};
use raftkv::proto::raft_cmdpb::{CmdType, RaftCmdRequest};
use raftkv::proto::raft_serverpb::RaftMessage;
use raftkv::raft::Role;
use raftkv::raftstore::{CommandId, Peer, Store};

use super::Micros;
use super::raw::{Request, Response, short};
use crate::raft_net::letter::message_text;

/// How many events are remembered: what a failure is about may have happened a while ago.
const REMEMBERED: usize = 10_000;

/// How many of them the report of a failure shows.
const SHOWN: usize = 60;

/// Something worth a line.
#[derive(Clone, Debug)]
pub enum What {
    /// The script does something.
    Script(String),
    /// A message between stores arrived.
    Arrived(RaftMessage),
    /// One did not, and why.
    Lost(RaftMessage, &'static str),
    /// One waits for its release.
    Held(RaftMessage),
    /// A client sends a request to a store.
    Asked(u64, StoreId, CommandId, Request),
    /// A client gets its response.
    Answered(u64, CommandId, Response),
    /// A client waits no longer.
    GaveUp(u64, CommandId),
    /// A store has answered a command of the script's.
    Replied(StoreId, CommandId, bool),
    /// A store went down, and how.
    Crashed(StoreId, &'static str),
    /// A store stopped by itself, and why.
    Stopped(StoreId, String),
    /// A store starts.
    Started(StoreId),
    /// A worker of a store has done something.
    Worked(StoreId, String),
    /// Something about a snapshot on its way.
    Stream(u64, String),
    /// A peer is different from what it was.
    Changed(StoreId, RegionId, Seen, Seen),
}

/// What can be seen of a peer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    /// 0 follower, 1 candidate, 2 leader.
    pub role: u8,
    /// Its term.
    pub term: u64,
    /// Whom it voted for.
    pub vote: u64,
    /// The beginning of its log.
    pub first: u64,
    /// The end of its log.
    pub last: u64,
    /// How much of it is committed.
    pub commit: u64,
    /// How much of it is applied.
    pub applied: u64,
}

impl Seen {
    fn of(peer: &Peer) -> Seen {
        let raft = peer.node().raft();
        let role = match raft.role() {
            Role::Follower => 0,
            Role::Candidate => 1,
            Role::Leader => 2,
        };
        let (first, last) = (raft.log().first_index(), raft.log().last_index());
        let (commit, applied) = (raft.commit(), peer.apply_state().applied_index);
        Seen { role, term: raft.term(), vote: raft.vote(), first, last, commit, applied }
    }
}

/// After FNV-1a (Fowler, Noll and Vo), but a 64-bit word at a time: eight times as fast where nothing is optimised.
#[derive(Clone, Copy, Debug)]
struct Hash(u64);

impl Hash {
    fn word(&mut self, word: u64) {
        self.0 = (self.0 ^ word).wrapping_mul(0x0100_0000_01b3);
        // A product's low bits depend on low bits only: bring the high ones down.
        self.0 ^= self.0 >> 32;
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.word(bytes.len() as u64);
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.word(u64::from_le_bytes(word));
        }
    }

    fn words(&mut self, words: &[u64]) {
        words.iter().for_each(|&word| self.word(word));
    }

    fn message(&mut self, m: &RaftMessage) {
        let Some(raft) = &m.message else { return };
        let reject = u64::from(raft.reject);
        self.words(&[
            m.region_id,
            raft.from,
            raft.to,
            raft.msg_type as u64,
            raft.term,
            raft.index,
            raft.log_term,
        ]);
        self.words(&[raft.commit, raft.entries.len() as u64, reject, raft.reject_hint]);
    }
}

/// The events of one run.
#[derive(Debug)]
pub struct Trace {
    recent: VecDeque<(Micros, What)>,
    /// How many events are remembered.
    limit: usize,
    seen: BTreeMap<(StoreId, RegionId), Seen>,
    hash: Hash,
    lines: u64,
    /// Every line goes to standard error, too.
    aloud: bool,
}

impl Trace {
    /// Nothing yet. With `SIM_TRACE=1` everything is told as it happens.
    pub fn new() -> Trace {
        let aloud = std::env::var("SIM_TRACE").is_ok_and(|v| v != "0");
        Trace {
            recent: VecDeque::new(),
            limit: REMEMBERED,
            seen: BTreeMap::new(),
            hash: Hash(0xcbf2_9ce4_8422_2325),
            lines: 0,
            aloud,
        }
    }

    /// Forgets what happened, and from now on remembers everything.
    pub fn keep(&mut self) {
        self.recent.clear();
        self.limit = usize::MAX;
    }

    /// Two runs with the same hash went the same way.
    pub fn hash(&self) -> u64 {
        self.hash.0
    }

    /// How many events the hash covers.
    pub fn lines(&self) -> u64 {
        self.lines
    }

    /// A clock ticked.
    pub fn tick(&mut self, now: Micros, store: StoreId) {
        self.lines += 1;
        self.hash.words(&[now, store]);
    }

    /// A message arrived. Heartbeats are most of them, and are of interest only for what comes of them.
    pub fn arrived(&mut self, now: Micros, message: &RaftMessage) {
        if self.aloud || !is_heartbeat(message) {
            return self.note(now, What::Arrived(message.clone()));
        }
        self.lines += 1;
        self.hash.words(&[now, 1]);
        self.hash.message(message);
    }

    /// Notes an event.
    pub fn note(&mut self, now: Micros, what: What) {
        self.lines += 1;
        self.hash.word(now);
        self.mix(&what);
        if self.aloud {
            eprintln!("{}", line(now, &what));
        }
        if !is_dull(&what) {
            if self.recent.len() == self.limit {
                self.recent.pop_front();
            }
            self.recent.push_back((now, what));
        }
    }

    /// Notes what has changed in a store.
    pub fn see(&mut self, now: Micros, id: StoreId, store: &Store) {
        for peer in store.peers() {
            let (key, new) = ((id, peer.region_id()), Seen::of(peer));
            let old = self.seen.insert(key, new).unwrap_or_default();
            if old != new {
                self.note(now, What::Changed(id, peer.region_id(), old, new));
            }
        }
    }

    fn mix(&mut self, what: &What) {
        match what {
            What::Script(text) => self.hash.bytes(text.as_bytes()),
            What::Arrived(m) => {
                self.hash.word(1);
                self.hash.message(m);
            }
            What::Lost(m, _) => {
                self.hash.word(2);
                self.hash.message(m);
            }
            What::Held(m) => {
                self.hash.word(3);
                self.hash.message(m);
            }
            What::Asked(client, store, id, request) => {
                self.hash.words(&[4, *client, *store, *id]);
                self.hash.bytes(request.first_key());
            }
            What::Answered(client, id, response) => {
                self.hash.words(&[5, *client, *id, u64::from(response.is_ok())]);
                if let Response::Get(get) = response {
                    self.hash.bytes(&get.value);
                }
            }
            What::GaveUp(client, id) => self.hash.words(&[6, *client, *id]),
            What::Replied(store, id, ok) => self.hash.words(&[7, *store, *id, u64::from(*ok)]),
            What::Crashed(store, _) => self.hash.words(&[8, *store]),
            What::Stopped(store, _) => self.hash.words(&[9, *store]),
            What::Started(store) => self.hash.words(&[10, *store]),
            What::Worked(store, text) => {
                self.hash.words(&[12, *store]);
                self.hash.bytes(text.as_bytes());
            }
            What::Stream(id, text) => {
                self.hash.words(&[13, *id]);
                self.hash.bytes(text.as_bytes());
            }
            What::Changed(store, region, _, new) => {
                self.hash.words(&[11, *store, *region, u64::from(new.role), new.term, new.vote]);
                self.hash.words(&[new.last, new.commit, new.applied, new.first]);
            }
        }
    }

    /// What is remembered, oldest first.
    pub fn text(&self) -> String {
        self.lines_of(0..self.recent.len())
    }

    /// The last events.
    pub fn tail(&self) -> String {
        self.tail_at(Micros::MAX)
    }

    /// The last events up to a moment.
    pub fn tail_at(&self, when: Micros) -> String {
        let end = self.recent.partition_point(|(at, _)| *at <= when);
        self.lines_of(end.saturating_sub(SHOWN)..end)
    }

    fn lines_of(&self, range: std::ops::Range<usize>) -> String {
        self.recent.range(range).map(|(at, what)| format!("{}\n", line(*at, what))).collect()
    }
}

impl Default for Trace {
    fn default() -> Trace {
        Trace::new()
    }
}

fn is_dull(what: &What) -> bool {
    matches!(what, What::Arrived(m) | What::Lost(m, _) | What::Held(m) if is_heartbeat(m))
}

fn is_heartbeat(m: &RaftMessage) -> bool {
    let dull = [MessageType::MsgHeartbeat, MessageType::MsgHeartbeatResponse];
    m.message.as_ref().is_some_and(|m| dull.contains(&m.msg_type()))
}

fn line(at: Micros, what: &What) -> String {
    let time = format!("{:>9.3} ms ", at as f64 / 1000.0);
    match what {
        What::Script(text) => format!("{time}> {text}"),
        What::Arrived(m) => format!("{time}    {}", raft_text(m)),
        What::Lost(m, why) => format!("{time}    {}   ... LOST: {why}", raft_text(m)),
        What::Held(m) => format!("{time}    {}   ... HELD", raft_text(m)),
        What::Asked(client, store, id, request) => {
            format!("{time}  client {client} -> store {store}  #{id} {}", request.text())
        }
        What::Answered(client, id, response) => {
            format!("{time}  client {client} <- #{id} {}", response.text())
        }
        What::GaveUp(client, id) => format!("{time}  client {client} waits no longer for #{id}"),
        What::Replied(store, id, ok) => {
            format!("{time}  store {store} replies to #{id}: {}", if *ok { "done" } else { "an error" })
        }
        What::Crashed(store, how) => format!("{time}! store {store} goes down: {how}"),
        What::Stopped(store, why) => format!("{time}! store {store} stops: {why}"),
        What::Started(store) => format!("{time}! store {store} starts"),
        What::Worked(store, text) => format!("{time}        store {store}: a worker {text}"),
        What::Stream(id, text) => format!("{time}    stream {id}: {text}"),
        What::Changed(store, region, old, new) => {
            format!("{time}        store {store}{}: {}", region_text(*region), change(old, new))
        }
    }
}

fn region_text(region: RegionId) -> String {
    if region == super::REGION { String::new() } else { format!(" region {region}") }
}

/// A Raft message, with the commands of its entries readable. An envelope with nothing in it is a question, or the word
/// to go.
fn raft_text(m: &RaftMessage) -> String {
    let Some(mut raft) = m.message.clone() else {
        let id = |peer: &Option<raftkv::proto::metapb::Peer>| peer.as_ref().map_or(0, |peer| peer.id);
        let what = if m.is_tombstone { "you were removed" } else { "am I still wanted?" };
        let conf_ver = m.region_epoch.unwrap_or_default().conf_ver;
        let region = region_text(m.region_id);
        return format!("{} -> {}  {what} (conf_ver {conf_ver}){region}", id(&m.from_peer), id(&m.to_peer));
    };
    raft.entries.iter_mut().for_each(|entry| entry.data = command_text(entry).into());
    let region = region_text(m.region_id);
    format!("{}{region}", message_text(&raft))
}

/// The command in an entry, in a few words; empty for an empty entry.
pub(super) fn command_text(entry: &Entry) -> String {
    if entry.data.is_empty() {
        return String::new();
    }
    if entry.entry_type() == EntryType::EntryConfChange {
        let change = ConfChange::decode(entry.data.clone()).unwrap_or_default();
        let verb = if change.change_type() == ConfChangeType::RemoveNode { "remove" } else { "add" };
        return format!("{verb} peer {}", change.node_id);
    }
    let Ok(command) = RaftCmdRequest::decode(entry.data.clone()) else {
        return "(not a command)".to_string();
    };
    let parts = command.requests.iter().map(|request| match request.cmd_type() {
        CmdType::Put => {
            let put = request.put.clone().unwrap_or_default();
            format!("{}:={}", short(&put.key), short(&put.value))
        }
        CmdType::Delete => format!("delete {}", short(&request.delete.clone().unwrap_or_default().key)),
        CmdType::CompareAndSwap => {
            let swap = request.compare_and_swap.clone().unwrap_or_default();
            format!("swap {} to {}", short(&swap.key), short(&swap.value))
        }
        other => format!("{other:?}").to_lowercase(),
    });
    parts.collect::<Vec<_>>().join(";")
}

fn change(old: &Seen, new: &Seen) -> String {
    let mut parts = Vec::new();
    if (old.role, old.term) != (new.role, new.term) {
        let role = ["follower", "candidate", "leader"][usize::from(new.role)];
        parts.push(format!("{role} of term {}", new.term));
    }
    if old.vote != new.vote && new.vote != 0 {
        parts.push(format!("votes for {}", new.vote));
    }
    if old.first != new.first && old.first != 0 {
        parts.push(format!("log from {}", new.first));
    }
    for (name, old, new) in [
        ("log up to", old.last, new.last),
        ("commit", old.commit, new.commit),
        ("applied", old.applied, new.applied),
    ] {
        if old != new {
            parts.push(format!("{name} {new}"));
        }
    }
    parts.join(", ")
}
