//! What was written and is not acknowledged, under `at_least_once`.

use super::producer::{Batching, Fate, Manner, Reports};
use super::record::Record;
use crate::clients::kafka::of_topic;
use crate::dataflow::RefusedEvent;
use rdkafka::error::RDKafkaErrorCode as Code;
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Bytes with which it counts as full.
const FULL_BYTES: usize = 16 << 20;
/// Bytes beyond which a writer waits: what a full one still takes comes from one pass of a pipeline.
const MOST_BYTES: usize = 128 << 20;
/// What a record takes in memory besides its bytes, here and in the library.
const OVERHEAD: usize = 200;
/// Writes of records, in order. A write stays until the last of its records is acknowledged or refused.
pub struct Outbox {
    manner: Manner,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    writes: VecDeque<Write>,
    /// The number of the next record; begins again at 0 some day.
    next: usize,
    /// What they take in memory.
    bytes: usize,
    /// How often was secured.
    rounds: u64,
    /// How many records have arrived.
    arrived: u64,
    /// Records that are to be handed over again.
    again: bool,
    /// How records are sent now, and how they are to be sent from the next producer on.
    batching: (Batching, Batching),
    refused: Vec<RefusedEvent>,
    refused_bytes: usize,
    refused_count: u64,
    /// Why records are held.
    held: Option<String>,
}

struct Write {
    bytes: Vec<u8>,
    /// The number of its first record.
    start: usize,
    round: u64,
    records: Vec<Progress>,
    /// How many of them are not done.
    open: usize,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// It is to be handed over.
    Waits,
    /// The library has it.
    Given,
    /// It is acknowledged or refused.
    Done,
}

impl Write {
    fn size(&self) -> usize {
        self.bytes.len() + self.records.len() * OVERHEAD
    }
}

impl Outbox {
    /// An empty one.
    pub fn new(manner: Manner) -> Outbox {
        Outbox { manner, state: Mutex::default(), changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Whoever panicked left the queue as it was between two records.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How records are written.
    pub fn manner(&self) -> &Manner {
        &self.manner
    }

    /// Takes a write. Waits only if there is many times as much as makes it full.
    pub fn push(&self, bytes: &[u8]) {
        let mut count = 0;
        self.manner.layout.each(bytes, |_, _, _| count += 1);
        if count == 0 {
            return;
        }
        let mut state = self.lock();
        while state.bytes > MOST_BYTES {
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        let (records, round) = (vec![Progress::Waits; count], state.rounds);
        let write = Write { bytes: bytes.to_vec(), start: state.next, round, records, open: count };
        state.next = state.next.wrapping_add(count);
        state.bytes += write.size();
        state.writes.push_back(write);
    }

    /// Hands over the records that wait: those of the last write, or of all. `send` says whether one was taken. Nothing of
    /// the last write is handed over while earlier records are to be repeated, so that their order stays.
    pub fn hand_over(
        &self,
        only_last: bool,
        mut send: impl FnMut(&Record<'_>, &[&str], usize) -> Result<(), Code>,
    ) {
        let mut guard = self.lock();
        let state = &mut *guard;
        if only_last && state.again {
            return;
        }
        state.again = false;
        let first = if only_last { state.writes.len().saturating_sub(1) } else { 0 };
        let mut failed = Vec::new();
        for write in state.writes.range_mut(first..) {
            let Write { bytes, start, records, .. } = write;
            self.manner.layout.each(bytes, |number, record, headers| {
                if state.again || records[number] != Progress::Waits {
                    return;
                }
                let name = start.wrapping_add(number);
                match send(record, headers, name) {
                    Ok(()) => records[number] = Progress::Given,
                    Err(Code::QueueFull) => state.again = true,
                    Err(code) => {
                        records[number] = Progress::Given;
                        failed.push((name, code));
                    }
                }
            });
            if state.again {
                break;
            }
        }
        failed.into_iter().for_each(|(name, code)| self.settle(state, name, Err(code)));
    }

    fn settle(&self, state: &mut State, name: usize, outcome: Result<(), Code>) {
        let batching = state.batching.0;
        let Some(front) = state.writes.front().map(|write| write.start) else { return };
        let behind = name.wrapping_sub(front);
        let place = state.writes.partition_point(|write| write.start.wrapping_sub(front) <= behind);
        let Some(write) = place.checked_sub(1).and_then(|place| state.writes.get_mut(place)) else { return };
        let record = name.wrapping_sub(write.start);
        // A producer that was given up may still tell of what was handed over again.
        if write.records.get(record) != Some(&Progress::Given) {
            return;
        }
        let Err(code) = outcome else {
            (write.records[record], write.open) = (Progress::Done, write.open - 1);
            state.arrived += 1;
            state.forget_done();
            return;
        };
        let mut refused = None;
        let mut smaller = false;
        let mut held = None;
        self.manner.layout.each(&write.bytes, |at, found, _| {
            if at != record {
                return;
            }
            let bytes = found.payload.len() + found.key.map_or(0, str::len);
            match Fate::of(code, self.manner.topic.is_some()) {
                Fate::TooLarge if !batching.is_alone(bytes) && bytes <= self.manner.most_bytes => {
                    smaller = true;
                }
                Fate::TooLarge | Fate::Refused => {
                    let reason = format!("the broker refuses it for the topic `{}`: {code}", found.topic);
                    let bytes = found.payload.to_vec();
                    refused = Some(RefusedEvent { reason, bytes, record: None });
                }
                Fate::NoTopic => held = Some(of_topic(code, found.topic, "Write")),
                Fate::Lost => held = Some(code.to_string()),
            }
        });
        match refused {
            Some(event) => {
                (write.records[record], write.open) = (Progress::Done, write.open - 1);
                self.refuse(state, event);
                state.forget_done();
            }
            None => {
                write.records[record] = Progress::Waits;
                state.again = true;
            }
        }
        if smaller {
            state.batching.1 = batching.smaller();
        }
        state.held = held.or(state.held.take());
    }

    fn refuse(&self, state: &mut State, event: RefusedEvent) {
        state.refused_count += 1;
        let (who, why, all) = (&self.manner.connection.who, &event.reason, state.refused_count);
        // What refuses one event often refuses all: ever fewer of them are told of.
        if all.is_power_of_two() {
            tracing::error!("{who}: an event is refused: {why}; {all} so far");
        }
        state.refused_bytes += event.bytes.len();
        state.refused.push(event);
    }

    /// All that the producer had is to be handed over again, by another one; returns how that is to send.
    pub fn take_back(&self) -> Batching {
        let mut state = self.lock();
        state.batching.0 = state.batching.1;
        for write in &mut state.writes {
            for record in write.records.iter_mut().filter(|record| **record == Progress::Given) {
                *record = Progress::Waits;
            }
        }
        state.again = true;
        state.batching.0
    }

    /// Why records are to be handed over again, if some are.
    pub fn again(&self) -> Option<Option<String>> {
        let mut state = self.lock();
        if state.again { Some(state.held.take()) } else { None }
    }

    /// Whether records are to be sent otherwise than now, by another producer.
    pub fn is_resized(&self) -> bool {
        let state = self.lock();
        state.batching.0 != state.batching.1
    }

    /// What was too large is gone: more may be sent together again.
    pub fn relax(&self) {
        let mut state = self.lock();
        if state.batching.0 == Batching::Single && !state.again {
            state.batching.1 = Batching::Small;
        }
    }

    /// Appends all records that came since the call before and are not acknowledged, in order.
    pub fn secure(&self, pending: &mut Vec<u8>) {
        let mut state = self.lock();
        let rounds = state.rounds;
        for write in state.writes.iter().filter(|write| write.round == rounds) {
            self.manner.layout.each(&write.bytes, |number, record, _| {
                if write.records[number] != Progress::Done {
                    pending.extend_from_slice(record.whole);
                }
            });
        }
        state.rounds += 1;
    }

    /// How many calls of [`Outbox::secure`], from the first on, gave nothing that is not acknowledged by now.
    pub fn acknowledged(&self) -> u64 {
        let state = self.lock();
        state.writes.front().map_or(state.rounds, |write| write.round)
    }

    /// How many records were neither acknowledged nor given to be kept.
    pub fn unkept(&self) -> usize {
        let state = self.lock();
        let new = state.writes.iter().filter(|write| write.round == state.rounds);
        new.map(|write| write.open).sum()
    }

    /// How many records are not acknowledged.
    pub fn unacknowledged(&self) -> usize {
        self.lock().writes.iter().map(|write| write.open).sum()
    }

    /// Whether more should be written now.
    pub fn has_room(&self) -> bool {
        let state = self.lock();
        state.bytes + state.refused_bytes < FULL_BYTES
    }

    /// Takes out what was refused.
    pub fn take_refused(&self) -> Vec<RefusedEvent> {
        let mut state = self.lock();
        state.refused_bytes = 0;
        std::mem::take(&mut state.refused)
    }

    /// How many records have arrived.
    pub fn arrived(&self) -> u64 {
        self.lock().arrived
    }

    /// Waits a little for a change.
    pub fn wait(&self, at_most: Duration) {
        drop(self.changed.wait_timeout(self.lock(), at_most));
    }
}

impl State {
    /// Forgets the first writes that are done.
    fn forget_done(&mut self) {
        while self.writes.front().is_some_and(|write| write.open == 0) {
            let Some(write) = self.writes.pop_front() else { return };
            self.bytes -= write.size();
        }
    }
}

impl Reports for Outbox {
    fn reported(&self, number: usize, outcome: Result<(), Code>) {
        let mut state = self.lock();
        self.settle(&mut state, number, outcome);
        self.changed.notify_all();
    }
}

#[cfg(test)]
mod tests;
