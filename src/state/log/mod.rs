//! The log: commits appended to segments, one sync each.
//!
//! A commit is in one segment as a whole. A segment is begun where the one before is full, and after every start and
//! every error: nothing is ever appended behind bytes of which nobody knows whether they are on the disk. Segments
//! are removed from the oldest on, once none of their records is needed.

mod commit;
mod read;
mod record;
mod scan;
mod segment;
mod writer;

pub use commit::{COMMIT_LIMIT, Commit};
pub use read::{LogFault, LogScan, VisitRecord, read_file, read_record};
pub use record::{RECORD_LIMIT, RecordHeader, RecordId, RecordKind, RecordPlace};
pub use scan::{End, SegmentScan, scan_segment};
pub use segment::{SegmentHeader, VERSION};
pub use writer::SegmentWriter;

use super::disk::{Disk, DiskFile, MeteredDisk, Open};
use super::error::StateError;
#[cfg(feature = "simulation")]
use super::mutation;
use super::number::{Incarnation, SegmentNumber, Sequence};
use std::collections::VecDeque;
use std::io;

/// A commit that is on the disk.
#[derive(Debug)]
pub struct Committed {
    /// Which one it is.
    pub sequence: Sequence,
    /// Where its records are, in the order they were pushed.
    pub places: Vec<RecordPlace>,
}

/// The log of one folder.
#[derive(Debug)]
pub struct Log {
    disk: MeteredDisk,
    segment_bytes: u64,
    incarnation: Incarnation,
    /// The oldest first.
    segments: VecDeque<SegmentUse>,
    writer: Option<SegmentWriter>,
    doubt: Option<Doubt>,
    next: Sequence,
    next_segment: SegmentNumber,
}

/// What is known of a segment that is there.
#[derive(Debug)]
struct SegmentUse {
    number: SegmentNumber,
    incarnation: Incarnation,
    first: Sequence,
    bytes: u64,
    /// How many of its records are needed, and their bytes.
    needed: usize,
    needed_bytes: u64,
}

/// A segment as it was at some moment. That it is removed does not matter to it.
#[derive(Debug)]
pub struct SegmentPin {
    /// Which one it is.
    pub number: SegmentNumber,
    /// The file, which may have grown since.
    pub file: Box<dyn DiskFile>,
    /// Where the last commit ended then.
    pub bytes: u64,
}

/// What an error left behind, to be cleaned up before anything else is written.
#[derive(Debug)]
enum Doubt {
    /// A segment that may not be there, or not as a whole.
    Segment(SegmentNumber),
    /// Bytes behind the end of the last commit.
    Tail(SegmentWriter),
}

impl Log {
    /// Goes on behind what was found and behind a commit, with all records counted as needed. A torn tail is cut off durably.
    ///
    /// # Errors
    /// The log must have no fault.
    pub fn resume(
        disk: MeteredDisk,
        scan: &LogScan,
        segment_bytes: u64,
        incarnation: Incarnation,
        after: Sequence,
    ) -> Result<Log, StateError> {
        if let Some(fault) = &scan.fault {
            return Err(StateError::corrupt(fault.segment.file_name(), fault.what.clone()));
        }
        let next_segment = scan.segments.last().map_or(SegmentNumber(1), |(number, _)| number.next());
        let next = scan.next.max(after.next());
        let segments = VecDeque::new();
        let mut log =
            Log { disk, segment_bytes, incarnation, segments, writer: None, doubt: None, next, next_segment };
        for (number, found) in &scan.segments {
            log.adopt(*number, found);
        }
        if scan.segments.last().is_some_and(|(_, found)| found.ends == End::Torn) {
            log.cut_tail(scan)?;
        }
        Ok(log)
    }

    fn adopt(&mut self, number: SegmentNumber, found: &SegmentScan) {
        let needed_bytes = found.records.iter().map(record_bytes).sum();
        let (bytes, needed) = (found.end as u64, found.records.len());
        let (incarnation, first) =
            found.header.map_or((self.incarnation, self.next), |header| (header.incarnation, header.first));
        self.segments.push_back(SegmentUse { number, incarnation, first, bytes, needed, needed_bytes });
    }

    /// Cuts off what is torn of the last segment; one without a whole commit goes as a whole.
    fn cut_tail(&mut self, scan: &LogScan) -> Result<(), StateError> {
        #[cfg(feature = "simulation")]
        if mutation::is(mutation::Mutation::ForgetTornTail) {
            return Ok(());
        }
        let Some((number, found)) = scan.segments.last() else { return Ok(()) };
        if found.records.is_empty() {
            self.segments.pop_back();
            self.next_segment = *number;
            self.doubt = Some(Doubt::Segment(*number));
        } else if let Some(header) = found.header {
            let name = number.file_name();
            let writer = SegmentWriter::resume(&self.disk, &name, header, found.end as u64);
            let writer = writer.map_err(|error| StateError::disk(format!("opening {name}"), error))?;
            self.doubt = Some(Doubt::Tail(writer));
        }
        self.clear_doubt().map_err(|error| StateError::disk("cutting off a torn commit", error))
    }

    /// Whether the next commit begins a new segment. Its first record is to be a [`RecordKind::Basis`].
    pub fn begins_segment(&self) -> bool {
        self.writer.as_ref().is_none_or(|writer| writer.end >= self.segment_bytes)
    }

    /// Makes a commit durable: when this returns, it is. After an error it may be found after a restart or not, but
    /// not if anything was committed since: call again with the same or newer content.
    pub fn commit(&mut self, commit: &mut Commit) -> Result<Committed, StateError> {
        let sequence = self.next;
        let written = self.write(commit);
        let places = written.map_err(|error| StateError::disk("writing to the log", error))?;
        self.next = sequence.next();
        if let Some(segment) = self.segments.back_mut() {
            segment.bytes = self.writer.as_ref().map_or(0, |writer| writer.end);
            segment.needed += places.len();
            segment.needed_bytes += places.iter().map(record_bytes).sum::<u64>();
        }
        Ok(Committed { sequence, places })
    }

    fn write(&mut self, commit: &mut Commit) -> io::Result<Vec<RecordPlace>> {
        self.clear_doubt()?;
        let writer = if self.begins_segment() { None } else { self.writer.take() };
        let Some(mut writer) = writer else { return self.begin_segment(commit) };
        match writer.append(commit, self.next).and_then(|(places, end)| Ok((places, end, writer.sync()?))) {
            Ok((places, end, ())) => {
                writer.end = end;
                self.writer = Some(writer);
                Ok(places)
            }
            Err(error) => {
                self.doubt = Some(Doubt::Tail(writer));
                Err(error)
            }
        }
    }

    fn begin_segment(&mut self, commit: &mut Commit) -> io::Result<Vec<RecordPlace>> {
        let (number, incarnation) = (self.next_segment, self.incarnation);
        self.writer = None;
        self.doubt = Some(Doubt::Segment(number));
        let header = SegmentHeader { incarnation, number, first: self.next };
        let mut writer = SegmentWriter::begin(&self.disk, &number.file_name(), header)?;
        let (places, end) = writer.append(commit, self.next)?;
        writer.sync()?;
        self.disk.sync_folder()?;
        self.doubt = None;
        writer.end = end;
        self.writer = Some(writer);
        let begun =
            SegmentUse { number, incarnation, first: self.next, bytes: end, needed: 0, needed_bytes: 0 };
        self.segments.push_back(begun);
        self.next_segment = number.next();
        Ok(places)
    }

    /// Removes durably what an error may have left.
    fn clear_doubt(&mut self) -> io::Result<()> {
        match &self.doubt {
            None => return Ok(()),
            Some(Doubt::Tail(writer)) => {
                writer.cut()?;
            }
            Some(Doubt::Segment(number)) => {
                match self.disk.remove(&number.file_name()) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
                self.disk.sync_folder()?;
            }
        }
        self.doubt = None;
        Ok(())
    }

    /// All segments as they are now.
    pub fn pin(&self) -> Result<VecDeque<SegmentPin>, StateError> {
        let pin = |&SegmentUse { number, bytes, .. }: &SegmentUse| {
            Ok(SegmentPin { number, file: self.disk.open(&number.file_name(), Open::Existing)?, bytes })
        };
        let pinned: io::Result<_> = self.segments.iter().map(pin).collect();
        pinned.map_err(|error| StateError::disk("opening the log for a snapshot", error))
    }

    /// The payload of a record.
    pub fn read(&self, place: &RecordPlace) -> Result<Vec<u8>, StateError> {
        let incarnation = self.find(place.segment).map(|at| self.segments[at].incarnation);
        read_record(&self.disk, incarnation.unwrap_or(self.incarnation), place)
    }

    fn find(&self, number: SegmentNumber) -> Option<usize> {
        self.segments.binary_search_by_key(&number, |segment| segment.number).ok()
    }

    /// A record is not needed any more. Each may be released once.
    pub fn release(&mut self, place: &RecordPlace) {
        let Some(at) = self.find(place.segment) else { return };
        let segment = &mut self.segments[at];
        segment.needed = segment.needed.saturating_sub(1);
        segment.needed_bytes = segment.needed_bytes.saturating_sub(record_bytes(place));
    }

    /// Removes the oldest segments as long as nothing in them is needed and all their commits are folded. The last
    /// one always stays, as it names the nodes and all progress. Returns how many went.
    pub fn remove_unneeded(&mut self, folded: Sequence) -> Result<usize, StateError> {
        let mut removed = 0;
        while self.oldest(folded).is_some_and(|(_, needed, _)| needed == 0) {
            let name = self.segments[0].number.file_name();
            // In order, each durably: a segment that is missing between others was lost.
            let gone = match self.disk.remove(&name) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
                _ => self.disk.sync_folder(),
            };
            gone.map_err(|error| StateError::disk(format!("removing {name}"), error))?;
            self.segments.pop_front();
            removed += 1;
        }
        Ok(removed)
    }

    /// The oldest segment and how much of it is needed, in bytes of all its bytes, if it is not the last and all its
    /// commits are folded: where that is little, its needed records can be committed anew, so that it can go.
    pub fn oldest(&self, folded: Sequence) -> Option<(SegmentNumber, u64, u64)> {
        let (oldest, second) = (self.segments.front()?, self.segments.get(1)?);
        let is_folded = second.first <= folded.next();
        is_folded.then_some((oldest.number, oldest.needed_bytes, oldest.bytes))
    }

    /// The bytes of all segments.
    pub fn bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    /// The last commit.
    pub fn last(&self) -> Sequence {
        Sequence(self.next.0 - 1)
    }

    /// Which life of the folder this is.
    pub fn incarnation(&self) -> Incarnation {
        self.incarnation
    }
}

fn record_bytes(place: &RecordPlace) -> u64 {
    RecordHeader::BYTES as u64 + u64::from(place.length)
}

#[cfg(test)]
mod tests;
