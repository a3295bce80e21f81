//! The segment that is appended to.

use super::super::disk::{Disk, DiskFile, Open};
use super::super::number::Sequence;
use super::commit::Commit;
use super::record::RecordPlace;
use super::segment::{SegmentHeader, seed};
use std::io;

/// A file that commits are written to. Nothing is durable before it is synced, the name not before the folder is.
#[derive(Debug)]
pub struct SegmentWriter {
    file: Box<dyn DiskFile>,
    header: SegmentHeader,
    /// Where the last commit ends that counts. Who appends moves it on.
    pub end: u64,
}

impl SegmentWriter {
    /// Makes a file, or one anew, and writes the header.
    pub fn begin(disk: &dyn Disk, name: &str, header: SegmentHeader) -> io::Result<SegmentWriter> {
        let file = disk.open(name, Open::Anew)?;
        file.write_at(0, &header.encode())?;
        Ok(SegmentWriter { file, header, end: SegmentHeader::BYTES as u64 })
    }

    /// Opens a file that is there up to the end of its last commit.
    pub fn resume(disk: &dyn Disk, name: &str, header: SegmentHeader, end: u64) -> io::Result<SegmentWriter> {
        Ok(SegmentWriter { file: disk.open(name, Open::Existing)?, header, end })
    }

    /// Writes a commit behind the last that counts. Returns where its records are, and where it ends.
    pub fn append(&self, commit: &mut Commit, sequence: Sequence) -> io::Result<(Vec<RecordPlace>, u64)> {
        let SegmentHeader { incarnation, number, .. } = self.header;
        let (bytes, places) = commit.seal(sequence, number, seed(incarnation, number), self.end);
        self.file.write_at(self.end, bytes)?;
        Ok((places, self.end + bytes.len() as u64))
    }

    /// Makes what was appended durable.
    pub fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }

    /// Removes durably what stands behind the last commit that counts.
    pub fn cut(&self) -> io::Result<()> {
        self.file.set_length(self.end)?;
        self.file.sync()
    }
}
