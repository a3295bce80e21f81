//! Triggers as state machines: a tree that is the same for all panes of a node, and a cell for each of its parts that a
//! pane keeps.
//!
//! The rules are those of Apache Beam's trigger state machines: an event is told to the parts that are not done; a part
//! that fires is done, a composite that fires forgets what its parts counted, `repeat` begins anew. Where windows merge, a
//! count is the sum and a deadline the earlier one, what was done in one of them is done, and the end of the window has
//! passed only if it has for both.

use super::custom::{Held, Running, Told};
use super::plan::Trigger;
use crate::event::Reason;
use crate::event::bytes::{Malformed, Reader, put_signed};
use crate::time::{Millis, Timestamp};

/// What a trigger looks at when it is asked.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Event time.
    pub watermark: Timestamp,
    /// Where the window starts.
    pub start: Timestamp,
    /// Where the window ends.
    pub end: Timestamp,
    /// The clock, as far as the last tick.
    pub clock: Millis,
}

impl Moment {
    /// Whether event time has reached the end of the window.
    pub fn is_past_end(&self) -> bool {
        self.watermark >= self.end
    }
}

/// What a part of a trigger keeps of a pane.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    /// It has fired and does not begin anew.
    done: bool,
    /// A count, a deadline, or for phases that the late one has begun.
    value: Option<i64>,
    /// What a custom trigger keeps, once it was told of an event.
    held: Option<Box<Held>>,
}

/// The state of a trigger for one pane.
pub type Cells = Box<[Cell]>;

/// A trigger, ready to run.
pub struct Machine {
    root: Node,
    /// How many cells it has.
    cells: usize,
    /// The cells of deadlines by the clock.
    clocks: Vec<usize>,
    /// The cells of deadlines by event time.
    times: Vec<usize>,
    /// The cells of custom triggers.
    customs: Vec<usize>,
}

/// A part, with the number of its cell and the one behind those of its parts.
struct Node {
    rule: Rule,
    cell: usize,
    behind: usize,
    parts: Vec<Node>,
    custom: Option<Box<dyn Running>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Rule {
    Watermark,
    /// Parts: early, if there is one; late.
    Phases {
        early: bool,
    },
    Clock(Millis),
    Time(Millis),
    Count(i64),
    Any,
    All,
    Each,
    Repeat,
    Once,
    /// Parts: what works, what ends it.
    Until,
    Custom,
}

impl Machine {
    /// For the trigger at the top of a window.
    pub fn new(trigger: &Trigger) -> Machine {
        let root = Node { rule: Rule::Watermark, cell: 0, behind: 0, parts: Vec::new(), custom: None };
        let (clocks, times, customs) = (Vec::new(), Vec::new(), Vec::new());
        let mut machine = Machine { root, cells: 0, clocks, times, customs };
        machine.root = machine.node(&trigger.clone().repeating());
        machine
    }

    fn node(&mut self, trigger: &Trigger) -> Node {
        let cell = self.cells;
        self.cells += 1;
        let mut custom = None;
        let all = |machine: &mut Machine, parts: &[Trigger]| -> Vec<Node> {
            parts.iter().map(|part| machine.node(part)).collect()
        };
        let (rule, parts) = match trigger {
            Trigger::Watermark => (Rule::Watermark, Vec::new()),
            Trigger::Phases { early, late } => {
                let each_event = || Box::new(Trigger::Watermark);
                let late = late.clone().unwrap_or_else(each_event).repeating();
                let early_part = early.clone().map(|early| self.node(&early.repeating()));
                let parts = early_part.into_iter().chain([self.node(&late)]).collect();
                (Rule::Phases { early: early.is_some() }, parts)
            }
            Trigger::ProcessingTime(span) => {
                self.clocks.push(cell);
                (Rule::Clock(*span), Vec::new())
            }
            Trigger::EventTime(span) => {
                self.times.push(cell);
                (Rule::Time(*span), Vec::new())
            }
            Trigger::Count(count) => (Rule::Count((*count).min(i64::MAX as u64) as i64), Vec::new()),
            Trigger::Any(parts) => (Rule::Any, all(self, parts)),
            Trigger::All(parts) => (Rule::All, all(self, parts)),
            Trigger::Each(parts) => (Rule::Each, all(self, parts)),
            Trigger::Repeat(part) => (Rule::Repeat, vec![self.node(part)]),
            Trigger::Once(part) => (Rule::Once, vec![self.node(part)]),
            Trigger::Until { work, until } => (Rule::Until, vec![self.node(work), self.node(until)]),
            Trigger::Custom(trigger) => {
                self.customs.push(cell);
                custom = Some(trigger.0.start());
                (Rule::Custom, Vec::new())
            }
        };
        Node { rule, cell, behind: self.cells, parts, custom }
    }

    /// The state of a pane without events.
    pub fn cells(&self) -> Cells {
        vec![Cell::default(); self.cells].into()
    }

    /// Whether it has parts that may fail.
    pub fn is_custom(&self) -> bool {
        !self.customs.is_empty()
    }

    /// An event has come. Where that fails, the cells are of no use any more.
    pub fn event(&self, cells: &mut Cells, told: &Told<'_>) -> Result<(), Reason> {
        self.root.event(cells, told)
    }

    /// Tells custom triggers of what is due. To be called before it is asked.
    pub fn advance(&self, cells: &mut Cells, moment: Moment, faults: &mut Vec<Reason>) {
        if self.is_custom() {
            self.root.advance(cells, moment, faults);
        }
    }

    /// Whether it would fire.
    pub fn is_ready(&self, cells: &Cells, moment: Moment) -> bool {
        self.root.is_ready(cells, moment)
    }

    /// Fires, and says whether it is done.
    pub fn fire(&self, cells: &mut Cells, moment: Moment) -> bool {
        self.root.fire(cells, moment);
        cells[self.root.cell].done
    }

    /// The window took in another.
    pub fn merge(&self, cells: &mut Cells, other: &Cells, faults: &mut Vec<Reason>) {
        self.root.merge(cells, other, faults);
    }

    /// The end of the window has moved, and event time has not reached it: who was told that it had is told otherwise.
    pub fn reopen(&self, cells: &mut Cells) {
        self.root.reopen(cells);
    }

    /// What it still waits for, in words.
    pub fn waits(&self, cells: &Cells, moment: Moment) -> String {
        self.root.waits(cells, moment)
    }

    /// The next time of the clock, beyond that, at which it may be ready.
    pub fn next_clock(&self, cells: &Cells, clock: Millis) -> Option<Millis> {
        let set = self.held(cells).filter_map(|held| held.clock_timer).map(|at| at.0);
        deadlines(cells, &self.clocks).chain(set).filter(|due| *due > clock.0).min().map(Millis)
    }

    /// The next watermark, beyond that, with which it may be ready; the end of the window aside.
    pub fn next_time(&self, cells: &Cells, watermark: Timestamp) -> Option<Timestamp> {
        let set = self.held(cells).filter_map(|held| held.timer).map(|at| at.0);
        deadlines(cells, &self.times).chain(set).filter(|due| *due > watermark.0).min().map(Timestamp)
    }

    /// What custom triggers keep.
    fn held<'c>(&'c self, cells: &'c Cells) -> impl Iterator<Item = &'c Held> {
        self.customs.iter().filter_map(|cell| cells[*cell].held.as_deref())
    }

    /// Appends the state of a pane.
    pub fn save(&self, cells: &Cells, into: &mut Vec<u8>) {
        for cell in cells.iter() {
            let (value, held) = (cell.value.is_some(), cell.held.is_some());
            into.push(u8::from(cell.done) | u8::from(value) << 1 | u8::from(held) << 2);
            cell.value.iter().for_each(|value| put_signed(into, *value));
            cell.held.iter().for_each(|held| held.save(into));
        }
    }

    /// Takes back the state of a pane.
    pub fn load(&self, from: &mut Reader<'_>) -> Result<Cells, Malformed> {
        let mut cells = self.cells();
        for cell in &mut cells {
            let flags = from.byte()?;
            if flags > 7 {
                return Err(Malformed("a trigger in no state that is known"));
            }
            let value = if flags & 2 != 0 { Some(from.signed()?) } else { None };
            let held = if flags & 4 != 0 { Some(Box::new(Held::load(from)?)) } else { None };
            *cell = Cell { done: flags & 1 != 0, value, held };
        }
        Ok(cells)
    }
}

fn deadlines(cells: &Cells, which: &[usize]) -> impl Iterator<Item = i64> {
    which.iter().filter_map(|cell| cells[*cell].value)
}

impl Node {
    fn done(&self, cells: &Cells) -> bool {
        cells[self.cell].done
    }

    /// Forgets what it and its parts know.
    fn clear(&self, cells: &mut Cells) {
        cells[self.cell..self.behind].fill(Cell::default());
    }

    /// It is done, and what its parts know is of no use any more.
    fn finish(&self, cells: &mut Cells) {
        self.clear(cells);
        cells[self.cell].done = true;
    }

    /// The parts that events are told to and that may fire, some of which may be done.
    fn active(&self, cells: &Cells) -> &[Node] {
        match self.rule {
            Rule::Phases { .. } if self.is_late(cells) => &self.parts[self.parts.len() - 1..],
            Rule::Phases { .. } => &self.parts[..self.parts.len() - 1],
            Rule::Each => {
                let first = self.parts.iter().position(|part| !part.done(cells)).unwrap_or(0);
                &self.parts[first..=first]
            }
            _ => &self.parts,
        }
    }

    /// Of phases: whether the window's end has fired.
    fn is_late(&self, cells: &Cells) -> bool {
        cells[self.cell].value.is_some()
    }

    fn event(&self, cells: &mut Cells, told: &Told<'_>) -> Result<(), Reason> {
        if self.done(cells) {
            return Ok(());
        }
        let Cell { value, held, .. } = &mut cells[self.cell];
        if let Some(custom) = &self.custom {
            return held.get_or_insert_default().tell(&**custom, told);
        }
        match self.rule {
            Rule::Count(_) => *value = Some(value.unwrap_or(0).saturating_add(1)),
            Rule::Clock(span) => {
                value.get_or_insert(told.now.0.saturating_add(span.0));
            }
            Rule::Time(span) => {
                let time = told.time.max(told.watermark);
                let end = (time.0.div_euclid(span.0)).saturating_mul(span.0).saturating_add(span.0);
                *value = Some(value.map_or(end, |known| known.min(end)));
            }
            _ => return self.active(cells).iter().try_for_each(|part| part.event(cells, told)),
        }
        Ok(())
    }

    fn advance(&self, cells: &mut Cells, moment: Moment, faults: &mut Vec<Reason>) {
        if self.done(cells) {
            return;
        }
        if let (Some(custom), Some(held)) = (&self.custom, &mut cells[self.cell].held) {
            held.advance(&**custom, moment, faults);
        }
        self.active(cells).iter().for_each(|part| part.advance(cells, moment, faults));
    }

    fn is_ready(&self, cells: &Cells, moment: Moment) -> bool {
        if self.done(cells) {
            return false;
        }
        let value = cells[self.cell].value;
        let mut active = self.active(cells).iter();
        match self.rule {
            Rule::Watermark => moment.is_past_end(),
            Rule::Clock(_) => value.is_some_and(|due| due <= moment.clock.0),
            Rule::Time(_) => value.is_some_and(|due| due <= moment.watermark.0),
            Rule::Count(count) => value.is_some_and(|seen| seen >= count),
            Rule::Custom => cells[self.cell].held.as_ref().is_some_and(|held| held.is_ready()),
            Rule::All => active.all(|part| part.done(cells) || part.is_ready(cells, moment)),
            Rule::Phases { .. } => {
                !self.is_late(cells) && moment.is_past_end()
                    || active.any(|part| part.is_ready(cells, moment))
            }
            Rule::Any | Rule::Each | Rule::Repeat | Rule::Once | Rule::Until => {
                active.any(|part| part.is_ready(cells, moment))
            }
        }
    }

    fn waits(&self, cells: &Cells, moment: Moment) -> String {
        let value = cells[self.cell].value;
        let end = || if moment.is_past_end() { "an event" } else { "the end of the window" }.to_owned();
        let active = self.active(cells).iter().filter(|part| !part.done(cells));
        let mut parts: Vec<String> = active.map(|part| part.waits(cells, moment)).collect();
        match (self.rule, value) {
            _ if self.done(cells) => return "nothing".to_owned(),
            (Rule::Watermark, _) => return end(),
            (Rule::Count(count), seen) => {
                return format!("{} more of {count} events", count.saturating_sub(seen.unwrap_or(0)).max(0));
            }
            (Rule::Clock(_) | Rule::Time(_), None) => return "an event".to_owned(),
            (Rule::Clock(_), Some(due)) => {
                let rest = Millis(due.saturating_sub(moment.clock.0).max(0));
                return format!("{rest} of processing time");
            }
            (Rule::Time(_), Some(due)) => {
                let time = jiff::Timestamp::from_millisecond(due);
                return time.map_or_else(|_| "event time".to_owned(), |time| format!("event time {time}"));
            }
            (Rule::Custom, _) => return "what a plugin says".to_owned(),
            (Rule::Phases { .. }, None) => parts.insert(0, end()),
            _ => {}
        }
        match (&parts[..], self.rule) {
            ([only], _) => only.clone(),
            (_, Rule::All) => format!("all of ({})", parts.join(", ")),
            _ => format!("any of ({})", parts.join(", ")),
        }
    }

    /// Fires; it is ready.
    fn fire(&self, cells: &mut Cells, moment: Moment) {
        match (self.rule, &self.parts[..]) {
            (Rule::Repeat, [part]) => {
                part.fire(cells, moment);
                self.begin_anew(cells);
            }
            (Rule::Until, [work, until]) => {
                let ends = until.is_ready(cells, moment);
                if !ends {
                    work.fire(cells, moment);
                }
                if ends || work.done(cells) {
                    self.finish(cells);
                }
            }
            (Rule::Each, parts) => {
                let first = parts.iter().position(|part| !part.done(cells)).unwrap_or(0);
                parts[first].fire(cells, moment);
                parts[first + 1..].iter().for_each(|part| part.clear(cells));
                cells[self.cell].done = parts.iter().all(|part| part.done(cells));
            }
            (Rule::Phases { .. }, _) if !self.is_late(cells) && moment.is_past_end() => {
                self.clear(cells);
                cells[self.cell].value = Some(1);
            }
            (Rule::Custom, _) => {
                let is_done = cells[self.cell].held.as_mut().is_some_and(|held| held.fire());
                if is_done {
                    self.finish(cells);
                }
            }
            (Rule::Phases { .. }, parts) => {
                self.active(cells).iter().for_each(|part| part.fire(cells, moment));
                let late = parts.last().is_some_and(|late| late.done(cells));
                cells[self.cell].done = self.is_late(cells) && late;
            }
            _ => self.finish(cells),
        }
    }

    /// Of what repeats: its part begins anew if it is done.
    fn begin_anew(&self, cells: &mut Cells) {
        if self.parts.iter().any(|part| part.done(cells)) {
            self.clear(cells);
        }
    }

    fn merge(&self, cells: &mut Cells, other: &Cells, faults: &mut Vec<Reason>) {
        let (own, others) = (&mut cells[self.cell], &other[self.cell]);
        if let Some(custom) = &self.custom {
            if own.done || others.done {
                return self.finish(cells);
            }
            match (&mut own.held, &others.held) {
                (Some(held), Some(other)) => faults.extend(held.merge(&**custom, other).err()),
                (None, other) => own.held.clone_from(other),
                (Some(_), None) => {}
            }
            return;
        }
        let (own, others) = ((own.done, own.value), (others.done, others.value));
        self.merge_rule(cells, other, (own, others), faults);
    }

    fn merge_rule(
        &self,
        cells: &mut Cells,
        other: &Cells,
        (own, others): ((bool, Option<i64>), (bool, Option<i64>)),
        faults: &mut Vec<Reason>,
    ) {
        let (either, both) = (own.0 || others.0, own.0 && others.0);
        let least = own.1.into_iter().chain(others.1).min();
        match self.rule {
            Rule::Watermark => cells[self.cell].done = both,
            Rule::Custom => {}
            Rule::Count(_) | Rule::Clock(_) | Rule::Time(_) if either => self.finish(cells),
            Rule::Clock(_) | Rule::Time(_) => cells[self.cell].value = least,
            Rule::Count(_) => {
                let sum = own.1.unwrap_or(0).saturating_add(others.1.unwrap_or(0));
                cells[self.cell].value = Some(sum);
            }
            Rule::Any | Rule::All | Rule::Once | Rule::Until if either => self.finish(cells),
            Rule::Any | Rule::All | Rule::Once | Rule::Until => self.merge_parts(cells, other, faults),
            Rule::Repeat => {
                self.merge_parts(cells, other, faults);
                self.begin_anew(cells);
            }
            Rule::Each => {
                self.merge_parts(cells, other, faults);
                self.begin_behind_first(cells);
            }
            Rule::Phases { .. } => {
                self.merge_parts(cells, other, faults);
                let late = own.1.is_some() && others.1.is_some();
                let begun = own.1.is_some() || others.1.is_some();
                if begun && !late {
                    self.parts.last().into_iter().for_each(|late| late.clear(cells));
                }
                cells[self.cell] = Cell { done: both, value: late.then_some(1), held: None };
            }
        }
    }

    fn merge_parts(&self, cells: &mut Cells, other: &Cells, faults: &mut Vec<Reason>) {
        self.parts.iter().for_each(|part| part.merge(cells, other, faults));
    }

    /// Of a sequence: what stands behind the first that is not done has not begun.
    fn begin_behind_first(&self, cells: &mut Cells) {
        let first = self.parts.iter().position(|part| !part.done(cells));
        let behind = first.map_or(self.parts.len(), |first| first + 1);
        self.parts[behind..].iter().for_each(|part| part.clear(cells));
        cells[self.cell].done = self.parts.iter().all(|part| part.done(cells));
    }

    fn reopen(&self, cells: &mut Cells) {
        match self.rule {
            Rule::Watermark => cells[self.cell].done = false,
            Rule::Phases { .. } if self.is_late(cells) => self.clear(cells),
            Rule::Each => {
                self.parts.iter().for_each(|part| part.reopen(cells));
                self.begin_behind_first(cells);
            }
            _ => self.parts.iter().for_each(|part| part.reopen(cells)),
        }
    }
}

#[cfg(test)]
mod tests;
