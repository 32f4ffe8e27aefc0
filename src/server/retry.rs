//! Trying again and again to reach somebody, and saying so once.

use std::time::Duration;

use tokio::time::{Interval, MissedTickBehavior, interval};

/// Of one way that may break.
pub struct Retry {
    whom: String,
    timer: Interval,
    is_reported: bool,
}

impl Retry {
    /// `whom` is for the log.
    pub fn new(whom: String, pause: Duration) -> Retry {
        let mut timer = interval(pause);
        timer.set_missed_tick_behavior(MissedTickBehavior::Delay);
        Retry { whom, timer, is_reported: false }
    }

    /// Waits until it is time; the first time is now.
    pub async fn turn(&mut self) {
        self.timer.tick().await;
    }

    /// An attempt has ended.
    pub fn ended(&mut self, outcome: Result<(), String>) {
        let Err(error) = outcome else {
            self.is_reported = false;
            return;
        };
        let whom = &self.whom;
        if std::mem::replace(&mut self.is_reported, true) {
            tracing::debug!(%error, "still no way to {whom}");
        } else {
            tracing::warn!(%error, "no way to {whom}; trying on");
        }
    }
}
