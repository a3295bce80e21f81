//! A log that is corrupt or not whole, written anew from all of it that can be read.
//!
//! What is kept: state up to the last commit before the first that is missing; output of its epochs; and input of
//! the journal wherever it stands, as its senders will not repeat it. Output of later epochs is not: reading the
//! input again makes it again. The new log is one segment, made under another name; when that name is durable the
//! old segments are set aside, and the new one takes its place. So a power cut at any point only means that the rest
//! is done at the next start.

use super::Entry;
use super::checkpoint::Checkpoint;
use super::disk::{Disk, Open};
use super::error::StateError;
use super::ledger::Ledger;
use super::log::{Commit, LogScan, RecordKind, RecordPlace, SegmentHeader, SegmentWriter};
use super::number::{SegmentNumber, Sequence};
use super::outbox::Chunk;
use super::piece::PIECE_BYTES;
use super::recovery::{ledger_of, set_aside};
use super::store::StoreMeta;
use crate::time::Timestamp;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::Arc;

/// A new log that is whole and waits to take the place of the old one.
pub const SALVAGE_FILE: &str = "salvage";

/// A new log in the making.
pub const NEW_FILE: &str = "salvage.new";

/// At about this size a commit of what is kept is followed by another.
const COMMIT_BYTES: usize = 4 << 20;

/// What became of the old log.
#[derive(Debug)]
pub struct Salvaged {
    /// The names of its files now.
    pub names: Vec<String>,
    /// Whether the store has taken in some keys of commits that are lost: the power went during a fold, and then the
    /// log was damaged.
    pub is_mixed: bool,
}

/// Writes the log anew behind a store, and sets the old one aside.
pub fn salvage(
    disk: &Arc<dyn Disk>,
    scan: &LogScan,
    meta: &StoreMeta,
    now: Timestamp,
) -> Result<Salvaged, StateError> {
    let (ledger, known) = readable(&**disk, scan, meta)?;
    let number = scan.numbers().max().unwrap_or_default().next();
    let header = SegmentHeader { incarnation: meta.incarnation, number, first: meta.folded.next() };
    write_anew(&**disk, scan, header, &ledger)?;
    let named = disk.rename(NEW_FILE, SALVAGE_FILE).and_then(|()| disk.sync_folder());
    named.map_err(|error| StateError::disk("salvaging the log", error))?;
    let names = finish_salvage(&**disk, now)?.unwrap_or_default();
    Ok(Salvaged { names, is_mixed: meta.folding > known })
}

/// Lets a new log that is whole take the place of the old one. Returns the names of what was set aside; None if
/// there is no such log.
pub fn finish_salvage(disk: &dyn Disk, now: Timestamp) -> Result<Option<Vec<String>>, StateError> {
    let failed = |error| StateError::disk("putting the salvaged log in place", error);
    let mut head = [0; SegmentHeader::BYTES];
    match disk.open(SALVAGE_FILE, Open::Existing).and_then(|file| file.read_at(0, &mut head)) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(failed)?,
    }
    let header = SegmentHeader::decode(SALVAGE_FILE, &head)?;
    let header = header.ok_or_else(|| StateError::corrupt(SALVAGE_FILE, "its header is not readable"))?;
    let names = disk.list().map_err(failed)?;
    let is_old = |name: &&String| SegmentNumber::from_file_name(name).is_some_and(|n| n < header.number);
    let mut aside = Vec::new();
    for name in names.iter().filter(is_old) {
        aside.push(set_aside(disk, name, now)?);
    }
    disk.sync_folder().map_err(failed)?;
    let place = disk.rename(SALVAGE_FILE, &header.number.file_name());
    place.and_then(|()| disk.sync_folder()).map_err(failed)?;
    Ok(Some(aside))
}

/// What all that can be read comes to, and the last commit that is whole in it.
fn readable(disk: &dyn Disk, scan: &LogScan, meta: &StoreMeta) -> Result<(Ledger, Sequence), StateError> {
    let places = scan.all_records();
    let known = last_known(&places, meta.folded);
    let mut ledger = ledger_of(meta)?;
    let is_kept = |place: &&RecordPlace| match place.kind {
        RecordKind::Frame | RecordKind::Refused => true,
        RecordKind::Chunk => false,
        RecordKind::Basis | RecordKind::Checkpoint | RecordKind::Marker => place.id.sequence <= known,
    };
    let kept = places.iter().filter(is_kept);
    scan.visit(disk, kept, &mut |place, payload| Ok(ledger.apply(place, payload)?))?;
    let chunks = places.iter().filter(|place| place.kind == RecordKind::Chunk);
    scan.visit(disk, chunks, &mut |place, payload| {
        let is_known = Chunk::decode(payload)?.id.epoch <= ledger.progress.epoch;
        if is_known { Ok(ledger.apply(place, payload)?) } else { Ok(()) }
    })?;
    Ok((ledger, known))
}

/// The last commit up to which all are whole behind one that the store has.
fn last_known(places: &[RecordPlace], folded: Sequence) -> Sequence {
    let mut commits: BTreeMap<Sequence, (BTreeSet<u32>, Option<u32>)> = BTreeMap::new();
    for place in places {
        let (indexes, last) = commits.entry(place.id.sequence).or_default();
        indexes.insert(place.id.index);
        *last = if place.last { Some(place.id.index) } else { *last };
    }
    let is_whole = |sequence: Sequence| {
        let commit = commits.get(&sequence);
        commit.is_some_and(|(indexes, last)| last.is_some_and(|last| indexes.len() == last as usize + 1))
    };
    let mut known = folded;
    while is_whole(known.next()) {
        known = known.next();
    }
    known
}

fn write_anew(
    disk: &dyn Disk,
    scan: &LogScan,
    header: SegmentHeader,
    ledger: &Ledger,
) -> Result<(), StateError> {
    let failed = |error| StateError::disk("salvaging the log", error);
    let mut new = NewLog {
        writer: SegmentWriter::begin(disk, NEW_FILE, header).map_err(failed)?,
        next: header.first,
        commit: Commit::new(),
    };
    push_state(ledger, &mut new.commit)?;
    new.flush()?;
    let frames = ledger.frames().map(|(_, _, place)| place);
    let chunks = ledger.chunks().map(|(_, _, place)| place);
    let mut kept: Vec<&RecordPlace> = frames.chain(chunks).chain(ledger.refused()).collect();
    // As they came: frames of a partition are read in their order.
    kept.sort_by_key(|place| place.id);
    scan.visit(disk, kept.into_iter(), &mut |place, payload| {
        new.commit.push(place.kind, |into| into.extend_from_slice(payload))?;
        if new.commit.size() >= COMMIT_BYTES { new.flush() } else { Ok(()) }
    })?;
    new.flush()?;
    new.writer.sync().map_err(failed)
}

/// All progress, and the state that is not in the store.
fn push_state(ledger: &Ledger, commit: &mut Commit) -> Result<(), StateError> {
    let basis = ledger.progress.with_all_unread();
    basis.push(RecordKind::Basis, commit, PIECE_BYTES)?;
    let entries = ledger.memtable.iter().map(|(key, value)| Entry { key, value: value.map(Into::into) });
    let entries: Vec<Entry> = entries.collect();
    // A number that was let go may have been given again: all that is known comes behind it.
    let dropped = ledger.memtable.dropped().copied().collect();
    let checkpoint = Checkpoint { dropped, entries, ..basis };
    checkpoint.push(RecordKind::Checkpoint, commit, PIECE_BYTES)
}

struct NewLog {
    writer: SegmentWriter,
    next: Sequence,
    commit: Commit,
}

impl NewLog {
    fn flush(&mut self) -> Result<(), StateError> {
        let mut commit = std::mem::take(&mut self.commit);
        if commit.is_empty() {
            return Ok(());
        }
        let written = self.writer.append(&mut commit, self.next);
        let (_, end) = written.map_err(|error| StateError::disk("salvaging the log", error))?;
        self.writer.end = end;
        self.next = self.next.next();
        Ok(())
    }
}
