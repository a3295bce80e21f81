//! Compressed files.

use crate::dataflow::Polled;
use flate2::bufread::MultiGzDecoder;
use std::fs::File;
use std::io::{self, BufReader, ErrorKind, Read};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

/// Packed bytes that are read at once.
const READ: usize = 128 << 10;

/// What a file is packed with, as users say it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// What its first bytes say.
    #[default]
    Auto,
    /// Nothing.
    None,
    /// Gzip (RFC 1952): one member or several.
    Gzip,
    /// Zstandard (RFC 8878): one frame or several.
    Zstd,
}

/// What a file is packed with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Packing {
    Gzip,
    Zstd,
}

/// What the first bytes of a regular file say; its place stays.
pub(super) fn packing(file: &File) -> io::Result<Option<Packing>> {
    let mut first = [0; 4];
    let length = file.read_at(&mut first, 0)?;
    Ok(said_by(&first[..length]))
}

fn said_by(first: &[u8]) -> Option<Packing> {
    match first {
        [0x1f, 0x8b, 8, ..] => Some(Packing::Gzip),
        [0x28, 0xb5, 0x2f, 0xfd, ..] => Some(Packing::Zstd),
        _ => None,
    }
}

/// Whether a file that begins so is packed.
pub(super) fn is_packed(first: &[u8]) -> bool {
    said_by(first).is_some()
}

/// Unpacks a file while it is read.
pub(super) struct Unpacker {
    stream: Box<dyn Read + Send>,
}

impl Unpacker {
    pub fn new(file: Arc<File>, packing: Packing) -> io::Result<Unpacker> {
        let file = BufReader::with_capacity(READ, file);
        let stream: Box<dyn Read + Send> = match packing {
            Packing::Gzip => Box::new(MultiGzDecoder::new(file)),
            Packing::Zstd => Box::new(zstd::stream::read::Decoder::with_buffer(file)?),
        };
        Ok(Unpacker { stream })
    }

    /// Appends at most `max` bytes. Packed data that ends too early is an error, not an end.
    pub fn read(&mut self, into: &mut Vec<u8>, max: usize) -> io::Result<Polled> {
        let start = into.len();
        into.resize(start + max, 0);
        let read = self.stream.read(&mut into[start..]);
        into.truncate(start + *read.as_ref().unwrap_or(&0));
        match read {
            Ok(0) if max > 0 => Ok(Polled::End),
            Ok(_) => Ok(Polled::Data),
            // A pipe that has nothing at hand, or a signal.
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {
                Ok(Polled::Empty)
            }
            Err(error) => Err(error),
        }
    }
}
