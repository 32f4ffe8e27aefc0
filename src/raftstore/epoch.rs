//! Which edition of its region a command is for (stage 3b).
//!
//! | what changes | raises | who minds |
//! |---|---|---|
//! | the keys: a split | `version` | every command |
//! | the peers | `conf_ver` | commands that change the region |
//!
//! A command is checked twice, when it is proposed and when it is applied, with the same function: in between the
//! region may have changed. What is refused when it is applied is refused by every peer, for it depends on nothing but
//! the region.

use super::command::{Admin, Command};
use super::{Peer, Store, region_error};
use crate::error::Error;
use crate::ids::RegionId;

impl Peer {
    /// May this change of the region be made? Other commands may always. A change of members, a split and a transfer of
    /// the leadership are changes; each has its own check.
    ///
    /// # Errors
    /// `EpochNotMatch` if it was made for a region with other peers (this is also what makes a change that comes twice
    /// happen once); and what [`Peer::check_change_peer`] and [`Peer::check_split`] say.
    pub(super) fn check_change(&self, command: &Command) -> Result<(), Error> {
        // LAB 3b BEGIN idle: `conf_ver`; then the change itself
        let region = self.region();
        let is_change = !matches!(command.admin, None | Some(Admin::CompactLog { .. }));
        if is_change && command.epoch.conf_ver != region.region_epoch.unwrap_or_default().conf_ver {
            return Err(region_error::epoch_not_match(vec![region.clone()]));
        }
        match &command.admin {
            Some(Admin::ChangePeer(change)) => self.check_change_peer(change)?,
            Some(Admin::Split { cuts, .. }) => self.check_split(cuts)?,
            Some(Admin::TransferLeader { to }) => self.check_transfer(to)?,
            Some(Admin::CompactLog { .. }) | None => {}
        }
        // LAB 3b END
        Ok(())
    }
}

impl Store {
    /// A client that knows an old edition of a region may know nothing of the regions that came out of it. To an
    /// `EpochNotMatch` for this region, its neighbours here are added: what was one region is then complete, more often
    /// than not.
    pub(super) fn name_neighbours(&self, id: RegionId, error: &mut Error) {
        // LAB 3b BEGIN idle: StoreMeta::neighbours, behind the region itself
        if let Error::Region(error) = error
            && let Some(mismatch) = &mut error.epoch_not_match
        {
            mismatch.current_regions.extend(self.meta.neighbours(id).cloned());
        }
        // LAB 3b END
    }
}
