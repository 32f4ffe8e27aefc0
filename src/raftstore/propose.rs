//! From a command to a log entry.
//!
//! Everything that can be checked is checked here, before the command costs anybody a disk write: is it for this store,
//! this region, this peer, this term, this edition of the region, and are its keys in the region's range. By the time
//! it is applied, some of that may have changed, so [`apply`](super::apply) looks again.

use bytes::Bytes;
use prost::Message;

use super::command::{Admin, Command};
use super::{Answer, CommandId, Config, Effect, Peer, Store, region_error};
use crate::error::{Error, Rejection};
use crate::ids::StoreId;
use crate::proto::metapb::RegionEpoch;
use crate::proto::raft_cmdpb::{
    AdminCmdType, AdminRequest, AdminResponse, RaftCmdRequest, RaftCmdResponse, RaftRequestHeader,
    RaftResponseHeader, TransferLeaderResponse,
};

impl Store {
    /// Puts a command into the log of its region, or refuses it at once.
    pub(super) fn on_command(&mut self, id: CommandId, request: &RaftCmdRequest) {
        if let Err(error) = self.propose(id, request) {
            self.outbox.push_back(Effect::Reply { id, result: Err(error) });
        }
    }

    fn propose(&mut self, id: CommandId, request: &RaftCmdRequest) -> Result<(), Error> {
        let header = request.header.clone().unwrap_or_default();
        let command = self.check(&header, request)?;
        let peer = self.peers.get_mut(&header.region_id).expect("it was there a moment ago");
        let data = Bytes::from(request.encode_to_vec());
        match &command.admin {
            Some(Admin::TransferLeader { to }) => {
                peer.hand_leadership(to);
                let result = Ok(transferred(&header, peer));
                self.outbox.push_back(Effect::Reply { id, result });
                Ok(())
            }
            Some(Admin::ChangePeer(change)) => {
                let (index, term) = (peer.node.raft().log().last_index() + 1, peer.term());
                peer.propose_change_peer(data, change)?;
                peer.proposals.push(index, term, id);
                Ok(())
            }
            _ => peer.propose(id, data),
        }
    }

    /// Everything that can be known before the command gets into the log.
    fn check(&self, header: &RaftRequestHeader, request: &RaftCmdRequest) -> Result<Command, Error> {
        check_store(header, self.name.store)?;
        let region = header.region_id;
        let peer = self.peers.get(&region).ok_or_else(|| region_error::region_not_found(region))?;
        let command = peer.check_request(&self.config, header, request).map_err(|mut error| {
            self.name_neighbours(region, &mut error);
            error
        })?;
        if let Some(Admin::Split { cuts, .. }) = &command.admin
            && cuts.iter().any(|cut| self.holds(cut.region))
        {
            return Err(Rejection::BadCommand("a new region has the id of one that is here already").into());
        }
        peer.check_room(&self.config)?;
        Ok(command)
    }
}

/// What a command that goes past the log is answered with.
fn transferred(header: &RaftRequestHeader, peer: &Peer) -> Answer {
    let header = RaftResponseHeader { uuid: header.uuid.clone(), current_term: peer.term(), error: None };
    let admin_response = Some(AdminResponse {
        cmd_type: AdminCmdType::TransferLeader.into(),
        transfer_leader: Some(TransferLeaderResponse {}),
        ..Default::default()
    });
    let response = RaftCmdResponse { header: Some(header), admin_response, ..Default::default() };
    Answer { response, snapshot: None }
}

/// Is the command for this store? The header's peer says which store the client believes to have reached.
fn check_store(header: &RaftRequestHeader, store: StoreId) -> Result<(), Error> {
    // LAB 2b BEGIN: region_error has a constructor for each refusal
    match &header.peer {
        Some(peer) if peer.store_id != store => Err(region_error::store_not_match(peer.store_id, store)),
        _ => Ok(()),
    }
    // LAB 2b END
}

impl Peer {
    /// Everything that the peer alone can know.
    fn check_request(
        &self,
        config: &Config,
        header: &RaftRequestHeader,
        request: &RaftCmdRequest,
    ) -> Result<Command, Error> {
        self.check_header(header)?;
        let command = Command::parse(request)?;
        self.check_command(&command)?;
        self.check_admin(&command)?;
        if !matches!(command.admin, Some(Admin::TransferLeader { .. })) {
            self.check_transferring()?;
        }
        self.check_entry_size(config, request.encoded_len())?;
        Ok(command)
    }

    /// The header of a command that this peer gives itself, for this edition of the region.
    pub(super) fn header(&self, epoch: RegionEpoch) -> RaftRequestHeader {
        RaftRequestHeader {
            region_id: self.region_id(),
            peer: Some(self.meta),
            region_epoch: Some(epoch),
            term: self.term(),
            ..Default::default()
        }
    }

    /// Puts a change of the region that nobody waits for into the log, or begins to hand over the leadership.
    pub(super) fn propose_admin(
        &mut self,
        config: &Config,
        header: RaftRequestHeader,
        admin: AdminRequest,
    ) -> Result<(), Error> {
        let request =
            RaftCmdRequest { header: Some(header.clone()), requests: Vec::new(), admin_request: Some(admin) };
        let command = self.check_request(config, &header, &request)?;
        let data = Bytes::from(request.encode_to_vec());
        match &command.admin {
            Some(Admin::TransferLeader { to }) => self.hand_leadership(to),
            Some(Admin::ChangePeer(change)) => self.propose_change_peer(data, change)?,
            _ if self.node.propose(data).is_err() => {
                return Err(region_error::not_leader(self.region_id(), self.leader()));
            }
            _ => {}
        }
        Ok(())
    }

    /// Is the command for this edition of the region, for its keys, and, if it changes the region, a change that can be
    /// made? Asked twice: when it is proposed, and when it is applied.
    pub(super) fn check_command(&self, command: &Command) -> Result<(), Error> {
        self.check_keys(command)?;
        self.check_change(command)
    }

    /// Is the command for this peer, as leader, in this term? A header without a peer, or with term 0, does not say;
    /// then any will do.
    ///
    /// - Another peer's: `RegionNotFound` (see [`region_error::peer_not_found`]).
    /// - This peer does not lead: `NotLeader`, with the leader if it is known.
    /// - Another term: `StaleCommand`. In between there may have been another leader, of whose writes the sender knows
    ///   nothing.
    fn check_header(&self, header: &RaftRequestHeader) -> Result<(), Error> {
        // LAB 2b BEGIN: in this order
        let id = self.region_id();
        if let Some(peer) = header.peer.as_ref().filter(|peer| peer.id != self.id()) {
            return Err(region_error::peer_not_found(id, peer.id, self.id()));
        }
        if !self.is_leader() {
            return Err(region_error::not_leader(id, self.leader()));
        }
        if header.term != 0 && header.term != self.term() {
            let text = format!("the command is of term {}, this is term {}", header.term, self.term());
            return Err(region_error::stale_command(text));
        }
        Ok(())
        // LAB 2b END
    }

    /// Is the command for this edition of the region, and for its keys? (Part of [`Peer::check_command`].)
    ///
    /// Of the epoch, only `version` counts here: it says which keys the region has. A change of members raises
    /// `conf_ver`, and changes nothing for who reads and writes keys.
    fn check_keys(&self, command: &Command) -> Result<(), Error> {
        // LAB 2b BEGIN: Command knows its epoch and its keys
        let region = self.region();
        let version = region.region_epoch.unwrap_or_default().version;
        if command.epoch.version != version {
            return Err(region_error::epoch_not_match(vec![region.clone()]));
        }
        match command.key_outside(region) {
            Some(key) => Err(region_error::key_not_in_region(key, region)),
            None => Ok(()),
        }
        // LAB 2b END
    }

    /// Does a change of the region make sense here and now? When it is applied, each looks again.
    fn check_admin(&self, command: &Command) -> Result<(), Error> {
        match command.admin {
            Some(Admin::CompactLog { index }) if index > self.apply_state().applied_index => {
                Err(Rejection::BadCommand("only applied entries can be compacted").into())
            }
            _ => Ok(()),
        }
    }

    /// Can a command that is encoded in so many bytes be a log entry?
    ///
    /// # Errors
    /// `RaftEntryTooLarge`: see [`Config::entry_max_size`].
    fn check_entry_size(&self, config: &Config, size: usize) -> Result<(), Error> {
        // LAB 2b BEGIN: Config
        if size > config.entry_max_size {
            return Err(region_error::raft_entry_too_large(self.region_id(), size));
        }
        Ok(())
        // LAB 2b END
    }

    /// May one more command wait?
    ///
    /// # Errors
    /// `ServerIsBusy`: see [`Config::max_pending_proposals`].
    fn check_room(&self, config: &Config) -> Result<(), Error> {
        // LAB 2b BEGIN: who waits, is in `proposals`
        if self.proposals.len() >= config.max_pending_proposals {
            return Err(region_error::server_is_busy("too many commands are waiting"));
        }
        Ok(())
        // LAB 2b END
    }

    /// Puts a command, encoded as it came, into the log, and notes who waits for it.
    ///
    /// # Errors
    /// `NotLeader` if Raft does not take it.
    fn propose(&mut self, id: CommandId, data: Bytes) -> Result<(), Error> {
        // LAB 2b BEGIN: which index and term will the entry have?
        let index = self.node.raft().log().last_index() + 1;
        let term = self.term();
        if self.node.propose(data).is_err() {
            return Err(region_error::not_leader(self.region_id(), self.leader()));
        }
        self.proposals.push(index, term, id);
        Ok(())
        // LAB 2b END
    }
}
