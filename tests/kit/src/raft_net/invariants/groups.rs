//! The group is that of the last change applied, the same for all at one place of the log; and who is no member of it
//! stands for nothing (thesis, sections 4.1 and 4.2.2).

use std::collections::BTreeMap;

use raftkv::ids::{Index, PeerId};
use raftkv::raft::Role;

use super::{Invariant, Verdict, World, check};

/// Remembers the group at each place of the log at which it changed, or at which a snapshot named it.
#[derive(Default)]
pub struct Groups {
    at: BTreeMap<Index, Vec<PeerId>>,
}

impl Invariant for Groups {
    fn rule(&self) -> &'static str {
        "the group of a node is that of the last change that it has applied, and the same on all nodes that are as far; who is no \
         member neither leads nor stands for election (thesis, sections 4.1 and 4.2.2)"
    }

    fn after_step(&mut self, world: &World, id: PeerId) -> Verdict {
        let node = &world.nodes[&id];
        if node.group_since > 0 && !node.group_ahead {
            let (since, group) = (node.group_since, &node.group);
            let known = self.at.range(..=since).next_back().map(|(_, known)| known.clone());
            let is_known = self.at.contains_key(&since);
            let first = self.at.entry(since).or_insert_with(|| group.clone());
            check(first == group, || {
                format!("at entry {since} the group of node {id} is {group:?}; others had {first:?} there")
            })?;
            if let Some(known) = known.filter(|_| !is_known) {
                let added = group.iter().filter(|member| !known.contains(member)).count();
                let removed = known.iter().filter(|member| !group.contains(member)).count();
                check(added + removed <= 1, || {
                    format!(
                        "at entry {since} the group is {group:?}, and before it was {known:?}: more than one step away"
                    )
                })?;
            }
        }
        if node.seen.restored.is_some() {
            return Ok(());
        }
        check(node.seen.voters == node.group, || {
            format!(
                "node {id} takes {:?} for the members of its group; after the changes that it has applied they are {:?}",
                node.seen.voters, node.group
            )
        })?;
        check(node.seen.role == Role::Follower || node.group.contains(&id), || {
            format!("node {id} is a {:?}, and no member of the group {:?}", node.seen.role, node.group)
        })
    }
}
