//! Committed means: on the disks of a majority; and counting copies commits only entries of the leader's own
//! term (sections 5.3 and 5.4.2).

use std::collections::BTreeMap;

use raftkv::ids::{Index, PeerId, Term};
use raftkv::raft::Role;

use super::{Invariant, Verdict, World, check};

/// Remembers the commit index of each node, in which term it led when it was looked at last, and how far any leader has
/// committed. (A leader that is removed may commit something and step down in one step: thesis, section 4.2.2.)
#[derive(Default)]
pub struct CommitByMajority {
    commit: BTreeMap<PeerId, Index>,
    led: BTreeMap<PeerId, Term>,
    by_leaders: Index,
}

impl Invariant for CommitByMajority {
    fn rule(&self) -> &'static str {
        "a leader commits an entry of its own term once a majority has it on disk, earlier ones only along \
         with it; followers learn it from the leader (sections 5.3 and 5.4.2)"
    }

    fn after_step(&mut self, world: &World, id: PeerId) -> Verdict {
        let seen = world.seen(id);
        let commit = seen.commit;
        let led = self.led.remove(&id) == Some(seen.term);
        if seen.role == Role::Leader {
            self.led.insert(id, seen.term);
        }
        if commit <= self.commit.insert(id, commit).unwrap_or(0) {
            return Ok(());
        }
        if led || seen.role == Role::Leader {
            self.by_leaders = self.by_leaders.max(commit);
            return leader_may_commit(world, id);
        }
        // A puppet commits what it likes.
        check(commit <= self.by_leaders || !world.puppets.is_empty(), || {
            format!(
                "follower {id} takes {commit} for committed, but leaders have committed only up to {}",
                self.by_leaders
            )
        })
    }

    fn on_start(&mut self, world: &World, id: PeerId) -> Verdict {
        let commit = world.seen(id).commit;
        self.commit.insert(id, commit);
        self.by_leaders = self.by_leaders.max(commit);
        Ok(())
    }
}

fn leader_may_commit(world: &World, id: PeerId) -> Verdict {
    let seen = world.seen(id);
    let commit = seen.commit;
    let term = seen.entry(commit).map_or(0, |e| e.term);
    check(term == seen.term, || {
        format!(
            "node {id} leads term {} and has committed up to {commit}@{term}: an entry of an earlier term, \
             which a later leader may still replace (figure 8)",
            seen.term
        )
    })?;
    let on_disk = world.nodes.values().filter(|n| n.has_on_disk(commit, term)).map(|n| n.id);
    let acked = |p: &&PeerId| world.puppet_acks.get(&(**p, seen.term)).is_some_and(|i| *i >= commit);
    let mut holders: Vec<PeerId> = on_disk.chain(world.puppets.iter().filter(acked).copied()).collect();
    holders.retain(|holder| world.group(id).contains(holder));
    check(holders.len() >= world.majority(id), || {
        format!(
            "node {id} has committed up to {commit}@{term}, which only {holders:?} have on disk (or have \
             acknowledged); {} of the group {:?} are needed",
            world.majority(id),
            world.group(id)
        )
    })
}
