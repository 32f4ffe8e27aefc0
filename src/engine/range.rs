//! Ranges of keys.

use std::ops::Bound;

use bytes::Bytes;

/// The keys from `start` on and before `end`: `start <= key < end`.
///
/// An empty `end` means "no upper bound". It is the convention of the whole protocol: a region's range, a
/// scan and a range deletion are written the same way. An empty `start` needs no convention, since it is
/// below all keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct KeyRange {
    /// Inclusive.
    pub start: Bytes,
    /// Exclusive; empty is no bound.
    pub end: Bytes,
}

impl KeyRange {
    /// `start <= key < end`.
    pub fn new(start: impl Into<Bytes>, end: impl Into<Bytes>) -> KeyRange {
        KeyRange { start: start.into(), end: end.into() }
    }

    /// Every key.
    pub fn all() -> KeyRange {
        KeyRange::default()
    }

    /// Is the key inside?
    pub fn contains(&self, key: &[u8]) -> bool {
        self.start <= key && self.is_before_end(key)
    }

    /// Is the key below the upper bound, if there is one?
    pub fn is_before_end(&self, key: &[u8]) -> bool {
        self.end.is_empty() || key < self.end
    }

    /// True where no key can be inside, such as for a range that ends before it starts.
    pub fn is_empty(&self) -> bool {
        !self.is_before_end(&self.start)
    }

    /// The keys that are in both.
    pub fn intersect(&self, other: KeyRange) -> KeyRange {
        let end = if self.is_before_end(&other.end) && !other.end.is_empty() || self.end.is_empty() {
            other.end
        } else {
            self.end.clone()
        };
        KeyRange { start: other.start.max(self.start.clone()), end }
    }

    /// True if some key can be in both.
    pub fn overlaps(&self, other: &KeyRange) -> bool {
        !self.intersect(other.clone()).is_empty()
    }

    /// The keys that are in this range and not in `other`: none, one range, or two.
    pub fn without(&self, other: &KeyRange) -> Vec<KeyRange> {
        if other.is_empty() {
            return vec![self.clone()];
        }
        let before = KeyRange { start: Bytes::new(), end: other.start.clone() };
        let behind = KeyRange { start: other.end.clone(), end: Bytes::new() };
        // An empty bound means the edge of the key space: nothing lies beyond it.
        let parts = [(before, !other.start.is_empty()), (behind, !other.end.is_empty())];
        let parts = parts.into_iter().filter(|(_, exists)| *exists).map(|(part, _)| self.intersect(part));
        parts.filter(|part| !part.is_empty()).collect()
    }

    /// The bound that lies outside `other`, if one does.
    pub fn outside(&self, other: &KeyRange) -> Option<&[u8]> {
        if !other.contains(&self.start) {
            return Some(&self.start);
        }
        let inside = other.end.is_empty() || (!self.end.is_empty() && self.end <= other.end);
        (!inside).then_some(&self.end)
    }

    /// The upper bound as the standard library writes it.
    pub(crate) fn upper_bound(&self) -> Bound<&[u8]> {
        if self.end.is_empty() { Bound::Unbounded } else { Bound::Excluded(&self.end) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_start_is_inside_and_the_end_is_not() {
        let range = KeyRange::new("b", "d");
        let inside: Vec<_> = ["a", "b", "c", "cz", "d", "e"].map(|key| range.contains(key.as_bytes())).into();
        assert_eq!(inside, [false, true, true, true, false, false]);
    }

    #[test]
    fn an_empty_end_is_no_bound() {
        assert!(KeyRange::new("b", "").contains(b"\xff\xff"));
        assert!(!KeyRange::new("b", "").contains(b"a"));
        assert!(!KeyRange::new("b", "").is_empty());
        assert!(KeyRange::all().contains(b""));
    }

    #[test]
    fn what_two_ranges_share() {
        let shared = |a: [&'static str; 2], b: [&'static str; 2]| {
            KeyRange::new(a[0], a[1]).intersect(KeyRange::new(b[0], b[1]))
        };
        assert_eq!(shared(["b", "d"], ["", ""]), KeyRange::new("b", "d"));
        assert_eq!(shared(["", ""], ["b", "d"]), KeyRange::new("b", "d"));
        assert_eq!(shared(["b", "d"], ["c", "e"]), KeyRange::new("c", "d"));
        assert_eq!(shared(["b", ""], ["c", "e"]), KeyRange::new("c", "e"));
        assert!(shared(["b", "d"], ["d", ""]).is_empty());
        assert!(shared(["b", "d"], ["", "b"]).is_empty());
    }

    #[test]
    fn what_is_left_of_a_range() {
        let left = |a: [&'static str; 2], b: [&'static str; 2]| {
            KeyRange::new(a[0], a[1]).without(&KeyRange::new(b[0], b[1]))
        };
        assert_eq!(left(["b", "f"], ["c", "e"]), [KeyRange::new("b", "c"), KeyRange::new("e", "f")]);
        assert_eq!(left(["", ""], ["c", "e"]), [KeyRange::new("", "c"), KeyRange::new("e", "")]);
        assert_eq!(left(["b", "f"], ["a", "d"]), [KeyRange::new("d", "f")]);
        assert_eq!(left(["b", "f"], ["d", ""]), [KeyRange::new("b", "d")]);
        assert_eq!(left(["b", "f"], ["", ""]), []);
        assert_eq!(left(["b", "f"], ["f", "z"]), [KeyRange::new("b", "f")]);
        assert_eq!(left(["b", "f"], ["c", "c"]), [KeyRange::new("b", "f")]);
    }

    #[test]
    fn which_bound_lies_outside() {
        let outside = |a: [&'static str; 2], b: [&'static str; 2]| {
            KeyRange::new(a[0], a[1]).outside(&KeyRange::new(b[0], b[1])).map(<[u8]>::to_vec)
        };
        assert_eq!(outside(["b", "d"], ["b", "d"]), None);
        assert_eq!(outside(["b", "d"], ["a", ""]), None);
        assert_eq!(outside(["a", "d"], ["b", "d"]), Some(b"a".to_vec()));
        assert_eq!(outside(["b", "e"], ["b", "d"]), Some(b"e".to_vec()));
        assert_eq!(outside(["b", ""], ["b", "d"]), Some(Vec::new()), "an open end reaches past every end");
    }

    #[test]
    fn a_range_that_ends_where_it_starts_or_before_is_empty() {
        assert!(KeyRange::new("b", "b").is_empty());
        assert!(KeyRange::new("c", "b").is_empty());
        assert!(!KeyRange::new("b", "c").is_empty());
    }
}
