//! What targets refuse, made durable before they go past it.
//!
//! Where somebody reads the sink's `.rejected` port, a refused event becomes a frame of the sink's node in the log, as the
//! input of a source that is not repeated does, and goes to the worker that takes it (`runtime/returned.rs`). Elsewhere it
//! is put among the dead letters. Both are durable before any marker is written that goes past the event: here, and in
//! targets that keep one. Such a target is given the rest of a chunk again if the process dies in between, and refuses the
//! same records again: which are known is kept with the frames.

use super::coordinator::Coordinator;
use super::delivery::Delivery;
use super::frames::JournalFeed;
use crate::dataflow::{FrameNumber, Journal, KEYLESS, RefusedEvent};
use crate::event::bytes::{Malformed, Reader, put_number};
use crate::runtime::dead_letters::SharedDeadLetters;
use crate::runtime::returned::{ReturnPath, Returned};
use crate::state::{
    Changes, Checkpoint, ChunkId, ChunkNumber, Content, Entry, Epoch, NodeId, StateBackend, StateError,
    StateKey,
};
use crate::time::Clock;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The key of a sink's node under which known records are kept. A worker's own bytes begin like that: alone it is no change.
const KEY: &[u8] = b"\x00refused";
const VERSION: u64 = 1;

/// Where refused events of a sink go.
pub struct ReturnWay {
    /// Its part of the log, where somebody reads them.
    pub journal: Option<Arc<Journal>>,
    /// To the worker that takes them.
    pub path: ReturnPath,
}

/// What the target of one sink has refused, until it is durable.
pub struct Refusing {
    way: ReturnWay,
    taken: Vec<RefusedEvent>,
    /// Frames that are not known to be durable.
    under_way: Vec<(Option<FrameNumber>, Returned)>,
    /// Records that are durable and of which the target may not know yet that they are.
    known: BTreeSet<(ChunkId, u32)>,
    is_news: bool,
}

impl Refusing {
    /// What an earlier run has kept.
    pub fn find(node: NodeId, way: ReturnWay, backend: &StateBackend) -> Result<Refusing, StateError> {
        let kept = backend.keyed().get(node, KEYLESS, KEY)?;
        let known = kept.map_or(Ok(BTreeSet::new()), |bytes| decode(&bytes))?;
        Ok(Refusing { way, taken: Vec::new(), under_way: Vec::new(), known, is_news: false })
    }

    /// Whether somebody reads what comes back.
    pub fn is_read(&self) -> bool {
        self.way.journal.is_some()
    }

    /// Takes in what was taken out of the target.
    pub fn take(&mut self, refused: Vec<RefusedEvent>) {
        self.taken.extend(refused);
    }

    fn is_empty(&self) -> bool {
        self.taken.is_empty() && self.under_way.is_empty()
    }

    /// What is new of all that was taken, in order; notes which records those are. All up to `delivered` have arrived.
    fn news(&mut self, delivered: Option<ChunkId>) -> Vec<RefusedEvent> {
        let taken = std::mem::take(&mut self.taken);
        if let Some(delivered) = delivered.filter(|_| !taken.is_empty()) {
            self.known.retain(|(chunk, _)| *chunk > delivered);
        }
        let known = &mut self.known;
        let is_news = |event: &RefusedEvent| {
            event.record.is_none_or(|(marker, record)| {
                let (epoch, number) = (Epoch(marker.epoch), ChunkNumber(marker.chunk));
                known.insert((ChunkId { epoch, number }, record))
            })
        };
        let news: Vec<RefusedEvent> = taken.into_iter().filter(is_news).collect();
        self.is_news |= news.iter().any(|event| event.record.is_some());
        news
    }

    fn entry(&self, node: NodeId) -> Option<Entry> {
        if !self.is_news {
            return None;
        }
        let mut value = Vec::new();
        put_number(&mut value, VERSION);
        put_number(&mut value, self.known.len() as u64);
        for (ChunkId { epoch, number }, record) in &self.known {
            put_number(&mut value, epoch.0);
            put_number(&mut value, number.0.into());
            put_number(&mut value, (*record).into());
        }
        Some(Entry { key: StateKey::new(node, KEYLESS, KEY), value: Some(value.into()) })
    }
}

fn decode(bytes: &[u8]) -> Result<BTreeSet<(ChunkId, u32)>, Malformed> {
    let mut reader = Reader::new(bytes);
    if reader.number()? != VERSION {
        return Err(Malformed("refused records of a later version"));
    }
    let mut known = BTreeSet::new();
    for _ in 0..reader.count()? {
        let chunk = ChunkId { epoch: Epoch(reader.number()?), number: ChunkNumber(reader.small()?) };
        known.insert((chunk, reader.small()?));
    }
    reader.finish()?;
    Ok(known)
}

impl Delivery {
    /// Takes out what the target has refused. Called behind [`super::Outlet::acknowledged`] and before that is gone by.
    pub(super) fn take_refused(&mut self) {
        self.refusing.take(self.outlet.take_refused());
    }

    /// Says what the target has refused for good, and puts it on its way.
    fn tell_refused(&mut self, dead_letters: Option<&SharedDeadLetters>, clock: &dyn Clock) {
        let news = self.refusing.news(self.delivered);
        let Some(first) = news.first() else { return };
        let (name, first) = (self.name(), &first.reason);
        tracing::error!("sink `{name}`: its target refuses {} events: {first}", news.len());
        let (now, elapsed, sink) = (clock.wall(), clock.elapsed(), self.sink);
        let Refusing { way: ReturnWay { journal, .. }, under_way, .. } = &mut self.refusing;
        let mut letters = dead_letters.filter(|_| journal.is_none()).map(SharedDeadLetters::part);
        for RefusedEvent { reason, bytes, .. } in news {
            if let Some(letters) = &mut letters {
                letters.note_at(now, elapsed, sink, ("refused", &reason), Content::Raw(&bytes));
            }
            let event = Returned { at: now, reason, bytes };
            under_way.push((journal.as_ref().map(|journal| journal.append(event.encode())), event));
        }
        letters.iter_mut().for_each(|letters| letters.flush(elapsed));
    }

    /// All that was told is durable.
    fn refused_kept(&mut self) {
        let Refusing { way, under_way, is_news, .. } = &mut self.refusing;
        *is_news = false;
        under_way.drain(..).for_each(|(number, event)| way.path.push(number, event));
        self.outlet.refused_kept();
    }
}

impl Coordinator {
    /// Makes durable what targets have refused. Tells whether there was anything.
    ///
    /// # Errors
    /// The disk takes nothing: no marker may be written before it has.
    pub(super) fn keep_refused(&mut self, clock: &dyn Clock) -> Result<bool, StateError> {
        if self.deliveries.iter().all(|delivery| delivery.refusing.is_empty()) {
            return Ok(false);
        }
        let letters = self.dead_letters.as_ref();
        self.deliveries.iter_mut().for_each(|delivery| delivery.tell_refused(letters, clock));
        letters.into_iter().for_each(SharedDeadLetters::sync);
        let now = clock.elapsed();
        self.feeds.iter_mut().for_each(|feed| feed.take(now, true));
        let written = self.commit_frames()?;
        self.recover(written, now);
        self.deliveries.iter_mut().for_each(Delivery::refused_kept);
        Ok(true)
    }

    /// Makes what senders do not repeat durable. Tells whether there was anything.
    pub(super) fn commit_frames(&mut self) -> Result<bool, StateError> {
        let frames: Vec<_> = self.feeds.iter().flat_map(JournalFeed::frames).collect();
        let known = self.deliveries.iter().filter_map(|delivery| delivery.refusing.entry(delivery.node));
        let entries: Vec<Entry> = known.collect();
        if frames.is_empty() && entries.is_empty() {
            return Ok(false);
        }
        // A later start finds frames by the name of their source.
        let bare = || Checkpoint { epoch: self.keeping.backend.epoch(), ..Checkpoint::default() };
        let checkpoint = match (self.announcement(), entries.is_empty()) {
            (announcement, true) => announcement,
            (announcement, false) => Some(Checkpoint { entries, ..announcement.unwrap_or_else(bare) }),
        };
        let committed = self.keeping.backend.commit(Changes { frames, checkpoint, ..Changes::default() })?;
        self.is_announced = true;
        let places = committed.map(|committed| committed.places).unwrap_or_default();
        let mut places = places.iter();
        self.feeds.iter_mut().for_each(|feed| feed.committed(&mut places));
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dataflow::Marker;

    #[test]
    fn a_record_that_is_refused_again_is_no_news() {
        let way = ReturnWay { journal: None, path: ReturnPath::default() };
        let (taken, under_way) = (Vec::new(), Vec::new());
        let mut refusing = Refusing { way, taken, under_way, known: BTreeSet::new(), is_news: false };
        let event = |chunk, record| RefusedEvent {
            reason: "no".to_owned(),
            bytes: b"a".to_vec(),
            record: Some((Marker { life: 1, epoch: 3, chunk }, record)),
        };
        refusing.take(vec![event(0, 4), event(0, 5), event(1, 4)]);
        assert_eq!(refusing.news(None).len(), 3);
        let kept = refusing.entry(NodeId(1)).and_then(|entry| entry.value).unwrap();
        refusing.known = decode(&kept).unwrap();
        refusing.take(vec![event(0, 5), event(1, 4), event(1, 5)]);
        assert_eq!(refusing.news(None), [event(1, 5)]);
        // What has arrived is not refused again.
        let delivered = ChunkId { epoch: Epoch(3), number: ChunkNumber(0) };
        refusing.take(vec![event(2, 0), event(2, 0)]);
        assert_eq!(refusing.news(Some(delivered)), [event(2, 0)]);
        assert_eq!(refusing.known.len(), 3);
        // Without a marker nobody knows which it is.
        refusing.take(vec![RefusedEvent { record: None, ..event(0, 0) }; 2]);
        assert_eq!(refusing.news(None).len(), 2);
        assert!(decode(&[2]).is_err());
    }
}
