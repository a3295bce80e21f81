//! What has come from the broker and was not read yet, and what is still to be acknowledged.

use super::frame;
use super::unsettled::{Arrival, Journaled, Open};
use crate::clients::mqtt::{Accepted, Endpoint, Happened, Incoming, Qos, Subscription, Wire};
use crate::dataflow::{FrameNumber, Journal, Pushed};
use crate::time::{Clock, SystemClock};
use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
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
    /// Where messages go before they are acknowledged. Nothing of it is called while the state is locked: it calls us
    /// while it is locked itself.
    journal: Option<Arc<Journal>>,
    clock: SystemClock,
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
    /// Messages of QoS 1 that the broker has no acknowledgement of.
    open: Open,
    /// Messages on their way into the journal.
    journaled: Journaled,
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
pub type Received = Pushed<Incoming, Receipt>;

/// What is needed to acknowledge a message.
#[derive(Clone, Copy, Debug)]
pub struct Receipt {
    /// Counts what arrives.
    pub(super) serial: u64,
    pub(super) connection: u64,
    pub(super) qos: Qos,
    pub(super) packet: u16,
}

impl Receipt {
    /// Whether somebody waits for it.
    pub fn is_due(&self) -> bool {
        self.qos != Qos::AtMostOnce
    }
}

/// What a message takes.
fn bytes_of(received: &Received) -> usize {
    received.message.payload.len() + received.message.topic.len() + OVERHEAD
}

impl Inbox {
    /// An empty inbox.
    pub fn new(who: String, subscription: Subscription, journal: Option<Arc<Journal>>) -> Arc<Inbox> {
        let (clock, state) = (SystemClock::new(), Mutex::default());
        let inbox = Arc::new(Inbox { who, subscription, journal: journal.clone(), clock, state });
        let told = Arc::downgrade(&inbox);
        let tell = move |last| told.upgrade().into_iter().for_each(|inbox| inbox.durable(last));
        journal.into_iter().for_each(|journal| journal.on_durable(Box::new(tell.clone())));
        inbox
    }

    /// All up to that frame are durable.
    fn durable(&self, last: FrameNumber) {
        let mut state = self.lock();
        state.journaled.durable = state.journaled.durable.max(last);
        state.acknowledge_journaled();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Whoever panicked left the queue as it was between two messages.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Acknowledges what was read before, and reads so many messages, of about so many bytes, at the most. The calling
    /// thread is woken when something comes. With a journal all that is read together has arrived together.
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
            let together = |next: &mut Received| match into.first() {
                Some(first) => self.journal.is_none() || first.arrived == next.arrived,
                None => true,
            };
            let Some(received) = state.queue.pop_front_if(together) else { break };
            sum += bytes_of(&received);
            state.bytes -= bytes_of(&received);
            state.unacknowledged += usize::from(self.journal.is_none() && received.receipt.is_due());
            into.push(received);
        }
        state.acknowledge_journaled();
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

    /// Handles what happened up to now, and returns the messages that are to be taken.
    fn admit(&self, happened: &mut Vec<Happened>, full: bool) -> Result<Vec<Received>, String> {
        let mut state = self.lock();
        let (arrived, mut admitted) = (self.clock.wall(), Vec::new());
        for happened in happened.drain(..) {
            match happened {
                Happened::Message(message) => {
                    let receipt = state.admit(&self.who, &message, full);
                    let received = |receipt| Received { message, arrived, receipt, frame: FrameNumber(0) };
                    admitted.extend(receipt.map(received));
                }
                Happened::Subscribed(granted) => state.subscribed(&self.who, &self.subscription, &granted)?,
                Happened::Released(packet) => _ = state.taken.remove(&packet),
                _ => {}
            }
        }
        Ok(admitted)
    }

    /// Acknowledges what was read before.
    pub fn acknowledge(&self, done: &mut Vec<Receipt>) {
        self.lock().acknowledge(done);
    }
}

impl State {
    fn acknowledge(&mut self, done: &mut Vec<Receipt>) {
        for receipt in done.drain(..).filter(Receipt::is_due) {
            self.unacknowledged -= 1;
            self.settle(receipt);
        }
    }

    /// Acknowledges what is durable, unless so much waits to be read that the broker shall hold more back.
    fn acknowledge_journaled(&mut self) {
        while !self.is_behind()
            && let Some(receipt) = self.journaled.next()
        {
            self.settle(receipt);
        }
    }

    fn is_behind(&self) -> bool {
        self.queue.len() >= MOST_WAITING || self.bytes > MOST_BYTES
    }

    /// Acknowledges a message.
    fn settle(&mut self, receipt: Receipt) {
        let now = self.wire.as_ref().map(|_| self.connection);
        let due = match receipt.qos {
            Qos::AtMostOnce => false,
            Qos::AtLeastOnce => self.open.settle(receipt, now),
            // In another session its number may be another message's. In this one it is known on every connection.
            Qos::ExactlyOnce if receipt.connection < self.session => false,
            Qos::ExactlyOnce => {
                self.taken.get_mut(&receipt.packet).map(|acknowledged| *acknowledged = true).is_some()
            }
        };
        if due && let Some(wire) = &self.wire {
            wire.acknowledge(receipt.qos, receipt.packet);
        }
    }

    /// Judges a message that comes in; None if it is not to be taken. `full` says that the journal takes no more.
    fn admit(&mut self, who: &str, message: &Incoming, full: bool) -> Option<Receipt> {
        self.arrivals += 1;
        let (qos, packet) = (message.qos, message.packet);
        let receipt = Receipt { serial: self.arrivals, connection: self.connection, qos, packet };
        match qos {
            Qos::AtMostOnce if full || self.is_behind() => {
                if !std::mem::replace(&mut self.overflowing, true) {
                    tracing::warn!(
                        "{who}: messages of QoS 0 come faster than they can be handled: discarding"
                    );
                }
                self.spilled += 1;
                self.tally.discarded += 1;
                return None;
            }
            Qos::AtMostOnce => {}
            Qos::AtLeastOnce => match self.open.arrives(message, receipt) {
                Arrival::New => {}
                Arrival::Again => return None,
                Arrival::Done => {
                    self.wire.iter().for_each(|wire| wire.acknowledge(qos, packet));
                    return None;
                }
            },
            Qos::ExactlyOnce => match self.taken.get(&packet) {
                // The acknowledgement was lost.
                Some(true) => {
                    self.wire.iter().for_each(|wire| wire.acknowledge(qos, packet));
                    return None;
                }
                Some(false) => return None,
                None => _ = self.taken.insert(packet, false),
            },
        }
        Some(receipt)
    }

    /// Takes a message in.
    fn push(&mut self, received: Received) {
        if received.frame != FrameNumber(0) {
            self.journaled.push(received.frame, received.receipt, bytes_of(&received));
        }
        self.bytes += bytes_of(&received);
        self.queue.push_back(received);
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
            true => {}
            false => {
                state.taken.clear();
                state.open = Open::default();
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
        let full = self.journal.as_ref().is_some_and(|journal| journal.is_full());
        let mut admitted = self.admit(happened, full)?;
        let mut durable = FrameNumber(0);
        if let Some(journal) = &self.journal {
            for received in &mut admitted {
                received.frame = journal.append(frame::write(&received.message, received.arrived));
            }
            durable = journal.durable();
        }
        let mut state = self.lock();
        let was_empty = state.queue.is_empty();
        admitted.into_iter().for_each(|received| state.push(received));
        // What became durable before it was pushed was told too early.
        state.journaled.durable = state.journaled.durable.max(durable);
        state.acknowledge_journaled();
        if was_empty
            && !state.queue.is_empty()
            && let Some(worker) = &state.worker
        {
            worker.unpark();
        }
        match state.bytes + state.journaled.bytes() > GIVE_UP_BYTES {
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
        let state = self.lock();
        state.bytes + state.journaled.bytes() < GIVE_UP_BYTES / 2
    }

    fn arrivals(&self) -> Option<u64> {
        let state = self.lock();
        // What is held back by ourselves is no silence of the broker.
        let is_idle = state.queue.is_empty() && state.unacknowledged == 0 && state.journaled.is_empty();
        is_idle.then_some(state.arrivals)
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
        vec![Happened::Message(Incoming {
            topic,
            payload,
            qos,
            packet,
            repeated: false,
            properties: Vec::new(),
        })]
    }

    #[test]
    fn a_number_of_an_earlier_session_acknowledges_nothing() {
        let subscription = Subscription { filters: vec!["t".to_owned()], qos: Qos::ExactlyOnce };
        let inbox = Inbox::new("test".to_owned(), subscription, None);
        let wire = Wire::Five(AsyncClient::new(MqttOptions::new("c", "localhost", 1), 10).0);
        let accepted = |session_present| Accepted { session_present, largest_packet: None, highest_qos: 2 };
        let (mut done, mut read) = (Vec::new(), Vec::new());
        for session_present in [false, true] {
            inbox.accepted(&wire, accepted(false)).unwrap();
            inbox.happened(&mut message(7)).unwrap();
            inbox.read(10, 1000, &mut done, &mut read);
            done.extend(read.drain(..).map(|received| received.receipt));
            inbox.lost();
            inbox.accepted(&wire, accepted(session_present)).unwrap();
            inbox.happened(&mut message(7)).unwrap();
            inbox.acknowledge(&mut done);
            assert_eq!(inbox.lock().taken.get(&7), Some(&session_present));
        }
    }
}
