//! Reading a whole log back.

use super::super::disk::{Disk, Open};
use super::super::error::StateError;
use super::super::number::{Incarnation, SegmentNumber, Sequence};
use super::record::{RecordHeader, RecordPlace};
use super::scan::{End, SegmentScan, scan_segment};
use super::segment::{SegmentHeader, seed};
use std::io;

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
    /// The commit that comes next.
    pub next: Sequence,
    /// That of the first segment that says so.
    incarnation: Incarnation,
}

/// Corruption, or segments that are missing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFault {
    /// The segment in which it is.
    pub segment: SegmentNumber,
    /// What is wrong.
    pub what: String,
}

/// What is done with a record and its payload.
pub type VisitRecord<'v> = dyn FnMut(&RecordPlace, &[u8]) -> Result<(), StateError> + 'v;

impl LogScan {
    /// Reads all segments of a folder and changes nothing. `incarnation` is what the store says, for segments that do
    /// not.
    pub fn read(disk: &dyn Disk, incarnation: Option<Incarnation>) -> Result<LogScan, StateError> {
        let names = disk.list().map_err(|error| StateError::disk("reading the folder", error))?;
        let numbers: Vec<_> = names.iter().filter_map(|name| SegmentNumber::from_file_name(name)).collect();
        let mut scan = LogScan {
            segments: Vec::new(),
            fault: None,
            torn_bytes: 0,
            behind: Vec::new(),
            next: Sequence(1),
            incarnation: first_incarnation(disk, &numbers)?.or(incarnation).unwrap_or_default(),
        };
        for (i, &number) in numbers.iter().enumerate() {
            scan.add(disk, number, i + 1 == numbers.len())?;
        }
        Ok(scan)
    }

    fn add(&mut self, disk: &dyn Disk, number: SegmentNumber, is_last: bool) -> Result<(), StateError> {
        let bytes = read_file(disk, &number.file_name())?;
        let incarnation = self.incarnation_of(number);
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

    /// Reads records of the log. Those of a segment are best asked for together.
    pub fn visit<'p>(
        &self,
        disk: &dyn Disk,
        places: impl Iterator<Item = &'p RecordPlace>,
        visit: &mut VisitRecord,
    ) -> Result<(), StateError> {
        let (mut at, mut from, mut bytes) = (None, 0, Vec::new());
        for place in places {
            if at != Some(place.segment) {
                bytes = read_file(disk, &place.segment.file_name())?;
                from = seed(self.incarnation_of(place.segment), place.segment);
                at = Some(place.segment);
            }
            let found =
                bytes.get(place.offset as usize..).and_then(|bytes| RecordHeader::decode(from, bytes));
            let (_, payload) = found.ok_or_else(|| invalid(place))?;
            visit(place, payload)?;
        }
        Ok(())
    }

    /// The life of the folder in which a segment was written, as far as that is known.
    pub fn incarnation_of(&self, number: SegmentNumber) -> Incarnation {
        let header = |(at, scan): &(SegmentNumber, SegmentScan)| (*at, scan.header);
        let up_to = self.all().map(header).filter(|(at, header)| *at <= number && header.is_some());
        up_to.last().and_then(|(_, header)| header).map_or(self.incarnation, |header| header.incarnation)
    }

    fn all(&self) -> impl Iterator<Item = &(SegmentNumber, SegmentScan)> {
        self.segments.iter().chain(&self.behind)
    }

    /// The numbers of all segments.
    pub fn numbers(&self) -> impl Iterator<Item = SegmentNumber> {
        self.all().map(|(number, _)| *number)
    }

    /// All valid records, before and behind any fault, in order.
    pub fn all_records(&self) -> Vec<RecordPlace> {
        let behind = self.behind.iter().flat_map(|(_, scan)| &scan.behind);
        let whole = self.all().flat_map(|(_, scan)| &scan.records);
        let mut places: Vec<RecordPlace> = whole.chain(behind).copied().collect();
        places.sort_by_key(|place| place.id);
        places
    }

    /// The first commit of which anything can be read.
    pub fn first_of_all(&self) -> Option<Sequence> {
        self.all_records().first().map(|place| place.id.sequence)
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

/// The life of the folder in which the first of some segments was written that has a header.
fn first_incarnation(disk: &dyn Disk, numbers: &[SegmentNumber]) -> Result<Option<Incarnation>, StateError> {
    for number in numbers {
        let (name, mut head) = (number.file_name(), [0; SegmentHeader::BYTES]);
        let read = disk.open(&name, Open::Existing).and_then(|file| file.read_at(0, &mut head));
        match read {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => continue,
            other => other.map_err(|error| StateError::disk(format!("reading {name}"), error))?,
        }
        if let Some(header) = SegmentHeader::decode(&name, &head)? {
            return Ok(Some(header.incarnation));
        }
    }
    Ok(None)
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
    match RecordHeader::decode(seed(incarnation, place.segment), &bytes) {
        Some((header, _)) if header.id == place.id => {
            bytes.drain(..RecordHeader::BYTES);
            Ok(bytes)
        }
        _ => Err(invalid(place)),
    }
}

fn invalid(place: &RecordPlace) -> StateError {
    StateError::corrupt(place.segment.file_name(), format!("no valid record at byte {}", place.offset))
}
