//! Column families: key spaces of their own inside one engine.

use std::fmt;

use thiserror::Error;

/// A column family. The same key may have a different value in each. A batch may write to several and is
/// still atomic, which is what sets them apart from several engines.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Cf {
    /// Where values live.
    Default,
    /// Commit records of transactions. Raw clients may use it as a second key space.
    Write,
    /// Locks of transactions. Raw clients may use it as a third key space.
    Lock,
    /// The store's own records about its regions. Clients cannot name it, so no key that a client writes can
    /// ever overwrite one of them.
    Raft,
}

/// No column family of that name is open to clients.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("there is no column family `{0}`: it is one of `default`, `write` and `lock`")]
pub struct UnknownCf(pub String);

impl Cf {
    /// The ones that hold a region's data, and that clients may name.
    pub const DATA: [Cf; 3] = [Cf::Default, Cf::Write, Cf::Lock];
    /// All, in the order of their discriminants.
    pub const ALL: [Cf; 4] = [Cf::Default, Cf::Write, Cf::Lock, Cf::Raft];

    /// Reads a name as clients write it. Empty means `default`.
    pub fn parse(name: &str) -> Result<Cf, UnknownCf> {
        if name.is_empty() {
            return Ok(Cf::Default);
        }
        Cf::DATA.into_iter().find(|cf| cf.name() == name).ok_or_else(|| UnknownCf(name.to_string()))
    }

    /// The name, on the wire and on disk.
    pub fn name(self) -> &'static str {
        match self {
            Cf::Default => "default",
            Cf::Write => "write",
            Cf::Lock => "lock",
            Cf::Raft => "raft",
        }
    }
}

impl fmt::Display for Cf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clients_name_the_data_column_families() {
        assert_eq!(Cf::parse(""), Ok(Cf::Default));
        for cf in Cf::DATA {
            assert_eq!(Cf::parse(cf.name()), Ok(cf));
        }
        for name in ["raft", "Default", "default ", "nope"] {
            assert_eq!(Cf::parse(name), Err(UnknownCf(name.to_string())), "{name}");
        }
    }

    #[test]
    fn discriminants_are_positions_in_all() {
        for (position, cf) in Cf::ALL.into_iter().enumerate() {
            assert_eq!(cf as usize, position);
        }
    }
}
