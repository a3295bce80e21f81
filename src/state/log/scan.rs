//! Reading a segment back: which commits are whole, and what ends them.

use super::super::error::StateError;
use super::super::number::{Incarnation, SegmentNumber, Sequence};
use super::record::{RecordHeader, RecordId, RecordPlace};
use super::segment::{SegmentHeader, seed};

/// How the whole commits of a segment end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// With the file.
    Clean,
    /// A commit follows that is not whole, and nothing of a later one: the power went while it was written, and
    /// nobody was told that it was kept.
    Torn,
    /// Something follows that is no record although a later commit was begun behind it: what was kept is lost.
    Corrupt,
}

/// What was found in a segment.
#[derive(Debug)]
pub struct SegmentScan {
    /// None if the file does not begin with a whole header of this segment.
    pub header: Option<SegmentHeader>,
    /// The records of whole commits, in order.
    pub records: Vec<RecordPlace>,
    /// Where the last whole commit ends.
    pub end: usize,
    /// What is there.
    pub ends: End,
    /// The first commit that is not in it.
    pub next: Sequence,
    /// Valid records behind what is corrupt, or of a commit that is not whole.
    pub behind: Vec<RecordPlace>,
}

/// Looks through the bytes of the file of a segment. `expected` is the commit it must start with, where that is
/// known; `fallback` is the incarnation if the segment does not say.
pub fn scan_segment(
    number: SegmentNumber,
    bytes: &[u8],
    expected: Option<Sequence>,
    fallback: Incarnation,
) -> Result<SegmentScan, StateError> {
    let header = SegmentHeader::decode(&number.file_name(), bytes)?.filter(|header| header.number == number);
    let incarnation = header.map_or(fallback, |header| header.incarnation);
    let file = Segment { number, seed: seed(incarnation, number), bytes };
    let first = header.map(|header| header.first).filter(|&first| expected.is_none_or(|e| e == first));
    let Some(first) = first else {
        let behind = file.resync(0);
        // With one commit it is a segment whose first write was torn.
        let begun = expected.or(behind.first().map(|place| place.id.sequence));
        let is_torn = behind.iter().all(|place| Some(place.id.sequence) == begun);
        let ends = if is_torn { End::Torn } else { End::Corrupt };
        let next = expected.unwrap_or_default();
        return Ok(SegmentScan { header, records: Vec::new(), end: 0, ends, next, behind });
    };
    let mut walk = Walk { file, at: SegmentHeader::BYTES, sequence: first, index: 0 };
    let (mut records, mut open, mut end) = (Vec::new(), Vec::new(), walk.at);
    while let Some((place, last)) = walk.step() {
        open.push(place);
        if last {
            records.append(&mut open);
            end = walk.at;
        }
    }
    let mut behind = open;
    behind.extend(file.resync(walk.at));
    let later = behind.iter().any(|place| place.id.sequence > walk.sequence);
    let ends = match (end == bytes.len(), later) {
        (true, _) => End::Clean,
        (false, true) => End::Corrupt,
        (false, false) => End::Torn,
    };
    Ok(SegmentScan { header, records, end, ends, next: walk.sequence, behind })
}

/// The file that is looked through.
#[derive(Clone, Copy)]
struct Segment<'a> {
    number: SegmentNumber,
    seed: u64,
    bytes: &'a [u8],
}

impl Segment<'_> {
    fn record_at(&self, at: usize) -> Option<(RecordHeader, RecordPlace)> {
        let (header, _) = RecordHeader::decode(self.seed, self.bytes.get(at..)?)?;
        let RecordHeader { length, kind, id, last } = header;
        Some((header, RecordPlace { id, kind, segment: self.number, offset: at as u64, length, last }))
    }

    /// All valid records from a byte on, wherever they start.
    fn resync(&self, from: usize) -> Vec<RecordPlace> {
        let (mut found, mut at) = (Vec::new(), from);
        while at + RecordHeader::BYTES <= self.bytes.len() {
            match self.record_at(at) {
                Some((header, place)) => {
                    at += RecordHeader::BYTES + header.length as usize;
                    found.push(place);
                }
                None => at += 1,
            }
        }
        found
    }
}

/// Goes from record to record as long as they follow one another.
struct Walk<'a> {
    file: Segment<'a>,
    at: usize,
    sequence: Sequence,
    index: u32,
}

impl Walk<'_> {
    /// The next record, and whether its commit ends with it.
    fn step(&mut self) -> Option<(RecordPlace, bool)> {
        let (header, place) = self.file.record_at(self.at)?;
        if header.id != (RecordId { sequence: self.sequence, index: self.index }) {
            return None;
        }
        self.at += RecordHeader::BYTES + header.length as usize;
        (self.sequence, self.index) =
            if header.last { (self.sequence.next(), 0) } else { (self.sequence, self.index + 1) };
        Some((place, header.last))
    }
}
