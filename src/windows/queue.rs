//! A sliding run of slices, combined in constant time.
//!
//! Two stacks make a queue of which the combination is always at hand (Tangwongsan, Hirzel, Schneider 2021 call it
//! two-stacks): slices of the front hold the combination of themselves with all that follow in the front, those behind
//! the front are also combined in one pane beside them. When the front is used up, what is behind it becomes the front.
//! So each slice is combined about three times in its life, however many windows it is in.

use super::aggregates::{Arrival, PaneId};
use super::panes::{Pane, Panes};
use crate::dataflow::KeyId;
use crate::event::Reason;
use crate::event::bytes::{Malformed, Reader, put_number, put_signed};
use crate::time::Interval;
use std::collections::VecDeque;

/// The slices of one key, by time or by number.
#[derive(Default)]
pub struct Queue {
    slices: VecDeque<Slice>,
    /// The first slices, which hold combinations.
    front: usize,
    /// Slices behind the front that are in `behind` too.
    folded: usize,
    /// The combination of these; [`PaneId::EMPTY`] if there is none.
    behind: PaneId,
}

#[derive(Clone, Copy)]
struct Slice {
    at: i64,
    pane: PaneId,
}

/// Where an event goes in a queue.
#[derive(Clone, Copy)]
pub struct Place {
    index: usize,
    exists: bool,
}

impl Queue {
    /// Whether there is no slice.
    pub fn is_empty(&self) -> bool {
        self.slices.is_empty()
    }

    /// The first slice.
    pub fn first(&self) -> Option<PaneId> {
        self.slices.front().map(|slice| slice.pane)
    }

    /// Where the slice `at` is or belongs.
    #[inline]
    pub fn place(&self, at: i64) -> Place {
        let mut index = self.slices.len();
        while index > 0 && self.slices[index - 1].at > at {
            index -= 1;
        }
        match index.checked_sub(1) {
            Some(last) if self.slices[last].at == at => Place { index: last, exists: true },
            _ => Place { index, exists: false },
        }
    }

    /// Whether the windows from each of `starts` to each's end (exclusive) could take the event together with what they
    /// hold, which begins no later than the place of the event.
    pub fn check_windows(
        &self,
        windows: impl Iterator<Item = (i64, i64)>,
        panes: &Panes,
        event: &Arrival,
    ) -> Result<(), Reason> {
        let mut parts = Vec::new();
        for (start, end) in windows {
            parts.clear();
            let first = self.slices.partition_point(|slice| slice.at < start);
            if first < self.front {
                // It holds the rest of the front too, all of which lies before the end of windows yet to fire.
                parts.push(self.slices[first].pane);
            }
            let rest = self.slices.range(first.max(self.front)..);
            parts.extend(rest.take_while(|slice| slice.at < end).map(|slice| slice.pane));
            panes.check_combined(&parts, event)?;
        }
        Ok(())
    }

    /// Adds a checked event that takes the time `span`, which is that of all events of the slice or not. Returns whether the slice is new.
    pub fn add(
        &mut self,
        place: Place,
        at: i64,
        (span, is_of_time): (Interval, bool),
        key: KeyId,
        panes: &mut Panes,
        event: &Arrival,
    ) -> bool {
        let Place { index, exists } = place;
        // Events of a slice of time all take that time, and come behind its first one.
        let widens = !exists || !is_of_time;
        if !exists {
            let pane = panes.open(Pane::new(span, event.order, key));
            self.slices.insert(index, Slice { at, pane });
            if index < self.front {
                panes.merge(pane, self.slices[index + 1].pane);
                self.front += 1;
            } else if index < self.front + self.folded {
                self.folded += 1;
            }
        }
        let mut add = |pane: PaneId| {
            panes.add(pane, event);
            if !widens {
                return;
            }
            let pane = &mut panes[pane];
            pane.span = pane.span.join(span);
            pane.born = pane.born.min(event.order);
        };
        if index < self.front {
            self.slices.range(..=index).for_each(|slice| add(slice.pane));
        } else {
            add(self.slices[index].pane);
            if index < self.front + self.folded {
                add(self.behind);
            }
        }
        !exists
    }

    /// Gives up the slices before `start`, and tells of each. Returns whether there were any.
    pub fn evict(&mut self, start: i64, panes: &mut Panes, mut gone: impl FnMut(i64)) -> bool {
        let before = self.slices.len();
        while let Some(&Slice { at, pane }) = self.slices.front()
            && at < start
        {
            if self.front > 0 {
                self.front -= 1;
            } else {
                self.unfold(panes);
            }
            panes.close(pane);
            self.slices.pop_front();
            gone(at);
        }
        self.slices.len() < before
    }

    /// What is behind the front is only in its slices again.
    fn unfold(&mut self, panes: &mut Panes) {
        self.folded = 0;
        if self.behind != PaneId::EMPTY {
            panes.close(std::mem::take(&mut self.behind));
        }
    }

    /// Combines the slices before `end`, so that [`Queue::parts`] are few. Returns whether anything was to be done.
    pub fn combine(&mut self, end: i64, key: KeyId, panes: &mut Panes) -> bool {
        let mut ripe = self.front + self.folded;
        while ripe < self.slices.len() && self.slices[ripe].at < end {
            ripe += 1;
        }
        if ripe == self.front + self.folded {
            return false;
        }
        if self.front == 0 {
            self.unfold(panes);
            for index in (1..ripe).rev() {
                panes.merge(self.slices[index - 1].pane, self.slices[index].pane);
            }
            self.front = ripe;
            return true;
        }
        for index in self.front + self.folded..ripe {
            let pane = self.slices[index].pane;
            if self.behind == PaneId::EMPTY {
                self.behind = panes.open(Pane::new(panes[pane].span, panes[pane].born, key));
            }
            panes.merge(self.behind, pane);
            self.folded += 1;
        }
        true
    }

    /// The panes that hold the slices before `end`, which those that were combined lie before.
    pub fn parts(&self, end: i64, into: &mut Vec<PaneId>) {
        into.clear();
        if self.front > 0 {
            into.push(self.slices[0].pane);
        }
        if self.folded > 0 {
            into.push(self.behind);
        }
        let single = self.slices.range(self.front + self.folded..);
        into.extend(single.take_while(|slice| slice.at < end).map(|slice| slice.pane));
    }

    /// Appends the slices as they are combined.
    pub fn save(&self, panes: &Panes, into: &mut Vec<u8>) {
        put_number(into, self.slices.len() as u64);
        put_number(into, self.front as u64);
        put_number(into, self.folded as u64);
        let mut before = 0;
        for Slice { at, pane } in &self.slices {
            put_signed(into, at.wrapping_sub(before));
            before = *at;
            panes.save(*pane, into);
        }
        if self.folded > 0 {
            panes.save(self.behind, into);
        }
    }

    /// Reads what [`Queue::save`] wrote.
    pub fn load(key: KeyId, panes: &mut Panes, from: &mut Reader<'_>) -> Result<Queue, Malformed> {
        let (count, front, folded) = (from.count()?, from.small()? as usize, from.small()? as usize);
        if front.saturating_add(folded) > count {
            return Err(Malformed("more slices combined than there are"));
        }
        let mut queue = Queue { front, folded, ..Queue::default() };
        for _ in 0..count {
            let last = queue.slices.back().map(|slice| slice.at);
            let at = last.unwrap_or(0).wrapping_add(from.signed()?);
            if last.is_some_and(|last| last >= at) {
                return Err(Malformed("slices out of order"));
            }
            let pane = panes.load(key, from)?;
            queue.slices.push_back(Slice { at, pane });
        }
        if folded > 0 {
            queue.behind = panes.load(key, from)?;
        }
        Ok(queue)
    }

    /// Where the slices begin.
    pub fn starts(&self) -> impl Iterator<Item = i64> + '_ {
        self.slices.iter().map(|slice| slice.at)
    }
}
