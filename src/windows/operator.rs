//! The window operator: one for all kinds.

use super::aggregates::{Arrival, events, is_canonical};
use super::cold::Spilling;
use super::count::Count;
use super::cumulate::Cumulate;
use super::emitter::Emitter;
use super::fixed::Fixed;
use super::marks::{MARK, Marks, marked};
use super::plan::{LATE, PANES, WindowKind, WindowPlan};
use super::session::Sessions;
use super::slices::Slices;
use super::triggered::Triggered;
use crate::dataflow::{Awaits, ColdKeys, KeyReader, Keys, OpenPane, Operator, Output, Saved, Saving, Signal};
use crate::event::bytes::{Malformed, Reader, put_number, put_signed};
use crate::event::{Batch, Reason, Row, Slot};
use crate::time::{Env, Timestamp};

/// How windows of one kind take events and fire. All kinds that cannot fire early share these three questions;
/// everything else about them is in their own files.
pub trait Windowing: Send {
    /// Looks up keys of the events to come.
    fn look_ahead(&self, keys: &mut KeyReader);

    /// Takes an event, whose key the reader stands at, or refuses it and is as if it had never come.
    fn take(&mut self, desk: &mut Desk, event: &Arrival, out: &mut dyn Output) -> Result<(), Reason>;

    /// The earliest time at which the watermark makes something happen.
    fn next(&mut self) -> Option<Timestamp>;

    /// What fires next; None if no window is open that has not fired.
    fn earliest(&self) -> Option<OpenPane>;

    /// What makes its windows fire.
    fn trigger(&self) -> String {
        "watermark".to_owned()
    }

    /// Makes happen what is due by the watermark of the key that the reader stands at, where that has one of its own.
    fn fire_key(&mut self, _desk: &mut Desk, _out: &mut dyn Output) {}

    /// Makes happen what happens at the time that [`Windowing::next`] says.
    fn fire(&mut self, desk: &mut Desk, out: &mut dyn Output);

    /// Where keys have watermarks of their own: gives up what is carried into windows to come and is too old by the watermark
    /// of all. Asked whenever that has gone on, so that it does not depend on what else fires.
    fn expire(&mut self, _watermark: Timestamp) {}

    /// At the end of input: when the last of the windows is looked at that have not fired; None if all have. What is due
    /// later are windows that wait for late events.
    fn last_firing(&mut self, desk: &mut Desk) -> Option<Timestamp>;

    /// The input has ended: nothing is forgotten any more because time goes on.
    fn end(&mut self) {}

    /// Processing time has gone on.
    fn tick(&mut self, _desk: &mut Desk, _out: &mut dyn Output) {}

    /// Says which keys changed.
    fn save(&mut self, into: &mut Saving<'_>);

    /// Takes back a key.
    fn load(&mut self, key: &[u8], from: &mut Reader<'_>, desk: &mut Desk) -> Result<(), Malformed>;

    /// Appends what belongs to no key.
    fn save_own(&self, _into: &mut Vec<u8>) {}

    /// Takes back what belonged to no key, of one worker after the other; `is_own` if this one goes on with it.
    fn load_own(&mut self, _from: &mut Reader<'_>, _is_own: bool, _env: &Env) -> Result<(), Malformed> {
        Ok(())
    }

    /// All was taken back.
    fn loaded(&mut self, _desk: &mut Desk) {}

    /// Its keys, which can leave memory.
    fn spilling(&mut self) -> &mut dyn Spilling;
}

/// What tables of keys start from.
#[derive(Clone, Copy)]
pub struct Base {
    /// Where hashes start from.
    pub seed: u64,
    /// Whether anybody will ask what changed.
    pub durable: bool,
}

impl Base {
    /// A table without keys.
    pub fn keys<T: Default>(self) -> Keys<T> {
        Keys::durable(self.seed, self.durable)
    }
}

/// What all kinds of windows work with.
pub struct Desk {
    /// The keys of the batch at hand.
    pub keys: KeyReader,
    /// Takes rows.
    pub emitter: Emitter,
    /// Event time, as far as it came in.
    pub watermark: Timestamp,
    /// No later than [`Windowing::next`]; who adds something due lowers it.
    pub due: Timestamp,
    /// What is told of the watermark goes no further: a pane has still to leave that is on time.
    pub hold: Timestamp,
    /// Where windows follow the watermarks of partitions: how far those of keys were brought by the one of all.
    pub marks: Option<Marks>,
}

/// Gathers events by key and window, and emits a row for each pane.
///
/// Event time stands at each row's watermark before the row is taken. What is due by then fires first, in order of
/// window end, window start, and arrival of the first event, while the outgoing watermark follows the window ends one by
/// one. So results depend neither on how events were batched nor on how far the watermark jumps.
pub struct WindowOperator {
    desk: Desk,
    windows: Box<dyn Windowing>,
    arrivals: u64,
    /// Fields of a key.
    fields: usize,
    own: Own,
    /// Where the watermark of an event's partition stands, if windows follow that.
    partition: Option<Slot>,
    /// Whether nothing is said of the watermark until the end of input: `global` panes leave then, with the times of
    /// their last events.
    holds: bool,
    /// Whether keys may leave memory.
    spills: bool,
}

/// What the operator saved, or has to save, beside its keys.
struct Own {
    /// The bytes as they were saved last by this worker.
    saved: Vec<u8>,
    /// Whether a worker's were loaded.
    loaded: bool,
    /// The greatest watermark before the end of input, which moves it beyond all times, or the end of the last window that
    /// fired if that is later: a run that follows goes on from here.
    before_end: Timestamp,
}

impl Own {
    fn new() -> Own {
        Own { saved: Vec::new(), loaded: false, before_end: Timestamp::MIN }
    }
}

impl WindowOperator {
    /// An operator without events, which nobody will ask what changed. All of its hashes start from `seed`.
    pub fn new(plan: WindowPlan, seed: u64) -> WindowOperator {
        WindowOperator::durable(plan, seed, false)
    }

    /// The same, but for [`Operator::save`] if `durable`.
    pub fn durable(plan: WindowPlan, seed: u64, durable: bool) -> WindowOperator {
        let base = Base { seed, durable };
        let windows: Box<dyn Windowing> = match &plan.kind {
            _ if plan.firing.is_some() => Box::new(Triggered::new(&plan, base)),
            WindowKind::Sliding { .. } if plan.shares_slices() => Box::new(Slices::new(&plan, base)),
            WindowKind::Cumulate { .. } if plan.shares_slices() => Box::new(Cumulate::new(&plan, base)),
            WindowKind::Tumbling { .. }
            | WindowKind::Sliding { .. }
            | WindowKind::Cumulate { .. }
            | WindowKind::Calendar { .. } => Box::new(Fixed::new(&plan, base)),
            WindowKind::Session { .. } | WindowKind::Global => Box::new(Sessions::new(&plan, base)),
            WindowKind::Count { .. } => Box::new(Count::new(&plan, base)),
        };
        let is_global = matches!(plan.kind, WindowKind::Global);
        let holds = is_global && plan.firing.is_none();
        let fields = plan.key.len();
        let mut desk = Desk {
            keys: KeyReader::new(plan.key, seed),
            emitter: Emitter::new(plan.output, plan.late),
            watermark: Timestamp::MIN,
            due: Timestamp::MAX,
            hold: Timestamp::MAX,
            marks: plan.own.map(|_| Marks::default()),
        };
        desk.emitter.keeps_up = is_global && !holds;
        let spills = false;
        let (own, partition) = (Own::new(), plan.own);
        WindowOperator { desk, windows, arrivals: 0, fields, own, partition, holds, spills }
    }

    /// Event time goes on to here. Never goes back.
    fn advance(&mut self, watermark: Timestamp, out: &mut dyn Output) {
        // The watermark of all only goes on when no partition that is not idle is behind it. So what is due by then is due
        // for those that are not, and for idle ones; what partitions open behind a watermark that stands waits for theirs.
        let stands = self.partition.is_some() && watermark <= self.desk.watermark;
        if watermark >= self.desk.due && !stands {
            if watermark == Timestamp::MAX {
                self.end(out);
            } else {
                self.fire_until(watermark, out);
            }
        }
        self.desk.watermark = self.desk.watermark.max(watermark);
        if self.partition.is_some() && !stands && watermark < Timestamp::MAX {
            self.windows.expire(watermark);
        }
        if !self.holds {
            self.desk.emitter.reach(watermark.min(self.desk.hold));
        }
    }

    /// Takes an event as of the watermark of its own partition.
    fn take_apart(&mut self, slot: Slot, event: &Arrival, out: &mut dyn Output) -> Result<(), Reason> {
        let desk = &mut self.desk;
        let all = desk.watermark;
        let own = event.batch.get(event.row, slot).as_timestamp().map_or(all, Timestamp);
        let own = desk.marks.as_mut().map_or(own, |marks| marks.reach(desk.keys.bytes(), own));
        desk.watermark = own;
        self.windows.fire_key(desk, out);
        let taken = self.windows.take(desk, event, out);
        desk.watermark = all;
        taken
    }

    /// The input has ended: all windows fire. Those that have fired and take late events stay, for a run that follows.
    #[cold]
    fn end(&mut self, out: &mut dyn Output) {
        self.own.before_end = self.lasting_watermark();
        self.windows.end();
        while let Some(last) = self.windows.last_firing(&mut self.desk) {
            self.fire_until(last, out);
        }
    }

    /// Event time that a run that follows goes on from.
    fn lasting_watermark(&self) -> Timestamp {
        let reached = Some(self.desk.watermark).filter(|watermark| *watermark < Timestamp::MAX);
        reached.map_or(self.own.before_end, |reached| reached.max(self.own.before_end))
    }

    /// Takes back what a worker saved of its own. Where rows may come that any of them had not passed, event time goes on
    /// from the least of theirs; else from this worker's alone.
    fn load_own(&mut self, (mine, moved): (bool, bool), bytes: &[u8], env: &Env) -> Result<(), Malformed> {
        let mut from = Reader::new(bytes);
        let (arrivals, watermark) = (events(&mut from)?, Timestamp(from.signed()?));
        if watermark == Timestamp::MAX {
            return Err(Malformed("a watermark beyond all times"));
        }
        let is_own = mine || moved;
        self.windows.load_own(&mut from, is_own, env)?;
        from.finish()?;
        if !is_own {
            return Ok(());
        }
        self.arrivals = self.arrivals.max(arrivals);
        let Own { saved, loaded, .. } = &mut self.own;
        self.desk.watermark = if *loaded { self.desk.watermark.min(watermark) } else { watermark };
        *loaded = true;
        if !moved {
            *saved = bytes.into();
        }
        Ok(())
    }

    /// When something happens next. What happens at the first time up to `watermark` is in memory then, or the first part
    /// of it.
    fn look_ahead(&mut self, watermark: Timestamp) -> Option<Timestamp> {
        if self.spills {
            self.windows.spilling().recall(watermark, &mut self.desk);
        }
        self.windows.next()
    }

    #[cold]
    fn fire_until(&mut self, watermark: Timestamp, out: &mut dyn Output) {
        let mut next = self.look_ahead(watermark);
        while let Some(due) = next
            && due <= watermark
        {
            self.desk.watermark = self.desk.watermark.max(due);
            if due < Timestamp::MAX {
                self.own.before_end = self.own.before_end.max(due);
            }
            self.windows.fire(&mut self.desk, out);
            if !(self.spills && self.windows.spilling().has_put_off()) {
                self.desk.emitter.reach(due.min(self.desk.hold));
            }
            next = self.look_ahead(watermark);
        }
        self.desk.due = next.unwrap_or(Timestamp::MAX);
    }
}

impl Operator for WindowOperator {
    fn process(&mut self, batch: &mut Batch, rows: &mut Vec<Row>, out: &mut dyn Output) {
        if self.spills {
            self.windows.spilling().make_room();
        }
        self.desk.keys.read(batch, rows);
        self.windows.look_ahead(&mut self.desk.keys);
        for &row in rows.iter() {
            self.advance(batch.watermarks[row.index()], out);
            self.arrivals += 1;
            let event = Arrival { batch, row, time: batch.times[row.index()], order: self.arrivals };
            let taken = match self.partition {
                Some(slot) => self.take_apart(slot, &event, out),
                None => self.windows.take(&mut self.desk, &event, out),
            };
            if let Err(reason) = taken {
                out.reject(batch, row, reason);
            }
            self.desk.keys.advance();
        }
        rows.clear();
    }

    fn signal(&mut self, signal: Signal, out: &mut dyn Output) {
        match signal {
            Signal::Watermark(watermark) => self.advance(watermark, out),
            Signal::Tick => {
                self.windows.tick(&mut self.desk, out);
                if !self.holds {
                    self.desk.emitter.reach(self.desk.watermark.min(self.desk.hold));
                }
            }
            _ => {}
        }
        match signal {
            Signal::Watermark(watermark) if self.holds && watermark < Timestamp::MAX => {}
            Signal::Watermark(_) if self.desk.hold < Timestamp::MAX => {
                out.signal(PANES, Signal::Watermark(self.desk.emitter.reached()));
            }
            other => out.signal(PANES, other),
        }
        if self.desk.emitter.has_late_port() {
            out.signal(LATE, signal);
        }
    }

    fn save(&mut self, into: &mut Saving<'_>) {
        self.windows.save(into);
        if let Some(marks) = &mut self.desk.marks {
            marks.save(into);
        }
        let watermark = self.lasting_watermark();
        if watermark == Timestamp::MIN && self.arrivals == 0 {
            return;
        }
        // Workers without events too: where rows of theirs go to others, these go on from the least of all watermarks.
        let mut own = Vec::new();
        put_number(&mut own, self.arrivals);
        put_signed(&mut own, watermark.0);
        self.windows.save_own(&mut own);
        if own != self.own.saved {
            into.put_own(b"", |bytes| bytes.extend_from_slice(&own));
            self.own.saved = own;
        }
    }

    fn load(&mut self, saved: Saved<'_>, env: &Env) -> Result<(), Malformed> {
        match saved {
            Saved::Own { mine, moved, name: b"", value } => self.load_own((mine, moved), value, env),
            Saved::Own { .. } => Err(Malformed("a name that windows do not know")),
            Saved::Keyed { key, value } if key.ends_with(MARK) && is_canonical(marked(key), self.fields) => {
                // Of windows that follow the watermark of all by now they mean nothing any more.
                self.desk.marks.as_mut().map_or(Ok(()), |marks| marks.load(marked(key), value))
            }
            Saved::Keyed { key, .. } if !is_canonical(key, self.fields) => Err(Malformed("no key")),
            Saved::Keyed { key, value } => {
                let mut from = Reader::new(value);
                self.windows.load(key, &mut from, &mut self.desk)?;
                if self.spills {
                    self.windows.spilling().make_room();
                }
                from.finish()
            }
        }
    }

    fn spill(&mut self, cold: ColdKeys) {
        self.windows.spilling().spill(cold);
        self.spills = true;
    }

    fn unsaved(&mut self) -> usize {
        self.windows.spilling().unsaved()
    }

    fn awaits(&self) -> Option<Awaits> {
        let (trigger, earliest) = (self.windows.trigger(), self.windows.earliest());
        Some(Awaits { trigger, watermark: self.lasting_watermark(), earliest })
    }

    fn loaded(&mut self) {
        self.windows.loaded(&mut self.desk);
        if !self.holds {
            self.desk.emitter.reach(self.desk.watermark.min(self.desk.hold));
        }
    }
}
