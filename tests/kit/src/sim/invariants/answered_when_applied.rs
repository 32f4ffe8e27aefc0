//! A client hears of its command when that is carried out, and not before.

use prost::Message;
use raftkv::proto::raft_cmdpb::RaftCmdRequest;

use super::{Disks, Invariant, Place, Verdict, applied_on_disk, check, entry_on_disk};

/// Looks at the disks in the moment in which an answer leaves. The command is known by the uuid that its owner has put
/// into its header, and so is its entry.
pub struct AnsweredWhenApplied;

impl Invariant for AnsweredWhenApplied {
    fn rule(&self) -> &'static str {
        "a client hears of its command after the write that carries it out: by then its entry is in the log on the disk, and data \
         and applied index are on the kv engine (Store::handle_ready; section 8)"
    }

    fn on_reply(&mut self, disks: &Disks<'_>, at: Place, uuid: &[u8]) -> Verdict {
        let last = disks.raft_state(at.1)?.last_index;
        let mut log = (1..=last).rev().map_while(|index| entry_on_disk(disks.raft(), at.1, index));
        let is_it = |data: &[u8]| {
            RaftCmdRequest::decode(data)
                .is_ok_and(|command| command.header.is_some_and(|header| header.uuid == uuid))
        };
        let Some(entry) = log.find(|entry| is_it(&entry.data)) else {
            return Err("it answers a command of which there is no entry in its log".to_string());
        };
        let applied = applied_on_disk(disks, at.1)?;
        check(entry.index <= applied, || {
            let (index, term) = (entry.index, entry.term);
            format!(
                "it answers the command of entry {index}@{term}, and on the kv engine the applied index is {applied}"
            )
        })
    }
}
