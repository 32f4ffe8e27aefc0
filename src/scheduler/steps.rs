//! From a goal to the next order.
//!
//! A goal says which peer is to be in the group, which out, and which one leads. The peer that comes in has its id from
//! the beginning, so an order that is sent again, or arrives twice, asks for the same. What is next follows from the
//! goal and the latest heartbeat alone:
//!
//! ```text
//!   the new peer is not in the group      -> add it
//!   ... still waits for its snapshot      -> wait: until it has the data, the old one has to stay
//!   the old peer is in the group, leads   -> transfer the leadership, to the new one if there is one
//!   ... does not lead                     -> remove it
//!   another peer is to lead               -> transfer the leadership
//!   none of these                         -> done
//! ```
//!
//! | operator | new | old | leader |
//! |---|---|---|---|
//! | `AddPeer` | x | | |
//! | `RemovePeer` | | x | |
//! | `MovePeer` | x | x | |
//! | `TransferLeader` | | | x |
//!
//! The tests are those of `operators.rs`.

use super::stores::Stores;
use super::{Config, Operator, RegionInfo};
use crate::ids::PeerId;
use crate::proto::metapb::Peer;

/// Why an operator was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Dropped {
    /// Others have changed the group before the new peer was in, or have removed it. Ordered again it could come twice,
    /// or under an id that its store has seen removed.
    GroupChanged,
    /// The new peer does not answer: it would never get its data.
    NewPeerDown,
    /// The peer to be removed is the only one: its data would be gone.
    LastPeer,
    /// The peer to be removed leads, and no other peer is fit to.
    NoSuccessor,
    /// The peer that is to lead is not in the group any more.
    PeerGone,
    /// One order was sent [`Config::max_sends`] times in vain.
    NoProgress,
}

/// What a leader is asked to do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Order {
    Add(Peer),
    Remove(Peer),
    Transfer(Peer),
}

/// What is wanted, down to the peer.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Goal {
    new: Option<Peer>,
    old: Option<Peer>,
    leader: Option<Peer>,
}

/// What follows from a goal and a heartbeat.
pub(super) enum Step {
    Send(Order),
    Wait,
    Done,
    Drop(Dropped),
}

/// Checks an operator, and fixes which peers it is about: a peer that comes to the same store later is another one.
pub(super) fn goal(
    operator: Operator,
    info: &RegionInfo,
    stores: &Stores,
    new_id: impl FnOnce() -> PeerId,
) -> Result<Goal, &'static str> {
    let there = |store| info.region.peer_on(store).copied().ok_or("the store has no peer of the region");
    let free = |store| match info.region.peer_on(store) {
        Some(_) => Err("the store has a peer of the region already"),
        None if !stores.is_up(store) => Err("the store is not known, or not up"),
        None => Ok(store),
    };
    let new = |store_id| Some(Peer { id: new_id(), store_id, ..Default::default() });
    match operator {
        Operator::AddPeer { store_id } => Ok(Goal { new: new(free(store_id)?), ..Default::default() }),
        Operator::RemovePeer { store_id } => {
            let old = there(store_id)?;
            if info.region.peers.len() == 1 {
                return Err("it is the last peer");
            }
            Ok(Goal { old: Some(old), ..Default::default() })
        }
        Operator::TransferLeader { store_id } => {
            Ok(Goal { leader: Some(there(store_id)?), ..Default::default() })
        }
        Operator::MovePeer { from_store, to_store } => {
            let old = there(from_store)?;
            Ok(Goal { new: new(free(to_store)?), old: Some(old), ..Default::default() })
        }
    }
}

/// What is next, given the conf_ver of the region for which the goal was made.
pub(super) fn next_step(goal: &Goal, conf_ver: u64, info: &RegionInfo, config: &Config) -> Step {
    let bring = goal.new.and_then(|new| bring_in(new, conf_ver, info, config));
    let take = || goal.old.and_then(|old| take_out(old, goal.new, info));
    let lead = || goal.leader.and_then(|leader| hand_over(leader, info));
    bring.or_else(take).or_else(lead).unwrap_or(Step::Done)
}

/// None once it is in and has all data.
fn bring_in(new: Peer, conf_ver: u64, info: &RegionInfo, config: &Config) -> Option<Step> {
    if !info.has(new.id) {
        let changed = info.epoch().conf_ver != conf_ver;
        return Some(if changed { Step::Drop(Dropped::GroupChanged) } else { Step::Send(Order::Add(new)) });
    }
    if info.is_down(new.id, config.max_down_seconds) {
        return Some(Step::Drop(Dropped::NewPeerDown));
    }
    info.is_pending(new.id).then_some(Step::Wait)
}

/// None once it is out.
fn take_out(old: Peer, new: Option<Peer>, info: &RegionInfo) -> Option<Step> {
    if !info.has(old.id) {
        return None;
    }
    if info.region.peers.len() == 1 {
        return Some(Step::Drop(Dropped::LastPeer));
    }
    if !info.is_led_by(old.id) {
        return Some(Step::Send(Order::Remove(old)));
    }
    let fit =
        |peer: &&Peer| peer.id != old.id && !info.is_pending(peer.id) && info.down_seconds(peer.id).is_none();
    let successor = new.or_else(|| info.region.peers.iter().filter(fit).min_by_key(|peer| peer.id).copied());
    Some(successor.map_or(Step::Drop(Dropped::NoSuccessor), |peer| Step::Send(Order::Transfer(peer))))
}

/// None once it leads.
fn hand_over(leader: Peer, info: &RegionInfo) -> Option<Step> {
    if !info.has(leader.id) {
        return Some(Step::Drop(Dropped::PeerGone));
    }
    (!info.is_led_by(leader.id)).then_some(Step::Send(Order::Transfer(leader)))
}
