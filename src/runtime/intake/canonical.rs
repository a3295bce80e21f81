//! Partitions read as one, in canonical order: the row of the one that is furthest behind comes next.

use super::{ENDED, Intake, Turn};
use crate::dataflow::SourceError;
use crate::event::Row;
use crate::runtime::driver::Driver;
use crate::time::Timestamp;
use crate::watermark::Tournament;

impl Intake {
    /// One batch of a bounded source's partitions, always the row of the partition with the lowest watermark next.
    pub(super) fn step_canonical(
        &mut self,
        driver: &mut Driver,
        limit: Timestamp,
    ) -> Result<bool, SourceError> {
        // They go together, so that it is the source that runs ahead.
        let reached = self.tracker.watermark();
        self.is_held = reached > limit && reached < Timestamp::MAX;
        if self.is_held {
            return Ok(false);
        }
        let Some(mut canonical) = self.canonical.take() else { return Ok(false) };
        let mut merged = driver.take_batch(self.stage);
        let mut worked = false;
        let mut one = Vec::with_capacity(1);
        while !merged.is_full() {
            let Some(next) = self.lowest(driver, &mut canonical.turns)? else { break };
            worked = true;
            let Some(mut read) = self.partitions[next].pending.take() else { break };
            one.clear();
            one.push(read.rows[read.next]);
            read.next += 1;
            self.partitions[next].gone_through();
            self.assign(driver, self.partitions[next].number, &mut read.batch, &mut one);
            if let Some(row) = one.first() {
                let index = row.index();
                if self.tracker.follows_events() {
                    let (_, highest) = canonical.turns.get(next);
                    canonical.turns.set(next, (false, highest.max(read.batch.times[index])));
                }
                canonical.copier.copy(&read.batch, *row, read.batch.watermarks[index], &mut merged);
            }
            self.partitions[next].pending = Some(read);
        }
        self.canonical = Some(canonical);
        let rows: Vec<Row> = (0..merged.len() as u32).map(Row).collect();
        merged.watermark = self.tracker.watermark();
        self.drive(driver, &mut merged, &rows);
        driver.return_batch(self.stage, merged);
        Ok(worked)
    }

    /// The partition whose row comes next, with a row at hand. None at the end of all.
    fn lowest(
        &mut self,
        driver: &mut Driver,
        turns: &mut Tournament<Turn>,
    ) -> Result<Option<usize>, SourceError> {
        loop {
            if turns.least() == ENDED {
                return Ok(None);
            }
            let next = turns.winner();
            self.reject_due(next, driver);
            if self.partitions[next].has_row() {
                return Ok(Some(next));
            }
            self.refill(next, driver)?;
            if self.partitions[next].ended && self.partitions[next].pending.is_none() {
                turns.set(next, ENDED);
            }
        }
    }

    /// Rejects what stands before the next row of a partition, whose turn it is.
    fn reject_due(&mut self, i: usize, driver: &mut Driver) {
        let Some(mut read) = self.partitions[i].pending.take() else { return };
        let next = read.rows.get(read.next).map_or(usize::MAX, |row| row.index());
        while read.refusals.rows_before() <= next
            && let Some(refusal) = read.refusals.next()
        {
            self.partitions[i].gone_through();
            self.reject(driver, &mut read.batch, refusal);
        }
        self.partitions[i].pending = Some(read);
    }

    /// Replaces a partition's used-up batch by the next, or notes its end.
    fn refill(&mut self, i: usize, driver: &mut Driver) -> Result<(), SourceError> {
        let used_up = self.partitions[i].pending.take();
        if self.partitions[i].ended {
            // Its batch goes with it: fewer partitions need fewer batches.
            self.tracker.close(self.partitions[i].number);
            return Ok(());
        }
        if let Some(used_up) = used_up {
            driver.return_batch(self.stage, used_up.batch);
        }
        let (_, read) = self.read(i, driver)?;
        self.partitions[i].pending = Some(Box::new(read));
        Ok(())
    }
}
