//! What a failure says.

use std::fmt::Write;

use raftkv::raft::Role;
use raftkv::raftstore::Store;

use super::trace::command_text;
use super::{Micros, Sim};

impl Sim {
    /// Ends the test: what should have held, what happened instead, what every peer was doing, who waits for what, and
    /// the last events.
    pub fn break_off(&self, expected: &str, happened: &str) -> ! {
        self.report(
            expected,
            happened,
            &format!("what happened last (without heartbeats):\n{}", self.trace.tail()),
        );
    }

    /// The same for something that happened a while ago.
    pub fn break_off_at(&self, expected: &str, happened: &str, when: Micros) -> ! {
        let story = self.trace.tail_at(when);
        self.report(expected, happened, &format!("what happened up to there (without heartbeats):\n{story}"));
    }

    fn report(&self, expected: &str, happened: &str, story: &str) -> ! {
        panic!(
            "broken rule\n  expected: {expected}\n  happened: {happened}\n\n{}{}\n{}\n{story}",
            self.regions_text(),
            self.stores_text(),
            self.waiting_text(),
        );
    }

    /// Which region lies where, if there is more than one, or it is not as it was in the beginning.
    fn regions_text(&self) -> String {
        if !self.placement.is_on {
            return String::new();
        }
        format!("regions, in the newest edition that any store has:\n{}\n\n", self.region_map_text())
    }

    fn stores_text(&self) -> String {
        let mut text = format!(
            "stores at {:.3} ms (commit and applied are indexes of the log):\n  store peer role       term  vote  leader  log     \
             commit  applied  waiting\n",
            self.now as f64 / 1000.0
        );
        for (id, machine) in &self.machines {
            match (self.stores.get(id), &machine.stopped) {
                (_, Some(why)) => writeln!(text, "  {id:<5} has stopped: {why}"),
                (None, None) => writeln!(text, "  {id:<5} is down"),
                (Some(store), None) => write!(text, "{}", peers_text(store)),
            }
            .expect("writing to a String");
        }
        text
    }
}

fn peers_text(store: &Store) -> String {
    let mut text = String::new();
    for peer in store.peers() {
        let raft = peer.node().raft();
        let role = match raft.role() {
            Role::Follower => "follower",
            Role::Candidate => "candidate",
            Role::Leader => "leader",
        };
        let log = format!("{}..{}", raft.log().first_index(), raft.log().last_index());
        writeln!(
            text,
            "  {:<5} {:<4} {role:<10} {:<5} {:<5} {:<7} {log:<7} {:<7} {:<8} {}",
            store.id(),
            peer.id(),
            raft.term(),
            raft.vote(),
            raft.leader_id(),
            raft.commit(),
            peer.apply_state().applied_index,
            peer.pending(),
        )
        .expect("writing to a String");
        if let Some(key) = peer.node().storage().loading() {
            writeln!(text, "        it loads the {key}: until that is done, nothing is applied")
                .expect("writing to a String");
        }
        let last = raft.log().last_index();
        let entries = raft.log().entries(last.saturating_sub(3), last + 1);
        let tail = entries.iter().map(|e| {
            let command = command_text(e);
            let command = if command.is_empty() { String::new() } else { format!("={command}") };
            format!("{}@{}{command}", e.index, e.term)
        });
        writeln!(text, "        the log ends: {}", tail.collect::<Vec<_>>().join("  "))
            .expect("writing to a String");
    }
    text
}
