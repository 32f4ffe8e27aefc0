//! Majorities: pure arithmetic, no state.
//!
//! Everything that Raft decides rests on one fact: two majorities of the same group share a member.

/// How many of `voters` make a majority: more than half, also when the number is even.
pub fn majority(voters: usize) -> usize {
    // LAB 2aa BEGIN: more than half; check 1, 2, 3 and 4 by hand
    voters / 2 + 1
    // LAB 2aa END
}

/// How an election stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VoteResult {
    /// A majority has granted its vote.
    Won,
    /// A majority can no longer be reached: too many have refused.
    Lost,
    /// Still open.
    Pending,
}

/// Counts the votes of a group of `voters` peers, of which `granted` said yes and `rejected` no.
pub fn vote_result(voters: usize, granted: usize, rejected: usize) -> VoteResult {
    // LAB 2aa BEGIN: won, lost, or could the votes still missing decide it?
    let needed = majority(voters);
    if granted >= needed {
        VoteResult::Won
    } else if rejected > voters - needed {
        VoteResult::Lost
    } else {
        VoteResult::Pending
    }
    // LAB 2aa END
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_majorities_always_share_a_member() {
        for voters in 1..100 {
            let n = majority(voters);
            assert!(2 * n > voters, "two groups of {n} fit into {voters} without sharing a member");
            assert!(2 * (n - 1) <= voters, "{n} of {voters} is more than needed");
        }
    }

    #[test]
    fn an_election_is_lost_once_the_missing_votes_cannot_win_it() {
        assert_eq!(vote_result(3, 1, 1), VoteResult::Pending);
        assert_eq!(vote_result(3, 1, 2), VoteResult::Lost);
        assert_eq!(vote_result(3, 2, 0), VoteResult::Won);
        assert_eq!(vote_result(4, 2, 1), VoteResult::Pending);
        assert_eq!(vote_result(4, 2, 2), VoteResult::Lost);
        assert_eq!(vote_result(1, 1, 0), VoteResult::Won);
    }
}
