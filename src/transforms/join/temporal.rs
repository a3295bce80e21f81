//! The temporal table: an event meets the latest row of its key as of its own time.
//!
//! An event waits until the watermark is past its time: then all rows that are not later have come. Of rows, the last one
//! that the watermark has passed stays, and all later ones.

use super::LATE;
use super::late::Late;
use super::meeting::{Input, Meeting, Part, mark, meet};
use super::store::{Store, between};
use crate::config::StateTtl;
use crate::dataflow::{
    Awaits, Binding, KeyId, MAIN, NodePlanner, Operator, Origin, Output, Point, Saved, Saving, Scope, Signal,
    StartContext, StepPlan,
};
use crate::event::bytes::Malformed;
use crate::event::{Batch, Path, Reason, Row, Slot, Step, Value};
use crate::expr::Type;
use crate::time::{Env, Millis, Timestamp};
use std::sync::Arc;

/// What is looked up.
pub struct Temporal {
    /// The name of the table.
    pub name: String,
    /// What matches, as written.
    pub text: String,
    /// Where the table's rows come from.
    pub rows: Point,
    /// The columns of the key, and where they stand in events.
    pub key: Vec<(String, Slot)>,
    /// Fields that are added, and the columns that they come from.
    pub fields: Vec<(String, String)>,
    /// Whether events without a row go on.
    pub all: bool,
    /// Whether, if not, they are rejected.
    pub rejects: bool,
}

/// Plans a lookup in a table that a node fills, for events at a point.
pub fn plan(planner: &mut NodePlanner<'_>, at: &Point, lookup: Temporal) -> Option<Point> {
    let part = |name: &String, slot: Slot, ty: Type| Part { written: name.clone(), slot, ty };
    let (mut events, mut rows) = (Vec::new(), Vec::new());
    for (column, slot) in &lookup.key {
        let found =
            planner.draft.resolve(lookup.rows.stage, &lookup.rows.scope, &Path::field(column.clone()));
        let found = found.ok().filter(|found| found.rest.is_empty())?;
        let ty = planner.draft.at(at.stage).slots[slot.0 as usize].1;
        events.push(part(column, *slot, ty));
        rows.push(part(column, found.slot, found.ty));
    }
    let names: Vec<String> = lookup.key.iter().map(|(column, _)| column.clone()).collect();
    // The name under which a row of the table stands beside an event.
    let beside = &format!("({})", lookup.name);
    let table = Scope::default().with(beside.clone(), Binding::Map(Arc::new(lookup.rows.scope.clone())));
    let text = format!("rows of {}, by {}", lookup.name, names.join(", "));
    let asking = format!("asks {} where {}", lookup.name, lookup.text);
    let event = Input { text: asking, right: false, kept: true, scope: at.scope.clone() };
    let event = mark(planner, at, &events, event);
    let row = Input { text, right: true, kept: false, scope: table };
    let row = mark(planner, &lookup.rows, &rows, row);
    let meeting = meet(planner, vec![event, row], &names)?;
    let to = leave(planner, &meeting.at, beside);
    let mut scope = to.scope.clone();
    for (field, column) in &lookup.fields {
        let path = Path::field(beside.as_str()).then(Step::Field(column.clone()));
        let found = planner.draft.resolve(to.stage, &to.scope, &path).ok()?;
        scope = scope.with(field.clone(), Binding::Slot(found.slot, found.ty));
    }
    let found = (!lookup.all).then(|| planner.draft.slot(to.stage, "(found)", Type::BOOL));
    let late = planner.is_listened("late").then(|| {
        let events = Point { scope: meeting.at.scope.clone().without(beside.clone()), ..meeting.at.clone() };
        planner.draft.stage(Origin::Copied(vec![events]))
    });
    let Meeting { at, key, mark } = meeting;
    let ttl = planner.state_ttl();
    let plan = AsOfPlan { name: lookup.name.clone(), text: lookup.text, key, mark, found, ttl };
    let step = planner.attach(&at, Box::new(plan));
    planner.draft.emit_to(step, MAIN, to.stage);
    planner.is_ordered = true;
    if let Some(stage) = late {
        planner.draft.emit_to(step, LATE, stage);
        planner.late = Some(Point { stage, behind: None, scope: Scope::origin() });
    }
    let to = Point { scope, ..to };
    let Some(found) = found else { return Some(to) };
    let plan = FoundPlan { name: lookup.name, found, rejects: lookup.rejects };
    let step = planner.attach(&to, Box::new(plan));
    Some(planner.behind(&to, step, MAIN, to.scope.clone()))
}

/// The stage of events with their rows: of two inputs, one for each.
fn leave(planner: &mut NodePlanner<'_>, at: &Point, beside: &str) -> Point {
    let below = Arc::new(at.scope.clone());
    let row = Scope::default().with(beside, Binding::Alias(below, Path::field(beside)));
    let event = Point { scope: at.scope.clone().without(beside), ..at.clone() };
    let stage = planner.draft.stage(Origin::Copied(vec![event, Point { scope: row, ..at.clone() }]));
    Point { stage, behind: None, scope: Scope::origin() }
}

/// Adds the latest row of a table as of each event's time.
#[derive(Clone, Debug)]
struct AsOfPlan {
    name: String,
    text: String,
    key: Vec<Slot>,
    mark: Slot,
    /// Where it stands in the output whether there is a row, if somebody asks.
    found: Option<Slot>,
    ttl: StateTtl,
}

impl StepPlan for AsOfPlan {
    fn describe(&self) -> String {
        format!("lookup in {} where {}, as of the event's time", self.name, self.text)
    }

    fn details(&self) -> Vec<String> {
        vec![
            "state: each event until the watermark is beyond it".to_owned(),
            format!("state for each key, {}: its last row, and later ones", self.ttl.words()),
        ]
    }

    fn state(&self) -> Option<String> {
        Some(format!("1 lookup in {} where {}", self.name, self.text))
    }

    fn start(&self, context: &StartContext<'_>) -> Box<dyn Operator> {
        let late = Late::new(context, 1);
        let store = Store::new(&self.key, context).forgetting(self.ttl);
        let (plan, reached, passed) = (self.clone(), Timestamp::MIN, Timestamp::MIN);
        Box::new(AsOf { plan, store, late, reached, has_ended: false, passed })
    }
}

/// Events go on in the order of their times, each with its own as the watermark before it.
struct AsOf {
    plan: AsOfPlan,
    store: Store,
    late: Late,
    /// The watermark as far as it came in, but for the end of input.
    reached: Timestamp,
    has_ended: bool,
    /// The watermark as far as it was handed on.
    passed: Timestamp,
}

/// The sides in the store.
const EVENTS: usize = 0;
const ROWS: usize = 1;

impl AsOf {
    fn advance(&mut self, watermark: Timestamp, out: &mut dyn Output) {
        match watermark {
            Timestamp::MAX => self.has_ended = true,
            _ => self.reached = self.reached.max(watermark),
        }
        while let Some((due, key)) = self.store.keys.take_due(watermark) {
            while self.store.first(key, EVENTS).is_some_and(|time| time < due)
                && let Some(event) = self.store.take_first(key, EVENTS)
            {
                let time = event.row.time;
                self.passed = self.passed.max(time);
                let into = out.emit(MAIN);
                let row = self.store.keepers[EVENTS].write(&event.row, self.passed, into);
                let rows = &self.store.keys.entry(key).item.rows[ROWS];
                let last = between(rows, Timestamp::MIN, time).end.checked_sub(1);
                if let Some(last) = last {
                    self.store.keepers[ROWS].fill(&rows[last].row, row, into);
                }
                self.plan.found.iter().for_each(|slot| into.set(row, *slot, Value::bool(last.is_some())));
            }
            self.prune(key, due);
            self.settle(key);
        }
        self.store.reach(watermark);
        self.passed = self.passed.max(watermark);
    }

    /// Forgets the rows of a key behind which another one is that no event can be earlier than: after the end of input
    /// there may be another run, for which the watermark is what it was before.
    fn prune(&mut self, key: KeyId, watermark: Timestamp) {
        let passed = watermark.min(self.reached);
        while self.second_row(key).is_some_and(|second| second <= passed) {
            self.store.take_first(key, ROWS);
        }
    }

    /// When the first row of a key is not needed any more.
    fn second_row(&self, key: KeyId) -> Option<Timestamp> {
        self.store.keys.entry(key).item.rows[ROWS].get(1).map(|row| row.row.time)
    }

    /// When the next event of a key goes.
    fn next_event(&self, key: KeyId) -> Option<Timestamp> {
        self.store.first(key, EVENTS).map(|time| time + Millis(1))
    }

    /// Has a key looked at when its next event goes, or its first row.
    fn settle(&mut self, key: KeyId) {
        let row = if self.has_ended { None } else { self.second_row(key) };
        match self.next_event(key).into_iter().chain(row).min() {
            Some(due) => self.store.keys.set_due(key, due),
            None if self.store.first(key, ROWS).is_none() => self.store.keys.forget(key),
            None => {}
        }
    }

    fn take_event(&mut self, batch: &Batch, row: Row, out: &mut dyn Output) {
        let (time, watermark) = (batch.times[row.index()], batch.watermarks[row.index()]);
        if time < watermark {
            self.late.take(EVENTS, batch, row, watermark, out);
            return;
        }
        // Rows have keys that are not null, so for an event with a null there is none.
        let kept = self.store.keepers[EVENTS].keep(batch, row);
        let key = self.store.key(batch, row);
        self.store.insert(key, EVENTS, kept, false);
        self.settle(key);
    }

    /// A row counts for the events that have not gone yet, however late it is.
    fn take_row(&mut self, batch: &Batch, row: Row) {
        let kept = self.store.keepers[ROWS].keep(batch, row);
        let key = self.store.key(batch, row);
        self.store.insert(key, ROWS, kept, false);
        self.prune(key, batch.watermarks[row.index()]);
        self.settle(key);
    }
}

impl Operator for AsOf {
    fn process(&mut self, batch: &mut Batch, rows: &mut Vec<Row>, out: &mut dyn Output) {
        self.store.keys.read(batch, rows);
        for row in rows.drain(..) {
            self.advance(batch.watermarks[row.index()], out);
            match batch.get(row, self.plan.mark).as_bool() {
                Some(true) => self.take_row(batch, row),
                _ => self.take_event(batch, row, out),
            }
            self.store.keys.advance();
        }
    }

    fn signal(&mut self, signal: Signal, out: &mut dyn Output) {
        if let Signal::Watermark(watermark) = signal {
            self.advance(watermark, out);
        }
        self.late.signal(signal, self.passed, out);
    }

    fn save(&mut self, into: &mut Saving<'_>) {
        self.store.save(into);
    }

    fn load(&mut self, saved: Saved<'_>, _env: &Env) -> Result<(), Malformed> {
        if let Some(row) = self.store.load(saved)? {
            self.settle(row.key);
        }
        Ok(())
    }

    fn awaits(&self) -> Option<Awaits> {
        Some(self.store.awaits(self.reached, |key| Some((self.next_event(key)?, None))))
    }
}

/// Lets only events go on for which there is a row.
#[derive(Clone, Debug)]
struct FoundPlan {
    name: String,
    found: Slot,
    rejects: bool,
}

impl StepPlan for FoundPlan {
    fn describe(&self) -> String {
        let what = if self.rejects { "reject" } else { "drop" };
        format!("{what} events for which {} has no row", self.name)
    }

    fn start(&self, _context: &StartContext<'_>) -> Box<dyn Operator> {
        Box::new(self.clone())
    }
}

impl Operator for FoundPlan {
    fn process(&mut self, batch: &mut Batch, rows: &mut Vec<Row>, out: &mut dyn Output) {
        let before = rows.len();
        rows.retain(|&row| {
            let is_found = batch.get(row, self.found).as_bool() == Some(true);
            if !is_found && self.rejects {
                let text = format!("table `{}` has no row for it", self.name);
                out.reject(batch, row, Reason::expression(text));
            }
            is_found
        });
        if rows.len() < before && !self.rejects {
            out.discard("not_found", (before - rows.len()) as u64);
        }
    }
}
