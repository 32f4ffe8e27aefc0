//! What a Raft peer is told at birth.

use super::RaftError;
use crate::ids::{Index, NO_PEER, PeerId};

/// The settings of one peer. Time is counted in ticks; only the owner of the peer knows how long one is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// This peer. Not [`NO_PEER`].
    pub id: PeerId,
    /// A follower that hears from no leader for `election_tick` to `2 * election_tick - 1` ticks stands for
    /// election (section 5.2); which number it is, is drawn anew each time.
    pub election_tick: u32,
    /// A leader sends heartbeats every `heartbeat_tick` ticks. Well below `election_tick`, or a healthy
    /// leader loses its followers (section 5.6: broadcast time much smaller than election timeout).
    pub heartbeat_tick: u32,
    /// From which election timeouts are drawn. The same seed and the same inputs give the same run.
    pub seed: u64,
    /// On a restart: the last index that the state machine has already applied. Entries up to here are not handed out
    /// again. 0 where the state machine starts empty. If it lies before the start of the log, the state machine lacks
    /// the data of a snapshot, and nothing is handed out until [`Raft::on_applied`](super::Raft::on_applied) says that
    /// it has it.
    pub applied: Index,
    /// Entries of one append add up to about this many bytes of payload at most; a single larger entry
    /// still travels, alone.
    pub max_bytes_per_msg: usize,
    /// How many appends may be on their way to one follower without an answer. This is the flow control of
    /// the pipeline: a follower that stops answering is not flooded with more than this many times
    /// `max_bytes_per_msg`.
    pub max_inflight_msgs: usize,
}

impl Config {
    /// Common settings: an election after 10 to 19 silent ticks, a heartbeat every tick, 1 MiB an append,
    /// 256 appends in flight.
    pub fn new(id: PeerId) -> Config {
        Config {
            id,
            election_tick: 10,
            heartbeat_tick: 1,
            seed: 0,
            applied: 0,
            max_bytes_per_msg: 1 << 20,
            max_inflight_msgs: 256,
        }
    }

    /// Refuses settings under which no group could ever work.
    pub fn validate(&self) -> Result<(), RaftError> {
        let complain = |what: &str| Err(RaftError::Config(what.to_string()));
        if self.id == NO_PEER {
            return complain("id must not be 0: that is the id of nobody");
        }
        if self.heartbeat_tick == 0 {
            return complain("heartbeat_tick must be at least 1");
        }
        if self.election_tick <= self.heartbeat_tick {
            return complain("election_tick must be larger than heartbeat_tick");
        }
        if self.election_tick > u32::MAX / 2 {
            return complain("election_tick must be below 2^31, for timeouts are up to twice as long");
        }
        if self.max_inflight_msgs == 0 {
            return complain("max_inflight_msgs must be at least 1");
        }
        Ok(())
    }

    /// The `draw`-th randomised election timeout of this peer, in ticks: `election_tick` or more, below
    /// twice that.
    ///
    /// A pure function of the seed, the peer and the draw, so that a run replays. For settings that
    /// [`Config::validate`] accepts. The mixing is the
    /// finaliser of SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators",
    /// 2014): neighbouring ids and draws must not give neighbouring timeouts, or votes keep splitting.
    pub fn election_timeout(&self, draw: u64) -> u32 {
        let mut z = self.seed;
        for word in [self.id, draw] {
            z = z.wrapping_add(word).wrapping_add(0x9e37_79b9_7f4a_7c15);
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            z ^= z >> 31;
        }
        let extra = z % u64::from(self.election_tick);
        self.election_tick + u32::try_from(extra).expect("below election_tick, which is a u32")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn timeouts_fill_their_range_and_differ_between_peers() {
        let one = Config::new(1);
        let two = Config::new(2);
        let draws = |config: &Config| (0..1000).map(|n| config.election_timeout(n)).collect::<Vec<_>>();
        for ticks in 10..20 {
            assert!(draws(&one).contains(&ticks), "{ticks} never drawn in 1000");
        }
        assert!(draws(&one).iter().all(|t| (10..20).contains(t)));
        let same = draws(&one).iter().zip(draws(&two)).filter(|(a, b)| **a == *b).count();
        assert!(same < 200, "peers 1 and 2 agree on {same} of 1000 draws; chance alone gives about 100");
    }

    #[test]
    fn impossible_settings_are_refused_with_a_reason() {
        let text = |config: Config| config.validate().unwrap_err().to_string();
        assert!(text(Config::new(0)).contains("id must not be 0"));
        assert!(text(Config { heartbeat_tick: 0, ..Config::new(1) }).contains("heartbeat_tick"));
        assert!(text(Config { election_tick: 1, ..Config::new(1) }).contains("election_tick"));
        assert!(text(Config { max_inflight_msgs: 0, ..Config::new(1) }).contains("max_inflight_msgs"));
    }
}
