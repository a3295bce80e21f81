//! Buffered writing to what the operating system has open.

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fd::AsFd;
use rustix::io::Errno;

/// Bytes that are gathered before they are written.
const CAPACITY: usize = 64 * 1024;

/// Writes in large pieces. Bytes it was given are never lost to an error: what could not be written stays, from the start
/// of the first that was given and not wholly written, and goes first when writing is tried again.
pub(super) struct Writer<F> {
    target: F,
    buffer: Vec<u8>,
    /// How much of the buffer was written already.
    written: usize,
}

impl<F: AsFd> Writer<F> {
    pub(super) fn new(target: F) -> Writer<F> {
        Writer { target, buffer: Vec::new(), written: 0 }
    }

    /// What is written to.
    pub(super) fn target(&self) -> &F {
        &self.target
    }

    /// What was given and is not wholly written, and how many bytes of it are written.
    pub(super) fn unwritten(&self) -> (&[u8], usize) {
        (&self.buffer, self.written)
    }

    /// Somebody has taken out of the target again what [`Writer::unwritten`] tells as written.
    pub(super) fn rewind(&mut self) {
        self.written = 0;
    }

    /// Takes all bytes. An error says that not all that was due could be written yet.
    pub(super) fn write(&mut self, bytes: &[u8]) -> Result<(), Errno> {
        if self.buffer.is_empty() && bytes.len() >= CAPACITY {
            let (written, outcome) = write_all(&self.target, bytes);
            if outcome.is_err() {
                self.buffer.extend_from_slice(bytes);
                self.written = written;
            }
            return outcome;
        }
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= CAPACITY { self.flush() } else { Ok(()) }
    }

    /// Writes everything that was taken.
    pub(super) fn flush(&mut self) -> Result<(), Errno> {
        let (written, outcome) = write_all(&self.target, &self.buffer[self.written..]);
        self.written += written;
        if outcome.is_ok() {
            self.buffer.clear();
            self.written = 0;
        }
        outcome
    }
}

/// Writes until all is written or an error occurs, and returns how much was.
fn write_all(target: impl AsFd, bytes: &[u8]) -> (usize, Result<(), Errno>) {
    let mut written = 0;
    while written < bytes.len() {
        match rustix::io::write(&target, &bytes[written..]) {
            // Nothing written without an error: the target takes no more.
            Ok(0) => return (written, Err(Errno::NOSPC)),
            Ok(count) => written += count,
            Err(Errno::INTR) => {}
            // Someone made the target non-blocking.
            Err(Errno::AGAIN) => match poll(&mut [PollFd::new(&target, PollFlags::OUT)], None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => return (written, Err(error)),
            },
            Err(error) => return (written, Err(error)),
        }
    }
    (written, Ok(()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn small_pieces_are_gathered_and_large_ones_are_not() {
        let folder = std::env::temp_dir().join(format!("headwater-writer-{}", std::process::id()));
        let file = std::fs::File::create(&folder).unwrap();
        let mut writer = Writer::new(file);
        writer.write(b"ab").unwrap();
        assert_eq!(std::fs::read(&folder).unwrap(), b"");
        writer.flush().unwrap();
        assert_eq!(std::fs::read(&folder).unwrap(), b"ab");
        writer.write(&[b'c'; CAPACITY]).unwrap();
        assert_eq!(std::fs::read(&folder).unwrap().len(), 2 + CAPACITY);
        for _ in 0..CAPACITY {
            writer.write(b"d").unwrap();
        }
        assert_eq!(std::fs::read(&folder).unwrap().len(), 2 + 2 * CAPACITY);
        std::fs::remove_file(folder).unwrap();
    }

    #[test]
    fn a_target_that_takes_a_part_gets_the_rest() {
        let (mut reader, pipe) = std::io::pipe().unwrap();
        rustix::fs::fcntl_setfl(&pipe, rustix::fs::OFlags::NONBLOCK).unwrap();
        let bytes: Vec<u8> = (0..1_000_000u32).map(|n| n as u8).collect();
        let expected = bytes.clone();
        let writing = std::thread::spawn(move || Writer::new(pipe).write(&bytes));
        let mut received = vec![];
        reader.read_to_end(&mut received).unwrap();
        assert_eq!(writing.join().unwrap(), Ok(()));
        assert!(received == expected);
    }

    #[test]
    fn what_an_error_stopped_stays_and_goes_first() {
        let (reader, gone) = std::io::pipe().unwrap();
        drop(reader);
        let mut broken = Writer::new(gone);
        let bytes: Vec<u8> = (0..CAPACITY + 3).map(|n| n as u8).collect();
        assert_eq!(broken.write(&bytes), Err(Errno::PIPE));
        assert_eq!(broken.write(b"more"), Err(Errno::PIPE));

        let (mut reader, target) = std::io::pipe().unwrap();
        let mut mended = Writer { target, buffer: broken.buffer, written: broken.written };
        let reading = std::thread::spawn(move || {
            let mut received = vec![];
            reader.read_to_end(&mut received).map(|_| received)
        });
        assert_eq!(mended.flush(), Ok(()));
        assert!(mended.buffer.is_empty());
        drop(mended);
        assert!(reading.join().unwrap().unwrap() == [&bytes[..], b"more"].concat());
    }
}
