//! Files that are known again: which of those at hand is the one that was read before, and how far.
//!
//! A file is what it begins with: a hash of its first bytes, as many as it had when it was seen first and at most
//! [`HEAD`], and another of as many as were read since. Device and inode only decide between files that begin alike. So a
//! file is found again under another name, as a copy, and on another disk; and what was truncated or replaced is new.

use super::packed::is_packed;
use crate::dataflow::{Offset, Position, Resume};
use crate::event::bytes::{Malformed, Reader, put_bytes, put_number, put_signed};
use std::fs::{File, Metadata};
use std::io;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use xxhash_rust::xxh3::xxh3_64;

/// First bytes by which a file is known again.
const HEAD: usize = 1 << 10;
/// Positions that are kept of files that are not there.
const MOST_KEPT: usize = 10_000;
/// The form of names and places.
const VERSION: u8 = 1;
/// The longest state of a decoder that goes into a position.
const MOST_DECODER: usize = 512 << 10;

/// Which file it is, whatever it is called.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FileId {
    device: u64,
    inode: u64,
}

impl FileId {
    /// The file that this is about.
    pub fn of(metadata: &Metadata) -> FileId {
        FileId { device: metadata.dev(), inode: metadata.ino() }
    }
}

/// What a file begins with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Head {
    length: u64,
    hash: u64,
}

impl Head {
    /// What the file begins with: so many bytes, or as many as are there or needed.
    pub fn of(file: &File, length: u64) -> io::Result<Head> {
        let mut bytes = [0; HEAD];
        let length = length.min(HEAD as u64) as usize;
        let read = fill(file, &mut bytes[..length])?;
        Ok(Head::of_bytes(&bytes[..read]))
    }

    /// The same file's, of which so many bytes were read by now.
    pub fn grown(self, file: &File, read: u64) -> io::Result<Head> {
        if self.length < read.min(HEAD as u64) { Head::of(file, read) } else { Ok(self) }
    }

    /// Whether the file still begins so.
    pub fn is_of(self, file: &File) -> io::Result<bool> {
        let mut bytes = [0; HEAD];
        let read = fill(file, &mut bytes)?;
        Ok(self.is_in(&bytes[..read]))
    }

    fn of_bytes(bytes: &[u8]) -> Head {
        Head { length: bytes.len() as u64, hash: xxh3_64(bytes) }
    }

    /// Whether a file that begins with these bytes begins so.
    fn is_in(self, bytes: &[u8]) -> bool {
        let same = |bytes: &[u8]| bytes.is_empty() || xxh3_64(bytes) == self.hash;
        bytes.get(..self.length as usize).is_some_and(same)
    }

    fn put(self, into: &mut Vec<u8>) {
        put_number(into, self.length);
        into.extend_from_slice(&self.hash.to_le_bytes());
    }

    fn read(reader: &mut Reader<'_>) -> Result<Head, Malformed> {
        Ok(Head { length: reader.number()?, hash: reader.fixed()? })
    }
}

/// Reads from the start of a file until the buffer is full or the file ends.
fn fill(file: &File, into: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while filled < into.len() {
        match file.read_at(&mut into[filled..], filled as u64) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

/// How far a file was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Place {
    /// How many bytes were given, unpacked ones of a packed file.
    pub offset: u64,
    /// Whether it is packed.
    pub packed: bool,
    /// What the file begins with, as far as it was read.
    pub head: Head,
    /// When the run began that read it last, in milliseconds since the epoch.
    pub used: i64,
    /// What the decoder has to know.
    pub decoder: Vec<u8>,
}

/// A file that was read before: its name among positions, and how far it was read.
#[derive(Clone, Debug)]
pub struct Claim {
    /// The name.
    pub name: Vec<u8>,
    /// How far.
    pub place: Place,
}

/// What a file is called among positions from now on. When it was changed last tells it from one that had the same
/// inode before it and began alike.
pub fn name(file: &File) -> io::Result<Vec<u8>> {
    let metadata = file.metadata()?;
    let FileId { device, inode } = FileId::of(&metadata);
    let mut name = vec![VERSION];
    put_number(&mut name, device);
    put_number(&mut name, inode);
    put_signed(&mut name, metadata.ctime());
    put_signed(&mut name, metadata.ctime_nsec());
    Head::of(file, metadata.len())?.put(&mut name);
    Ok(name)
}

fn read_name(name: &[u8]) -> Result<(FileId, Head), Malformed> {
    let mut reader = Reader::new(name);
    if reader.byte()? != VERSION {
        return Err(Malformed("a version of its own"));
    }
    let id = FileId { device: reader.number()?, inode: reader.number()? };
    // When it was changed last only makes names differ.
    reader.signed()?;
    reader.signed()?;
    let head = Head::read(&mut reader)?;
    reader.finish().map(|()| (id, head))
}

impl Place {
    /// The position of a file of that name.
    pub fn position(&self, name: &[u8]) -> Option<Position> {
        if self.decoder.len() > MOST_DECODER {
            return None;
        }
        let mut at = vec![VERSION, u8::from(self.packed)];
        put_number(&mut at, self.offset);
        self.head.put(&mut at);
        put_signed(&mut at, self.used);
        put_bytes(&mut at, &self.decoder);
        Some(Position { partition: name.to_vec(), at: Offset::Replay(at) })
    }

    fn read(at: &[u8]) -> Result<Place, Malformed> {
        let mut reader = Reader::new(at);
        if reader.byte()? != VERSION {
            return Err(Malformed("a version of its own"));
        }
        let place = Place {
            packed: reader.byte()? != 0,
            offset: reader.number()?,
            head: Head::read(&mut reader)?,
            used: reader.signed()?,
            decoder: reader.bytes(MOST_DECODER)?.to_vec(),
        };
        reader.finish().map(|()| place)
    }
}

/// A position as this source wrote it; None if it did not.
fn read(position: &Position) -> Option<(FileId, Head, Place)> {
    let Offset::Replay(at) = &position.at else { return None };
    let (id, head) = read_name(&position.partition).ok()?;
    Some((id, head, Place::read(at).ok()?))
}

/// A file at hand, as far as it takes to know it again.
pub struct Candidate {
    /// What it is called now.
    pub path: PathBuf,
    /// Which it is.
    pub id: FileId,
    size: u64,
    head: Vec<u8>,
}

impl Candidate {
    /// Looks at an open file; None if it is no regular one, which begins with nothing that could be looked at.
    pub fn of(path: &Path, file: &File) -> io::Result<Option<Candidate>> {
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            return Ok(None);
        }
        let mut head = vec![0; HEAD];
        let read = fill(file, &mut head)?;
        head.truncate(read);
        head.shrink_to_fit();
        let (id, size) = (FileId::of(&metadata), metadata.len());
        Ok(Some(Candidate { path: path.to_owned(), id, size, head }))
    }

    /// How well a position suits: best that of the same inode, then that of which most is known.
    fn rank(&self, position: &Position) -> Option<(bool, u64, u64)> {
        let (id, head, place) = read(position)?;
        let same = id == self.id;
        let holds = match place.packed {
            true => is_packed(&self.head),
            false => self.size >= place.offset,
        };
        // What was empty begins like everything.
        let known = head.length.max(place.head.length);
        let suits = holds && head.is_in(&self.head) && place.head.is_in(&self.head) && (same || known > 0);
        suits.then_some((same, known, place.offset))
    }
}

/// Finds out which of the files were read before. Where two begin alike, the one that still has its inode comes first.
pub fn settle(from: &Resume, files: &[Candidate]) -> Vec<Option<Claim>> {
    let mut claims: Vec<Option<Claim>> = files.iter().map(|_| None).collect();
    for by_inode in [true, false] {
        for (file, claim) in files.iter().zip(&mut claims).filter(|(_, claim)| claim.is_none()) {
            let suits = |position: &Position| file.rank(position).filter(|(same, ..)| *same || !by_inode);
            let taken = from.take_best(suits);
            *claim = taken.and_then(|position| {
                let (_, _, place) = read(&position)?;
                Some(Claim { name: position.partition, place })
            });
        }
    }
    for (file, claim) in files.iter().zip(&claims) {
        let was_here = |position: &Position| read(position).is_some_and(|(id, ..)| id == file.id);
        if claim.is_none() && from.has(was_here) {
            let path = file.path.display();
            tracing::warn!(
                "`{path}` was truncated or replaced since it was read last: it is read from its beginning"
            );
        }
    }
    claims
}

/// Forgets what was read longest ago, where too many files are not there any more.
pub fn forget_oldest(from: &Arc<Resume>) {
    let used = |position: &Position| read(position).map_or(i64::MAX, |(_, _, place)| place.used);
    let dropped = from.keep_youngest(MOST_KEPT, used);
    if dropped > 0 {
        tracing::warn!(
            "{dropped} files that are no longer there are forgotten: no more than {MOST_KEPT} are remembered"
        );
    }
}
