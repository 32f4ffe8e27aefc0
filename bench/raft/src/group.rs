//! The harness: one Raft group in one thread, driven the same way whatever implements it.
//!
//! A round visits the peers in order. Each steps what has arrived, persists to memory what it has to,
//! hands out its messages as values (nothing is encoded), and counts what it may apply. The leader is
//! first and keeps `inflight` proposals waiting for their commit.

use std::time::{Duration, Instant};

/// Bytes in each proposal.
pub const PAYLOAD: usize = 128;

/// Proposals committed before the clock starts: the election, and every follower in its steady state.
const WARM_UP: usize = 1_000;

/// Rounds after which a group that commits nothing more is reported instead of waited for.
const PATIENCE: usize = 1_000;

/// What both sides use, so that neither is given more room than the other.
pub mod limits {
    /// Bytes of entries in one append message.
    pub const BYTES_PER_MESSAGE: usize = 1 << 20;
    /// Appends under way to one follower.
    pub const INFLIGHT_MESSAGES: usize = 256;
    /// Ticks; the harness never ticks, so these only have to be valid.
    pub const ELECTION_TICK: u32 = 10;
    /// See [`ELECTION_TICK`].
    pub const HEARTBEAT_TICK: u32 = 2;
}

/// One row of the table.
pub struct Load {
    /// Size of the group.
    pub nodes: usize,
    /// Proposals that wait for their commit at any time.
    pub inflight: usize,
    /// Entries to commit while the clock runs.
    pub entries: usize,
}

/// What a peer has applied so far: proposals (a leader's empty entry does not count) and their bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Applied {
    pub entries: usize,
    pub bytes: usize,
}

impl Applied {
    /// Applies one committed entry.
    pub fn count(&mut self, data: &[u8]) {
        self.entries += usize::from(!data.is_empty());
        self.bytes += data.len();
    }
}

/// One member of a group. The two implementations differ in nothing that the harness could decide for them.
pub trait Peer {
    /// A message between peers, delivered by value.
    type Message;

    /// A fresh member `id` of the group `voters`, with an empty log in memory.
    fn new(id: u64, voters: &[u64]) -> Self;
    /// Stands for election now.
    fn campaign(&mut self);
    /// Whether this peer leads.
    fn is_leader(&self) -> bool;
    /// Proposes one entry. Called on the leader only.
    fn propose(&mut self, payload: Vec<u8>);
    /// Takes in one message.
    fn step(&mut self, message: Self::Message);
    /// Handles what is ready until nothing is: writes entries and hard state to memory, hands the messages
    /// to `send`, in the order which the implementation asks for, and applies what is committed.
    fn process(&mut self, send: &mut impl FnMut(u64, Self::Message));
    /// What it has applied so far.
    fn applied(&self) -> Applied;
}

struct Group<P: Peer> {
    // Peer 1 leads and stands first.
    peers: Vec<P>,
    inboxes: Vec<Vec<P::Message>>,
    proposed: usize,
}

/// Elects a leader, warms up, and returns how long `load.entries` took to commit on the leader.
///
/// # Panics
/// Where the group stops committing, or where a peer ends with other than every byte that was proposed:
/// a figure for work that was not done is worth nothing.
pub fn measure<P: Peer>(load: &Load) -> Duration {
    let mut group = Group::<P>::elect(load.nodes);
    group.commit(WARM_UP, load.inflight);
    let start = Instant::now();
    group.commit(WARM_UP + load.entries, load.inflight);
    let took = start.elapsed();
    group.settle();
    took
}

impl<P: Peer> Group<P> {
    fn elect(nodes: usize) -> Group<P> {
        let voters: Vec<u64> = (1..=nodes as u64).collect();
        let peers: Vec<P> = voters.iter().map(|id| P::new(*id, &voters)).collect();
        let inboxes = peers.iter().map(|_| Vec::new()).collect();
        let mut group = Group { peers, inboxes, proposed: 0 };
        group.peers[0].campaign();
        while !group.peers[0].is_leader() {
            assert!(group.round(), "the group fell silent before peer 1 was elected");
        }
        group
    }

    /// Proposes and delivers until the leader has applied `total` entries.
    fn commit(&mut self, total: usize, inflight: usize) {
        let mut idle = 0;
        while self.peers[0].applied().entries < total {
            let before = self.peers[0].applied();
            let room = before.entries + inflight - self.proposed;
            for _ in 0..room.min(total - self.proposed) {
                self.peers[0].propose(vec![7; PAYLOAD]);
                self.proposed += 1;
            }
            self.round();
            idle = if self.peers[0].applied() == before { idle + 1 } else { 0 };
            assert!(idle < PATIENCE, "nothing committed in {PATIENCE} rounds");
        }
    }

    /// One round. Returns whether any message was sent.
    fn round(&mut self) -> bool {
        let mut sent = false;
        for i in 0..self.peers.len() {
            for message in std::mem::take(&mut self.inboxes[i]) {
                self.peers[i].step(message);
            }
            let inboxes = &mut self.inboxes;
            self.peers[i].process(&mut |to, message| {
                inboxes[to as usize - 1].push(message);
                sent = true;
            });
        }
        sent
    }

    /// Delivers what is under way, then checks that every peer has applied every byte.
    fn settle(&mut self) {
        while self.round() {}
        let want = Applied { entries: self.proposed, bytes: self.proposed * PAYLOAD };
        for (i, peer) in self.peers.iter().enumerate() {
            assert_eq!(peer.applied(), want, "peer {} has not applied what was proposed", i + 1);
        }
    }
}
