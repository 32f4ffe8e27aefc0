//! Ids for stores, regions and peers. They share one row of numbers.

/// How far the bound is moved at once. After a restart so many ids at most are never used.
const BATCH: u64 = 1000;

/// Gives ids.
///
/// - Every id is larger than all that were given or noted before.
/// - None is above the bound. The bound is saved before an id below it leaves, and a restart begins at the bound.
#[derive(Clone, Debug, Default)]
pub(super) struct Ids {
    /// The largest that was given or noted.
    last: u64,
    bound: u64,
    /// Has the bound moved since somebody asked?
    moved: bool,
}

impl Ids {
    /// After a restart: everything up to the bound may have been given.
    pub fn restore(bound: u64) -> Ids {
        Ids { last: bound, bound, moved: false }
    }

    /// A new id.
    pub fn alloc(&mut self) -> u64 {
        self.note(self.last + 1);
        self.last
    }

    /// This id is in use.
    pub fn note(&mut self, id: u64) {
        self.last = self.last.max(id);
        if self.last > self.bound {
            self.bound = self.last + BATCH;
            self.moved = true;
        }
    }

    /// Everything up to here may have been given.
    pub fn bound(&self) -> u64 {
        self.bound
    }

    /// The bound, if it has moved since the last call.
    pub fn take_new_bound(&mut self) -> Option<u64> {
        std::mem::take(&mut self.moved).then_some(self.bound)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_id_is_given_twice_or_after_it_was_seen() {
        let mut ids = Ids::default();
        assert_eq!([ids.alloc(), ids.alloc()], [1, 2], "0 is no id");
        ids.note(7);
        ids.note(3);
        assert_eq!([ids.alloc(), ids.alloc()], [8, 9]);
    }

    #[test]
    fn a_restart_gives_only_new_ids() {
        let mut ids = Ids::default();
        let mut saved = 0;
        let mut given = Vec::new();
        for _ in 0..2 * BATCH + 10 {
            given.push(ids.alloc());
            saved = ids.take_new_bound().unwrap_or(saved);
            let next = Ids::restore(saved).alloc();
            assert!(next > given[given.len() - 1], "{next} was given before the restart");
        }
        assert!(given.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn a_noted_id_counts_after_a_restart() {
        let mut ids = Ids::default();
        ids.note(5000);
        let saved = ids.take_new_bound().expect("5000 is above the bound");
        assert!(Ids::restore(saved).alloc() > 5000);
        assert_eq!(ids.take_new_bound(), None, "it is saved once");
    }
}
