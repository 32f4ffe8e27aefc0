//! Who waits for what the store says.
//!
//! **Reads share.** A read goes through the log, and what it gets is the data as of its place there. So all reads of
//! one region that come in before the store works again may have the same place: one entry, one write, one view of the
//! data for all of them, however many there are. It is as new as each may expect: what was acknowledged before the last
//! of them came is in it, for nothing leaves this store in between, and the entry has not left it yet either. If
//! somebody else leads by then, it will not be committed, and all of them are told so.

use std::collections::BTreeMap;

use tokio::sync::oneshot;

use crate::ids::RegionId;
use crate::proto::raft_cmdpb::{CmdType, RaftCmdRequest, RaftRequestHeader};
use crate::raftstore::{CommandId, CommandResult};

/// Where an answer goes.
pub(super) type Reply = oneshot::Sender<CommandResult>;

/// Those who wait.
#[derive(Default)]
pub(super) struct Waiting {
    last_id: CommandId,
    replies: BTreeMap<CommandId, Reply>,
    /// Who shares a read of somebody in `replies`.
    sharing: BTreeMap<CommandId, Vec<Reply>>,
    /// The reads that may still be shared.
    reads: BTreeMap<RegionId, (RaftRequestHeader, CommandId)>,
}

impl Waiting {
    /// Notes who waits for a command. The id is for the store; there is none where the command shares what the store
    /// has already.
    pub fn add(&mut self, request: &RaftCmdRequest, reply: Reply) -> Option<CommandId> {
        let read = request.header.as_ref().filter(|_| is_read(request));
        if let Some(header) = read
            && let Some((shared, id)) = self.reads.get(&header.region_id)
            && shared == header
        {
            self.sharing.entry(*id).or_default().push(reply);
            return None;
        }
        self.last_id += 1;
        self.replies.insert(self.last_id, reply);
        if let Some(header) = read {
            self.reads.insert(header.region_id, (header.clone(), self.last_id));
        }
        Some(self.last_id)
    }

    /// The store works now: whoever comes from now on needs a place of its own.
    pub fn close(&mut self) {
        self.reads.clear();
    }

    /// Tells those who wait. Whoever asked may be gone: then nobody misses the answer.
    pub fn answer(&mut self, id: CommandId, result: CommandResult) {
        for reply in self.sharing.remove(&id).into_iter().flatten() {
            drop(reply.send(result.clone()));
        }
        if let Some(reply) = self.replies.remove(&id) {
            drop(reply.send(result));
        }
    }
}

/// One read and nothing else.
fn is_read(request: &RaftCmdRequest) -> bool {
    request.admin_request.is_none()
        && matches!(request.requests.as_slice(), [one] if one.cmd_type() == CmdType::Snap)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::Error;
    use crate::proto::raft_cmdpb::Request;

    fn command(region_id: RegionId, term: u64, cmd_type: CmdType) -> RaftCmdRequest {
        let header = Some(RaftRequestHeader { region_id, term, ..Default::default() });
        let requests = vec![Request { cmd_type: cmd_type.into(), ..Default::default() }];
        RaftCmdRequest { header, requests, admin_request: None }
    }

    fn undetermined() -> CommandResult {
        Err(Error::Undetermined("tested".to_string()))
    }

    #[test]
    fn reads_share_until_the_store_works() {
        let mut waiting = Waiting::default();
        let (read, mut answers) = (command(1, 0, CmdType::Snap), Vec::new());
        let mut add = |waiting: &mut Waiting, request: &RaftCmdRequest| {
            let (reply, answer) = oneshot::channel();
            answers.push(answer);
            waiting.add(request, reply)
        };
        assert_eq!(add(&mut waiting, &read), Some(1));
        assert_eq!(add(&mut waiting, &read), None, "it shares");
        waiting.close();
        assert_eq!(add(&mut waiting, &read), Some(2), "the first has its place in the log by now");
        waiting.answer(1, undetermined());
        let told: Vec<bool> = answers.iter_mut().map(|answer| answer.try_recv().is_ok()).collect();
        assert_eq!(told, [true, true, false]);
    }

    #[test]
    fn only_like_reads_share() {
        let mut waiting = Waiting::default();
        let others = [
            command(1, 0, CmdType::Snap),
            command(2, 0, CmdType::Snap),
            command(1, 7, CmdType::Snap),
            command(1, 0, CmdType::Put),
            command(1, 0, CmdType::Put),
        ];
        let ids = others.map(|request| waiting.add(&request, oneshot::channel().0));
        assert_eq!(ids, [Some(1), Some(2), Some(3), Some(4), Some(5)]);
    }
}
