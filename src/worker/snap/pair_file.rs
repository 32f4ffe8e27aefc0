//! A file of pairs, as it travels: the same for every engine.
//!
//! ```text
//!   key length   value length   key    value      key length   ...
//!   4 bytes      4 bytes        ...    ...        4 bytes
//! ```
//!
//! Lengths are big-endian. The pairs are in ascending order of their keys, which is how a cursor gives them and how an
//! engine takes them in.

use bytes::{Buf, BufMut, Bytes, BytesMut};

use crate::engine::{EngineError, FileReader, FileWriter, MAX_KEY_LEN, Pair};

/// So many bytes are collected before they are written.
const BUFFER: usize = 64 << 10;

/// No pair is longer: a file that says so is damaged, and must not make anybody reserve the memory.
const MAX_VALUE_LEN: usize = 1 << 30;

/// Writes pairs, and counts and sums up what it writes.
pub struct PairFileWriter {
    file: Box<dyn FileWriter>,
    buffer: BytesMut,
    size: u64,
    checksum: crc32fast::Hasher,
}

impl PairFileWriter {
    /// An empty file.
    pub fn new(file: Box<dyn FileWriter>) -> PairFileWriter {
        PairFileWriter { file, buffer: BytesMut::new(), size: 0, checksum: crc32fast::Hasher::new() }
    }

    /// Adds a pair. Keys ascend.
    pub fn append(&mut self, key: &[u8], value: &[u8]) -> Result<(), EngineError> {
        let length = |len: usize| {
            u32::try_from(len).map_err(|_| EngineError::Io(format!("a pair with a part of {len} bytes")))
        };
        self.buffer.put_u32(length(key.len())?);
        self.buffer.put_u32(length(value.len())?);
        self.buffer.put_slice(key);
        self.buffer.put_slice(value);
        if self.buffer.len() >= BUFFER {
            self.flush()?;
        }
        Ok(())
    }

    /// Returns size and CRC-32 once everything is safe on disk.
    pub fn finish(mut self) -> Result<(u64, u32), EngineError> {
        self.flush()?;
        self.file.sync()?;
        Ok((self.size, self.checksum.finalize()))
    }

    fn flush(&mut self) -> Result<(), EngineError> {
        if !self.buffer.is_empty() {
            self.checksum.update(&self.buffer);
            self.size += self.buffer.len() as u64;
            self.file.append(&self.buffer)?;
            self.buffer.clear();
        }
        Ok(())
    }
}

/// Reads pairs. Behind the last one it compares size and checksum with what they should be, and gives an error if they
/// differ: so whoever has had all pairs has had the right ones.
pub struct PairFile {
    file: Box<dyn FileReader>,
    buffer: BytesMut,
    read: u64,
    size: u64,
    hasher: crc32fast::Hasher,
    checksum: u32,
    /// The end has been reached, and what was read compared.
    is_done: bool,
}

impl PairFile {
    /// A file that should have this size and this CRC-32.
    pub fn new(file: Box<dyn FileReader>, size: u64, checksum: u32) -> PairFile {
        let hasher = crc32fast::Hasher::new();
        PairFile { file, buffer: BytesMut::new(), read: 0, size, hasher, checksum, is_done: false }
    }

    /// Makes sure that so many bytes are in the buffer. False at the end of the file.
    fn fill(&mut self, wanted: usize) -> Result<bool, EngineError> {
        while self.buffer.len() < wanted {
            let data = self.file.read(BUFFER)?;
            if data.is_empty() {
                return Ok(false);
            }
            self.read += data.len() as u64;
            self.hasher.update(&data);
            self.buffer.extend_from_slice(&data);
        }
        Ok(true)
    }

    fn next_pair(&mut self) -> Result<Option<Pair>, EngineError> {
        if self.is_done {
            return Ok(None);
        }
        if !self.fill(8)? {
            self.is_done = true;
            return self.check().map(|()| None);
        }
        let key_len = self.buffer.get_u32() as usize;
        let value_len = self.buffer.get_u32() as usize;
        if key_len > MAX_KEY_LEN || value_len > MAX_VALUE_LEN || !self.fill(key_len + value_len)? {
            return Err(damaged("a pair is too long, or cut"));
        }
        // A copy of its own: a slice would keep the whole buffer alive.
        let key = Bytes::copy_from_slice(&self.buffer[..key_len]);
        let value = Bytes::copy_from_slice(&self.buffer[key_len..key_len + value_len]);
        self.buffer.advance(key_len + value_len);
        Ok(Some((key, value)))
    }

    /// At the end of the file.
    fn check(&mut self) -> Result<(), EngineError> {
        let checksum = std::mem::take(&mut self.hasher).finalize();
        if !self.buffer.is_empty() || self.read != self.size || checksum != self.checksum {
            return Err(damaged("size or checksum is not what it should be"));
        }
        Ok(())
    }
}

impl Iterator for PairFile {
    type Item = Result<Pair, EngineError>;

    fn next(&mut self) -> Option<Result<Pair, EngineError>> {
        self.next_pair().transpose()
    }
}

fn damaged(how: &str) -> EngineError {
    EngineError::Io(format!("a file of a snapshot is damaged: {how}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::{Folder, MemDisk};

    fn file() -> (MemDisk, u64, u32) {
        let disk = MemDisk::new();
        let mut file = PairFileWriter::new(disk.folder().create("f").unwrap());
        for n in 0..3000_u32 {
            file.append(&n.to_be_bytes(), &[7; 40]).unwrap();
        }
        file.append(b"z", b"").unwrap();
        let (size, checksum) = file.finish().unwrap();
        (disk, size, checksum)
    }

    fn read(disk: &MemDisk, size: u64, checksum: u32) -> PairFile {
        PairFile::new(disk.folder().open("f").unwrap(), size, checksum)
    }

    #[test]
    fn what_is_written_is_read() {
        let (disk, size, checksum) = file();
        let mut pairs = read(&disk, size, checksum);
        for n in 0..3000_u32 {
            let (key, value) = pairs.next().unwrap().unwrap();
            assert_eq!((&key[..], value.len()), (&n.to_be_bytes()[..], 40));
        }
        assert_eq!(pairs.next().unwrap().unwrap(), ("z".into(), "".into()));
        assert!(pairs.next().is_none());
        assert!(pairs.next().is_none(), "the end stays the end");
    }

    #[test]
    fn damage_is_an_error() {
        let (disk, size, checksum) = file();
        assert!(read(&disk, size, checksum + 1).any(|pair| pair.is_err()));
        assert!(read(&disk, size + 1, checksum).any(|pair| pair.is_err()));
        let whole = disk.folder().open("f").unwrap().read(size as usize).unwrap();
        for cut in [1, 3, 9, 1000, whole.len() - 1] {
            disk.folder().create("f").unwrap().append(&whole[..cut]).unwrap();
            assert!(read(&disk, size, checksum).any(|pair| pair.is_err()), "cut after {cut} bytes");
        }
    }
}
