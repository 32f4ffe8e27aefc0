//! The split_check worker: how large a region is, and where its middle lies.

use bytes::Bytes;

use crate::engine::{Cf, Cursor, EngineError, Snapshot};
use crate::proto::metapb::Region;

/// Looks at all keys and values of a region, in all data column families. Returns how many bytes they have; and, if
/// that is more than `max_size`, the key at which to cut the region: something lies before it, about half if the sizes
/// of the pairs allow. `None` where there is no such key, since all is under one: a cut there would leave nothing on
/// one side, and the other as large as before.
///
/// Memory: one pair of each family at a time.
///
/// # Errors
/// The data cannot be read.
pub fn check_split(
    region: &Region,
    data: &dyn Snapshot,
    max_size: u64,
) -> Result<(u64, Option<Bytes>), EngineError> {
    // LAB 3b BEGIN: sum up; if it is too much, walk again until half of it has passed
    let mut size = 0;
    walk(region, data, |key, value| {
        size += (key.len() + value.len()) as u64;
        true
    })?;
    if size <= max_size {
        return Ok((size, None));
    }
    let mut passed = 0;
    let (mut first, mut middle) = (None, None);
    walk(region, data, |key, value| {
        // A large pair may be the last one: then it is cut off, although less than half lies before it.
        if *first.get_or_insert_with(|| Bytes::copy_from_slice(key)) != key {
            middle = Some(Bytes::copy_from_slice(key));
        }
        let is_half = 2 * passed >= size;
        passed += (key.len() + value.len()) as u64;
        middle.is_none() || !is_half
    })?;
    Ok((size, middle))
    // LAB 3b END
}

// SOLUTION 3b BEGIN
/// Visits the pairs of all families in the order of their keys, as long as `visit` wants more.
fn walk(
    region: &Region,
    data: &dyn Snapshot,
    mut visit: impl FnMut(&[u8], &[u8]) -> bool,
) -> Result<(), EngineError> {
    let mut cursors: Vec<Box<dyn Cursor + '_>> =
        Cf::DATA.into_iter().map(|cf| data.cursor(cf, region.range())).collect();
    for cursor in &mut cursors {
        cursor.seek_to_first()?;
    }
    loop {
        let next = cursors.iter_mut().filter(|cursor| cursor.entry().is_some());
        let next = next.min_by(|a, b| a.entry().map(|(key, _)| key).cmp(&b.entry().map(|(key, _)| key)));
        let Some(cursor) = next else { return Ok(()) };
        let goes_on = cursor.entry().is_some_and(|(key, value)| visit(key, value));
        if !goes_on {
            return Ok(());
        }
        cursor.next()?;
    }
}
// SOLUTION 3b END
