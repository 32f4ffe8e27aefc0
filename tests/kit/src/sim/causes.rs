//! Why a request has no answer: what stands in its way, as far as somebody who sees everything can tell.

use std::fmt::Write;

use raftkv::proto::metapb::{Peer as Member, Region};
use raftkv::raftstore::Peer;

use super::Sim;
use super::calls::Call;
use super::invariants::regions::region_text;

impl Sim {
    /// What each waiting client waits for, and why it may wait.
    pub(super) fn waiting_text(&self) -> String {
        let mut text = String::new();
        for call in self.calls.values().filter(|call| call.outcome.is_none()) {
            let since = self.now - call.since;
            writeln!(
                text,
                "client {} waits: {} (try {}, {} ms): {}",
                call.client,
                call.request.text(),
                call.tries,
                since / 1000,
                call.last_word
            )
            .expect("writing to a String");
            for cause in self.causes(call) {
                writeln!(text, "    {cause}").expect("writing to a String");
            }
        }
        text
    }

    /// All that may keep this request from being answered, the nearest first.
    fn causes(&self, call: &Call) -> Vec<String> {
        let key = call.request.first_key();
        let mut causes = self.routing_causes(key);
        if let Some(why) = self.why_deaf(call.asked, None) {
            causes.push(format!("store {}, which was asked last, {why}", call.asked));
        }
        let map = self.region_map();
        match map.iter().find(|region| region.range().contains(key)) {
            Some(region) => causes.extend(self.region_causes(region)),
            None => causes.push("no store has a peer of a region with this key".to_string()),
        }
        if causes.is_empty() {
            causes.push(
                "its region has a leader that hears a majority: the leader has the request and gives no answer, or refuses it again and again"
                    .to_string(),
            );
        }
        causes
    }

    /// What the client, or the scheduler it asks, believes about the key, where that is wrong. An old `conf_ver` does
    /// no harm: it says who the members are, and not whose the key is.
    fn routing_causes(&self, key: &[u8]) -> Vec<String> {
        let mut causes = Vec::new();
        if !self.placement.is_on {
            return causes;
        }
        let version = |region: &Region| region.region_epoch.unwrap_or_default().version;
        let mut compare = |who: &str, known: &Region| {
            let newest = self.newest(known.id);
            if version(&newest) != version(known) {
                let (known, newest) = (region_text(known), region_text(&newest));
                causes.push(format!("{who} goes by an old edition: {known}; the newest is {newest}"));
            }
        };
        let at_client = self.regions.iter().find(|region| region.range().contains(key));
        let at_scheduler = self.placement.scheduler.region_by_key(key);
        at_client.into_iter().for_each(|region| compare("the client", region));
        at_scheduler.into_iter().for_each(|info| compare("the scheduler", &info.region));
        if at_client.is_none() {
            causes.push("the client knows no region with this key, and nobody has named one".to_string());
        }
        match at_scheduler {
            None => causes
                .push("the scheduler knows no region with this key: was a split not reported?".to_string()),
            Some(info) if info.leader.is_none() => {
                causes.push(format!("nobody has told the scheduler who leads region {}", info.region.id));
            }
            Some(_) => {}
        }
        causes
    }

    /// What is the matter with the region itself.
    fn region_causes(&self, region: &Region) -> Vec<String> {
        let mut causes = Vec::new();
        let id = region.id;
        match self.leader_of(id).and_then(|store| self.peer_of(store, id)) {
            None => causes.push(self.why_no_leader(region)),
            Some(leader) => causes.extend(leader_causes(leader, self.placement.is_on)),
        }
        for member in &region.peers {
            let Some(peer) = self.peer_of(member.store_id, id) else { continue };
            if let Some(key) = peer.node().storage().loading() {
                causes.push(format!("peer {} on store {} loads the {key}", member.id, member.store_id));
            } else if !peer.is_initialized() {
                causes.push(format!("peer {} on store {} waits for a snapshot", member.id, member.store_id));
            }
        }
        causes
    }

    fn why_no_leader(&self, region: &Region) -> String {
        let there: Vec<&Member> =
            region.peers.iter().filter(|member| self.why_absent(member, region).is_none()).collect();
        let mut text = format!("region {} has no leader that a majority follows: ", region.id);
        let absent = region.peers.iter().filter_map(|member| {
            let why = self.why_absent(member, region)?;
            Some(format!("peer {} on store {} {why}", member.id, member.store_id))
        });
        let absent: Vec<String> = absent.collect();
        if there.len() <= region.peers.len() / 2 {
            text.push_str("no majority is there; ");
        }
        if absent.is_empty() {
            text.push_str(
                "all its members are there and hear each other: why does none of them win an election?",
            );
        } else {
            text.push_str(&absent.join("; "));
        }
        text
    }

    /// Why a member cannot take part, if it cannot.
    fn why_absent(&self, member: &Member, region: &Region) -> Option<String> {
        self.why_deaf(member.store_id, Some(region)).or_else(|| {
            match self.peer_of(member.store_id, region.id) {
                None => Some("is not there: its store knows nothing of it".to_string()),
                Some(peer) if peer.id() != member.id => {
                    Some(format!("is not there, but peer {} is", peer.id()))
                }
                Some(_) => None,
            }
        })
    }

    /// Why a store does not answer, if it does not: it is down, has stopped, or is cut off, from clients or from the
    /// other members of the region.
    fn why_deaf(&self, store: u64, region: Option<&Region>) -> Option<String> {
        let machine = self.machines.get(&store)?;
        if let Some(why) = &machine.stopped {
            return Some(format!("has stopped: {why}"));
        }
        if !self.stores.contains_key(&store) {
            return Some("is down".to_string());
        }
        let Some(region) = region else {
            return self.network.is_cut_from_clients(store).then(|| "does not hear clients".to_string());
        };
        let others = || region.peers.iter().map(|member| member.store_id).filter(|other| *other != store);
        let is_cut = |other: u64| self.network.is_cut((store, other)) || self.network.is_cut((other, store));
        let cut: Vec<String> =
            others().filter(|other| is_cut(*other)).map(|other| other.to_string()).collect();
        (!cut.is_empty()).then(|| format!("is cut off from store {}", cut.join(" and ")))
    }
}

/// What keeps a leader from serving. Leaders hand over, and members change, only where regions do: before that stage,
/// nobody asks.
fn leader_causes(leader: &Peer, regions_change: bool) -> Vec<String> {
    let (id, raft) = (leader.region_id(), leader.node().raft());
    let mut causes = Vec::new();
    let to = if regions_change { raft.lead_transferee() } else { 0 };
    if to != 0 {
        causes.push(format!(
            "peer {} leads region {id}, and is handing over to peer {to}: meanwhile it takes nothing",
            leader.id()
        ));
    }
    if let Some(index) = Some(raft).filter(|_| regions_change).and_then(|raft| raft.pending_conf_index()) {
        causes.push(format!(
            "a change of members waits at index {index} of region {id}, applied is {}",
            leader.apply_state().applied_index
        ));
    }
    if raft.commit() < raft.log().last_index() {
        causes.push(format!(
            "peer {} leads region {id}: entries {} to {} are not committed, a majority has not acknowledged them",
            leader.id(),
            raft.commit() + 1,
            raft.log().last_index()
        ));
    }
    causes
}
