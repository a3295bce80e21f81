//! Requests that were taken: on their way to the worker, and those who wait to hear that they are safe.

use super::frame;
use crate::dataflow::{FrameNumber, Journal, Pushed};
use crate::event::{BATCH_BYTES, BATCH_ROWS};
use crate::time::{Clock, SystemClock};
use bytes::Bytes;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::Thread;
use tokio::sync::oneshot;

/// Bytes of requests that are received, wait to be read or to be answered, beyond which no more are taken.
const MOST_BYTES: usize = 64 << 20;
/// What a waiting request takes besides its bytes.
const OVERHEAD: usize = 256;

/// What is taken of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The body as it is decoded.
    pub body: Bytes,
    /// The headers that expressions ask for, by their names as those write them.
    pub headers: Vec<(String, Bytes)>,
}

/// Tells the client. None where the inbox does that.
pub type Receipt = Option<oneshot::Sender<()>>;

/// A request that waits.
pub type Received = Pushed<Request, Receipt>;

/// A queue between the server's thread and the worker.
pub struct Inbox {
    /// Where requests go before they are answered. Nothing of it is called while the state is locked: it calls us while it
    /// is locked itself.
    journal: Option<Arc<Journal>>,
    clock: SystemClock,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Received>,
    /// What waits in the queue.
    queued: usize,
    /// What is being received, or was and is not answered.
    reserved: usize,
    /// Requests on their way into the journal, in order.
    waiting: VecDeque<(FrameNumber, oneshot::Sender<()>)>,
    durable: FrameNumber,
    is_closed: bool,
    /// Wakes the worker.
    worker: Option<Thread>,
    /// What happened since it was last asked: what, and how often.
    noted: Vec<(&'static str, u64)>,
}

/// Room for a request, until it is answered.
pub struct Room {
    inbox: Arc<Inbox>,
    bytes: usize,
}

impl Drop for Room {
    fn drop(&mut self) {
        self.inbox.lock().reserved -= self.bytes;
    }
}

impl Inbox {
    /// An empty inbox.
    pub fn new(journal: Option<Arc<Journal>>) -> Arc<Inbox> {
        let (clock, state) = (SystemClock::new(), Mutex::default());
        let inbox = Arc::new(Inbox { journal: journal.clone(), clock, state });
        let told = Arc::downgrade(&inbox);
        let tell = move |last| told.upgrade().into_iter().for_each(|inbox| inbox.durable(last));
        journal.into_iter().for_each(|journal| journal.on_durable(Box::new(tell.clone())));
        inbox
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Whoever panicked left the queue as it was between two requests.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All up to that frame are durable.
    fn durable(&self, last: FrameNumber) {
        let mut state = self.lock();
        state.durable = state.durable.max(last);
        state.answer_durable();
    }

    /// Room for a request of so many bytes; None while too much waits.
    pub fn room(self: &Arc<Inbox>, bytes: usize) -> Option<Room> {
        let is_full = self.journal.as_ref().is_some_and(|journal| journal.is_full());
        let (mut state, bytes) = (self.lock(), bytes + OVERHEAD);
        if is_full || state.is_closed || state.queued + state.reserved + bytes > MOST_BYTES {
            return None;
        }
        state.reserved += bytes;
        drop(state);
        Some(Room { inbox: self.clone(), bytes })
    }

    /// Takes a request in. It is safe once the answer says so; without one it is not known whether it was taken.
    pub fn push(&self, message: Request) -> oneshot::Receiver<()> {
        let ((tell, told), arrived) = (oneshot::channel(), self.clock.wall());
        let mut frame = FrameNumber(0);
        let mut durable = frame;
        if let Some(journal) = &self.journal {
            frame = journal.append(frame::write(&message, arrived));
            durable = journal.durable();
        }
        let mut state = self.lock();
        // What became durable before it was pushed was told too early.
        state.durable = state.durable.max(durable);
        let receipt = match frame {
            FrameNumber(0) => Some(tell),
            frame => {
                state.waiting.push_back((frame, tell));
                None
            }
        };
        state.answer_durable();
        let was_empty = state.queue.is_empty();
        state.queued += bytes_of(&message);
        state.queue.push_back(Pushed { message, arrived, receipt, frame });
        if was_empty && let Some(worker) = &state.worker {
            worker.unpark();
        }
        told
    }

    /// Notes what a person should see.
    pub fn note(&self, what: &'static str) {
        let mut state = self.lock();
        match state.noted.iter_mut().find(|(known, _)| *known == what) {
            Some((_, count)) => *count += 1,
            None => state.noted.push((what, 1)),
        }
    }

    /// Reads requests, with a journal those that have arrived together, and what was noted. The calling thread is woken when a
    /// request comes.
    pub fn read(&self, into: &mut Vec<Received>, noted: &mut Vec<(&'static str, u64)>) {
        let mut state = self.lock();
        noted.append(&mut state.noted);
        state.worker.get_or_insert_with(std::thread::current);
        let mut sum = 0;
        while into.len() < BATCH_ROWS && sum < BATCH_BYTES {
            let together = |next: &mut Received| match into.first() {
                Some(first) => self.journal.is_none() || first.arrived == next.arrived,
                None => true,
            };
            let Some(received) = state.queue.pop_front_if(together) else { break };
            sum += bytes_of(&received.message);
            state.queued -= bytes_of(&received.message);
            into.push(received);
        }
    }

    /// Takes no more requests. Who still waits hears that it is not known what became of theirs.
    pub fn close(&self) {
        let mut state = self.lock();
        state.is_closed = true;
        state.waiting.clear();
        state.queue.clear();
    }
}

impl State {
    fn answer_durable(&mut self) {
        let durable = self.durable;
        while let Some((_, tell)) = self.waiting.pop_front_if(|(frame, _)| *frame <= durable) {
            // Who has gone away does not hear it.
            let _ = tell.send(());
        }
    }
}

/// What a waiting request takes.
fn bytes_of(request: &Request) -> usize {
    let header = |(name, value): &(String, Bytes)| name.len() + value.len();
    request.body.len() + request.headers.iter().map(header).sum::<usize>() + OVERHEAD
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(body: &'static str) -> Request {
        Request { body: Bytes::from(body), headers: Vec::new() }
    }

    #[test]
    fn with_a_journal_the_answer_comes_when_it_is_durable() {
        let journal = Arc::new(Journal::behind(FrameNumber(3)));
        let inbox = Inbox::new(Some(journal.clone()));
        let (mut first, mut second) = (inbox.push(request("a")), inbox.push(request("b")));
        let (frames, last) = journal.take();
        assert_eq!((frames.len(), last), (2, FrameNumber(5)));
        assert!(first.try_recv().is_err());
        journal.committed(FrameNumber(4), 0);
        assert_eq!(first.try_recv(), Ok(()));
        assert_eq!(second.try_recv(), Err(oneshot::error::TryRecvError::Empty));
        let mut read = Vec::new();
        while read.len() < 2 {
            let mut more = Vec::new();
            inbox.read(&mut more, &mut Vec::new());
            read.extend(more);
        }
        assert!(read.iter().all(|received| received.receipt.is_none()));
        inbox.close();
        assert_eq!(second.try_recv(), Err(oneshot::error::TryRecvError::Closed));
        assert!(inbox.room(1).is_none());
    }

    #[test]
    fn there_is_room_until_too_much_waits() {
        let inbox = Inbox::new(None);
        let most = MOST_BYTES - OVERHEAD;
        assert!(inbox.room(most + 1).is_none());
        let room = inbox.room(most).unwrap();
        assert!(inbox.room(0).is_none());
        drop(room);
        let told = inbox.push(request("abc"));
        assert!(inbox.room(most).is_none(), "it was not read yet");
        let mut read = Vec::new();
        let value = Bytes::from(vec![b'k'; 1 << 20]);
        drop(inbox.push(Request { headers: vec![("k".to_owned(), value)], ..request("") }));
        assert!(inbox.room(most - (1 << 20)).is_none(), "headers count, too");
        inbox.note("seen");
        inbox.note("seen");
        let mut noted = Vec::new();
        inbox.read(&mut read, &mut noted);
        assert_eq!(noted, [("seen", 2)]);
        assert!(inbox.room(most).is_some());
        read.swap_remove(0).receipt.unwrap().send(()).unwrap();
        assert_eq!(told.blocking_recv(), Ok(()));
    }
}
