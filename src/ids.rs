//! The numbers by which things are known.
//!
//! They are plain `u64`, as on the wire; the aliases say which number a signature means.

/// A replica of one region on one store: the member of a Raft group. Raft calls it a server (section 5.1).
pub type PeerId = u64;
/// A process with its disks. It holds many peers, at most one of each region.
pub type StoreId = u64;
/// A contiguous range of keys, replicated by one Raft group.
pub type RegionId = u64;
/// Raft's logical clock (section 5.1). 0 is before the first election.
pub type Term = u64;
/// A position in the Raft log. The first entry has index 1; 0 is the empty prefix before it.
pub type Index = u64;

/// The id that no peer has: "voted for nobody", "no leader known". The wire has no optional integers.
pub const NO_PEER: PeerId = 0;
