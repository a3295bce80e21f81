//! Lines of a file, read in blocks.

use std::fs::File;
use std::io::Read;

const BLOCK: usize = 256 << 10;

/// A 16-byte load may start at any byte of a line, so this many bytes behind it are readable.
pub(crate) const PADDING: usize = 16;

/// Calls `handle` with every line of the file. The slice is followed by at least `PADDING` readable bytes.
#[inline(always)]
pub fn each_line(path: &str, mut handle: impl FnMut(&[u8])) {
    let mut file = File::open(path).expect("input opens");
    let mut buffer = vec![0u8; BLOCK + PADDING];
    let mut unfinished = 0; // bytes of a line without its end, at the start of the buffer
    loop {
        if unfinished + PADDING == buffer.len() {
            buffer.resize(buffer.len() * 2, 0);
        }
        let room = buffer.len() - PADDING;
        let read = file.read(&mut buffer[unfinished..room]).expect("input reads");
        let end = unfinished + read;
        let mut start = 0;
        for newline in memchr::memchr_iter(b'\n', &buffer[unfinished..end]) {
            let newline = unfinished + newline;
            handle(&buffer[start..newline]);
            start = newline + 1;
        }
        if read == 0 {
            if start < end {
                handle(&buffer[start..end]);
            }
            return;
        }
        buffer.copy_within(start..end, 0);
        unfinished = end - start;
    }
}
