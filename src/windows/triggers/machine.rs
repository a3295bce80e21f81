//! Triggers as state machines: a tree that is the same for all panes of a node, and a cell for each of its parts that a
//! pane keeps.
//!
//! The rules are those of Apache Beam's trigger state machines: an event is told to the parts that are not done; a part
//! that fires is done, a composite that fires forgets what its parts counted, `repeat` begins anew. Where windows merge, a
//! count is the sum and a deadline the earlier one, what was done in one of them is done, and the end of the window has
//! passed only if it has for both.

use super::plan::Trigger;
use crate::event::bytes::{Malformed, Reader, put_signed};
use crate::time::{Millis, Timestamp};

/// What a trigger looks at when it is asked.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// Event time.
    pub watermark: Timestamp,
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cell {
    /// It has fired and does not begin anew.
    done: bool,
    /// A count, a deadline, or for phases that the late one has begun.
    value: Option<i64>,
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
}

/// A part, with the number of its cell and the one behind those of its parts.
struct Node {
    rule: Rule,
    cell: usize,
    behind: usize,
    parts: Vec<Node>,
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
}

impl Machine {
    /// For the trigger at the top of a window.
    pub fn new(trigger: &Trigger) -> Machine {
        let mut machine = Machine {
            root: Node { rule: Rule::Watermark, cell: 0, behind: 0, parts: Vec::new() },
            cells: 0,
            clocks: Vec::new(),
            times: Vec::new(),
        };
        machine.root = machine.node(&trigger.clone().repeating());
        machine
    }

    fn node(&mut self, trigger: &Trigger) -> Node {
        let cell = self.cells;
        self.cells += 1;
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
        };
        Node { rule, cell, behind: self.cells, parts }
    }

    /// The state of a pane without events.
    pub fn cells(&self) -> Cells {
        vec![Cell::default(); self.cells].into()
    }

    /// An event of that time has come; the clock stands at `now`.
    pub fn event(&self, cells: &mut Cells, time: Timestamp, watermark: Timestamp, now: Millis) {
        self.root.event(cells, time.max(watermark), now);
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
    pub fn merge(&self, cells: &mut Cells, other: &Cells) {
        self.root.merge(cells, other);
    }

    /// The end of the window has moved, and event time has not reached it: who was told that it had is told otherwise.
    pub fn reopen(&self, cells: &mut Cells) {
        self.root.reopen(cells);
    }

    /// The next time of the clock, beyond that, at which it may be ready.
    pub fn next_clock(&self, cells: &Cells, clock: Millis) -> Option<Millis> {
        deadlines(cells, &self.clocks).filter(|due| *due > clock.0).min().map(Millis)
    }

    /// The next watermark, beyond that, with which it may be ready; the end of the window aside.
    pub fn next_time(&self, cells: &Cells, watermark: Timestamp) -> Option<Timestamp> {
        deadlines(cells, &self.times).filter(|due| *due > watermark.0).min().map(Timestamp)
    }

    /// Appends the state of a pane.
    pub fn save(&self, cells: &Cells, into: &mut Vec<u8>) {
        for cell in cells.iter() {
            into.push(u8::from(cell.done) | u8::from(cell.value.is_some()) << 1);
            cell.value.iter().for_each(|value| put_signed(into, *value));
        }
    }

    /// Takes back the state of a pane.
    pub fn load(&self, from: &mut Reader<'_>) -> Result<Cells, Malformed> {
        let mut cells = self.cells();
        for cell in &mut cells {
            let flags = from.byte()?;
            if flags > 3 {
                return Err(Malformed("a trigger in no state that is known"));
            }
            let value = if flags & 2 != 0 { Some(from.signed()?) } else { None };
            *cell = Cell { done: flags & 1 != 0, value };
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

    fn event(&self, cells: &mut Cells, time: Timestamp, now: Millis) {
        if self.done(cells) {
            return;
        }
        let value = &mut cells[self.cell].value;
        match self.rule {
            Rule::Count(_) => *value = Some(value.unwrap_or(0).saturating_add(1)),
            Rule::Clock(span) => {
                value.get_or_insert(now.0.saturating_add(span.0));
            }
            Rule::Time(span) => {
                let end = (time.0.div_euclid(span.0)).saturating_mul(span.0).saturating_add(span.0);
                *value = Some(value.map_or(end, |known| known.min(end)));
            }
            _ => self.active(cells).iter().for_each(|part| part.event(cells, time, now)),
        }
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

    fn merge(&self, cells: &mut Cells, other: &Cells) {
        let (own, others) = (cells[self.cell], other[self.cell]);
        let either = own.done || others.done;
        let least = own.value.into_iter().chain(others.value).min();
        match self.rule {
            Rule::Watermark => cells[self.cell].done = own.done && others.done,
            Rule::Count(_) | Rule::Clock(_) | Rule::Time(_) if either => self.finish(cells),
            Rule::Clock(_) | Rule::Time(_) => cells[self.cell].value = least,
            Rule::Count(_) => {
                let sum = own.value.unwrap_or(0).saturating_add(others.value.unwrap_or(0));
                cells[self.cell].value = Some(sum);
            }
            Rule::Any | Rule::All | Rule::Once | Rule::Until if either => self.finish(cells),
            Rule::Any | Rule::All | Rule::Once | Rule::Until => self.merge_parts(cells, other),
            Rule::Repeat => {
                self.merge_parts(cells, other);
                self.begin_anew(cells);
            }
            Rule::Each => {
                self.merge_parts(cells, other);
                self.begin_behind_first(cells);
            }
            Rule::Phases { .. } => {
                self.merge_parts(cells, other);
                let late = own.value.is_some() && others.value.is_some();
                let begun = own.value.is_some() || others.value.is_some();
                if begun && !late {
                    self.parts.last().into_iter().for_each(|late| late.clear(cells));
                }
                cells[self.cell] = Cell { done: own.done && others.done, value: late.then_some(1) };
            }
        }
    }

    fn merge_parts(&self, cells: &mut Cells, other: &Cells) {
        self.parts.iter().for_each(|part| part.merge(cells, other));
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
