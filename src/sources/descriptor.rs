//! Reading from what the operating system has open.

use crate::dataflow::Polled;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fd::{AsFd, BorrowedFd};
use rustix::fs::{FileType, fstat};
use rustix::io::Errno;

/// How long a read waits for a pipe, socket, or terminal that has nothing at hand.
const WAIT: Timespec = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };

/// Whether a read of this may have to wait for somebody: only regular files always have their bytes at hand.
pub(super) fn may_wait(fd: impl AsFd) -> bool {
    !fstat(fd).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile)
}

/// Appends what one read gives, at most `max` bytes.
pub(super) fn read(fd: impl AsFd, may_wait: bool, into: &mut Vec<u8>, max: usize) -> Result<Polled, Errno> {
    if may_wait && !is_ready(fd.as_fd())? {
        return Ok(Polled::Empty);
    }
    into.reserve(max);
    let spare = &mut into.spare_capacity_mut()[..max];
    match rustix::io::read(fd, spare) {
        Ok((filled, _)) => {
            let filled = filled.len();
            // SAFETY: the first `filled` bytes behind the vector's length, within its capacity, were written.
            unsafe { into.set_len(into.len() + filled) };
            Ok(if filled == 0 && max > 0 { Polled::End } else { Polled::Data })
        }
        // A signal: the worker wants to see to it. Or a descriptor that someone made non-blocking.
        Err(Errno::INTR | Errno::AGAIN) => Ok(Polled::Empty),
        Err(error) => Err(error),
    }
}

/// Waits until there is something to read, the end included; not for long.
fn is_ready(fd: BorrowedFd<'_>) -> Result<bool, Errno> {
    match poll(&mut [PollFd::new(&fd, PollFlags::IN)], Some(&WAIT)) {
        Ok(ready) => Ok(ready > 0),
        Err(Errno::INTR) => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_pipe_is_empty_then_has_data_then_ends() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        assert!(may_wait(&reader));
        let mut bytes = b"before ".to_vec();
        assert_eq!(read(&reader, true, &mut bytes, 100), Ok(Polled::Empty));
        writer.write_all(b"hello world").unwrap();
        assert_eq!(read(&reader, true, &mut bytes, 5), Ok(Polled::Data));
        assert_eq!(bytes, b"before hello");
        assert_eq!(read(&reader, true, &mut bytes, 100), Ok(Polled::Data));
        assert_eq!(bytes, b"before hello world");
        drop(writer);
        assert_eq!(read(&reader, true, &mut bytes, 100), Ok(Polled::End));
        assert_eq!(bytes, b"before hello world");
    }

    #[test]
    fn a_non_blocking_descriptor_is_empty() {
        let (reader, _writer) = std::io::pipe().unwrap();
        rustix::fs::fcntl_setfl(&reader, rustix::fs::OFlags::NONBLOCK).unwrap();
        assert_eq!(read(&reader, false, &mut Vec::new(), 100), Ok(Polled::Empty));
    }

    #[test]
    fn no_more_than_asked_for_is_read() {
        let (reader, mut writer) = std::io::pipe().unwrap();
        writer.write_all(&[7; 5000]).unwrap();
        let mut bytes = Vec::with_capacity(5000);
        assert_eq!(read(&reader, true, &mut bytes, 10), Ok(Polled::Data));
        assert_eq!(bytes, [7; 10]);
        assert_eq!(read(&reader, true, &mut bytes, 0), Ok(Polled::Data));
        assert_eq!(bytes.len(), 10);
    }
}
