//! The split_check worker: how large a region is, and where its middle lies.

use bytes::Bytes;

use crate::engine::{Cf, Cursor, EngineError, Snapshot};
use crate::proto::metapb::Region;

/// Looks at all keys and values of a region, in all data column families. Returns how many bytes they have; and, if that is more than
/// `max_size`, the key at which to cut the region: what lies before it is about half. `None` where there is no such key, since all is under
/// one.
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
    let mut middle = None;
    walk(region, data, |key, value| {
        if 2 * passed >= size && key > &region.start_key[..] {
            middle = Some(Bytes::copy_from_slice(key));
        }
        passed += (key.len() + value.len()) as u64;
        middle.is_none()
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
