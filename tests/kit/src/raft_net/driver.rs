//! How the net drives the code under test: through `Raft` alone (stages 2aa and 2ab), or through `RawNode`
//! and its `Ready` (stage 2ac). Everything else in the net is the same for both.

use raftkv::ids::{Index, PeerId};
use raftkv::proto::eraftpb::{ConfChange, ConfState, Entry, HardState, Message, Snapshot};
use raftkv::raft::{Config, LogStorage, MemLogStorage, Raft, RaftError, RawNode, Ready};

/// What a node wants done after a step.
#[derive(Default)]
pub struct Work {
    /// To be saved in place of the log and of the state machine.
    pub snapshot: Option<Snapshot>,
    /// To be written, if it changed.
    pub hard_state: Option<HardState>,
    /// To be written.
    pub entries: Vec<Entry>,
    /// May leave before the write.
    pub now: Vec<Message>,
    /// May leave only when the write is on disk: they promise it.
    pub after_persist: Vec<Message>,
    /// The `Ready` that all this was in, where there is one.
    ready: Option<Ready>,
}

/// A node that the net can drive.
pub trait Driver: Sized {
    /// Starts from what is on this disk.
    fn start(config: &Config, disk: MemLogStorage) -> Result<Self, RaftError>;
    /// The node's inside, to look at.
    fn raft(&self) -> &Raft<MemLogStorage>;
    /// The node's own view of its disk.
    fn disk(&mut self) -> &mut MemLogStorage;
    /// Time passes.
    fn tick(&mut self);
    /// The node is told to stand for election now.
    fn campaign(&mut self);
    /// A message arrives.
    fn step(&mut self, m: Message) -> Result<(), RaftError>;
    /// A client proposes.
    fn propose(&mut self, data: bytes::Bytes) -> Result<(), RaftError>;
    /// The owner wants this peer for leader.
    fn transfer_leader(&mut self, to: PeerId);
    /// Somebody proposes a change of the group.
    fn propose_conf_change(&mut self, change: &ConfChange) -> Result<(), RaftError>;
    /// A change of the group is applied.
    fn apply_conf_change(&mut self, change: &ConfChange) -> ConfState;
    /// What is to be done now, if anything. Where nothing may be applied, what is to be applied is nothing to do.
    fn poll(&mut self, may_apply: bool) -> Option<Work>;
    /// The state machine has the data of the snapshot that ends here.
    fn loaded(&mut self, index: Index);
    /// What became of a snapshot on its way to a peer.
    fn report_snapshot(&mut self, peer: PeerId, arrived: bool);
    /// The write of `work` is on disk.
    fn written(&mut self, work: Work);
    /// What is committed, on disk, and not applied.
    fn to_apply(&self) -> Vec<Entry>;
    /// What [`Driver::to_apply`] gave is applied, up to this entry, if there was any. This ends a round of work.
    fn applied(&mut self, last: Option<Index>);
}

/// Drives `Raft` without a `RawNode`, the way a `RawNode` does.
pub struct Direct {
    raft: Raft<MemLogStorage>,
    /// What has been handed out to be written: not to be handed out again while the write is under way.
    issued_state: HardState,
    issued_entries: Vec<Entry>,
    issued_snapshot: Option<Snapshot>,
}

impl Driver for Direct {
    fn start(config: &Config, disk: MemLogStorage) -> Result<Direct, RaftError> {
        let issued_state = *disk.hard_state();
        let raft = Raft::new(config, disk)?;
        Ok(Direct { raft, issued_state, issued_entries: Vec::new(), issued_snapshot: None })
    }

    fn raft(&self) -> &Raft<MemLogStorage> {
        &self.raft
    }

    fn disk(&mut self) -> &mut MemLogStorage {
        self.raft.log_mut().storage_mut()
    }

    fn tick(&mut self) {
        self.raft.tick();
    }

    fn campaign(&mut self) {
        self.raft.campaign();
    }

    fn step(&mut self, m: Message) -> Result<(), RaftError> {
        self.raft.step(m)
    }

    fn propose(&mut self, data: bytes::Bytes) -> Result<(), RaftError> {
        self.raft.propose(data)
    }

    fn transfer_leader(&mut self, to: PeerId) {
        self.raft.transfer_leader(to);
    }

    fn propose_conf_change(&mut self, change: &ConfChange) -> Result<(), RaftError> {
        self.raft.propose_conf_change(change)
    }

    fn apply_conf_change(&mut self, change: &ConfChange) -> ConfState {
        self.raft.apply_conf_change(change)
    }

    fn poll(&mut self, may_apply: bool) -> Option<Work> {
        let outbox = self.raft.take_messages();
        let state = self.raft.hard_state();
        let unstable = self.raft.log().unstable_entries();
        let mut work = Work { now: outbox.now, after_persist: outbox.after_persist, ..Work::default() };
        if state != self.issued_state {
            self.issued_state = state;
            work.hard_state = Some(state);
        }
        if unstable != self.issued_entries {
            self.issued_entries = unstable.to_vec();
            work.entries = unstable.to_vec();
        }
        let snapshot = self.raft.log().pending_snapshot();
        if snapshot != self.issued_snapshot.as_ref() {
            self.issued_snapshot = snapshot.cloned();
            work.snapshot = snapshot.cloned();
        }
        let idle = work.now.is_empty()
            && work.snapshot.is_none()
            && work.after_persist.is_empty()
            && work.hard_state.is_none()
            && work.entries.is_empty()
            && (!may_apply || self.raft.log().next_committed_entries().is_empty());
        (!idle).then_some(work)
    }

    fn loaded(&mut self, index: Index) {
        self.raft.on_applied(index);
    }

    fn report_snapshot(&mut self, peer: PeerId, arrived: bool) {
        self.raft.report_snapshot(peer, arrived);
    }

    fn written(&mut self, work: Work) {
        if let Some(last) = work.snapshot.and_then(|snapshot| snapshot.metadata) {
            self.raft.on_snapshot_saved(last.index);
        }
        if let Some(last) = work.entries.last() {
            self.raft.on_persisted(last.index, last.term);
        }
    }

    fn to_apply(&self) -> Vec<Entry> {
        // Applied is what is on disk already; with several writes under way, the rest comes with theirs. A
        // restart must find whatever the state machine has applied.
        let log = self.raft.log();
        let saved = |e: &&Entry| log.storage().term(e.index) == Ok(e.term);
        log.next_committed_entries().iter().take_while(saved).cloned().collect()
    }

    fn applied(&mut self, last: Option<Index>) {
        if let Some(index) = last {
            self.raft.on_applied(index);
        }
        self.raft.compact_log();
    }
}

/// Drives a `RawNode` as its contract says: one `Ready` at a time, written, sent, applied, then `advance`.
pub struct Readied {
    node: RawNode<MemLogStorage>,
    /// A `Ready` is out, and not handed back.
    out: bool,
    /// It is written, and sent, and not applied.
    written: Option<Ready>,
}

impl Driver for Readied {
    fn start(config: &Config, disk: MemLogStorage) -> Result<Readied, RaftError> {
        Ok(Readied { node: RawNode::new(config, disk)?, out: false, written: None })
    }

    fn raft(&self) -> &Raft<MemLogStorage> {
        self.node.raft()
    }

    fn disk(&mut self) -> &mut MemLogStorage {
        self.node.storage_mut()
    }

    fn tick(&mut self) {
        self.node.tick();
    }

    fn campaign(&mut self) {
        self.node.campaign();
    }

    fn step(&mut self, m: Message) -> Result<(), RaftError> {
        self.node.step(m)
    }

    fn propose(&mut self, data: bytes::Bytes) -> Result<(), RaftError> {
        self.node.propose(data)
    }

    fn transfer_leader(&mut self, to: PeerId) {
        self.node.transfer_leader(to);
    }

    fn propose_conf_change(&mut self, change: &ConfChange) -> Result<(), RaftError> {
        self.node.propose_conf_change(change)
    }

    fn apply_conf_change(&mut self, change: &ConfChange) -> ConfState {
        self.node.apply_conf_change(change)
    }

    fn poll(&mut self, _may_apply: bool) -> Option<Work> {
        if self.out || !self.node.has_ready() {
            return None;
        }
        let mut ready = self.node.ready();
        self.out = true;
        Some(Work {
            snapshot: ready.snapshot.clone(),
            hard_state: ready.hard_state,
            entries: ready.entries.clone(),
            now: std::mem::take(&mut ready.messages),
            after_persist: std::mem::take(&mut ready.persisted_messages),
            ready: Some(ready),
        })
    }

    fn loaded(&mut self, index: Index) {
        self.node.raft_mut().on_applied(index);
    }

    fn report_snapshot(&mut self, peer: PeerId, arrived: bool) {
        self.node.report_snapshot(peer, arrived);
    }

    fn written(&mut self, work: Work) {
        self.written = work.ready;
    }

    fn to_apply(&self) -> Vec<Entry> {
        self.written.as_ref().map_or(Vec::new(), |ready| ready.committed_entries.clone())
    }

    fn applied(&mut self, _last: Option<Index>) {
        if let Some(ready) = self.written.take() {
            self.node.advance(ready);
            self.out = false;
        }
    }
}
