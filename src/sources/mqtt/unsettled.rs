//! Messages that the broker has no acknowledgement of.

use super::inbox::Receipt;
use crate::clients::mqtt::Incoming;
use crate::dataflow::FrameNumber;
use std::collections::{BTreeMap, VecDeque};
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

/// Messages of QoS 1 of this session, by their numbers.
///
/// As long as a message is here, the broker cannot give its number to another: what it repeats under that number on a
/// later connection is the same message. Once an acknowledgement was sent, nobody knows whether it has arrived, so a
/// message is forgotten then, and a repetition taken as a message of its own.
#[derive(Debug, Default)]
pub struct Open(BTreeMap<u16, Unsettled>);

#[derive(Debug)]
struct Unsettled {
    serial: u64,
    hash: u64,
    /// The connection by which it came last.
    connection: u64,
    /// Whether it was to be acknowledged while that connection was gone.
    done: bool,
}

/// What a message that comes in is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arrival {
    /// To be taken.
    New,
    /// One that was taken before and will be acknowledged.
    Again,
    /// One that was taken before and is to be acknowledged now.
    Done,
}

impl Open {
    /// A message comes in.
    pub fn arrives(&mut self, message: &Incoming, receipt: Receipt) -> Arrival {
        let hash = xxh3_64_with_seed(&message.payload, xxh3_64(&message.topic));
        let connection = receipt.connection;
        if let Some(known) = self.0.get_mut(&receipt.packet).filter(|known| known.hash == hash)
            && message.repeated
            && known.connection < connection
        {
            known.connection = connection;
            if !known.done {
                return Arrival::Again;
            }
            self.0.remove(&receipt.packet);
            return Arrival::Done;
        }
        let unsettled = Unsettled { serial: receipt.serial, hash, connection, done: false };
        self.0.insert(receipt.packet, unsettled);
        Arrival::New
    }

    /// A message is done with; whether it can be acknowledged now, on the connection that there is.
    pub fn settle(&mut self, receipt: Receipt, now: Option<u64>) -> bool {
        let Some(known) = self.0.get_mut(&receipt.packet) else { return false };
        if known.serial != receipt.serial {
            return false;
        }
        known.done = true;
        let can = now == Some(known.connection);
        if can {
            self.0.remove(&receipt.packet);
        }
        can
    }
}

/// Messages on their way into the journal, in order.
#[derive(Debug, Default)]
pub struct Journaled {
    /// The last frame that is known to be durable.
    pub durable: FrameNumber,
    waiting: VecDeque<(FrameNumber, Receipt, usize)>,
    bytes: usize,
}

impl Journaled {
    /// A message was appended under this number.
    pub fn push(&mut self, frame: FrameNumber, receipt: Receipt, bytes: usize) {
        self.bytes += bytes;
        self.waiting.push_back((frame, receipt, bytes));
    }

    /// Takes the first out if it is durable.
    pub fn next(&mut self) -> Option<Receipt> {
        let durable = self.durable;
        let (_, receipt, bytes) = self.waiting.pop_front_if(|(frame, ..)| *frame <= durable)?;
        self.bytes -= bytes;
        Some(receipt)
    }

    /// Whether none waits.
    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// What those that wait take.
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::mqtt::Qos;

    fn arrives(
        open: &mut Open,
        serial: u64,
        connection: u64,
        payload: &'static str,
        repeated: bool,
    ) -> Arrival {
        let (topic, payload, qos, packet) = ("t".into(), payload.into(), Qos::AtLeastOnce, 1);
        let message = Incoming { topic, payload, qos, packet, repeated, properties: Vec::new() };
        open.arrives(&message, receipt(serial, connection))
    }

    fn receipt(serial: u64, connection: u64) -> Receipt {
        Receipt { serial, connection, qos: Qos::AtLeastOnce, packet: 1 }
    }

    #[test]
    fn only_what_was_not_acknowledged_is_known_again() {
        let mut open = Open::default();
        assert_eq!(arrives(&mut open, 1, 1, "a", false), Arrival::New);
        assert_eq!(arrives(&mut open, 2, 2, "a", true), Arrival::Again);
        assert!(open.settle(receipt(1, 1), Some(2)), "by the connection that there is");
        assert_eq!(
            arrives(&mut open, 3, 3, "a", true),
            Arrival::New,
            "the acknowledgement may have got lost"
        );
        assert!(!open.settle(receipt(3, 3), None));
        assert_eq!(arrives(&mut open, 4, 4, "a", true), Arrival::Done);
        assert_eq!(arrives(&mut open, 5, 4, "a", false), Arrival::New, "the number is used again");
        assert_eq!(arrives(&mut open, 6, 5, "b", true), Arrival::New, "a broker that numbers anew");
        assert!(!open.settle(receipt(5, 4), Some(5)), "the number is another message's");
        assert!(open.settle(receipt(6, 5), Some(5)));
    }

    #[test]
    fn what_is_durable_comes_out_in_order() {
        let mut journaled = Journaled::default();
        (1..4).for_each(|number| journaled.push(FrameNumber(number), receipt(number, 1), 10));
        assert!(journaled.next().is_none());
        journaled.durable = FrameNumber(2);
        let serials: Vec<u64> =
            std::iter::from_fn(|| journaled.next()).map(|receipt| receipt.serial).collect();
        assert_eq!((serials, journaled.bytes(), journaled.is_empty()), (vec![1, 2], 10, false));
    }
}
