//! The region's data: pairs that nobody can compress or guess, and sums to know them by.

use std::fmt::Write;

use raftkv::engine::{Cf, Engine, EngineError, KeyRange, Snapshot, WriteBatch};

/// Bytes of a key.
const KEY: usize = 16;
/// Bytes of a value.
const VALUE: usize = 1 << 10;
/// Bytes of pairs written together.
const BATCH: usize = 1 << 20;

/// How many pairs a region of this size has.
pub fn pairs(mib: u64) -> u64 {
    (mib << 20) / (KEY + VALUE) as u64
}

/// The region's keys. Those of `default`, `write` and `lock` all begin with `r`.
pub fn range() -> KeyRange {
    KeyRange::new("r", "s")
}

/// Writes the pairs of a region of this size. Of sixteen, fourteen are in `default`, and one each in `write` and
/// `lock`.
///
/// Their keys come in no order, as clients write them: what RocksDB has on disk then overlaps.
pub fn fill(kv: &dyn Engine, mib: u64) -> Result<(), EngineError> {
    let mut batch = WriteBatch::new();
    for i in 0..pairs(mib) {
        let cf = match i % 16 {
            0 => Cf::Write,
            1 => Cf::Lock,
            _ => Cf::Default,
        };
        batch.put(cf, key(i), value(i));
        if batch.ops().len() * (KEY + VALUE) >= BATCH {
            kv.write(std::mem::take(&mut batch), false)?;
        }
    }
    kv.write(batch, false)?;
    kv.sync()
}

/// Of each column family: how many pairs it has in the region, and the CRC-32 of them all, lengths and order included.
/// Two stores with the same text have the same data. Beside it, the number of pairs in all.
pub fn sums(data: &dyn Snapshot) -> Result<(String, u64), EngineError> {
    let mut sums = String::new();
    let mut total = 0;
    for cf in Cf::DATA {
        let mut hasher = crc32fast::Hasher::new();
        let mut count = 0;
        let mut cursor = data.cursor(cf, range());
        cursor.seek_to_first()?;
        while let Some((key, value)) = cursor.entry() {
            hasher.update(&(key.len() as u64).to_be_bytes());
            hasher.update(key);
            hasher.update(&(value.len() as u64).to_be_bytes());
            hasher.update(value);
            count += 1;
            cursor.next()?;
        }
        total += count;
        writeln!(sums, "{cf}: {count} pairs, checksum {:08x}", hasher.finalize()).expect("a string takes it");
    }
    Ok((sums, total))
}

/// No two are the same, for each ends with its number.
fn key(i: u64) -> Vec<u8> {
    let mut key = Vec::with_capacity(KEY);
    key.push(b'r');
    key.extend(Xorshift::new(i).next().to_be_bytes());
    key.extend(&i.to_be_bytes()[1..]);
    key
}

fn value(i: u64) -> Vec<u8> {
    let mut random = Xorshift::new(!i);
    let mut value = Vec::with_capacity(VALUE);
    while value.len() < VALUE {
        value.extend(random.next().to_be_bytes());
    }
    value
}

/// Random enough for data: Marsaglia's xorshift, with a multiplication that spreads the low bits (xorshift64*).
struct Xorshift(u64);

impl Xorshift {
    fn new(seed: u64) -> Xorshift {
        // It never leaves 0, and neighbours should not look alike.
        Xorshift(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d)
    }
}
