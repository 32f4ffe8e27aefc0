//! How many at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// So many may be at work at the same time.
#[derive(Clone, Debug)]
pub struct Permits {
    limit: usize,
    taken: Arc<AtomicUsize>,
}

/// Leave to be one of them. Dropping it gives it back.
#[derive(Debug)]
pub struct Permit {
    taken: Arc<AtomicUsize>,
}

impl Permits {
    /// None taken yet.
    pub fn new(limit: usize) -> Permits {
        Permits { limit, taken: Arc::default() }
    }

    /// One permit, if one is left.
    pub fn take(&self) -> Option<Permit> {
        let next = |taken| (taken < self.limit).then_some(taken + 1);
        self.taken.fetch_update(Ordering::AcqRel, Ordering::Acquire, next).ok()?;
        Some(Permit { taken: self.taken.clone() })
    }

    /// How many there are.
    pub fn limit(&self) -> usize {
        self.limit
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        self.taken.fetch_sub(1, Ordering::AcqRel);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_permit_comes_back_when_it_is_dropped() {
        let permits = Permits::new(2);
        let (first, _second) = (permits.take().unwrap(), permits.take().unwrap());
        assert!(permits.take().is_none());
        drop(first);
        assert!(permits.clone().take().is_some());
    }
}
