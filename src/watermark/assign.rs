//! Gives the rows of a batch their event times and the watermarks that held before them.

use super::{Partition, TimeReader, WatermarkTracker};
use crate::event::{Batch, Reason, Rejects, Row, Slot, Value, encode_key};

/// Where the time of an event comes from.
#[derive(Clone, Debug)]
pub enum EventTime {
    /// From the clock, at the moment the event is read.
    Ingestion,
    /// From a field or expression.
    Read {
        /// Where it stands.
        slot: Slot,
        /// How it is read.
        reader: TimeReader,
    },
}

/// Assigns times to whole batches, as sources and `event_time` transforms need it.
#[derive(Clone, Debug)]
pub struct TimeAssigner {
    time: EventTime,
    partition_by: Vec<Slot>,
    /// Where the watermark of an event's own key of `partition_by` goes, if anybody asks.
    own: Option<Slot>,
    key: Vec<u8>,
}

impl TimeAssigner {
    /// `partition_by` are the fields whose values have a watermark each; often none.
    pub fn new(time: EventTime, partition_by: Vec<Slot>) -> TimeAssigner {
        TimeAssigner { time, partition_by, own: None, key: Vec::new() }
    }

    /// The same, which writes to a slot the watermark that the key of an event had before it by itself.
    pub fn telling(self, own: Option<Slot>) -> TimeAssigner {
        TimeAssigner { own, ..self }
    }

    /// Sets [`Batch::times`] and [`Batch::watermarks`] of the given rows, and [`Batch::watermark`]. Rows without
    /// a usable time go from `rows` to `rejects`, stamped with the time they were read at; they move no watermark.
    ///
    /// The tracker must know the time ([`WatermarkTracker::tick`]) and the batch hold rows of one partition.
    pub fn assign(
        &mut self,
        tracker: &mut WatermarkTracker,
        partition: Partition,
        batch: &mut Batch,
        rows: &mut Vec<Row>,
        rejects: &mut Rejects,
    ) {
        rows.retain(|&row| {
            let before = tracker.watermark();
            let outcome = self.place(tracker, partition, batch, row);
            batch.watermarks[row.index()] = before;
            outcome.map_err(|reason| rejects.push((row, reason))).is_ok()
        });
        batch.watermark = tracker.watermark();
    }

    #[inline]
    fn place(
        &mut self,
        tracker: &mut WatermarkTracker,
        partition: Partition,
        batch: &mut Batch,
        row: Row,
    ) -> Result<(), Reason> {
        let ingested = tracker.ingestion_time();
        let time = match &self.time {
            EventTime::Ingestion => ingested,
            EventTime::Read { slot, reader } => {
                batch.times[row.index()] = ingested;
                reader.read(batch, batch.get(row, *slot))?
            }
        };
        if self.partition_by.is_empty() {
            tracker.observe(partition, time)?;
        } else {
            self.key.clear();
            encode_key(batch, row, &self.partition_by, &mut self.key);
            let before = tracker.observe_key(partition, &self.key, time)?;
            if let Some(own) = self.own {
                batch.set(row, own, Value::timestamp(before.0));
            }
        }
        batch.times[row.index()] = time;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::RejectKind;
    use crate::time::{Clock, Millis, Timestamp, VirtualClock};
    use crate::watermark::{Liveness, Progress, TimeForm, TimeUnit};
    use proptest::prelude::*;

    const TS: Slot = Slot(0);
    const KEY: Slot = Slot(1);

    fn batch(cells: &[(Value, i64)]) -> (Batch, Vec<Row>) {
        let mut batch = Batch::new(2, b"");
        let rows = cells
            .iter()
            .map(|&(ts, key)| {
                let row = batch.push_row(Timestamp(-1), Timestamp(-1));
                batch.set(row, TS, ts);
                batch.set(row, KEY, Value::int(key));
                row
            })
            .collect();
        (batch, rows)
    }

    fn by_field(partition_by: Vec<Slot>) -> TimeAssigner {
        let reader = TimeReader { name: "ts".into(), form: TimeForm::Unit(TimeUnit::Millis) };
        TimeAssigner::new(EventTime::Read { slot: TS, reader }, partition_by)
    }

    fn tracker(progress: Progress, live: Option<Liveness>) -> WatermarkTracker {
        let mut tracker = WatermarkTracker::new(progress, live, 1);
        tracker.tick(VirtualClock::new(Timestamp(500)).read());
        tracker
    }

    fn ms(times: &[Timestamp]) -> Vec<i64> {
        times.iter().map(|t| t.0).collect()
    }

    const IN_ORDER: Progress = Progress::Events { out_of_order: Millis(0) };

    #[test]
    fn rows_get_times_and_the_watermark_before_them() {
        let mut tracker = tracker(IN_ORDER, None);
        let cells = [Value::int(10), Value::NULL, Value::float(30.7), Value::int(20)].map(|v| (v, 0));
        let (mut batch, mut rows) = batch(&cells);
        let mut rejects = Rejects::new();
        by_field(vec![]).assign(&mut tracker, Partition(0), &mut batch, &mut rows, &mut rejects);
        assert_eq!(rows, [Row(0), Row(2), Row(3)]);
        assert_eq!(ms(&batch.times), [10, 500, 30, 20]);
        assert_eq!(ms(&batch.watermarks), [i64::MIN, 10, 10, 30]);
        assert_eq!(batch.watermark, Timestamp(30));
        assert_eq!((rejects[0].0, rejects[0].1.kind), (Row(1), RejectKind::Time));
    }

    #[test]
    fn keys_have_a_watermark_each() {
        let mut tracker = tracker(IN_ORDER, None);
        let cells = [(10, 1), (50, 2), (40, 1), (60, 1)].map(|(t, k)| (Value::int(t), k));
        let (mut batch, mut rows) = batch(&cells);
        by_field(vec![KEY]).assign(&mut tracker, Partition(0), &mut batch, &mut rows, &mut Rejects::new());
        assert_eq!(ms(&batch.watermarks), [i64::MIN, 10, 10, 40]);
        assert_eq!(batch.watermark, Timestamp(50));
    }

    #[test]
    fn too_far_ahead_is_rejected_and_moves_nothing() {
        let mut tracker = tracker(IN_ORDER, Some(Liveness::default()));
        let (mut batch, mut rows) = batch(&[(Value::int(301_000), 0), (Value::int(7), 0)]);
        let mut rejects = Rejects::new();
        by_field(vec![]).assign(&mut tracker, Partition(0), &mut batch, &mut rows, &mut rejects);
        assert_eq!((rows, rejects.len(), batch.watermark), (vec![Row(1)], 1, Timestamp(7)));
        assert_eq!(ms(&batch.times), [500, 7]);
    }

    #[test]
    fn without_event_time_the_clock_gives_it() {
        let cells = [(Value::NULL, 0), (Value::NULL, 0)];
        let mut live = tracker(Progress::Clock, Some(Liveness::default()));
        let mut bounded = tracker(Progress::Explicit, None);
        for (tracker, watermark) in [(&mut live, 500), (&mut bounded, i64::MIN)] {
            let (mut batch, mut rows) = batch(&cells);
            let mut assigner = TimeAssigner::new(EventTime::Ingestion, vec![]);
            assigner.assign(tracker, Partition(0), &mut batch, &mut rows, &mut Rejects::new());
            assert_eq!((rows.len(), ms(&batch.times)), (2, vec![500, 500]));
            assert_eq!(ms(&batch.watermarks), [watermark, watermark]);
            assert_eq!(batch.watermark.0, watermark);
        }
    }

    fn watermarks(cuts: &[&[(i64, i64)]], partition_by: &[Slot]) -> Vec<i64> {
        let mut tracker = tracker(Progress::Events { out_of_order: Millis(3) }, None);
        let mut assigner = by_field(partition_by.to_vec());
        let mut all = vec![];
        for cut in cuts {
            let cells: Vec<_> = cut.iter().map(|&(time, key)| (Value::int(time), key)).collect();
            let (mut batch, mut rows) = batch(&cells);
            assigner.assign(&mut tracker, Partition(0), &mut batch, &mut rows, &mut Rejects::new());
            all.extend(ms(&batch.watermarks));
        }
        all.push(tracker.watermark().0);
        all
    }

    proptest! {
        #[test]
        fn watermarks_do_not_depend_on_batches(
            events in prop::collection::vec((-100i64..100, 0i64..4), 0..60),
            cut in 0usize..60,
        ) {
            let (first, second) = events.split_at(cut.min(events.len()));
            for keys in [&[][..], &[KEY]] {
                prop_assert_eq!(watermarks(&[first, second], keys), watermarks(&[&events], keys));
            }
        }
    }
}
