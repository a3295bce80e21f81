//! What is to be posted and was not taken yet.

use super::{Event, Fate};
use crate::clients::backlog::{self, Backlog};
use crate::dataflow::{Batching, RefusedEvent, write_addressed};
use crate::time::{Clock, Millis, SystemClock};
use hyper::body::Bytes;
use std::collections::VecDeque;
use std::convert::Infallible;

/// What an event takes in memory besides its bytes.
const OVERHEAD: usize = 64;
/// A queue between workers and the thread that posts. An event stays until it is taken or refused.
///
/// The first events are cut into *parts*: what goes in one request. A part is cut once and stays as it is, also over a
/// restart where it has an id: so a request that is sent again under the same id is the same.
pub struct Outbox {
    /// How many texts the address of an event has.
    texts: usize,
    /// How many of them are the same for all events of a request.
    shared: usize,
    batching: Batching,
    /// What the ids of this run begin with; None without ids.
    run: Option<u64>,
    clock: SystemClock,
    /// What waits, and how the server stands.
    pub backlog: Backlog<Parts>,
}

/// What waits: events, of which the first are cut into parts.
#[derive(Default)]
pub struct Parts {
    entries: VecDeque<Entry>,
    /// What the first entries are cut into.
    parts: VecDeque<Part>,
    /// How many entries those are.
    cut: usize,
    /// How many parts were given an id.
    ids: u64,
}

type State = backlog::State<Parts>;

struct Entry {
    record: Bytes,
    /// How often [`Outbox::secure`] had been called when it came.
    round: u64,
    /// When it came.
    came: Millis,
}

impl Entry {
    fn bytes(&self) -> usize {
        self.record.len() + OVERHEAD
    }
}

#[derive(Clone, Debug)]
struct Part {
    id: String,
    events: usize,
}

/// What goes in one request.
#[derive(Clone, Debug)]
pub struct Batch {
    /// The same as long as the events are; empty without ids.
    pub id: String,
    /// The events.
    pub records: Vec<Bytes>,
}

/// What is to be done next.
pub enum Next {
    /// This is to be posted.
    Batch(Batch),
    /// Nothing before that long, unless something comes.
    Wait(Option<Millis>),
}

impl Outbox {
    /// An empty outbox.
    pub fn new(texts: usize, shared: usize, batching: Batching, has_ids: bool) -> Outbox {
        let clock = SystemClock::new();
        let run = has_ids.then(|| clock.entropy());
        Outbox { texts, shared, batching, run, clock, backlog: Backlog::default() }
    }

    fn event<'r>(&self, mut record: &'r [u8]) -> Option<Event<'r>> {
        Event::read(&mut record, self.texts)
    }

    /// Takes a chunk of records. Waits only if there is many times as much as makes it full.
    ///
    /// # Errors
    /// Why nothing is posted any more.
    pub fn push(&self, chunk: &[u8]) -> Result<(), String> {
        let chunk = Bytes::copy_from_slice(chunk);
        let came = self.clock.elapsed();
        let mut state = self.backlog.lock_with_room()?;
        let mut rest = &chunk[..];
        loop {
            let start = chunk.len() - rest.len();
            let Some(event) = Event::read(&mut rest, self.texts) else { break };
            let id = event.id;
            let record = chunk.slice(start..chunk.len() - rest.len());
            let entry = Entry { record, round: state.rounds, came };
            if !id.is_empty() {
                // It was cut by an earlier run.
                while self.cut(&mut state) {}
                match state.queue.parts.back_mut().filter(|part| part.id == id) {
                    Some(part) => part.events += 1,
                    None => state.queue.parts.push_back(Part { id: id.to_owned(), events: 1 }),
                }
                state.queue.cut += 1;
            }
            state.bytes += entry.bytes();
            state.queue.entries.push_back(entry);
        }
        drop(state);
        self.backlog.wake.notify_one();
        Ok(())
    }

    /// Cuts one more part off what is not cut yet; false if there is nothing.
    fn cut(&self, state: &mut State) -> bool {
        let rest = state.queue.entries.range(state.queue.cut..);
        let (mut events, mut bytes) = (0, 0);
        let mut first: Option<Event<'_>> = None;
        for entry in rest {
            let Some(event) = self.event(&entry.record) else { break };
            let is_full = events >= self.batching.events || bytes + entry.record.len() > self.batching.bytes;
            let goes_along =
                first.as_ref().is_none_or(|first| first.texts[..self.shared] == event.texts[..self.shared]);
            if events > 0 && (is_full || !goes_along) {
                break;
            }
            (events, bytes) = (events + 1, bytes + entry.record.len());
            first.get_or_insert(event);
        }
        if events == 0 {
            return false;
        }
        let id = self.run.map(|run| {
            state.queue.ids += 1;
            format!("{run:016x}-{:x}", state.queue.ids)
        });
        state.queue.parts.push_back(Part { id: id.unwrap_or_default(), events });
        state.queue.cut += events;
        true
    }

    /// What is to be posted next.
    pub fn next(&self) -> Next {
        let mut state = self.backlog.lock();
        if state.queue.parts.is_empty() {
            let Some(first) = state.queue.entries.front() else { return Next::Wait(None) };
            let due = first.came + self.batching.every;
            let now = self.clock.elapsed();
            let is_full =
                state.queue.entries.len() >= self.batching.events || state.bytes >= self.batching.bytes;
            if now < due && !is_full && !state.closing {
                return Next::Wait(Some(due - now));
            }
            self.cut(&mut state);
        }
        let Some(part) = state.queue.parts.front() else { return Next::Wait(None) };
        let records = state.queue.entries.range(..part.events).map(|entry| entry.record.clone()).collect();
        Next::Batch(Batch { id: part.id.clone(), records })
    }

    /// The first part was taken.
    pub fn taken(&self) {
        let mut state = self.backlog.lock();
        let events = state.queue.parts.pop_front().map_or(0, |part| part.events);
        state.take(events);
        self.backlog.tell();
    }

    /// The first part was refused: of several events the halves are tried, a single one is given up.
    pub fn refused(&self, why: &str) {
        let mut state = self.backlog.lock();
        let Some(part) = state.queue.parts.pop_front() else { return };
        if part.events > 1 {
            let half = part.events / 2;
            let name = |number: u32| {
                if part.id.is_empty() { String::new() } else { format!("{}.{number}", part.id) }
            };
            state.queue.parts.push_front(Part { id: name(1), events: part.events - half });
            state.queue.parts.push_front(Part { id: name(0), events: half });
            return;
        }
        for entry in state.take(part.events) {
            self.give_up(&mut state, &entry, why);
        }
        self.backlog.tell();
    }

    /// Of the first part each event has a fate of its own; those to be sent again go first.
    pub fn settle(&self, fates: Vec<Fate>) {
        let mut state = self.backlog.lock();
        let Some(part) = state.queue.parts.pop_front() else { return };
        let (entries, mut again) = (state.take(part.events), Vec::new());
        let fates = fates.into_iter().chain(std::iter::repeat(Fate::Again(String::new())));
        for (entry, fate) in entries.into_iter().zip(fates) {
            match fate {
                Fate::Taken => {}
                Fate::Refused(why) => self.give_up(&mut state, &entry, &why),
                Fate::Again(_) => again.push(entry),
            }
        }
        if !again.is_empty() {
            let id = if part.id.is_empty() { String::new() } else { again_as(&part.id) };
            state.queue.parts.push_front(Part { id, events: again.len() });
            state.queue.cut += again.len();
            for entry in again.into_iter().rev() {
                state.bytes += entry.bytes();
                state.queue.entries.push_front(entry);
            }
        }
        self.backlog.tell();
    }

    /// Keeps an event that was refused for whoever wants to know.
    fn give_up(&self, state: &mut State, entry: &Entry, why: &str) {
        let bytes = self.event(&entry.record).map(|event| event.bytes.to_vec()).unwrap_or_default();
        state.refuse([RefusedEvent { reason: why.to_owned(), bytes, record: None }]);
    }

    /// Appends the records that came since the call before and were not taken. With ids all that is here is cut before,
    /// and records have those of their parts.
    ///
    /// # Errors
    /// Why nothing is posted any more.
    pub fn secure(&self, pending: &mut Vec<u8>) -> Result<(), String> {
        let mut state = self.backlog.lock();
        state.hopes()?;
        let new = state.queue.entries.partition_point(|entry| entry.round < state.rounds);
        if self.run.is_some() {
            while self.cut(&mut state) {}
            let ids =
                state.queue.parts.iter().flat_map(|part| std::iter::repeat_n(part.id.as_str(), part.events));
            for (entry, id) in state.queue.entries.iter().zip(ids).skip(new) {
                let Some(event) = self.event(&entry.record) else { continue };
                with_id(&event, id, pending);
            }
        } else {
            state.queue.entries.range(new..).for_each(|entry| pending.extend_from_slice(&entry.record));
        }
        state.rounds += 1;
        Ok(())
    }

    /// How many calls of [`Outbox::secure`], from the first on, gave nothing that is not taken by now.
    pub fn acknowledged(&self) -> u64 {
        let state = self.backlog.lock();
        state.queue.entries.front().map_or(state.rounds, |entry| entry.round)
    }

    /// Whether all that waits was given to be kept.
    pub fn is_kept(&self) -> bool {
        let state = self.backlog.lock();
        state.queue.entries.back().is_none_or(|entry| entry.round < state.rounds)
    }

    /// How many events wait.
    pub fn waiting(&self) -> usize {
        self.backlog.lock().queue.entries.len()
    }
}

impl State {
    /// Takes out so many of the first events, which were cut.
    fn take(&mut self, events: usize) -> Vec<Entry> {
        let events = events.min(self.queue.entries.len());
        let taken: Vec<Entry> = self.queue.entries.drain(..events).collect();
        self.bytes -= taken.iter().map(Entry::bytes).sum::<usize>();
        self.queue.cut -= events.min(self.queue.cut);
        taken
    }
}

/// The id of what is left of a request: `ID.r1`, behind which comes `ID.r2`.
fn again_as(id: &str) -> String {
    let times = id.rsplit_once(".r").and_then(|(id, times)| Some((id, times.parse::<u64>().ok()?)));
    let (id, times) = times.unwrap_or((id, 0));
    format!("{id}.r{}", times + 1)
}

/// Appends a record with its id.
fn with_id(event: &Event<'_>, id: &str, into: &mut Vec<u8>) {
    let mut texts: Vec<String> = event.texts.iter().map(|text| (*text).to_owned()).collect();
    texts.push(id.to_owned());
    let written = write_addressed(&texts, into, |into| {
        into.extend_from_slice(event.bytes);
        Ok::<(), Infallible>(())
    });
    match written {
        Ok(()) => {}
        Err(never) => match never {},
    }
}

#[cfg(test)]
mod tests;
