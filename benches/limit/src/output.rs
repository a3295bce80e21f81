//! Rows, written in blocks.

use std::fs::File;
use std::io::Write;

const BLOCK: usize = 1 << 18;

/// No row is longer.
const ROW: usize = 512;

/// A file with a buffer before it.
pub struct Output {
    file: File,
    buffer: Vec<u8>,
}

impl Output {
    /// Creates the file.
    pub fn create(path: &str) -> Output {
        Output { file: File::create(path).expect("output opens"), buffer: Vec::with_capacity(BLOCK) }
    }

    /// To be called behind every row.
    #[inline]
    pub fn end_row(&mut self) {
        if self.buffer.len() > BLOCK - ROW {
            self.flush();
        }
    }

    /// Writes what is buffered.
    pub fn flush(&mut self) {
        self.file.write_all(&self.buffer).expect("output writes");
        self.buffer.clear();
    }

    /// Appends text.
    #[inline]
    pub fn text(&mut self, text: &[u8]) {
        self.buffer.extend_from_slice(text);
    }

    /// Appends a float.
    #[inline]
    pub fn float(&mut self, value: f64) {
        self.text(ryu::Buffer::new().format_finite(value).as_bytes());
    }

    /// Appends an integer.
    #[inline]
    pub fn integer(&mut self, value: u64) {
        self.text(itoa::Buffer::new().format(value).as_bytes());
    }
}
