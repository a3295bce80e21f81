//! Checkpoints of a pipeline that is driven by hand on one worker: in its tests a process can die at any step.

use super::ids::{StateIds, match_nodes};
use super::load::Loading;
use super::part::Part;
use crate::dataflow::Saving;
use crate::plan::Plan;
use crate::runtime::driver::Driver;
use crate::runtime::intake::Intake;
use crate::state::disk::Disk;
use crate::state::{self, Changes, Checkpoint, OnCorruption, OpenOptions, StateBackend, StateLimits};
use crate::time::Timestamp;
use std::sync::Arc;

/// The state of such a pipeline, on a disk that outlives it.
pub struct Rehearsal {
    backend: StateBackend,
    ids: StateIds,
}

impl Rehearsal {
    /// Finds on the disk what the run before left there.
    ///
    /// # Errors
    /// It cannot be read: a fault of this program.
    pub fn find(plan: &Plan, disk: &Arc<dyn Disk>) -> Result<Rehearsal, String> {
        let (limits, on_corruption) = (StateLimits::default(), OnCorruption::Refuse);
        let how = OpenOptions { limits, on_corruption, entropy: 1, now: Timestamp(0) };
        let (backend, _) = state::open(disk, &how).map_err(|error| error.to_string())?;
        let ids = match_nodes(plan, &backend, &[])?;
        Ok(Rehearsal { backend, ids })
    }

    /// Takes a checkpoint.
    ///
    /// # Errors
    /// The state is beyond a limit.
    pub fn save(&mut self, driver: &mut Driver, intakes: &mut [&mut Intake]) -> Result<(), String> {
        let mut part = Part::default();
        driver.save(0, &self.ids, &mut part.entries);
        for ((source, intake), node) in intakes.iter_mut().enumerate().zip(&self.ids.sources) {
            let mut own = Part::default();
            intake.keep_as(source);
            intake.save(&mut own, &mut Saving::new(*node, 0, driver.env(), &mut part.entries), 1);
        }
        let epoch = self.backend.epoch().next();
        let nodes = std::mem::take(&mut self.ids.new);
        let checkpoint = Checkpoint { epoch, nodes, entries: part.entries, ..Checkpoint::default() };
        let changes = Changes { checkpoint: Some(checkpoint), ..Changes::default() };
        self.backend.commit(changes).map(drop).map_err(|error| error.to_string())
    }

    /// Gives a fresh driver and fresh intakes what was last saved.
    ///
    /// # Errors
    /// It cannot be read: a fault of this program.
    pub fn load(&self, driver: &mut Driver, intakes: &mut [&mut Intake]) -> Result<(), String> {
        let loading = Loading { backend: &self.backend, ids: &self.ids, worker: (0, 1), moved: false };
        driver.load(&loading).map_err(|error| error.to_string())?;
        for ((source, intake), node) in intakes.iter_mut().enumerate().zip(&self.ids.sources) {
            intake.keep_as(source);
            let loaded = loading.node(*node, &mut |saved| intake.load(saved));
            loaded.map_err(|error| error.to_string())?;
            intake.announce(driver);
        }
        Ok(())
    }
}
