//! Spans of time of one length that begin with events: into which an event falls.

use crate::event::bytes::{Malformed, Reader, put_number, put_signed, put_time};
use crate::time::{Millis, Timestamp};
use std::collections::VecDeque;

/// A span that is under way.
#[derive(Clone, Debug)]
pub struct Span<T> {
    /// The time of the event that it begins with.
    pub start: Timestamp,
    /// When the watermark ends it: not before its start.
    pub due: Timestamp,
    /// What is kept of it.
    pub kept: T,
}

/// The spans of a key, which begin no closer to each other than they are long, by their starts.
///
/// There is rarely more than one: only where events are more out of order than a span is long. Then there may be many, which
/// end in the order of their starts but for late ones.
#[derive(Debug)]
pub struct Spans<T> {
    last: Option<Span<T>>,
    earlier: VecDeque<Span<T>>,
}

impl<T> Default for Spans<T> {
    fn default() -> Spans<T> {
        Spans { last: None, earlier: VecDeque::new() }
    }
}

/// Where a span stands among those of its key.
#[derive(Clone, Copy)]
pub struct Place(usize);

impl<T> Spans<T> {
    /// The span that an event at that time belongs to: one that begins less than `length` before or behind it, of two
    /// such the one that it lies in.
    #[inline]
    pub fn find(&self, time: Timestamp, length: Millis) -> Option<(Place, &Span<T>)> {
        let near = |span: &Span<T>| span.start < time + length && time < span.start + length;
        let at = |place: usize| Some((Place(place), self.earlier.get(place).or(self.last.as_ref())?));
        let is_in_last = self.last.as_ref().is_some_and(|last| last.start <= time);
        if is_in_last || self.earlier.is_empty() {
            return at(self.earlier.len()).filter(|(_, span)| near(span));
        }
        let behind = self.earlier.partition_point(|span| span.start <= time);
        match behind.checked_sub(1) {
            Some(before) if near(&self.earlier[before]) => at(before),
            _ => at(behind).filter(|(_, span)| near(span)),
        }
    }

    /// What is kept of a span that was found, to be changed.
    pub fn kept(&mut self, place: Place) -> Option<&mut T> {
        self.earlier.get_mut(place.0).or(self.last.as_mut()).map(|span| &mut span.kept)
    }

    /// Appends all of them; `write` appends what is kept of one.
    pub fn put(&self, into: &mut Vec<u8>, mut write: impl FnMut(&T, &mut Vec<u8>)) {
        put_number(into, (self.earlier.len() + usize::from(self.last.is_some())) as u64);
        for span in self.earlier.iter().chain(&self.last) {
            put_time(into, span.start);
            put_signed(into, span.due.0.wrapping_sub(span.start.0));
            write(&span.kept, into);
        }
    }

    /// Reads what [`Spans::put`] wrote.
    ///
    /// # Errors
    /// The bytes are none of that.
    pub fn take(
        reader: &mut Reader<'_>,
        mut read: impl FnMut(&mut Reader<'_>) -> Result<T, Malformed>,
    ) -> Result<Spans<T>, Malformed> {
        let (mut spans, mut before) = (Spans::default(), None);
        for _ in 0..reader.count()? {
            let start = reader.time()?;
            let due = Timestamp(start.0.wrapping_add(reader.signed()?));
            if before.replace(start).is_some_and(|before| before >= start) {
                return Err(Malformed("spans that are not in order"));
            }
            let kept = read(reader)?;
            spans.open(Span { start, due, kept });
        }
        Ok(spans)
    }

    /// Begins a span at a time that belongs to none.
    pub fn open(&mut self, span: Span<T>) {
        match self.last.take_if(|last| last.start < span.start) {
            Some(last) => {
                self.earlier.push_back(last);
                self.last = Some(span);
            }
            None if self.last.is_none() => self.last = Some(span),
            None => {
                let place = self.earlier.partition_point(|other| other.start < span.start);
                self.earlier.insert(place, span);
            }
        }
    }

    /// When the watermark ends the first of them.
    pub fn next_due(&self) -> Option<Timestamp> {
        let mut next: Option<Timestamp> = None;
        for span in self.earlier.iter().chain(&self.last) {
            if next.is_some_and(|next| next <= span.start) {
                break;
            }
            next = Some(next.map_or(span.due, |next| next.min(span.due)));
        }
        next
    }

    /// Takes out what the watermark has ended, by starts.
    pub fn take_due(&mut self, reached: Timestamp, mut each: impl FnMut(T)) {
        let mut index = 0;
        while let Some(span) = self.earlier.get(index)
            && span.start <= reached
        {
            if span.due > reached {
                index += 1;
            } else if let Some(span) = self.earlier.remove(index) {
                each(span.kept);
            }
        }
        if let Some(span) = self.last.take_if(|span| span.due <= reached) {
            each(span.kept);
            self.last = self.earlier.pop_back();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Random;

    /// A plain list of starts and dues, searched from end to end.
    #[test]
    fn spans_are_found_as_in_a_plain_list() {
        let mut random = Random::seeded(11);
        let (mut spans, mut model) = (Spans::default(), Vec::<(i64, i64)>::new());
        for step in 0..20_000 {
            let roll = random.bits();
            let (time, length) = ((roll >> 8) as i64 % 60, Millis(7));
            if roll.is_multiple_of(4) {
                let mut gone = Vec::new();
                spans.take_due(Timestamp(time), |start| gone.push(start));
                let due: Vec<i64> = model.iter().filter(|(_, due)| *due <= time).map(|(s, _)| *s).collect();
                assert_eq!(gone, due, "step {step}");
                model.retain(|(_, due)| *due > time);
            } else {
                let near = |start: i64| (time - start).abs() < length.0;
                let around = |start: i64| start <= time && near(start);
                let starts = || model.iter().map(|(start, _)| *start);
                let expected = starts().find(|s| around(*s)).or_else(|| starts().find(|s| near(*s)));
                assert_eq!(spans.find(Timestamp(time), length).map(|(_, span)| span.kept), expected);
                let place = spans.find(Timestamp(time), length).map(|(place, _)| place);
                assert_eq!(place.and_then(|place| spans.kept(place).copied()), expected);
                if expected.is_none() {
                    let due = time + (roll >> 32) as i64 % 9;
                    spans.open(Span { start: Timestamp(time), due: Timestamp(due), kept: time });
                    model.push((time, due));
                    model.sort_unstable();
                }
            }
            assert_eq!(spans.next_due().map(|due| due.0), model.iter().map(|(_, due)| *due).min());
        }
    }

    #[test]
    fn many_spans_under_way_end_one_by_one() {
        let (mut spans, mut ended) = (Spans::default(), 0);
        let span = |start| Span { start: Timestamp(start), due: Timestamp(start + 10), kept: () };
        (0..200_000).for_each(|number| spans.open(span(number * 10)));
        // Each of these steps looks at a span or two: at all of them it would take minutes.
        while let Some(due) = spans.next_due() {
            spans.take_due(due, |()| ended += 1);
        }
        assert_eq!(ended, 200_000);
    }
}
