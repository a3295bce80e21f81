//! What is to be published and what was not acknowledged yet.

use crate::clients::mqtt::{Accepted, Endpoint, Happened, Outgoing, Qos, Wire};
use std::collections::VecDeque;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Messages with which the outbox counts as full.
const FULL_MESSAGES: usize = 4 * 1024;
/// Bytes with which it counts as full.
const FULL_BYTES: usize = 8 << 20;
/// Bytes beyond which a writer waits: what a full outbox still takes comes from one pass of a pipeline.
const MOST_BYTES: usize = 128 << 20;
/// What a message takes in memory besides its bytes.
const OVERHEAD: usize = 128;
/// What a packet holds at the most besides topic, properties and payload: two headers, and the lengths of all three.
const FRAME: usize = 13;
/// How long a waiting writer sleeps at the most before it looks again.
const LOOK: Duration = Duration::from_millis(100);

/// How messages are published.
#[derive(Clone, Debug)]
pub struct Manner {
    /// How often they may arrive.
    pub qos: Qos,
    /// Whether the broker keeps the last of a topic.
    pub retain: bool,
    /// How many may be under way unacknowledged.
    pub under_way: u16,
    /// The names of the user properties.
    pub properties: Vec<String>,
    /// Whether each message has an id of its own among them, the last.
    pub ids: bool,
}

/// A queue between workers and the connection's thread. A message stays until it is acknowledged.
pub struct Outbox {
    /// Who writes, for messages.
    who: String,
    manner: Manner,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    entries: VecDeque<Entry>,
    bytes: usize,
    wire: Option<Wire>,
    largest: Option<u32>,
    /// How many of the first entries were handed to the wire.
    handed: usize,
    /// How many of these are known to be sent.
    sent: usize,
    refused: u64,
    /// Those that nobody has taken out yet, and why they were refused.
    refusals: Vec<(String, Outgoing)>,
    refusal_bytes: usize,
    /// How often [`Outbox::secure`] was called.
    rounds: u64,
    /// Why there is no connection.
    trouble: Option<String>,
    /// Why there will be no further connection.
    given_up: Option<String>,
}

struct Entry {
    message: Outgoing,
    packet: u16,
    done: bool,
    /// How often [`Outbox::secure`] had been called when it came.
    round: u64,
}

impl Entry {
    /// What it takes in memory.
    fn bytes(&self) -> usize {
        self.content() + OVERHEAD
    }

    /// The length of its packet, or a little more.
    fn packet_bytes(&self) -> usize {
        self.content() + FRAME
    }

    fn content(&self) -> usize {
        let properties: usize = self.message.properties.iter().map(|(n, v)| n.len() + v.len() + 5).sum();
        self.message.payload.len() + self.message.topic.len() + properties
    }
}

impl Outbox {
    /// An empty outbox.
    pub fn new(who: String, manner: Manner) -> Outbox {
        Outbox { who, manner, state: Mutex::default(), changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Whoever panicked left the queue as it was between two messages.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes messages. Waits only if there are many times as many as make it full.
    pub fn push(&self, messages: impl Iterator<Item = Outgoing>) {
        let mut state = self.lock();
        for message in messages {
            while state.bytes > MOST_BYTES && state.given_up.is_none() {
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
            }
            let entry = Entry { message, packet: 0, done: false, round: state.rounds };
            state.bytes += entry.bytes();
            state.entries.push_back(entry);
            self.hand_over(&mut state);
        }
    }

    /// Whether more should be written now.
    pub fn has_room(&self) -> bool {
        let state = self.lock();
        state.entries.len() < FULL_MESSAGES && state.bytes + state.refusal_bytes < FULL_BYTES
    }

    /// Gives `keep` each message that came since the call before and was not acknowledged, in order.
    pub fn secure(&self, mut keep: impl FnMut(&Outgoing)) {
        let mut state = self.lock();
        let new = state.entries.partition_point(|entry| entry.round < state.rounds);
        state.entries.range(new..).filter(|entry| !entry.done).for_each(|entry| keep(&entry.message));
        state.rounds += 1;
    }

    /// How many calls of [`Outbox::secure`], from the first on, gave nothing that is not acknowledged by now.
    pub fn acknowledged(&self) -> u64 {
        let state = self.lock();
        let first = state.entries.iter().find(|entry| !entry.done);
        first.map_or(state.rounds, |entry| entry.round)
    }

    /// How many messages were neither acknowledged nor given to be kept.
    pub fn unkept(&self) -> usize {
        let state = self.lock();
        state.entries.iter().rev().take_while(|entry| entry.round == state.rounds).filter(|e| !e.done).count()
    }

    /// Takes out the messages that the broker refused, and why.
    pub fn take_refusals(&self) -> Vec<(String, Outgoing)> {
        let mut state = self.lock();
        state.refusal_bytes = 0;
        std::mem::take(&mut state.refusals)
    }

    /// Why the broker is not tried any more.
    pub fn why_given_up(&self) -> Option<String> {
        self.lock().given_up.clone()
    }

    /// Why there is no connection, if there is none.
    pub fn trouble(&self) -> Option<String> {
        self.lock().trouble.clone()
    }

    /// How many messages were not acknowledged.
    pub fn unacknowledged(&self) -> usize {
        self.lock().entries.len()
    }

    /// Waits a little for a change.
    pub fn wait_for_change(&self) {
        let state = self.lock();
        if !state.entries.is_empty() {
            drop(self.changed.wait_timeout(state, LOOK));
        }
    }

    /// Hands as many messages to the connection as may be under way.
    fn hand_over(&self, state: &mut State) {
        let Some(wire) = state.wire.clone() else { return };
        while state.handed < state.entries.len().min(self.manner.under_way.into()) {
            let entry = &state.entries[state.handed];
            let too_large = state.largest.is_some_and(|largest| entry.packet_bytes() > largest as usize);
            if too_large {
                let why = "it is larger than the broker takes";
                self.refuse(state, state.handed, why);
                continue;
            }
            wire.publish(&entry.message, self.manner.qos, self.manner.retain);
            state.handed += 1;
        }
    }

    /// Gives a message up that the broker does not want.
    fn refuse(&self, state: &mut State, number: usize, why: &str) {
        let Some(entry) = state.entries.remove(number) else { return };
        state.bytes -= entry.bytes();
        state.handed -= usize::from(number < state.handed);
        state.sent -= usize::from(number < state.sent);
        state.refused += 1;
        let (who, topic, all) = (&self.who, &entry.message.topic, state.refused);
        // A broker that refuses one message often refuses all: ever fewer of them are told of.
        if all.is_power_of_two() {
            tracing::error!("{who}: the broker refuses a message to `{topic}`: {why}; {all} so far");
        }
        let why = format!("the broker refuses the message to `{topic}`: {why}");
        state.refusal_bytes += entry.bytes();
        state.refusals.push((why, entry.message));
    }

    /// The next message was sent.
    fn note_sent(&self, state: &mut State, packet: u16) {
        let Some(entry) = state.entries.get_mut(state.sent) else { return };
        (entry.packet, entry.done) = (packet, self.manner.qos == Qos::AtMostOnce);
        state.sent += 1;
    }

    fn note_acknowledged(&self, state: &mut State, packet: u16, outcome: Result<(), String>) {
        let under_way = state.entries.iter().take(state.sent);
        let mut numbered = under_way.enumerate().filter(|(_, entry)| entry.packet == packet && !entry.done);
        let Some((number, _)) = numbered.next() else { return };
        match outcome {
            Ok(()) => state.entries[number].done = true,
            Err(why) => self.refuse(state, number, &why),
        }
    }
}

impl State {
    /// Forgets the first messages that are done.
    fn forget_done(&mut self) {
        while self.entries.front().is_some_and(|entry| entry.done) {
            let Some(entry) = self.entries.pop_front() else { return };
            self.bytes -= entry.bytes();
            self.handed -= 1;
            self.sent -= 1;
        }
    }
}

impl Endpoint for Outbox {
    fn accepted(&self, wire: &Wire, accepted: Accepted) -> Result<(), String> {
        if accepted.highest_qos < self.manner.qos.number() {
            return Err(format!("the broker takes messages of QoS {} at the most", accepted.highest_qos));
        }
        let mut state = self.lock();
        state.largest = accepted.largest_packet;
        (state.wire, state.trouble) = (Some(wire.clone()), None);
        self.hand_over(&mut state);
        Ok(())
    }

    fn happened(&self, happened: &mut Vec<Happened>) -> Result<(), String> {
        let mut state = self.lock();
        let mut again = Ok(());
        for happened in happened.drain(..) {
            match happened {
                Happened::Sent(packet) => self.note_sent(&mut state, packet),
                Happened::Acknowledged(packet, outcome) => {
                    if outcome.is_err() && self.manner.qos == Qos::ExactlyOnce {
                        // The library does not free the number of such a message.
                        again = Err("a message was refused".to_owned());
                    }
                    self.note_acknowledged(&mut state, packet, outcome);
                }
                _ => {}
            }
        }
        state.forget_done();
        self.hand_over(&mut state);
        self.changed.notify_all();
        again
    }

    /// All that was not acknowledged is published again by the next connection.
    fn lost(&self) {
        let mut state = self.lock();
        state.forget_done();
        state.wire = None;
        (state.handed, state.sent) = (0, 0);
        let done = |entry: &Entry| entry.done;
        // Those behind one that was not acknowledged.
        state.entries.retain(|entry| !done(entry));
        state.bytes = state.entries.iter().map(Entry::bytes).sum();
    }

    fn unreachable(&self, reason: &str) {
        self.lock().trouble = Some(reason.to_owned());
    }

    fn given_up(&self, reason: &str) {
        self.lock().given_up = Some(reason.to_owned());
        self.changed.notify_all();
    }

    fn is_served(&self) -> bool {
        self.lock().wire.is_some()
    }
}

#[cfg(test)]
mod tests;
