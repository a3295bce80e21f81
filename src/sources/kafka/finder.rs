//! Takes the partitions that were found for a worker; gives no rows itself.

use super::keeper::Keeper;
use super::partition::Reading;
use super::placing::Placing;
use super::shared::Shared;
use super::topics::{Place, next_of};
use crate::dataflow::{Polled, Refused, Resume, RowSource, SourceError, Startup};
use crate::event::Batch;
use crate::formats::Decoder;
use crate::time::Env;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Gives partitions to one worker.
pub struct Finder {
    /// For messages.
    who: Arc<str>,
    /// Which worker, of how many.
    worker: (usize, usize),
    shared: Arc<Shared>,
    keeper: Arc<Keeper>,
    startup: Startup,
    placing: Placing,
    decoder: Box<dyn Decoder>,
    /// Where partitions go on that a checkpoint knows.
    positions: BTreeMap<Place, i64>,
    /// Whether the thread knows that we are there.
    is_known: bool,
    /// Whether all that was there at the start was found and taken.
    is_complete: bool,
}

impl Finder {
    /// A finder of a source whose connection is kept by `keeper`.
    pub fn new(
        worker: (usize, usize),
        keeper: Arc<Keeper>,
        startup: Startup,
        placing: Placing,
        decoder: Box<dyn Decoder>,
    ) -> Finder {
        Finder {
            who: keeper.who().into(),
            worker,
            shared: keeper.shared().clone(),
            keeper,
            startup,
            placing,
            decoder,
            positions: BTreeMap::new(),
            is_known: false,
            is_complete: false,
        }
    }
}

impl RowSource for Finder {
    fn open(&mut self) -> Result<(), SourceError> {
        let failed = |message| SourceError { message };
        self.keeper.start().map_err(failed)?;
        match self.startup {
            Startup::Fail => self.shared.first_attempt().map_err(failed),
            Startup::Retry => Ok(()),
        }
    }

    fn resume(&mut self, from: &Arc<Resume>) -> Result<Option<Vec<u8>>, SourceError> {
        let (me, workers) = self.worker;
        let is_mine = |place: &Place| place.worker(workers) == me;
        while let Some(position) =
            from.take(|it| Place::named(&it.partition).is_some_and(|place| is_mine(&place)))
        {
            let next = next_of(&position).map_err(|error| SourceError {
                message: format!("{}: the offset of a partition cannot be read: {error:?}", self.who),
            })?;
            self.positions.extend(Place::named(&position.partition).map(|place| (place, next)));
        }
        Ok(None)
    }

    fn fill(
        &mut self,
        _batch: &mut Batch,
        _refused: &mut Refused,
        _env: &mut Env,
    ) -> Result<Polled, SourceError> {
        if !self.is_known {
            self.is_known = true;
            let mut state = self.shared.lock();
            let share = &mut state.shares[self.worker.0];
            share.positions = std::mem::take(&mut self.positions);
            share.worker = Some(std::thread::current());
        }
        // What is not found yet may hold anything.
        Ok(if self.is_complete { Polled::Empty } else { Polled::Waiting })
    }

    fn gives_rows(&self) -> bool {
        !self.is_complete
    }

    fn turned_up(&mut self) -> Vec<Box<dyn RowSource>> {
        let found = {
            let mut state = self.shared.lock();
            let share = &mut state.shares[self.worker.0];
            self.is_complete = share.complete;
            std::mem::take(&mut share.found)
        };
        let reading = |found| -> Box<dyn RowSource> {
            let (placing, decoder) = (self.placing.clone(), self.decoder.another());
            Box::new(Reading::new(self.who.clone(), found, self.shared.clone(), placing, decoder))
        };
        found.into_iter().map(reading).collect()
    }

    fn close(&mut self) {
        self.keeper.stop();
    }
}
