//! The end of a run: what must be true when the trouble is over.

use bytes::Bytes;
use raftkv::engine::Cf;
use raftkv::ids::StoreId;
use raftkv::proto::metapb::{Peer as Member, Region};

use super::probes::data_in;
use super::raw::short;
use super::{Sim, secs};
use crate::history;

/// A column family, a key in it, and its value.
type Pair = (Cf, Bytes, Bytes);

/// The first key at which two stores differ, in words.
fn difference((a, first): (StoreId, &[Pair]), (b, second): (StoreId, &[Pair])) -> String {
    let lacks = |pairs: &[Pair], pair: &Pair| !pairs.contains(pair);
    let differs = first.iter().find(|p| lacks(second, p)).or(second.iter().find(|p| lacks(first, p)));
    let Some((cf, key, _)) = differs else { return format!("stores {a} and {b} differ") };
    let value = |pairs: &[Pair]| {
        let pair = pairs.iter().find(|pair| (&pair.0, &pair.1) == (cf, key));
        pair.map_or("nothing".to_string(), |pair| short(&pair.2))
    };
    format!(
        "stores {a} and {b} have applied the same entries, and key {} ({}) holds {} on store {a}, {} on store {b}: was an entry \
         applied twice on one of them, or data lost in a crash that the applied index counts?",
        short(key),
        cf.name(),
        value(first),
        value(second)
    )
}

impl Sim {
    /// The trouble ends, the clients end their work. Then
    ///
    /// 1. there is a leader, what clients have asked for comes to an end, and a new client writes and reads, all within
    ///    a bounded time (liveness);
    /// 2. all stores apply the same entries and hold the same data (section 5.4.3);
    /// 3. nobody waits in vain, in any store;
    /// 4. what all clients heard can be explained by one copy of the data (linearizability).
    pub fn finish(&mut self) {
        self.end_trouble();
        self.stop_clients();
        self.clients_have_ended();
        for region in self.region_map() {
            self.await_leader(region.id);
        }
        self.leader();
        self.put("the end", "reached");
        let end = self.get("the end");
        if end.as_deref() != Some(b"reached") {
            self.break_off(
                "a put is seen by the next get",
                &format!("a new client put a key, and reads {end:?}"),
            );
        }
        self.settle();
        self.same_data();
        self.nothing_left();
        self.nobody_waits();
        if let Err(violation) = history::check(&self.recorder.operations()) {
            self.break_off_at(
                "the store looks like one copy that serves one call at a time (linearizability; section 8)",
                &violation.to_string(),
                violation.when.1,
            );
        }
        self.report_figures();
    }

    fn clients_have_ended(&self) {
        let waiting = self.clients_wait();
        if waiting > 0 {
            self.break_off(
                "once messages get through, every call comes to an end (section 5.6)",
                &format!("{waiting} clients still wait, long after the trouble has ended"),
            );
        }
    }

    /// Lets time pass until all stores have applied all that is committed.
    pub fn settle(&mut self) {
        self.until(
            "once messages get through, every peer applies all that is committed (section 5.3)",
            secs(20),
            |sim| {
                let all = || sim.stores.values().flat_map(|store| store.peers());
                if !sim.peers_are_members() {
                    return false;
                }
                let end = |region| {
                    all()
                        .filter(|p| p.region_id() == region)
                        .map(|p| p.node().raft().log().last_index())
                        .max()
                };
                sim.stores.len() == sim.machines.len()
                    && all().all(|peer| Some(peer.apply_state().applied_index) == end(peer.region_id()))
            },
        );
    }

    /// Every member of every region is there, and nobody else is.
    fn peers_are_members(&self) -> bool {
        let map = self.region_map();
        let count: usize = map.iter().map(|region| region.peers.len()).sum();
        let members = || map.iter().flat_map(|region| region.peers.iter().map(move |peer| (region, peer)));
        let is_there = |(region, peer): (&Region, &Member)| {
            let there = self.peer_of(peer.store_id, region.id);
            there.is_some_and(|there| there.id() == peer.id && there.region() == region)
        };
        members().all(is_there)
            && count == self.stores.values().map(|store| store.peers().count()).sum::<usize>()
    }

    fn same_data(&mut self) {
        let ids: Vec<StoreId> = self.stores.keys().copied().collect();
        for region in self.region_map() {
            let data = |sim: &Sim, id: &StoreId| data_in(sim.stores[id].engines(), &region.range());
            let members: Vec<StoreId> = region.peers.iter().map(|peer| peer.store_id).collect();
            let first = data(self, &members[0]);
            for id in &members[1..] {
                let other = data(self, id);
                if other != first {
                    self.break_off(
                        "all peers apply the same commands in the same order, each once (section 5.4.3; section 8)",
                        &difference((members[0], &first), (*id, &other)),
                    );
                }
            }
            for id in ids.iter().filter(|id| !members.contains(id)) {
                let left = data(self, id);
                if let Some((cf, key, _)) = left.first() {
                    self.break_off(
                        "a store keeps no data of regions of which it has no peer: who is removed takes its data with it",
                        &format!("store {id} has key {} ({}), which is of region {}", short(key), cf.name(), region.id),
                    );
                }
            }
        }
    }

    /// Snapshots that nobody needs any more go, and with them their files. What a broken stream has left may stay until
    /// the next start where the disk has failed: perhaps it was the removal that failed.
    fn nothing_left(&mut self) {
        let left = |sim: &Sim| {
            let files = sim.machines.iter().map(|(id, machine)| {
                let files =
                    machine.files.as_ref().map(|files| files.list().expect("the simulated disk can be read"));
                let mut files = files.unwrap_or_default();
                if machine.disk.struck() > machine.struck_before {
                    files.retain(|name| !name.starts_with("temporary_"));
                }
                (*id, files)
            });
            files.filter(|(_, files)| !files.is_empty()).collect::<Vec<_>>()
        };
        if !self.run_while(secs(5), |sim| !sim.workers_rest() || !left(sim).is_empty()) {
            self.break_off(
                "when nobody needs a snapshot any more, its files are removed (SnapFiles)",
                &format!(
                    "all is done since 5 s; files left: {:?}; under way: {}",
                    left(self),
                    self.under_way()
                ),
            );
        }
    }

    /// Looks at who was answered, and at what the stores themselves believe.
    fn nobody_waits(&self) {
        for (id, store) in &self.stores {
            let waiting = self.waiting_at(*id);
            let pending: usize = store.peers().map(|peer| peer.pending()).sum();
            if pending > 0 || !waiting.is_empty() {
                self.break_off(
                    "every command is answered: one that was overtaken with StaleCommand (Effect::Reply)",
                    &format!(
                        "everything is applied everywhere, and on store {id} the commands {waiting:?} have no answer; \
                         {pending} proposals are pending there. Was another entry taken for theirs (is it index and term?), \
                         or did they leave the list without an answer?"
                    ),
                );
            }
        }
    }

    /// Figures for those who run many seeds: see `just soak`.
    fn report_figures(&self) {
        let Some(path) = std::env::var_os("RAFTKV_SIM_STATS") else { return };
        let line = format!("ops={} virtual_ms={}\n", self.recorder.len(), self.now / 1000);
        let file = std::fs::OpenOptions::new().append(true).create(true).open(path);
        if let Ok(mut file) = file {
            let _ = std::io::Write::write_all(&mut file, line.as_bytes());
        }
    }
}
