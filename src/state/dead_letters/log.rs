//! The folder that is written to.

use super::super::disk::{Disk, DiskFile, Open};
use super::super::error::StateError;
use super::super::log::read_file;
use super::super::number::SegmentNumber;
use super::letter::{LetterBuffer, put_record, read_record};
use super::{HEADER, decode_header, encode_header, file_name, segments};
use crate::time::{Millis, Random};
use std::collections::VecDeque;
use std::io;
use std::sync::Arc;

/// How much is kept, and how fast it may come.
#[derive(Clone, Copy, Debug)]
pub struct DeadLetterLimits {
    /// Bytes of all segments; beyond, the oldest goes.
    pub bytes: u64,
    /// Bytes that may be written at once.
    pub burst_bytes: u64,
    /// Bytes a second that may be written in the long run: input of which all is rejected must not wear a flash card out.
    pub bytes_per_second: u64,
}

impl Default for DeadLetterLimits {
    fn default() -> DeadLetterLimits {
        DeadLetterLimits { bytes: 64 << 20, burst_bytes: 8 << 20, bytes_per_second: 16 << 10 }
    }
}

/// Segments that a full folder has.
const SEGMENTS: u64 = 16;

/// Where dead letters go. One process writes at a time: it holds the data directory.
#[derive(Debug)]
pub struct DeadLetterLog {
    disk: Arc<dyn Disk>,
    limits: DeadLetterLimits,
    random: Random,
    /// The segments that are there with their sizes, the oldest first.
    segments: VecDeque<(SegmentNumber, u64)>,
    writing: Option<Segment>,
    next_segment: SegmentNumber,
    /// The number of the letter that comes next; those that were left out have one too.
    next: u64,
    left_out: u64,
    dropped: u64,
    allowance: u64,
    refilled: Millis,
    unsynced: bool,
    begun: bool,
    record: Vec<u8>,
}

#[derive(Debug)]
struct Segment {
    file: Box<dyn DiskFile>,
    seed: u64,
    end: u64,
}

impl DeadLetterLog {
    /// Goes on behind what the folder holds. What a power cut has torn is cut off. `entropy` makes what is written unlike
    /// what anybody could send.
    ///
    /// # Errors
    /// The folder cannot be read.
    pub fn open(
        disk: Arc<dyn Disk>,
        limits: DeadLetterLimits,
        entropy: u64,
    ) -> Result<DeadLetterLog, StateError> {
        let names = disk.list().map_err(|error| StateError::disk("reading the dead letters", error))?;
        let mut log = DeadLetterLog {
            disk,
            limits,
            random: Random::seeded(entropy),
            segments: VecDeque::new(),
            writing: None,
            next_segment: SegmentNumber(1),
            next: 1,
            left_out: 0,
            dropped: 0,
            allowance: limits.burst_bytes,
            refilled: Millis::ZERO,
            unsynced: false,
            begun: false,
            record: Vec::new(),
        };
        for number in segments(&names) {
            let bytes = read_file(&*log.disk, &file_name(number))?;
            log.adopt(number, &bytes)?;
        }
        Ok(log)
    }

    /// Takes a segment over that is there; the last one is written on.
    fn adopt(&mut self, number: SegmentNumber, bytes: &[u8]) -> Result<(), StateError> {
        self.segments.push_back((number, bytes.len() as u64));
        self.next_segment = number.next();
        self.writing = None;
        let Some(seed) = decode_header(bytes) else { return Ok(()) };
        let mut end = HEADER;
        while let Some((letter, _, length)) = read_record(&bytes[end..], seed) {
            self.next = self.next.max(letter.saturating_add(1));
            end += length;
        }
        let opened = || -> io::Result<Box<dyn DiskFile>> {
            let file = self.disk.open(&file_name(number), Open::Existing)?;
            if end < bytes.len() {
                file.set_length(end as u64)?;
            }
            Ok(file)
        };
        let file = opened().map_err(|error| StateError::disk("opening the dead letters", error))?;
        self.writing = Some(Segment { file, seed, end: end as u64 });
        Ok(())
    }

    /// Writes letters in one go; `elapsed` is the time since the start of the process. Those for which there is no
    /// allowance are left out and counted.
    ///
    /// # Errors
    /// The disk fails or is full: the letters are left out and counted.
    pub fn append(&mut self, letters: &LetterBuffer, elapsed: Millis) -> Result<(), StateError> {
        self.refill(elapsed);
        let first = self.next;
        let seed = self.writable_segment()?;
        self.record.clear();
        for letter in letters.letters() {
            let number = self.next;
            self.next += 1;
            let before = self.record.len();
            put_record(&mut self.record, seed, number, letter);
            let length = (self.record.len() - before) as u64;
            if length > self.allowance {
                self.record.truncate(before);
                self.left_out += 1;
                continue;
            }
            self.allowance -= length;
        }
        let written = self.write();
        if written.is_err() {
            // What was written in part is written over.
            self.left_out += self.next - first;
        }
        written.map_err(|error| StateError::disk("writing dead letters", error))
    }

    fn write(&mut self) -> io::Result<()> {
        let Some(segment) = self.writing.as_mut().filter(|_| !self.record.is_empty()) else { return Ok(()) };
        segment.file.write_at(segment.end, &self.record)?;
        segment.end += self.record.len() as u64;
        self.unsynced = true;
        if let Some((_, size)) = self.segments.back_mut() {
            *size = segment.end;
        }
        Ok(())
    }

    fn refill(&mut self, elapsed: Millis) {
        let seconds = (elapsed.0 - self.refilled.0).max(0) as u64 / 1000;
        let more = seconds.saturating_mul(self.limits.bytes_per_second);
        self.allowance = self.allowance.saturating_add(more).min(self.limits.burst_bytes);
        self.refilled.0 += (seconds * 1000) as i64;
    }

    /// The seed of the segment that has room, made if there is none; the oldest go where there are too many.
    fn writable_segment(&mut self) -> Result<u64, StateError> {
        let most = self.limits.bytes / SEGMENTS;
        if let Some(segment) = self.writing.as_ref().filter(|segment| segment.end < most) {
            return Ok(segment.seed);
        }
        let failed = |error| StateError::disk("writing dead letters", error);
        self.sync()?;
        self.writing = None;
        while self.segments.len() as u64 >= SEGMENTS {
            self.drop_oldest()?;
        }
        let (number, seed) = (self.next_segment, self.random.bits());
        let file = self.disk.open(&file_name(number), Open::Anew).map_err(failed)?;
        file.write_at(0, &encode_header(seed)).map_err(failed)?;
        self.next_segment = number.next();
        self.segments.push_back((number, HEADER as u64));
        self.writing = Some(Segment { file, seed, end: HEADER as u64 });
        (self.begun, self.unsynced) = (true, true);
        Ok(seed)
    }

    fn drop_oldest(&mut self) -> Result<(), StateError> {
        let Some((number, _)) = self.segments.front() else { return Ok(()) };
        let name = file_name(*number);
        self.disk.remove(&name).map_err(|error| StateError::disk(format!("removing {name}"), error))?;
        self.segments.pop_front();
        self.dropped += 1;
        Ok(())
    }

    /// At a checkpoint: forces what was written to the disk. Nothing was: nothing is done.
    ///
    /// # Errors
    /// The disk fails; letters may be lost.
    pub fn sync(&mut self) -> Result<(), StateError> {
        if !std::mem::take(&mut self.unsynced) {
            return Ok(());
        }
        let synced = self.writing.as_ref().map_or(Ok(()), |segment| segment.file.sync());
        let begun = std::mem::take(&mut self.begun);
        let synced = synced.and_then(|()| if begun { self.disk.sync_folder() } else { Ok(()) });
        synced.map_err(|error| StateError::disk("writing dead letters", error))
    }

    /// How many letters were left out since the start.
    pub fn left_out(&self) -> u64 {
        self.left_out
    }

    /// How many segments were dropped since the start to make room.
    pub fn dropped_segments(&self) -> u64 {
        self.dropped
    }

    /// What it takes on the disk.
    pub fn bytes(&self) -> u64 {
        self.segments.iter().map(|(_, size)| size).sum()
    }
}
