//! Rows on their way to the worker that owns their key.
//!
//! Every worker sends every batch's watermark to all others together with the rows, so that a receiver can take rows in
//! canonical order. Sending never blocks; a worker whose rows pile up at a receiver stops reading its sources.

use super::merge::Merge;
use crate::dataflow::{Signal, StageId};
use crate::event::{Batch, Row, Slot, encode_key};
use crate::time::Timestamp;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use xxhash_rust::xxh3::xxh3_64;

/// The number of a worker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct WorkerId(pub u16);

/// How far each worker has read, so that of several the one that lags behind goes on where others must wait for it.
pub struct Frontiers(Vec<AtomicI64>);

impl Frontiers {
    /// For that many workers, none of which has read anything.
    pub fn new(workers: usize) -> Frontiers {
        Frontiers((0..workers).map(|_| AtomicI64::new(i64::MIN)).collect())
    }

    /// Notes how far a worker has read; [`Timestamp::MAX`] at its end.
    pub fn reach(&self, worker: usize, watermark: Timestamp) {
        self.0[worker].store(watermark.0, Ordering::Relaxed);
    }

    /// Whether no other worker lags behind this one; of equals the first lags.
    pub fn is_last(&self, worker: usize) -> bool {
        let mine = (self.0[worker].load(Ordering::Relaxed), worker);
        self.0.iter().enumerate().all(|(other, reached)| mine <= (reached.load(Ordering::Relaxed), other))
    }
}

/// What one worker sends another for one stage.
pub struct Parcel {
    /// The stage that the rows go to.
    pub stage: StageId,
    /// The sender.
    pub from: WorkerId,
    /// Rows, if there are any.
    pub batch: Option<Batch>,
    /// The sender's watermark behind the rows.
    pub watermark: Timestamp,
    /// What else there is to say.
    pub news: News,
}

/// What a worker tells others beside rows and watermarks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum News {
    /// Nothing.
    None,
    /// Its input is idle, or no longer.
    Idle(bool),
    /// Its input has ended.
    End,
}

/// Rows under way to one worker beyond which senders stop reading.
const MOST_PENDING: usize = 64 * 1024;

/// The sending ends towards all workers.
#[derive(Clone)]
pub struct Mail {
    boxes: Vec<(Sender<Parcel>, Arc<AtomicUsize>)>,
}

/// The receiving end of one worker.
pub struct Mailbox {
    parcels: Receiver<Parcel>,
    pending: Arc<AtomicUsize>,
}

impl Mail {
    /// Mailboxes for that many workers.
    pub fn new(workers: usize) -> (Mail, Vec<Mailbox>) {
        let (mut boxes, mut mailboxes) = (Vec::new(), Vec::new());
        for _ in 0..workers {
            let (sender, parcels) = channel();
            let pending = Arc::new(AtomicUsize::new(0));
            boxes.push((sender, pending.clone()));
            mailboxes.push(Mailbox { parcels, pending });
        }
        (Mail { boxes }, mailboxes)
    }

    /// How many workers there are.
    pub fn workers(&self) -> usize {
        self.boxes.len()
    }

    /// Whether some receiver has more than enough to do.
    pub fn is_congested(&self) -> bool {
        self.boxes.iter().any(|(_, pending)| pending.load(Ordering::Relaxed) > MOST_PENDING)
    }

    fn send(&self, to: usize, parcel: Parcel) {
        let (sender, pending) = &self.boxes[to];
        pending.fetch_add(parcel.batch.as_ref().map_or(0, Batch::len), Ordering::Relaxed);
        // A worker that is gone has stopped the pipeline; there is nobody left to tell.
        let _ = sender.send(parcel);
    }
}

impl Mailbox {
    /// The next parcel, if one has come.
    pub fn next(&self) -> Option<Parcel> {
        self.parcels.try_recv().ok()
    }

    /// Says that rows wait that came by mail in an earlier run.
    pub fn restored(&self, rows: usize) {
        self.pending.fetch_add(rows, Ordering::Relaxed);
    }

    /// Says that rows that came by mail have gone on.
    pub fn done(&self, rows: usize) {
        self.pending.fetch_sub(rows, Ordering::Relaxed);
    }
}

/// The way out of one worker into a stage that is keyed: a batch in the making for each worker.
pub struct Outgoing {
    stage: StageId,
    me: WorkerId,
    key: Vec<Slot>,
    mail: Mail,
    filling: Vec<Option<Batch>>,
    scratch: Vec<u8>,
    incoming: Merge,
}

impl Outgoing {
    /// The way into `stage`; `key` are slots of the stage that rows come from.
    pub fn new(stage: StageId, me: WorkerId, key: Vec<Slot>, mail: Mail, incoming: Merge) -> Outgoing {
        let filling = mail.boxes.iter().map(|_| None).collect();
        Outgoing { stage, me, key, mail, filling, scratch: Vec::new(), incoming }
    }

    /// The batch being filled for the worker that owns the row's key. All rows without key fields go to the first.
    pub fn filling(&mut self, batch: &Batch, row: Row, empty: impl FnOnce() -> Batch) -> &mut Batch {
        self.scratch.clear();
        encode_key(batch, row, &self.key, &mut self.scratch);
        // The high bits choose the worker, as the low ones place keys in its tables.
        let owner = match self.key.is_empty() {
            true => 0,
            false => ((xxh3_64(&self.scratch) >> 56) as usize * self.filling.len()) >> 8,
        };
        self.filling[owner].get_or_insert_with(empty)
    }

    /// How many fields the key has.
    pub fn fields(&self) -> usize {
        self.key.len()
    }

    /// What came in from all workers for this stage.
    pub fn incoming(&mut self) -> &mut Merge {
        &mut self.incoming
    }

    /// Sends what is full; the rest goes with the next watermark.
    pub fn send_full(&mut self) {
        for to in 0..self.filling.len() {
            if let Some(batch) = self.filling[to].take_if(|batch| batch.is_full()) {
                let watermark = batch.watermarks.last().copied().unwrap_or(Timestamp::MIN);
                self.send(to, Some(batch), watermark, News::None);
            }
        }
    }

    /// Sends all rows so far to their workers, then the signal to every worker; but a flush and a tick are each worker's own.
    pub fn signal(&mut self, signal: Signal) {
        if signal == Signal::Tick {
            return;
        }
        for to in 0..self.filling.len() {
            let batch = self.filling[to].take();
            match signal {
                Signal::Watermark(watermark) => self.send(to, batch, watermark, News::None),
                Signal::Idle(idle) => self.send(to, batch, Timestamp::MIN, News::Idle(idle)),
                Signal::End => self.send(to, batch, Timestamp::MIN, News::End),
                Signal::Flush if batch.is_some() => self.send(to, batch, Timestamp::MIN, News::None),
                Signal::Flush | Signal::Tick => {}
            }
        }
    }

    fn send(&self, to: usize, batch: Option<Batch>, watermark: Timestamp, news: News) {
        self.mail.send(to, Parcel { stage: self.stage, from: self.me, batch, watermark, news });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Value;
    use crate::runtime::MergeOrder;

    #[test]
    fn a_tick_leaves_rows_where_they_are() {
        let (mail, boxes) = Mail::new(1);
        let incoming = Merge::new(MergeOrder::Canonical, vec![Vec::new()], false);
        let mut outgoing = Outgoing::new(StageId(0), WorkerId(0), vec![Slot(0)], mail, incoming);
        let mut batch = Batch::new(1, b"");
        let row = batch.push_row(Timestamp(1), Timestamp(0));
        batch.set(row, Slot(0), Value::int(5));
        outgoing.filling(&batch, row, || Batch::new(1, b"")).push_row(Timestamp(1), Timestamp(0));
        outgoing.signal(Signal::Tick);
        assert!(boxes[0].next().is_none());
        outgoing.signal(Signal::Watermark(Timestamp(1)));
        let sent = boxes[0].next().and_then(|parcel| parcel.batch);
        assert_eq!(sent.map(|batch| batch.len()), Some(1));
    }
}
