//! From a committed entry to data and an answer.
//!
//! Every peer of the region applies the same entries in the same order, so all of them come to the same data (section
//! 5.4.3). Only the one that proposed a command has somebody to answer.
//!
//! - **Exactly once.** Data and applied index are in one batch: after a crash, either both are there or none, and in
//!   the second case the entry is applied again, to the data as it was. For a put, twice would be as good as once; for
//!   a compare-and-swap it would not.
//! - **Looked at again.** Between proposal and here the region may have changed. The check is part of the state
//!   machine: all peers come to the same verdict at the same place in the log.

mod change_peer;
mod compact_log;
mod data;
mod round;
mod split;

use prost::Message;

use super::command::{Admin, Command};
use super::{Answer, CommandResult, Peer, StoreError, region_error};
use crate::ids::Index;
use crate::proto::eraftpb::{ConfChange, Entry, EntryType};
use crate::proto::raft_cmdpb::{
    AdminCmdType, AdminResponse, BatchSplitResponse, ChangePeerResponse, CompactLogResponse, RaftCmdRequest,
    RaftCmdResponse, RaftResponseHeader,
};

pub use round::ApplyRound;

impl Peer {
    /// Carries out committed entries, in order, and settles who waited for them.
    ///
    /// - What is carried out is answered with a header (the request's uuid, this peer's term) and its responses.
    /// - A command that makes no sense, or fails [`Peer::check_command`] by now, is answered with that error and
    ///   changes nothing: the same on every peer, and no reason to stop.
    ///
    /// After: the batch of the round has the data, and the applied index of the last entry.
    ///
    /// # Errors
    /// The disk failed, or an entry cannot be read ([`StoreError::Corrupt`], with its index): the store must stop, for
    /// it would never again hold what the others hold.
    pub(super) fn apply(&mut self, entries: &[Entry], round: &mut ApplyRound) -> Result<(), StoreError> {
        // LAB 2b BEGIN: for each entry: `read_entry`, carry out, answer; the leader's empty entry has nothing to carry out
        for entry in entries {
            let result = self.carry_out(entry, round)?;
            self.node.storage_mut().set_applied(entry.index, round.batch());
            self.answer(entry, result, round);
        }
        Ok(())
        // LAB 2b END
    }

    /// The command in an entry: its data, or, in one that changes the group, the context of the change. A new leader's
    /// empty entry has none.
    ///
    /// # Errors
    /// [`StoreError::Corrupt`]: what cannot be read, cannot be applied.
    fn read_entry(&self, entry: &Entry) -> Result<Option<RaftCmdRequest>, StoreError> {
        let corrupt = |error: prost::DecodeError| {
            StoreError::Corrupt(format!("entry {} of region {}: {error}", entry.index, self.region_id()))
        };
        let data = match entry.entry_type() {
            EntryType::EntryConfChange => ConfChange::decode(entry.data.clone()).map_err(corrupt)?.context,
            EntryType::EntryNormal | EntryType::EntryConfChangeV2 => entry.data.clone(),
        };
        if data.is_empty() {
            return Ok(None);
        }
        RaftCmdRequest::decode(data).map(Some).map_err(corrupt)
    }

    /// Carries out a command that has been checked, and that stands in the log at `at`. After: the answer has its
    /// responses.
    fn execute(
        &mut self,
        command: &Command,
        at: Index,
        round: &mut ApplyRound,
        answer: &mut Answer,
    ) -> Result<(), StoreError> {
        let admin_response = match &command.admin {
            None => {
                self.written += command.size();
                return self.execute_operations(command, round, answer);
            }
            Some(Admin::CompactLog { index }) => {
                self.execute_compact_log(*index, at, round);
                AdminResponse { compact_log: Some(CompactLogResponse {}), ..admin(AdminCmdType::CompactLog) }
            }
            Some(Admin::ChangePeer(change)) => {
                self.execute_change_peer(change, round);
                let region = Some(self.region().clone());
                let change_peer = Some(ChangePeerResponse { region });
                AdminResponse { change_peer, ..admin(AdminCmdType::ChangePeer) }
            }
            Some(Admin::Split { cuts, right_derive }) => {
                let regions = self.execute_split(cuts, *right_derive, round)?;
                let splits = Some(BatchSplitResponse { regions });
                AdminResponse { splits, ..admin(AdminCmdType::BatchSplit) }
            }
            // It is never put into a log.
            Some(Admin::TransferLeader { .. }) => admin(AdminCmdType::TransferLeader),
        };
        answer.response.admin_response = Some(admin_response);
        Ok(())
    }

    // SOLUTION 2b BEGIN
    /// One entry. A command that cannot be served here and now has an error for a result, the same on every peer, and
    /// changes nothing.
    fn carry_out(&mut self, entry: &Entry, round: &mut ApplyRound) -> Result<CommandResult, StoreError> {
        let mut answer = Answer { response: RaftCmdResponse::default(), snapshot: None };
        let Some(request) = self.read_entry(entry)? else { return Ok(Ok(answer)) };
        let command = match Command::parse(&request) {
            Ok(command) => command,
            Err(rejection) => return Ok(Err(rejection.into())),
        };
        if let Err(error) = self.check_command(&command) {
            return Ok(Err(error));
        }
        let uuid = request.header.unwrap_or_default().uuid;
        answer.response.header = Some(RaftResponseHeader { uuid, current_term: self.term(), error: None });
        self.execute(&command, entry.index, round, &mut answer)?;
        Ok(Ok(answer))
    }

    /// Tells who waited for this entry what came of it, and who waited for another one in its place that it is
    /// overtaken.
    fn answer(&mut self, entry: &Entry, result: CommandResult, round: &mut ApplyRound) {
        let settled = self.proposals.settle(entry.index, entry.term);
        for id in settled.stale {
            let error =
                region_error::stale_command("another leader's entry took the command's place in the log");
            round.reply(id, Err(error));
        }
        if let Some(id) = settled.done {
            round.reply(id, result);
        }
    }
    // SOLUTION 2b END
}

fn admin(cmd_type: AdminCmdType) -> AdminResponse {
    AdminResponse { cmd_type: cmd_type.into(), ..Default::default() }
}
