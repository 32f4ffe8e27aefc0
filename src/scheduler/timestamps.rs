//! The timestamp oracle: numbers for the whole cluster, each larger than all that were given before.
//!
//! A timestamp is the time of day in milliseconds and a counter within it. The time makes it readable, and lets a
//! restart know where to go on; the order comes from never going back:
//!
//! - the clock stands still or steps back: the counter goes on in the old millisecond;
//! - the counter is full: the millisecond moves ahead of the clock;
//! - a restart: it begins at `saved_until`, and everything given before lies below.

use super::SchedulerError;
use crate::proto::pdpb::Timestamp;

/// How many bits of a timestamp, as one number, are the counter.
pub const LOGICAL_BITS: u32 = 18;

/// So many timestamps has a millisecond.
const PER_MS: u64 = 1 << LOGICAL_BITS;

/// The milliseconds have the other bits of a number that some clients take to be signed.
const END_OF_TIME: u64 = 1 << (63 - LOGICAL_BITS);

/// How far ahead the bound is saved: one write in so much time. A restart may run so far ahead of the clock.
const SAVE_AHEAD_MS: u64 = 3000;

/// Gives timestamps.
///
/// - Each is larger than all before: `(physical, next_logical)` only rises.
/// - `physical < saved_until` for every one that was given. The bound is saved before a timestamp below it leaves.
#[derive(Clone, Debug)]
pub struct TimestampOracle {
    physical: u64,
    next_logical: u64,
    saved_until: u64,
}

impl TimestampOracle {
    /// Goes on where the last one may have been: at its [`TimestampOracle::saved_until`]. 0 for the first one.
    pub fn new(saved_until: u64) -> TimestampOracle {
        TimestampOracle { physical: saved_until, next_logical: 0, saved_until }
    }

    /// The bound, in milliseconds. Where a call has moved it, it has to be saved before that call's timestamps leave.
    pub fn saved_until(&self) -> u64 {
        self.saved_until
    }

    /// `count` timestamps of one millisecond, given the time of day. Returns the largest.
    ///
    /// # Errors
    /// [`SchedulerError::TimestampCount`]: none, or more than a millisecond has. [`SchedulerError::ClockOutOfRange`]:
    /// there are no bits for this time. Nothing has changed then.
    pub fn allocate(&mut self, now_ms: u64, count: u32) -> Result<Timestamp, SchedulerError> {
        let wanted = u64::from(count);
        if !(1..=PER_MS).contains(&wanted) {
            return Err(SchedulerError::TimestampCount(count));
        }
        let (mut physical, mut first) = (self.physical, self.next_logical);
        if now_ms > physical {
            (physical, first) = (now_ms, 0);
        }
        if first + wanted > PER_MS {
            (physical, first) = (physical + 1, 0);
        }
        if physical >= END_OF_TIME - SAVE_AHEAD_MS {
            return Err(SchedulerError::ClockOutOfRange(now_ms));
        }
        if physical >= self.saved_until {
            self.saved_until = physical + SAVE_AHEAD_MS;
        }
        (self.physical, self.next_logical) = (physical, first + wanted);
        let logical = first + wanted - 1;
        Ok(Timestamp { physical: physical as i64, logical: logical as i64, suffix_bits: 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As one number, after a look at its parts.
    fn number(timestamp: Timestamp) -> u64 {
        let (physical, logical) = (timestamp.physical as u64, timestamp.logical as u64);
        assert!(logical < PER_MS, "the counter runs into the milliseconds: {logical}");
        (physical << LOGICAL_BITS) + logical
    }

    fn parts(timestamp: Timestamp) -> (i64, i64) {
        (timestamp.physical, timestamp.logical)
    }

    #[test]
    fn the_largest_of_several_is_returned_and_none_is_given_twice() {
        let mut oracle = TimestampOracle::new(0);
        assert_eq!(parts(oracle.allocate(1000, 1).unwrap()), (1000, 0));
        assert_eq!(parts(oracle.allocate(1000, 5).unwrap()), (1000, 5), "5 after the first: 1 to 5");
        assert_eq!(parts(oracle.allocate(1000, 1).unwrap()), (1000, 6));
        assert_eq!(parts(oracle.allocate(1001, 2).unwrap()), (1001, 1), "a new millisecond begins at 0");
    }

    #[test]
    fn a_clock_that_steps_back_does_not_take_the_timestamps_with_it() {
        let mut oracle = TimestampOracle::new(0);
        let mut last = 0;
        for now in [5000, 5000, 4000, 0, 5000, 5001, 10, 5001] {
            let first = number(oracle.allocate(now, 3).unwrap()) - 2;
            assert!(first > last || last == 0, "clock {now}: {first} after {last}");
            last = first + 2;
        }
    }

    #[test]
    fn a_full_counter_moves_to_the_next_millisecond() {
        let mut oracle = TimestampOracle::new(0);
        oracle.allocate(1000, PER_MS as u32 - 1).unwrap();
        assert_eq!(parts(oracle.allocate(1000, 2).unwrap()), (1001, 1), "one is left: not enough for two");
        assert_eq!(parts(oracle.allocate(1000, PER_MS as u32).unwrap()), (1002, PER_MS as i64 - 1));
        assert_eq!(parts(oracle.allocate(1001, 1).unwrap()), (1003, 0));
    }

    #[test]
    fn a_restart_repeats_none_even_if_the_clock_has_stepped_back() {
        let mut oracle = TimestampOracle::new(0);
        for now in (0..20_000).step_by(7) {
            let last = number(oracle.allocate(1_000_000 + now, 10).unwrap());
            let mut next = TimestampOracle::new(oracle.saved_until());
            let after = number(next.allocate(5, 1).unwrap());
            assert!(after > last, "{after} was given before the restart, up to {last}");
        }
    }

    #[test]
    fn the_bound_moves_seldom() {
        let mut oracle = TimestampOracle::new(0);
        let mut moves = 0;
        for now in 1..=10 * SAVE_AHEAD_MS {
            let before = oracle.saved_until();
            oracle.allocate(now, 1).unwrap();
            moves += u64::from(oracle.saved_until() != before);
        }
        assert_eq!(moves, 10, "each move is a write to a disk");
    }

    #[test]
    fn what_cannot_be_given_is_refused_and_changes_nothing() {
        let mut oracle = TimestampOracle::new(0);
        oracle.allocate(1000, 1).unwrap();
        for count in [0, PER_MS as u32 + 1, u32::MAX] {
            assert_eq!(oracle.allocate(2000, count), Err(SchedulerError::TimestampCount(count)));
        }
        for now in [END_OF_TIME, u64::MAX] {
            assert_eq!(oracle.allocate(now, 1), Err(SchedulerError::ClockOutOfRange(now)));
        }
        assert_eq!(parts(oracle.allocate(1000, 1).unwrap()), (1000, 1));
    }
}
