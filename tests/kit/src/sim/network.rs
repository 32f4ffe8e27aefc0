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
}

impl Default for Weather {
    fn default() -> Weather {
        Weather { latency: (500, 1500), loss: 0, duplication: 0, delay: 0 }
    }
}

impl Weather {
    /// Messages are lost, doubled, late and overtaken all the time.
    pub fn bad() -> Weather {
        Weather { latency: (500, 8000), loss: 10, duplication: 5, delay: 10 }
    }
}

/// What becomes of one message.
#[derive(Debug, PartialEq, Eq)]
pub enum Fate {
    /// It arrives after each of these times: never, once or twice.
    Arrives(Vec<Micros>),
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

    /// Mends every cut.
    pub fn heal(&mut self) {
        self.cut.clear();
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
        let mut times = vec![self.latency(rng)];
        if rng.percent(self.weather.duplication) {
            self.strike(Fault::Duplicate);
            times.push(self.latency(rng));
        }
        Fate::Arrives(times)
    }

    fn latency(&mut self, rng: &mut Rng) -> Micros {
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
