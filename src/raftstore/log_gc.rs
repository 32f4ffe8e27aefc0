//! The log's garbage: who decides how much of it goes, and when.
//!
//! ```text
//!   tick --> is the applied part of the log too long?         (leader only)
//!              |  propose CompactLog: a log entry like any other
//!              v
//!   apply on every peer: RaftTruncatedState, and nothing else  (kv engine, with the applied index)
//!              |                        |
//!              |                        +--> advance: Raft drops the entries from memory
//!              v
//!   Task::DeleteLog --> raftlog-gc worker: kv engine synced, then the entries are deleted from the raft engine
//! ```
//!
//! Every peer compacts at the same place of the log, but what it keeps is its own business: no peer needs another's log
//! to be as long as its own. It goes through the log all the same, because the one that knows how far the others are is
//! the leader.

use bytes::Bytes;
use prost::Message;

use super::{Config, Peer, Store};
use crate::ids::Index;
use crate::proto::raft_cmdpb::{AdminCmdType, AdminRequest, CompactLogRequest, RaftCmdRequest};

/// So many times as long as its limits a log may get while a snapshot is made or on its way.
pub const PATIENCE: usize = 8;

impl Store {
    /// Time has passed: every [`Config::log_gc_ticks`] ticks, looks at each log, and at snapshots that nobody wants any
    /// more.
    pub(super) fn tick_log_gc(&mut self) {
        self.ticks_to_gc = self.ticks_to_gc.saturating_sub(1);
        if self.ticks_to_gc > 0 {
            return;
        }
        self.ticks_to_gc = self.config.log_gc_ticks;
        for peer in self.peers.values_mut() {
            peer.maybe_compact_log(&self.config);
        }
        self.look_at_snapshots();
    }
}

impl Peer {
    /// Proposes to compact the log, if this peer leads and more than [`Config::log_gc_limit`] applied entries are in
    /// its log, or more than [`Config::log_gc_bytes`] of them.
    ///
    /// After: the proposal, if there is one, names an applied entry, and leaves at most the limits.
    ///
    /// - A follower that keeps up has what is dropped; one that is a little behind, by less than half of the limits,
    ///   finds what it lacks. Neither needs a snapshot. One that is further behind stops nobody.
    /// - While a snapshot is made or on its way ([`Peer::snapshot_floor`]), the entries behind it stay, or it would
    ///   help nobody when it arrives; unless the log has grown to [`PATIENCE`] times the limits.
    pub(super) fn maybe_compact_log(&mut self, config: &Config) {
        // LAB 2c BEGIN idle: how long is the applied part? who lags behind? is a snapshot under way? `propose_compact_log`
        if !self.is_leader() {
            return;
        }
        let log = self.node.raft().log();
        let applied = log.applied();
        let entries = log.entries(0, applied + 1);
        let bytes: usize = entries.iter().map(|entry| entry.data.len()).sum();
        if entries.len() <= config.log_gc_limit && bytes <= config.log_gc_bytes {
            return;
        }
        let mut kept_bytes = 0;
        let kept = entries.iter().rev().take(config.log_gc_limit / 2).take_while(|entry| {
            kept_bytes += entry.data.len();
            kept_bytes <= config.log_gc_bytes / 2
        });
        let least = applied - kept.count() as u64;
        let everybody_has =
            self.node.raft().voters().filter_map(|id| Some(self.node.raft().progress(id)?.matched));
        let index = everybody_has.min().unwrap_or(least).clamp(least, applied);
        let is_patient =
            entries.len() <= PATIENCE * config.log_gc_limit && bytes <= PATIENCE * config.log_gc_bytes;
        let floor = self.snapshot_floor().filter(|_| is_patient).unwrap_or(index);
        self.propose_compact_log(index.min(floor));
        // LAB 2c END
    }

    /// Puts a CompactLog up to `index`, which is applied, into the log, unless the last one of this term is not applied
    /// yet: a leader that cannot commit anything must not fill its log with them. Nobody waits for it; and if it gets
    /// lost, another look at the log makes another.
    pub(super) fn propose_compact_log(&mut self, index: Index) {
        let (proposed_in, proposed_at) = self.compact_proposed;
        if proposed_in == self.term() && proposed_at > self.apply_state().applied_index {
            return;
        }
        if index < self.node.raft().log().first_index() {
            return; // nothing would go
        }
        let Some(term) = self.node.raft().log().term(index) else { return };
        let header = self.header(self.region().region_epoch.unwrap_or_default());
        let compact_log = CompactLogRequest { compact_index: index, compact_term: term };
        let admin = AdminRequest {
            cmd_type: AdminCmdType::CompactLog.into(),
            compact_log: Some(compact_log),
            ..Default::default()
        };
        let request =
            RaftCmdRequest { header: Some(header), requests: Vec::new(), admin_request: Some(admin) };
        match self.node.propose(Bytes::from(request.encode_to_vec())) {
            Ok(()) => self.compact_proposed = (self.term(), self.node.raft().log().last_index()),
            Err(error) => tracing::debug!(region = self.region_id(), %error, "the log is not compacted now"),
        }
    }
}
