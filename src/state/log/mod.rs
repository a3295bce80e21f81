//! The log: commits appended to segments, one sync each.
//!
//! A commit is in one segment as a whole. A segment is begun where the one before is full, and after every start and
//! every error: nothing is ever appended behind bytes of which nobody knows whether they are on the disk. Segments
//! are removed from the oldest on, once none of their records is needed.

mod commit;
mod record;
mod scan;
mod segment;

pub use commit::{COMMIT_LIMIT, Commit};
pub use record::{RECORD_LIMIT, RecordHeader, RecordId, RecordKind, RecordPlace};
pub use scan::{End, SegmentScan, scan_segment};
pub use segment::{SegmentHeader, VERSION};

use super::disk::{Disk, DiskFile, MeteredDisk, Open};
use super::error::StateError;
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
    writer: Option<Writer>,
    doubt: Option<Doubt>,
    next: Sequence,
    next_segment: SegmentNumber,
}

/// What is known of a segment that is there.
#[derive(Debug)]
struct SegmentUse {
    number: SegmentNumber,
    bytes: u64,
    /// How many of its records are needed, and their bytes.
    needed: usize,
    needed_bytes: u64,
}

/// The segment that is appended to.
#[derive(Debug)]
struct Writer {
    file: Box<dyn DiskFile>,
    number: SegmentNumber,
    /// Where the last commit ends.
    end: u64,
}

/// What an error left behind, to be cleaned up before anything else is written.
#[derive(Debug)]
enum Doubt {
    /// A segment that may not be there, or not as a whole.
    Segment(SegmentNumber),
    /// Bytes behind the end of the last commit.
    Tail(Writer),
}

/// What a folder's log holds, before it is appended to.
#[derive(Debug)]
pub struct LogScan {
    /// The segments before any fault.
    pub segments: Vec<(SegmentNumber, SegmentScan)>,
    /// Where the log ceases to make sense although more follows.
    pub fault: Option<LogFault>,
    /// The bytes that a power cut left of a commit that was not acknowledged, in the last segment.
    pub torn_bytes: u64,
    /// The segments from the fault on.
    pub behind: Vec<(SegmentNumber, SegmentScan)>,
    next: Sequence,
}

/// Corruption, or segments that are missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFault {
    /// The segment in which it is.
    pub segment: SegmentNumber,
    /// What is wrong.
    pub what: String,
}

impl LogScan {
    /// Reads all segments of a folder and changes nothing.
    pub fn read(disk: &dyn Disk) -> Result<LogScan, StateError> {
        let names = disk.list().map_err(|error| StateError::disk("reading the folder", error))?;
        let numbers: Vec<_> = names.iter().filter_map(|name| SegmentNumber::from_file_name(name)).collect();
        let mut scan = LogScan {
            segments: Vec::new(),
            fault: None,
            torn_bytes: 0,
            behind: Vec::new(),
            next: Sequence(1),
        };
        for (i, &number) in numbers.iter().enumerate() {
            scan.add(disk, number, i + 1 == numbers.len())?;
        }
        Ok(scan)
    }

    fn add(&mut self, disk: &dyn Disk, number: SegmentNumber, is_last: bool) -> Result<(), StateError> {
        let bytes = read_file(disk, &number.file_name())?;
        let before = self.segments.last().or(self.behind.last());
        let incarnation = before.and_then(|(_, before)| before.header).map(|header| header.incarnation);
        let expected = self.segments.last().map(|_| self.next);
        let found = scan_segment(number, &bytes, expected, incarnation)?;
        let follows = self.segments.last().is_none_or(|(before, _)| before.next() == number);
        let torn = (bytes.len() - found.end) as u64;
        if self.fault.is_some() {
            self.behind.push((number, found));
        } else if follows && (found.ends == End::Clean || (is_last && found.ends == End::Torn)) {
            self.next = if found.header.is_some() { found.next } else { self.next };
            self.torn_bytes = torn;
            self.segments.push((number, found));
        } else {
            let what = match (follows, found.header) {
                (false, _) => "the segment before it is missing".to_string(),
                (true, None) => "its header is not readable".to_string(),
                (true, Some(_)) => {
                    format!("what stands at byte {} is no record, but later commits are there", found.end)
                }
            };
            self.fault = Some(LogFault { segment: number, what });
            self.behind.push((number, found));
        }
        Ok(())
    }

    /// The life of the folder in which the last segment was written; None of an empty log.
    pub fn incarnation(&self) -> Option<Incarnation> {
        self.segments.iter().rev().find_map(|(_, scan)| scan.header).map(|header| header.incarnation)
    }

    /// The first commit that is in the log; None if there is none.
    pub fn first(&self) -> Option<Sequence> {
        self.segments.first().and_then(|(_, scan)| scan.header).map(|header| header.first)
    }

    /// The last commit that is in the log, or was folded and removed from it.
    pub fn last(&self) -> Sequence {
        Sequence(self.next.0 - 1)
    }

    /// All records before any fault, in order.
    pub fn records(&self) -> impl Iterator<Item = &RecordPlace> {
        self.segments.iter().flat_map(|(_, scan)| &scan.records)
    }
}

/// A whole file.
pub fn read_file(disk: &dyn Disk, name: &str) -> Result<Vec<u8>, StateError> {
    let read = || -> io::Result<Vec<u8>> {
        let file = disk.open(name, Open::Existing)?;
        let mut bytes = vec![0; usize::try_from(file.length()?).map_err(io::Error::other)?];
        file.read_at(0, &mut bytes)?;
        Ok(bytes)
    };
    read().map_err(|error| StateError::disk(format!("reading {name}"), error))
}

impl Log {
    /// Goes on behind what was found, in which all records count as needed. A torn tail is cut off durably.
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
        if scan.torn_bytes > 0 {
            log.cut_tail(scan)?;
        }
        Ok(log)
    }

    fn adopt(&mut self, number: SegmentNumber, found: &SegmentScan) {
        let needed_bytes = found.records.iter().map(record_bytes).sum();
        let bytes = found.end as u64;
        self.segments.push_back(SegmentUse { number, bytes, needed: found.records.len(), needed_bytes });
    }

    /// Cuts off what is torn of the last segment; one without a whole commit goes as a whole.
    fn cut_tail(&mut self, scan: &LogScan) -> Result<(), StateError> {
        let Some((number, found)) = scan.segments.last() else { return Ok(()) };
        if found.records.is_empty() {
            self.segments.pop_back();
            self.next_segment = *number;
            self.doubt = Some(Doubt::Segment(*number));
        } else {
            let name = number.file_name();
            let file = self.disk.open(&name, Open::Existing);
            let file = file.map_err(|error| StateError::disk(format!("opening {name}"), error))?;
            self.doubt = Some(Doubt::Tail(Writer { file, number: *number, end: found.end as u64 }));
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
        if self.begins_segment() {
            self.writer = None;
            return self.begin_segment(commit);
        }
        let Some(mut writer) = self.writer.take() else { return Err(io::Error::other("no segment")) };
        let seed = segment::seed(self.incarnation, writer.number);
        let (bytes, places) = commit.seal(self.next, writer.number, seed, writer.end);
        let written = writer.file.write_at(writer.end, bytes).and_then(|()| writer.file.sync());
        if let Err(error) = written {
            self.doubt = Some(Doubt::Tail(writer));
            return Err(error);
        }
        writer.end += bytes.len() as u64;
        self.writer = Some(writer);
        Ok(places)
    }

    fn begin_segment(&mut self, commit: &mut Commit) -> io::Result<Vec<RecordPlace>> {
        let number = self.next_segment;
        let header = SegmentHeader { incarnation: self.incarnation, number, first: self.next };
        self.doubt = Some(Doubt::Segment(number));
        let (end, places) = write_segment(&self.disk, &number.file_name(), header, &mut [commit])?;
        self.disk.sync_folder()?;
        let file = self.disk.open(&number.file_name(), Open::Existing)?;
        self.doubt = None;
        self.writer = Some(Writer { file, number, end });
        self.segments.push_back(SegmentUse { number, bytes: end, needed: 0, needed_bytes: 0 });
        self.next_segment = number.next();
        Ok(places)
    }

    /// Removes durably what an error may have left.
    fn clear_doubt(&mut self) -> io::Result<()> {
        match &self.doubt {
            None => return Ok(()),
            Some(Doubt::Tail(writer)) => {
                writer.file.set_length(writer.end)?;
                writer.file.sync()?;
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

    /// The payload of a record.
    pub fn read(&self, place: &RecordPlace) -> Result<Vec<u8>, StateError> {
        read_record(&self.disk, self.incarnation_of(place.segment)?, place)
    }

    /// Segments of an earlier life have other seeds.
    fn incarnation_of(&self, number: SegmentNumber) -> Result<Incarnation, StateError> {
        if self.writer.as_ref().is_some_and(|writer| writer.number == number) {
            return Ok(self.incarnation);
        }
        let name = number.file_name();
        let mut head = [0; SegmentHeader::BYTES];
        let read = self.disk.open(&name, Open::Existing).and_then(|file| file.read_at(0, &mut head));
        read.map_err(|error| StateError::disk(format!("reading {name}"), error))?;
        let header = SegmentHeader::decode(&name, &head)?;
        header.map(|header| header.incarnation).ok_or_else(|| StateError::corrupt(name, "no header"))
    }

    /// A record is not needed any more. Each may be released once.
    pub fn release(&mut self, place: &RecordPlace) {
        let Ok(at) = self.segments.binary_search_by_key(&place.segment, |segment| segment.number) else {
            return;
        };
        let segment = &mut self.segments[at];
        segment.needed = segment.needed.saturating_sub(1);
        segment.needed_bytes = segment.needed_bytes.saturating_sub(record_bytes(place));
    }

    /// Removes the oldest segments as long as nothing in them is needed; the last one always stays, as it names the
    /// nodes and all progress. Returns how many went.
    pub fn remove_unneeded(&mut self) -> Result<usize, StateError> {
        let mut removed = 0;
        while self.segments.len() > 1 && self.segments[0].needed == 0 {
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

    /// The oldest segment and how much of it is needed, in bytes of all its bytes, if it is not the last: where that
    /// is little, its needed records can be committed anew and released, so that it can go.
    pub fn oldest(&self) -> Option<(SegmentNumber, u64, u64)> {
        let oldest = self.segments.front().filter(|_| self.segments.len() > 1)?;
        Some((oldest.number, oldest.needed_bytes, oldest.bytes))
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

/// Writes a segment of given commits as a file and makes its content durable, but not its name. Returns where it
/// ends, and the places of the records.
pub fn write_segment(
    disk: &dyn Disk,
    name: &str,
    header: SegmentHeader,
    commits: &mut [&mut Commit],
) -> io::Result<(u64, Vec<RecordPlace>)> {
    let seed = segment::seed(header.incarnation, header.number);
    let mut bytes = header.encode().to_vec();
    let mut places = Vec::new();
    let mut sequence = header.first;
    for commit in commits {
        let (sealed, sealed_places) = commit.seal(sequence, header.number, seed, bytes.len() as u64);
        bytes.extend_from_slice(sealed);
        places.extend(sealed_places);
        sequence = sequence.next();
    }
    let file = disk.open(name, Open::Anew)?;
    file.write_at(0, &bytes)?;
    file.sync()?;
    Ok((bytes.len() as u64, places))
}

/// The payload of a record of a segment that was written in the given life of the folder.
pub fn read_record(
    disk: &dyn Disk,
    incarnation: Incarnation,
    place: &RecordPlace,
) -> Result<Vec<u8>, StateError> {
    let name = place.segment.file_name();
    let mut bytes = vec![0; RecordHeader::BYTES + place.length as usize];
    let read = disk.open(&name, Open::Existing).and_then(|file| file.read_at(place.offset, &mut bytes));
    read.map_err(|error| StateError::disk(format!("reading {name}"), error))?;
    match RecordHeader::decode(segment::seed(incarnation, place.segment), &bytes) {
        Some((header, _)) if header.id == place.id => {
            bytes.drain(..RecordHeader::BYTES);
            Ok(bytes)
        }
        _ => Err(StateError::corrupt(name, format!("no valid record at byte {}", place.offset))),
    }
}

fn record_bytes(place: &RecordPlace) -> u64 {
    RecordHeader::BYTES as u64 + u64::from(place.length)
}

#[cfg(test)]
mod tests;
