//! What has come from the broker and was not read yet, and what is still to be acknowledged.

use crate::clients::mqtt::{Accepted, Endpoint, Happened, Incoming, Qos, Subscription, Wire};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::Thread;

/// Messages of QoS 0 that wait at the most.
const MOST_WAITING: usize = 16 * 1024;
/// Bytes of waiting messages beyond which those of QoS 0 are discarded.
const MOST_BYTES: usize = 32 << 20;
/// Bytes of waiting messages beyond which the connection is given up: the broker gives unacknowledged messages again.
/// The protocol of version 3.1.1 has no other way to hold a broker back.
const GIVE_UP_BYTES: usize = 128 << 20;
/// What a waiting message takes besides its bytes.
const OVERHEAD: usize = 128;

/// A queue between the connection's thread and the worker.
pub struct Inbox {
    /// Who reads, for messages.
    who: String,
    subscription: Subscription,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Received>,
    bytes: usize,
    /// Messages that were read and not acknowledged.
    unacknowledged: usize,
    wire: Option<Wire>,
    connection: u64,
    /// The connection with which the broker's session began.
    session: u64,
    served: bool,
    arrivals: u64,
    /// Messages of QoS 2 whose numbers are taken: whether each was acknowledged.
    taken: BTreeMap<u16, bool>,
    overflowing: bool,
    /// Messages of QoS 0 that were discarded in this spell.
    spilled: u64,
    /// Wakes the worker.
    worker: Option<Thread>,
    tally: Tally,
}

/// What happened since it was last asked.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tally {
    /// Messages of QoS 0 that were discarded.
    pub discarded: u64,
    /// Connections that were made anew.
    pub reconnected: u64,
    /// Of these, how many found no session.
    pub sessions_lost: u64,
}

/// A message that waits.
pub struct Received {
    /// The message.
    pub message: Incoming,
    connection: u64,
}

/// What is needed to acknowledge a message.
#[derive(Clone, Copy)]
pub struct Receipt {
    connection: u64,
    qos: Qos,
    packet: u16,
}

impl Received {
    /// What is needed to acknowledge it.
    pub fn receipt(&self) -> Receipt {
        Receipt { connection: self.connection, qos: self.message.qos, packet: self.message.packet }
    }

    fn bytes(&self) -> usize {
        self.message.payload.len() + self.message.topic.len() + OVERHEAD
    }
}

impl Inbox {
    /// An empty inbox.
    pub fn new(who: String, subscription: Subscription) -> Inbox {
        Inbox { who, subscription, state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Whoever panicked left the queue as it was between two messages.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Acknowledges what was read before, and reads so many messages, of about so many bytes, at the most. The calling
    /// thread is woken when something comes.
    pub fn read(
        &self,
        rows: usize,
        bytes: usize,
        done: &mut Vec<Receipt>,
        into: &mut Vec<Received>,
    ) -> Tally {
        let mut state = self.lock();
        state.worker.get_or_insert_with(std::thread::current);
        state.acknowledge(done);
        let mut sum = 0;
        while into.len() < rows && sum < bytes {
            let Some(received) = state.queue.pop_front() else { break };
            sum += received.bytes();
            state.bytes -= received.bytes();
            state.unacknowledged += usize::from(received.message.qos != Qos::AtMostOnce);
            into.push(received);
        }
        if state.overflowing && state.queue.len() < MOST_WAITING / 2 && state.bytes < MOST_BYTES / 2 {
            let spilled = std::mem::take(&mut state.spilled);
            tracing::warn!(
                "{}: {spilled} messages of QoS 0 were discarded, now all are taken again",
                self.who
            );
            state.overflowing = false;
        }
        std::mem::take(&mut state.tally)
    }

    /// Acknowledges what was read before.
    pub fn acknowledge(&self, done: &mut Vec<Receipt>) {
        self.lock().acknowledge(done);
    }
}

impl State {
    fn acknowledge(&mut self, done: &mut Vec<Receipt>) {
        for receipt in done.drain(..).filter(|receipt| receipt.qos != Qos::AtMostOnce) {
            self.unacknowledged -= 1;
            // What came by an earlier connection is given again by this one; with QoS 2 it is known there.
            let known = match receipt.qos {
                // In another session its number may be another message's.
                Qos::ExactlyOnce if receipt.connection < self.session => None,
                Qos::ExactlyOnce => {
                    self.taken.get_mut(&receipt.packet).map(|acknowledged| *acknowledged = true)
                }
                _ => (receipt.connection == self.connection).then_some(()),
            };
            if let (Some(()), Some(wire)) = (known, &self.wire) {
                wire.acknowledge(receipt.qos, receipt.packet);
            }
        }
    }

    /// Takes a message in.
    fn push(&mut self, who: &str, message: Incoming) {
        self.arrivals += 1;
        let received = Received { message, connection: self.connection };
        let size = received.bytes();
        match received.message.qos {
            Qos::AtMostOnce if self.queue.len() >= MOST_WAITING || self.bytes + size > MOST_BYTES => {
                if !std::mem::replace(&mut self.overflowing, true) {
                    tracing::warn!(
                        "{who}: messages of QoS 0 come faster than they can be handled: discarding"
                    );
                }
                self.spilled += 1;
                self.tally.discarded += 1;
                return;
            }
            Qos::ExactlyOnce => match self.taken.get(&received.message.packet) {
                // The acknowledgement was lost.
                Some(true) => {
                    if let Some(wire) = &self.wire {
                        wire.acknowledge(Qos::ExactlyOnce, received.message.packet);
                    }
                    return;
                }
                Some(false) => return,
                None => _ = self.taken.insert(received.message.packet, false),
            },
            _ => {}
        }
        self.bytes += size;
        self.queue.push_back(received);
    }

    /// Forgets what waits and is given again by the broker, in a session that goes on.
    fn forget_repeated(&mut self) {
        self.queue.retain(|received| received.message.qos != Qos::AtLeastOnce);
        self.bytes = self.queue.iter().map(Received::bytes).sum();
    }

    fn subscribed(
        &mut self,
        who: &str,
        subscription: &Subscription,
        granted: &[Option<u8>],
    ) -> Result<(), String> {
        for (filter, granted) in subscription.filters.iter().zip(granted) {
            match granted {
                None => return Err(format!("the broker refuses the subscription to `{filter}`")),
                Some(qos) if *qos < subscription.qos.number() => {
                    tracing::warn!("{who}: the broker gives QoS {qos} at the most for `{filter}`");
                }
                Some(_) => {}
            }
        }
        self.served = true;
        Ok(())
    }
}

impl Endpoint for Inbox {
    fn accepted(&self, wire: &Wire, accepted: Accepted) -> Result<(), String> {
        wire.subscribe(&self.subscription);
        let mut state = self.lock();
        state.connection += 1;
        let again = state.connection > 1;
        state.tally.reconnected += u64::from(again);
        match accepted.session_present {
            true => state.forget_repeated(),
            false => {
                state.taken.clear();
                state.session = state.connection;
            }
        }
        if again && !accepted.session_present {
            state.tally.sessions_lost += 1;
            let who = &self.who;
            tracing::warn!("{who}: the broker has no session of us: what came meanwhile is lost");
        }
        state.wire = Some(wire.clone());
        Ok(())
    }

    fn happened(&self, happened: &mut Vec<Happened>) -> Result<(), String> {
        let mut state = self.lock();
        let was_empty = state.queue.is_empty();
        for happened in happened.drain(..) {
            match happened {
                Happened::Message(message) => state.push(&self.who, message),
                Happened::Subscribed(granted) => state.subscribed(&self.who, &self.subscription, &granted)?,
                Happened::Released(packet) => _ = state.taken.remove(&packet),
                _ => {}
            }
        }
        if was_empty
            && !state.queue.is_empty()
            && let Some(worker) = &state.worker
        {
            worker.unpark();
        }
        match state.bytes > GIVE_UP_BYTES {
            true => Err("more unacknowledged messages than are kept in memory; \
                         a lower limit of messages in flight at the broker helps"
                .to_owned()),
            false => Ok(()),
        }
    }

    fn lost(&self) {
        let mut state = self.lock();
        (state.wire, state.served) = (None, false);
    }

    fn may_connect(&self) -> bool {
        self.lock().bytes < GIVE_UP_BYTES / 2
    }

    fn arrivals(&self) -> Option<u64> {
        let state = self.lock();
        // What is held back by ourselves is no silence of the broker.
        (state.queue.is_empty() && state.unacknowledged == 0).then_some(state.arrivals)
    }

    fn takes_exactly_once(&self) -> bool {
        self.subscription.qos == Qos::ExactlyOnce
    }

    fn is_served(&self) -> bool {
        self.lock().served
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rumqttc::v5::{AsyncClient, MqttOptions};

    fn message(packet: u16) -> Vec<Happened> {
        let (topic, payload) = ("t".into(), "p".into());
        let qos = Qos::ExactlyOnce;
        vec![Happened::Message(Incoming { topic, payload, qos, packet, properties: Vec::new() })]
    }

    #[test]
    fn a_number_of_an_earlier_session_acknowledges_nothing() {
        let subscription = Subscription { filters: vec!["t".to_owned()], qos: Qos::ExactlyOnce };
        let inbox = Inbox::new("test".to_owned(), subscription);
        let wire = Wire::Five(AsyncClient::new(MqttOptions::new("c", "localhost", 1), 10).0);
        let accepted = |session_present| Accepted { session_present, largest_packet: None, highest_qos: 2 };
        let (mut done, mut read) = (Vec::new(), Vec::new());
        for session_present in [false, true] {
            inbox.accepted(&wire, accepted(false)).unwrap();
            inbox.happened(&mut message(7)).unwrap();
            inbox.read(10, 1000, &mut done, &mut read);
            done.extend(read.drain(..).map(|received| received.receipt()));
            inbox.lost();
            inbox.accepted(&wire, accepted(session_present)).unwrap();
            inbox.happened(&mut message(7)).unwrap();
            inbox.acknowledge(&mut done);
            assert_eq!(inbox.lock().taken.get(&7), Some(&session_present));
        }
    }
}
