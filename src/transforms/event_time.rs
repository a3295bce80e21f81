//! `event_time` inside a pipeline: sets the time of events and starts a watermark there.

use crate::config::{Role, Setting};
use crate::dataflow::{
    ComponentSpec, Copier, MAIN, NodePlanner, Operator, Origin, Output, Partitioned, Point, Ports, Saved,
    Saving, Scope, Signal, StartContext, StepPlan, TIMING_INSIDE, Timing, TimingPlace, TransformSpec,
};
use crate::event::bytes::{Malformed, Reader, put_time};
use crate::event::{Batch, Rejects, Row};
use crate::time::{Env, Timestamp};
use crate::watermark::{KeyMark, Partition, TimeAssigner, WatermarkTracker, key_name, read_key_name};
use xxhash_rust::xxh3::xxh3_64;

/// The registry entry.
pub const EVENT_TIME: TransformSpec = TransformSpec {
    spec: &ComponentSpec {
        name: "event_time",
        role: Role::Transform,
        summary: "Sets the time of events and starts a watermark here; the options are those at a source.",
        short: None,
        options: TIMING_INSIDE,
        later: &[],
        example: "\
transforms:
  samples:
    from: packets
    explode: { field: samples, as: sample }
  timed:
    from: samples
    event_time: { field: sample.t, unit: s, out_of_order: 5s }
windows:
  spread:
    from: timed
    tumbling: 10s
    aggregate: { lowest: min(sample.v), highest: max(sample.v) }
tests:
  - name: samples have times of their own
    steps:
      - send: { packets: { samples: [{ t: 1, v: 20 }, { t: 9, v: 22 }, { t: 12, v: 30 }] } }
      - close: packets
      - expect:
          out:
            - { lowest: 20, highest: 22, window_start: 0, window_end: 10000 }
            - { lowest: 30, highest: 30, window_start: 10000, window_end: 20000 }
",
    },
    plan,
    gathers: false,
};

fn plan(planner: &mut NodePlanner<'_>, at: &Point, setting: Setting<'_>) -> Option<Ports> {
    let mut at = at.clone();
    let timing = Timing::plan(planner, &mut at, setting, TimingPlace::Transform)?;
    let stage = planner.draft.stage(Origin::Copied(vec![at.clone()]));
    let by: Vec<_> = timing.partition_by.iter().map(|(_, slot)| *slot).collect();
    if !by.is_empty() {
        let partitioned = Partitioned { is_followed: false, by, own: None };
        planner.draft.at(stage).partitioned = Some(partitioned);
    }
    let step = planner.attach(&at, Box::new(RetimePlan { timing }));
    planner.draft.emit_to(step, MAIN, stage);
    Some(vec![(String::new(), Point { stage, behind: None, scope: Scope::origin() })])
}

/// Gives rows new times in a stage of their own, since other branches keep the old ones.
#[derive(Debug)]
pub struct RetimePlan {
    timing: Timing,
}

impl StepPlan for RetimePlan {
    fn describe(&self) -> String {
        let timing = &self.timing;
        format!("event_time {}, watermark {}", timing.describe_time(), timing.describe_watermark().join(", "))
    }

    fn state(&self) -> Option<String> {
        let names: Vec<&str> = self.timing.partition_by.iter().map(|(name, _)| name.as_str()).collect();
        Some(format!("2 watermark by {names:?}"))
    }

    fn start(&self, context: &StartContext<'_>) -> Box<dyn Operator> {
        Box::new(Retime {
            assigner: self.timing.assigner(),
            tracker: self.timing.tracker(1),
            copier: Copier::new(&context.copies(MAIN, 0)),
            rejects: Rejects::new(),
            old: Vec::new(),
            saved: None,
            highest: None,
        })
    }
}

struct Retime {
    assigner: TimeAssigner,
    tracker: WatermarkTracker,
    copier: Copier,
    rejects: Rejects,
    /// The times and watermarks of the batch as it came.
    old: Vec<(Timestamp, Timestamp)>,
    /// The hash of what was saved.
    saved: Option<u64>,
    /// While loading: the highest event time, the least of those of several workers.
    highest: Option<Timestamp>,
}

impl Operator for Retime {
    fn process(&mut self, batch: &mut Batch, rows: &mut Vec<Row>, out: &mut dyn Output) {
        self.old.clear();
        self.old.extend(batch.times.iter().copied().zip(batch.watermarks.iter().copied()));
        let watermark = batch.watermark;
        self.assigner.assign(&mut self.tracker, Partition(0), batch, rows, &mut self.rejects);
        for row in rows.drain(..) {
            let before = batch.watermarks[row.index()];
            self.copier.copy(batch, row, before, out.emit(MAIN));
        }
        // The batch goes on to others as it came.
        for (index, (time, before)) in self.old.drain(..).enumerate() {
            batch.times[index] = time;
            batch.watermarks[index] = before;
        }
        batch.watermark = watermark;
        // The watermark upstream may stand still while this one moves.
        out.signal(MAIN, Signal::Watermark(self.tracker.watermark()));
        for (row, reason) in self.rejects.drain(..) {
            out.reject(batch, row, reason);
        }
    }

    fn signal(&mut self, signal: Signal, out: &mut dyn Output) {
        match signal {
            Signal::Watermark(Timestamp::MAX) => {
                self.tracker.close(Partition(0));
                out.signal(MAIN, Signal::Watermark(Timestamp::MAX));
            }
            Signal::Watermark(_) => out.signal(MAIN, Signal::Watermark(self.tracker.watermark())),
            Signal::Idle(_) | Signal::Tick | Signal::Flush | Signal::End => out.signal(MAIN, signal),
        }
    }

    fn save(&mut self, into: &mut Saving<'_>) {
        let mut bytes = Vec::new();
        put_time(&mut bytes, self.tracker.highest_of(Partition(0)).unwrap_or(Timestamp::MIN));
        self.tracker.save(&mut bytes);
        let hash = Some(xxh3_64(&bytes));
        if self.tracker.last() > Timestamp::MIN && self.saved != hash {
            self.saved = hash;
            into.put_own(&[], |value| value.extend_from_slice(&bytes));
        }
        self.tracker.take_gone(&mut |_, key| into.remove_own(&key_name(&[], key)));
        self.tracker.take_changes(&mut |_, key, mark| {
            into.put_own(&key_name(&[], key), |value| mark.encode(value));
        });
    }

    fn load(&mut self, saved: Saved<'_>, _env: &Env) -> Result<(), Malformed> {
        let Saved::Own { mine, moved, name, value } = saved else {
            return Err(Malformed("nothing that this node keeps"));
        };
        if !name.is_empty() {
            let (_, key) = read_key_name(name)?;
            let mark = KeyMark::decode(value)?;
            // Those of workers that are no more are saved as this one's own.
            return if mine { self.tracker.load_key(Partition(0), key, mark, !moved) } else { Ok(()) };
        }
        let mut reader = Reader::new(value);
        let highest = reader.time()?;
        if !mine && !moved {
            return Ok(());
        }
        self.highest = Some(self.highest.map_or(highest, |known| known.min(highest)));
        if !moved {
            self.saved = Some(xxh3_64(value));
        }
        // What others had passed, rows that come here now may not have.
        self.tracker.load(&mut reader)?;
        reader.finish()
    }

    fn loaded(&mut self) {
        if let Some(highest) = self.highest.take() {
            self.tracker.resume(Partition(0), highest);
        }
    }
}
