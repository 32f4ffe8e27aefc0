//! What the network does to messages between stores.

use std::collections::{BTreeMap, BTreeSet};

use raftkv::ids::StoreId;

use super::Micros;
use super::faults::Fault;
use crate::Rng;

/// From one store to another. The way back is another link.
pub type Link = (StoreId, StoreId);

/// How well messages travel. A message that is slower than one sent later is overtaken by it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Weather {
    /// The least and the most time that a message takes.
    pub latency: (Micros, Micros),
    /// Of a hundred messages, so many are lost.
    pub loss: u64,
    /// Of a hundred messages, so many arrive twice.
    pub duplication: u64,
    /// Of a hundred messages, so many take up to ten times as long as they should.
    pub delay: u64,
    /// Of a hundred requests of clients, and of a hundred answers, so many are lost.
    pub client_loss: u64,
    /// Of a hundred chunks of snapshots, so many are lost or damaged, or the last that their stream carries.
    pub stream_trouble: u64,
}

impl Default for Weather {
    fn default() -> Weather {
        let latency = (500, 1500);
        Weather { latency, loss: 0, duplication: 0, delay: 0, client_loss: 0, stream_trouble: 0 }
    }
}

impl Weather {
    /// Messages are lost, doubled, late and overtaken all the time, and clients do not always hear their answers.
    pub fn bad() -> Weather {
        let latency = (500, 8000);
        Weather { latency, loss: 10, duplication: 5, delay: 10, client_loss: 2, stream_trouble: 4 }
    }
}

/// What becomes of one message.
#[derive(Debug, PartialEq, Eq)]
pub enum Fate {
    /// It arrives after this time, and once more if there is a second one.
    Arrives(Micros, Option<Micros>),
    /// It is lost, and why.
    Lost(&'static str),
    /// It waits until its link is released.
    Held,
}

/// All links.
#[derive(Debug, Default)]
pub struct Network {
    /// How messages travel at the moment.
    pub weather: Weather,
    cut: BTreeSet<Link>,
    held: BTreeSet<Link>,
    /// Clients and these stores do not hear each other.
    clients_cut: BTreeSet<StoreId>,
    /// The faults that have struck, and how often.
    pub struck: BTreeMap<Fault, u64>,
}

impl Network {
    /// All links are open.
    pub fn new(weather: Weather) -> Network {
        Network { weather, ..Network::default() }
    }

    /// Cuts one direction.
    pub fn cut(&mut self, link: Link) {
        self.cut.insert(link);
    }

    /// Cuts a store off from the clients.
    pub fn cut_clients(&mut self, id: StoreId) {
        self.clients_cut.insert(id);
    }

    /// Decides on a request to a store, or on its answer.
    pub fn loses_client(&mut self, id: StoreId, rng: &mut Rng) -> bool {
        let lost = self.clients_cut.contains(&id) || rng.percent(self.weather.client_loss);
        if lost {
            self.strike(Fault::ClientLoss);
        }
        lost
    }

    /// Mends every cut between stores.
    pub fn heal_stores(&mut self) {
        self.cut.clear();
    }

    /// Mends every cut.
    pub fn heal(&mut self) {
        self.cut.clear();
        self.clients_cut.clear();
    }

    /// True if clients and this store do not hear each other.
    pub fn is_cut_from_clients(&self, id: StoreId) -> bool {
        self.clients_cut.contains(&id)
    }

    /// True if nothing gets through.
    pub fn is_cut(&self, link: Link) -> bool {
        self.cut.contains(&link)
    }

    /// True if what travels has to wait.
    pub fn is_held(&self, link: Link) -> bool {
        self.held.contains(&link)
    }

    /// Holds what travels on the link.
    pub fn hold(&mut self, link: Link) {
        self.held.insert(link);
    }

    /// Nothing is held any more.
    pub fn release(&mut self) {
        self.held.clear();
    }

    /// Decides on one message.
    pub fn fate(&mut self, link: Link, rng: &mut Rng) -> Fate {
        if self.cut.contains(&link) {
            self.strike(Fault::Cut);
            return Fate::Lost("the link is cut");
        }
        if self.held.contains(&link) {
            self.strike(Fault::Hold);
            return Fate::Held;
        }
        if rng.percent(self.weather.loss) {
            self.strike(Fault::Loss);
            return Fate::Lost("the network loses it");
        }
        let time = self.latency(rng);
        let again = rng.percent(self.weather.duplication).then(|| {
            self.strike(Fault::Duplicate);
            self.latency(rng)
        });
        Fate::Arrives(time, again)
    }

    /// How long something takes.
    pub fn latency(&mut self, rng: &mut Rng) -> Micros {
        let (least, most) = self.weather.latency;
        let usual = least + rng.below(most - least + 1);
        if rng.percent(self.weather.delay) {
            self.strike(Fault::Delay);
            return usual * (2 + rng.below(9));
        }
        usual
    }

    /// Counts a fault.
    pub fn strike(&mut self, fault: Fault) {
        *self.struck.entry(fault).or_default() += 1;
    }
}
