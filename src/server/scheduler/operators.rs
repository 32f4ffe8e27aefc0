//! Operators as JSON: what people ask for, and how it stands.
//!
//! `{"region":1,"kind":"add-peer","store":4}`; a `move-peer` also has a `from`, the store where the peer is.

use serde::{Deserialize, Serialize};

use crate::ids::{RegionId, StoreId};
use crate::scheduler::{Dropped, Operator, OperatorState, OperatorStatus};

/// The kinds of operators.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// See [`Operator::AddPeer`].
    AddPeer,
    /// See [`Operator::RemovePeer`].
    RemovePeer,
    /// See [`Operator::TransferLeader`].
    TransferLeader,
    /// See [`Operator::MovePeer`].
    MovePeer,
}

/// What somebody wants.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Wish {
    /// Of which region.
    pub region: RegionId,
    /// What is to happen.
    pub kind: Kind,
    /// On which store; for a move: to which.
    pub store: StoreId,
    /// For a move: from which store.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from: Option<StoreId>,
}

/// How it stands.
#[derive(Clone, Debug, Serialize)]
pub struct Progress {
    /// What was wanted.
    #[serde(flatten)]
    pub wish: Wish,
    /// `running`, `done` or `dropped`.
    pub state: &'static str,
    /// Why it was dropped.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<&'static str>,
}

impl Wish {
    /// As the core knows it.
    ///
    /// # Errors
    /// What is missing, or too much.
    pub fn operator(&self) -> Result<Operator, &'static str> {
        let store_id = self.store;
        match (self.kind, self.from) {
            (Kind::MovePeer, Some(from_store)) => Ok(Operator::MovePeer { from_store, to_store: store_id }),
            (Kind::MovePeer, None) => Err("a move-peer needs \"from\": the store where the peer is"),
            (_, Some(_)) => Err("only a move-peer has a \"from\""),
            (Kind::AddPeer, None) => Ok(Operator::AddPeer { store_id }),
            (Kind::RemovePeer, None) => Ok(Operator::RemovePeer { store_id }),
            (Kind::TransferLeader, None) => Ok(Operator::TransferLeader { store_id }),
        }
    }

    fn of(region: RegionId, operator: Operator) -> Wish {
        let (kind, store, from) = match operator {
            Operator::AddPeer { store_id } => (Kind::AddPeer, store_id, None),
            Operator::RemovePeer { store_id } => (Kind::RemovePeer, store_id, None),
            Operator::TransferLeader { store_id } => (Kind::TransferLeader, store_id, None),
            Operator::MovePeer { from_store, to_store } => (Kind::MovePeer, to_store, Some(from_store)),
        };
        Wish { region, kind, store, from }
    }
}

impl Progress {
    /// Of one operator.
    pub fn of(status: OperatorStatus) -> Progress {
        let (state, why) = match status.state {
            OperatorState::Running => ("running", None),
            OperatorState::Done => ("done", None),
            OperatorState::Dropped(why) => ("dropped", Some(reason(why))),
        };
        Progress { wish: Wish::of(status.region_id, status.operator), state, why }
    }
}

impl Kind {
    /// As in JSON.
    pub fn name(self) -> &'static str {
        match self {
            Kind::AddPeer => "add-peer",
            Kind::RemovePeer => "remove-peer",
            Kind::TransferLeader => "transfer-leader",
            Kind::MovePeer => "move-peer",
        }
    }
}

fn reason(why: Dropped) -> &'static str {
    match why {
        Dropped::GroupChanged => {
            "the group has changed before the new peer was in, or the new peer was removed"
        }
        Dropped::NewPeerDown => "the new peer does not answer",
        Dropped::LastPeer => "the peer to be removed is the only one",
        Dropped::NoSuccessor => "the peer to be removed leads, and no other peer is fit to",
        Dropped::PeerGone => "the peer that was to lead is not in the group any more",
        Dropped::NoProgress => "an order was sent too often in vain",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_comes_back_as_it_was_given() {
        for text in [
            r#"{"region":1,"kind":"add-peer","store":4}"#,
            r#"{"region":1,"kind":"remove-peer","store":4}"#,
            r#"{"region":1,"kind":"transfer-leader","store":4}"#,
            r#"{"region":1,"kind":"move-peer","store":4,"from":2}"#,
        ] {
            let wish: Wish = serde_json::from_str(text).expect("it is well-formed");
            let again = Wish::of(wish.region, wish.operator().expect("nothing is missing"));
            assert_eq!(serde_json::to_string(&again).expect("plain data"), text);
            assert!(text.contains(&format!("\"{}\"", wish.kind.name())), "{text}");
        }
    }

    #[test]
    fn a_move_has_two_ends_and_nothing_else_has() {
        let wish = Wish { region: 1, kind: Kind::MovePeer, store: 4, from: None };
        assert!(wish.operator().is_err());
        assert!(Wish { kind: Kind::AddPeer, from: Some(1), ..wish }.operator().is_err());
    }
}
