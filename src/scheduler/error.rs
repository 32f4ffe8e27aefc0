//! Why the scheduler refuses a call.
//!
//! Nothing here stops the scheduler. A call that is refused has changed nothing but, at most, which ids are known to be
//! taken; only a split's report may have been taken in part.

use thiserror::Error;

use crate::ids::{RegionId, StoreId, Term};
use crate::proto::metapb::RegionEpoch;
use crate::proto::pdpb::{self, ErrorType};

/// Why a call is refused.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum SchedulerError {
    /// The asker has the address of a scheduler that is not its own. Whoever configured it must act.
    #[error("this is the scheduler of cluster {ours}, not of cluster {theirs}")]
    WrongCluster {
        /// The cluster of this scheduler.
        ours: u64,
        /// The asker's.
        theirs: u64,
    },

    /// There is no cluster yet. The asker comes again later.
    #[error("the cluster is not bootstrapped yet")]
    NotBootstrapped,

    /// Another store was first. The asker goes on as if it had joined a running cluster.
    #[error("the cluster is bootstrapped already")]
    AlreadyBootstrapped,

    /// No right program sends this.
    #[error("bad request: {0}")]
    BadRequest(&'static str),

    /// The store has to announce itself.
    #[error("store {0} is not known")]
    StoreNotFound(StoreId),

    /// The store is gone for good. One that hears this of itself stops, and comes back as a new one.
    #[error("store {0} is a tombstone: its id is never used again")]
    StoreTombstone(StoreId),

    /// Two stores claim one address. Whoever configured them must act.
    #[error("store {0} listens at this address already")]
    AddressInUse(StoreId),

    /// No region has this id, or it has not reported itself yet.
    #[error("region {0} is not known")]
    RegionNotFound(RegionId),

    /// Something newer is known. Nobody has to act: whoever sent it is behind and catches up, or will be removed.
    #[error(
        "region {region} in version {}, conf_ver {} is stale: region {known_region} is known, in version {}, conf_ver {}",
        epoch.version, epoch.conf_ver, known.version, known.conf_ver
    )]
    Stale {
        /// What was reported.
        region: RegionId,
        /// In which edition.
        epoch: RegionEpoch,
        /// What is known: the same region, or one with some of the same keys.
        known_region: RegionId,
        /// In which edition.
        known: RegionEpoch,
    },

    /// The reporter led the region once. Nobody has to act: it will hear of its successor.
    #[error("a leader of term {term} reports region {region}: there is one of term {known}")]
    OldLeader {
        /// Which region.
        region: RegionId,
        /// The reporter's term.
        term: Term,
        /// The term of the leader that is known.
        known: Term,
    },

    /// Two reports cannot both be true. One of the reporters has changed a region and has not raised its epoch: a
    /// mistake in the store.
    #[error("region {region} contradicts what is known of region {known_region}: {why}")]
    Contradiction {
        /// What was reported.
        region: RegionId,
        /// What is known.
        known_region: RegionId,
        /// The rule that does not hold.
        why: &'static str,
    },

    /// The operator cannot be begun. Whoever wanted it reads why.
    #[error("operator for region {region} refused: {why}")]
    OperatorRefused {
        /// For which region.
        region: RegionId,
        /// What is wrong.
        why: &'static str,
    },

    /// The client asks for none, or for more than one millisecond has.
    #[error("{0} timestamps at once: it must be 1 to 262144")]
    TimestampCount(u32),

    /// The clock of the scheduler's machine cannot be right.
    #[error("the clock says {0} ms: a timestamp has no place for it")]
    ClockOutOfRange(u64),
}

impl From<&SchedulerError> for pdpb::Error {
    fn from(error: &SchedulerError) -> pdpb::Error {
        let kind = match error {
            SchedulerError::NotBootstrapped => ErrorType::NotBootstrapped,
            SchedulerError::AlreadyBootstrapped => ErrorType::AlreadyBootstrapped,
            SchedulerError::StoreTombstone(_) => ErrorType::StoreTombstone,
            SchedulerError::RegionNotFound(_) => ErrorType::RegionNotFound,
            SchedulerError::WrongCluster { .. }
            | SchedulerError::BadRequest(_)
            | SchedulerError::StoreNotFound(_)
            | SchedulerError::AddressInUse(_)
            | SchedulerError::Stale { .. }
            | SchedulerError::OldLeader { .. }
            | SchedulerError::Contradiction { .. }
            | SchedulerError::OperatorRefused { .. }
            | SchedulerError::TimestampCount(_)
            | SchedulerError::ClockOutOfRange(_) => ErrorType::Unknown,
        };
        pdpb::Error { r#type: kind.into(), message: error.to_string() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_on_the_wire_is_never_ok() {
        let told = pdpb::Error::from(&SchedulerError::BadRequest("x"));
        assert_eq!((told.r#type(), told.message.as_str()), (ErrorType::Unknown, "bad request: x"));
        assert_eq!(pdpb::Error::from(&SchedulerError::NotBootstrapped).r#type(), ErrorType::NotBootstrapped);
    }

    #[test]
    fn a_stale_report_hears_both_editions() {
        let epoch = |version, conf_ver| RegionEpoch { version, conf_ver };
        let error =
            SchedulerError::Stale { region: 1, epoch: epoch(2, 3), known_region: 4, known: epoch(5, 6) };
        assert_eq!(
            error.to_string(),
            "region 1 in version 2, conf_ver 3 is stale: region 4 is known, in version 5, conf_ver 6"
        );
    }
}
