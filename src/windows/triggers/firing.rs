//! What panes keep of their trigger and of what they have put out.

use super::custom::Told;
use super::machine::{Cells, Machine, Moment};
use super::plan::Trigger;
use crate::event::bytes::{Malformed, Reader, put_number, put_signed};
use crate::event::{Kept, Reason};
use crate::time::{Interval, Millis, Timestamp};
use crate::windows::aggregates::PaneId;

/// What a pane has put out and may have to take back: the window as it was, and its values.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The window.
    pub window: Interval,
    /// Results of aggregates, and what was said of the pane.
    pub cells: Box<[Kept]>,
    /// Whether event time has not reached the end of that window other than as part of a longer one: the watermark behind
    /// waits below it, so that it is not late when it is taken back.
    pub held: bool,
}

/// Whether event time has passed a window's end with something that was not put out: the next pane is the one that is on
/// time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Owed {
    /// It is not so.
    #[default]
    Nothing,
    /// It is, but what was told of the watermark behind had passed that end before, as the key is behind others.
    Late,
    /// It is, and the watermark behind waits for the pane.
    Held,
}

/// Where a pane stands with its trigger.
#[derive(Default)]
pub struct Firing {
    /// What the trigger keeps.
    pub cells: Cells,
    /// How many panes its window has put out.
    pub index: u64,
    /// Whether something came that was not put out.
    pub fresh: bool,
    /// Whether a pane is owed that is on time.
    pub owed: Owed,
    /// The trigger is done: the window takes nothing any more.
    pub closed: bool,
    /// Where windows follow the watermarks of partitions: how far the key was when its trigger was asked last, which is how
    /// far it is for the clock.
    pub reached: Option<Timestamp>,
    /// When the clock may make the trigger ready.
    pub wake: Option<Millis>,
    /// What it would take back.
    pub shown: Vec<Shown>,
}

/// Where all panes of a node stand.
pub struct Firings {
    /// Runs the trigger.
    pub machine: Machine,
    /// Values of a pane that was put out.
    values: usize,
    firings: Vec<Firing>,
    /// What panes will keep of the event at hand, latest window first: a custom trigger is told of it before anything else
    /// is, as it may refuse it. Empty with other triggers.
    foreseen: Vec<Cells>,
    /// What custom triggers failed at while there was no event to refuse.
    pub faults: Vec<Reason>,
}

impl Firings {
    /// No panes, which put out so many values.
    pub fn new(trigger: &Trigger, values: usize) -> Firings {
        let (firings, foreseen, faults) = (Vec::new(), Vec::new(), Vec::new());
        Firings { machine: Machine::new(trigger), values, firings, foreseen, faults }
    }

    /// A pane begins.
    pub fn open(&mut self, pane: PaneId) {
        if pane.index() >= self.firings.len() {
            self.firings.resize_with(pane.index() + 1, Firing::default);
        }
        self.firings[pane.index()] = Firing { cells: self.machine.cells(), ..Firing::default() };
    }

    /// A pane is given up.
    pub fn close(&mut self, pane: PaneId) {
        self.firings[pane.index()] = Firing::default();
    }

    /// No panes are left.
    pub fn shrink(&mut self) {
        self.firings = Vec::new();
    }

    /// A pane that is open.
    pub fn at(&mut self, pane: PaneId) -> (&Machine, &mut Firing) {
        (&self.machine, &mut self.firings[pane.index()])
    }

    /// Sees what the trigger will keep of the event in a pane made of these, none for a new one. `reopens` if event time has
    /// not come to its end. To be called for all panes that the event is told to, before it is told to any.
    pub fn foresee(&mut self, parts: &[PaneId], reopens: bool, told: &Told<'_>) -> Result<(), Reason> {
        if !self.machine.is_custom() {
            return Ok(());
        }
        let mut parts = parts.iter().map(|part| &self.firings[part.index()].cells);
        let mut cells = parts.next().cloned().unwrap_or_else(|| self.machine.cells());
        let mut faults = Vec::new();
        parts.for_each(|other| self.machine.merge(&mut cells, other, &mut faults));
        if reopens {
            self.machine.reopen(&mut cells);
        }
        let failed = faults.into_iter().next().map_or(Ok(()), Err);
        match failed.and_then(|()| self.machine.event(&mut cells, told)) {
            Ok(()) => self.foreseen.push(cells),
            Err(reason) => {
                self.foreseen.clear();
                return Err(reason);
            }
        }
        Ok(())
    }

    /// An event came to a pane; of several the earliest window's comes first.
    pub fn tell(&mut self, pane: PaneId, told: &Told<'_>) {
        let firing = &mut self.firings[pane.index()];
        firing.fresh = true;
        match self.foreseen.pop() {
            Some(cells) => firing.cells = cells,
            // Only custom triggers fail, and these have been asked.
            None => self.faults.extend(self.machine.event(&mut firing.cells, told).err()),
        }
    }

    /// A pane that is open.
    pub fn get(&self, pane: PaneId) -> &Firing {
        &self.firings[pane.index()]
    }

    /// A pane, if there is one of that number.
    pub fn find(&self, pane: PaneId) -> Option<&Firing> {
        self.firings.get(pane.index())
    }

    /// Tells custom triggers of a pane what is due.
    pub fn advance(&mut self, pane: PaneId, moment: Moment) {
        let firing = &mut self.firings[pane.index()];
        if !firing.closed {
            self.machine.advance(&mut firing.cells, moment, &mut self.faults);
        }
    }

    /// A pane takes in another.
    pub fn merge(&mut self, into: PaneId, from: PaneId) {
        let from = std::mem::take(&mut self.firings[from.index()]);
        let into = &mut self.firings[into.index()];
        if self.foreseen.is_empty() {
            self.machine.merge(&mut into.cells, &from.cells, &mut self.faults);
        }
        into.index = into.index.max(from.index);
        into.fresh |= from.fresh;
        into.owed = into.owed.max(from.owed);
        into.shown.extend(from.shown);
    }

    /// Appends what a pane keeps.
    pub fn save(&self, pane: PaneId, into: &mut Vec<u8>) {
        let Firing { cells, index, fresh, owed, closed, reached, shown, .. } = self.get(pane);
        let flags = [*fresh, *owed != Owed::Nothing, *closed, reached.is_some(), *owed == Owed::Late];
        into.push(flags.iter().rev().fold(0, |bits, flag| bits << 1 | u8::from(*flag)));
        put_number(into, *index);
        reached.iter().for_each(|reached| put_signed(into, reached.0));
        self.machine.save(cells, into);
        put_number(into, shown.len() as u64);
        for Shown { window, cells, held } in shown {
            put_signed(into, window.start.0);
            put_signed(into, window.end.0);
            into.push(u8::from(*held));
            cells.iter().for_each(|cell| cell.put(into));
        }
    }

    /// Takes back what a pane kept.
    pub fn load(&mut self, pane: PaneId, from: &mut Reader<'_>) -> Result<(), Malformed> {
        let flags = from.byte()?;
        if flags > 31 {
            return Err(Malformed("a pane in no state that is known"));
        }
        let index = from.number()?;
        let reached = if flags & 8 != 0 { Some(Timestamp(from.signed()?)) } else { None };
        let cells = self.machine.load(from)?;
        let mut shown = Vec::new();
        for _ in 0..from.count()? {
            let window = Interval { start: Timestamp(from.signed()?), end: Timestamp(from.signed()?) };
            let held = from.flag()?;
            let cells: Result<_, _> = (0..self.values).map(|_| Kept::take(from)).collect();
            shown.push(Shown { window, cells: cells?, held });
        }
        let [fresh, owed, closed, late] = [1, 2, 4, 16].map(|bit| flags & bit != 0);
        let owed = match (owed, late) {
            (false, _) => Owed::Nothing,
            (true, false) => Owed::Held,
            (true, true) => Owed::Late,
        };
        self.firings[pane.index()] = Firing { cells, index, fresh, owed, closed, reached, wake: None, shown };
        Ok(())
    }
}
