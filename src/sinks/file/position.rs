//! Where in its files a sink goes on after a restart: its position, as the state keeps it.

use super::FILE;
use crate::dataflow::SinkError;
use crate::event::bytes::{Malformed, Reader, put_bytes, put_number};
use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

const VERSION: u8 = 1;

/// The longest path that is read back.
const LONGEST_PATH: usize = 4096;

/// A file, whatever it is called, and the place behind the last byte in it that will not be written again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Place {
    device: u64,
    inode: u64,
    /// When it was made, in nanoseconds since 1970, as the number of a file that is gone may come again; 0 where the file
    /// system does not know.
    born: u64,
    pub offset: u64,
}

impl Place {
    /// A place in an open file.
    pub fn of(metadata: &Metadata, offset: u64) -> Place {
        let since = metadata.created().ok().and_then(|made| made.duration_since(UNIX_EPOCH).ok());
        let born = since.and_then(|since| u64::try_from(since.as_nanos()).ok()).unwrap_or_default();
        Place { device: metadata.dev(), inode: metadata.ino(), born, offset }
    }

    /// Whether it is in that file.
    pub fn is_in(&self, metadata: &Metadata) -> bool {
        *self == Place::of(metadata, self.offset)
    }

    /// Whether what is described stands on the same disk.
    pub fn is_on_disk_of(&self, metadata: &Metadata) -> bool {
        self.device == metadata.dev()
    }

    /// Whether the file has this name now.
    pub fn is_at(&self, path: &Path) -> bool {
        std::fs::metadata(path).is_ok_and(|metadata| self.is_in(&metadata))
    }
}

/// What is known of a path that chunks go to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mark {
    /// The file of that name, and those that follow it once it may be put aside; the last is written to. Never empty.
    pub files: Vec<Place>,
    /// The last chunk that goes there, by its number among those that were prepared.
    pub awaited: u64,
}

/// Where a sink goes on.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Position {
    /// How many chunks were prepared and not written.
    pub pending: u64,
    /// By path.
    pub marks: BTreeMap<PathBuf, Mark>,
}

impl Position {
    /// Appends it; `written` is how many of the prepared chunks were written.
    pub fn encode(pending: u64, written: u64, marks: &BTreeMap<PathBuf, Mark>, into: &mut Vec<u8>) {
        into.push(VERSION);
        put_number(into, pending);
        put_number(into, marks.len() as u64);
        let mut before: &[u8] = &[];
        for (path, mark) in marks {
            let path = path.as_os_str().as_bytes();
            let shared = path.iter().zip(before).take_while(|(a, b)| a == b).count();
            put_number(into, shared as u64);
            put_bytes(into, &path[shared..]);
            put_number(into, mark.awaited.saturating_sub(written));
            put_number(into, mark.files.len() as u64);
            for place in &mark.files {
                [place.device, place.inode, place.born, place.offset]
                    .iter()
                    .for_each(|&n| put_number(into, n));
            }
            before = path;
        }
    }

    /// Reads it back. Nothing at all is the position before the first.
    pub fn decode(bytes: &[u8]) -> Result<Position, SinkError> {
        if bytes.is_empty() {
            return Ok(Position::default());
        }
        let cannot = |what: &str| {
            let kind = FILE.name;
            SinkError::Failed(format!("the position that was kept is none of a `{kind}` sink: {what}"))
        };
        match bytes[0] {
            VERSION => Position::read(&bytes[1..]).map_err(|Malformed(what)| cannot(what)),
            _ => Err(cannot("a later version wrote it")),
        }
    }

    fn read(bytes: &[u8]) -> Result<Position, Malformed> {
        let mut reader = Reader::new(bytes);
        let pending = reader.number()?;
        let mut marks = BTreeMap::new();
        let mut path = Vec::new();
        for _ in 0..reader.count()? {
            let shared = reader.number()? as usize;
            if shared > path.len() {
                return Err(Malformed("a path that begins with more than the one before"));
            }
            path.truncate(shared);
            path.extend_from_slice(reader.bytes(LONGEST_PATH)?);
            let awaited = reader.number()?;
            let count = reader.count()?;
            let files = (0..count).map(|_| read_place(&mut reader)).collect::<Result<Vec<_>, _>>()?;
            if path.len() > LONGEST_PATH || files.is_empty() {
                return Err(Malformed("no path, or no file"));
            }
            marks.insert(PathBuf::from(OsStr::from_bytes(&path)), Mark { files, awaited });
        }
        reader.finish()?;
        Ok(Position { pending, marks })
    }
}

fn read_place(reader: &mut Reader) -> Result<Place, Malformed> {
    let (device, inode, born) = (reader.number()?, reader.number()?, reader.number()?);
    Ok(Place { device, inode, born, offset: reader.number()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_comes_back() {
        let place = |offset| Place { device: 64_768, inode: 1 << 40, born: 1 << 60, offset };
        let mark =
            |files: &[u64], awaited| Mark { files: files.iter().map(|o| place(*o)).collect(), awaited };
        let marks = [("out/a.csv", mark(&[7], 0)), ("out/ab.csv", mark(&[1 << 50, 0, 9], 12))];
        let marks: BTreeMap<PathBuf, Mark> = marks.map(|(path, mark)| (PathBuf::from(path), mark)).into();
        let mut bytes = Vec::new();
        Position::encode(3, 10, &marks, &mut bytes);
        let mut back = Position::decode(&bytes).unwrap();
        assert_eq!((back.pending, back.marks.len()), (3, 2));
        assert_eq!(back.marks[Path::new("out/ab.csv")].awaited, 2);
        back.marks.values_mut().filter(|mark| mark.awaited > 0).for_each(|mark| mark.awaited += 10);
        assert_eq!(back.marks, marks);
        assert_eq!(Position::decode(&[]).unwrap(), Position::default());
        for end in 1..bytes.len() {
            assert!(Position::decode(&bytes[..end]).is_err());
        }
        bytes[0] = 2;
        assert!(Position::decode(&bytes).unwrap_err().to_string().contains("a later version"));
    }
}
