//! What is to be written and was not committed yet.

use crate::clients::backlog::Backlog;
use crate::dataflow::{Batching, Marked, Marker, RefusedEvent, read_addressed};
use std::collections::VecDeque;
use std::sync::Arc;
use tokio::sync::Notify;

/// Whole records, written together with the marker that they have.
#[derive(Clone, Debug)]
pub struct Chunk {
    /// The records.
    pub bytes: Arc<[u8]>,
    /// How many those are; none where only the marker is to stand.
    pub events: usize,
    /// What is to stand in the target with them.
    pub marker: Option<Marker>,
    /// How often [`Queue::secure`] had been called when it came.
    round: u64,
}

/// A queue between workers and the connection's thread. A chunk stays until it is committed.
#[derive(Default)]
pub struct Queue {
    /// What waits, and how the server stands.
    pub backlog: Backlog<Chunks>,
    /// What was refused is durable.
    kept: Notify,
}

/// What waits: chunks, and what is known of those before them.
#[derive(Default)]
pub struct Chunks {
    chunks: VecDeque<Chunk>,
    events: usize,
    marked: Option<Option<Marker>>,
    /// Whether refused events were taken out and are not known to be kept.
    is_keeping: bool,
}

impl Queue {
    /// Takes a chunk. Waits only if there is many times as much as makes it full.
    ///
    /// # Errors
    /// Why nothing is written any more.
    pub fn push(&self, bytes: &[u8], marker: Option<Marker>) -> Result<(), String> {
        let (mut rest, mut events) = (bytes, 0);
        while read_addressed(&mut rest, &mut [""]).is_some() {
            events += 1;
        }
        let mut state = self.backlog.lock_with_room()?;
        let round = state.rounds;
        state.bytes += bytes.len();
        state.queue.events += events;
        state.queue.chunks.push_back(Chunk { bytes: bytes.into(), events, marker, round });
        drop(state);
        self.backlog.wake.notify_one();
        Ok(())
    }

    /// Appends the records that came since the call before and are not committed.
    ///
    /// # Errors
    /// Why nothing is written any more.
    pub fn secure(&self, pending: &mut Vec<u8>) -> Result<(), String> {
        let mut state = self.backlog.lock();
        state.hopes()?;
        let new = state.queue.chunks.partition_point(|chunk| chunk.round < state.rounds);
        // What has a marker stands in the log already.
        let unkept = state.queue.chunks.range(new..).filter(|chunk| chunk.marker.is_none());
        unkept.for_each(|chunk| pending.extend_from_slice(&chunk.bytes));
        state.rounds += 1;
        Ok(())
    }

    /// How many calls of [`Queue::secure`], from the first on, gave nothing that is not committed by now.
    pub fn acknowledged(&self) -> u64 {
        let state = self.backlog.lock();
        state.queue.chunks.front().map_or(state.rounds, |chunk| chunk.round)
    }

    /// Whether all that waits stands in the log: it was given to be kept, or came from there.
    pub fn is_kept(&self) -> bool {
        let state = self.backlog.lock();
        state.queue.chunks.iter().all(|chunk| chunk.marker.is_some() || chunk.round < state.rounds)
    }

    /// How many events wait.
    pub fn waiting(&self) -> usize {
        let state = self.backlog.lock();
        state.queue.events.max(state.queue.chunks.len())
    }

    /// The first chunks, as many as make a batch, and whether that is full or is not to wait any more.
    pub fn batch(&self, batching: &Batching) -> (Vec<Chunk>, bool) {
        let state = self.backlog.lock();
        let (mut batch, mut events, mut bytes) = (Vec::new(), 0, 0);
        for chunk in &state.queue.chunks {
            if events >= batching.events || bytes >= batching.bytes {
                break;
            }
            events += chunk.events;
            bytes += chunk.bytes.len();
            batch.push(chunk.clone());
        }
        let marked = batch.iter().any(|chunk| chunk.marker.is_some());
        let is_full = events >= batching.events || bytes >= batching.bytes;
        (batch, is_full || marked || state.closing)
    }

    /// So many of the first chunks are committed, but for what the target refused.
    pub fn committed(&self, chunks: usize, refused: Vec<RefusedEvent>) {
        let mut state = self.backlog.lock();
        for chunk in state.queue.chunks.drain(..chunks).collect::<Vec<_>>() {
            state.bytes -= chunk.bytes.len();
            state.queue.events -= chunk.events;
            if let Some(marker) = chunk.marker {
                state.queue.marked = Some(Some(marker));
            }
        }
        state.refuse(refused);
        self.backlog.tell();
    }

    /// Hands out what the target has refused, and waits until it is durable.
    pub async fn keep(&self, refused: Vec<RefusedEvent>) {
        if refused.is_empty() {
            return;
        }
        self.backlog.lock().refuse(refused);
        self.backlog.tell();
        while self.is_held() {
            self.kept.notified().await;
        }
    }

    /// Whether chunks wait until what was refused of them is where it is kept.
    pub fn is_held(&self) -> bool {
        let state = self.backlog.lock();
        state.queue.is_keeping || state.has_refused()
    }

    /// What was taken out is durable.
    pub fn refused_kept(&self) {
        self.backlog.lock().queue.is_keeping = false;
        self.kept.notify_one();
    }

    /// All chunks up to the one with this marker are committed, as the target says. False if no chunk has it.
    pub fn committed_through(&self, marker: Marker) -> bool {
        let at = self.backlog.lock().queue.chunks.iter().position(|chunk| chunk.marker == Some(marker));
        if let Some(at) = at {
            self.committed(at + 1, Vec::new());
        }
        at.is_some()
    }

    /// Takes out what the target has refused.
    pub fn take_refused(&self) -> Vec<RefusedEvent> {
        let mut state = self.backlog.lock();
        state.queue.is_keeping |= state.has_refused();
        state.take_refused()
    }

    /// The marker that stands in the target, if that is known.
    ///
    /// # Errors
    /// Why nothing is written any more.
    pub fn marked(&self) -> Result<Marked, String> {
        let state = self.backlog.lock();
        state.hopes()?;
        Ok(match state.queue.marked {
            None => Marked::Unknown,
            Some(None) => Marked::Absent,
            Some(Some(marker)) => Marked::At(marker),
        })
    }

    /// This marker, or none, stands in the target.
    pub fn note_marked(&self, marked: Option<Marker>) {
        self.backlog.lock().queue.marked = Some(marked);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataflow::write_addressed;

    fn records(events: &[&str]) -> Vec<u8> {
        let mut chunk = Vec::new();
        for event in events {
            let fill = |into: &mut Vec<u8>| {
                into.extend_from_slice(event.as_bytes());
                Ok::<(), ()>(())
            };
            write_addressed(&[String::new()], &mut chunk, fill).unwrap();
        }
        chunk
    }

    const THREE: Batching = Batching { events: 3, bytes: 1000, every: crate::time::Millis(1000) };

    #[test]
    fn what_is_not_committed_is_given_to_be_kept_once() {
        let queue = Queue::default();
        let (first, second) = (records(&["a", "b"]), records(&["c"]));
        queue.push(&first, None).unwrap();
        let mut pending = Vec::new();
        queue.secure(&mut pending).unwrap();
        assert_eq!((pending.clone(), queue.acknowledged(), queue.is_kept()), (first.clone(), 0, true));
        queue.push(&second, None).unwrap();
        assert!(!queue.is_kept());
        pending.clear();
        queue.secure(&mut pending).unwrap();
        assert_eq!(pending, second);
        queue.committed(1, Vec::new());
        assert_eq!((queue.acknowledged(), queue.waiting()), (1, 1));
        queue.committed(1, Vec::new());
        assert_eq!(queue.acknowledged(), 2);
    }

    #[test]
    fn a_batch_is_whole_chunks_until_it_is_full() {
        let queue = Queue::default();
        queue.push(&records(&["a", "b"]), None).unwrap();
        let (batch, full) = queue.batch(&THREE);
        assert_eq!((batch.len(), full), (1, false));
        queue.push(&records(&["c", "d"]), None).unwrap();
        queue.push(&records(&["e"]), None).unwrap();
        let (batch, full) = queue.batch(&THREE);
        assert_eq!((batch.len(), full), (2, true));
        queue.committed(2, Vec::new());
        assert!(!queue.batch(&THREE).1);
        queue.backlog.close();
        assert!(queue.batch(&THREE).1);
    }

    #[test]
    fn the_target_says_what_has_arrived() {
        let queue = Queue::default();
        let marker = |chunk| Marker { life: 1, epoch: 2, chunk };
        (0..3).for_each(|n| queue.push(&records(&["a"]), Some(marker(n))).unwrap());
        assert_eq!(queue.marked(), Ok(Marked::Unknown));
        assert!(queue.committed_through(marker(1)));
        assert_eq!((queue.waiting(), queue.marked()), (1, Ok(Marked::At(marker(1)))));
        assert!(!queue.committed_through(marker(1)));
        queue.backlog.fail("gone".to_owned());
        assert_eq!(queue.push(&[], None), Err("gone".to_owned()));
    }
}
