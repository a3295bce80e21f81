//! Comma-separated values (RFC 4180, read leniently).

mod decode;
mod encode;

#[cfg(test)]
mod tests;

pub use decode::CsvDecoder;
pub use encode::CsvEncoder;

use super::types::FieldType;

/// How CSV is read and written.
#[derive(Clone, Debug)]
pub struct CsvOptions {
    /// Whether the first record holds the names of the columns.
    pub header: bool,
    /// What stands between fields.
    pub delimiter: u8,
    /// What stands around a field that holds delimiters, quotes (doubled) or line ends.
    pub quote: u8,
    /// The names of the columns. When reading they replace those of the header; when writing they choose the
    /// fields and their order.
    pub columns: Vec<String>,
    /// Types of columns that are read; others are text.
    pub types: Vec<(String, FieldType)>,
    /// What null is written as.
    pub null: String,
}

impl Default for CsvOptions {
    fn default() -> CsvOptions {
        CsvOptions {
            header: true,
            delimiter: b',',
            quote: b'"',
            columns: Vec::new(),
            types: Vec::new(),
            null: String::new(),
        }
    }
}

impl CsvOptions {
    fn check(&self) -> Result<(), String> {
        let ends = |b: u8| matches!(b, b'\n' | b'\r');
        if self.delimiter == self.quote || ends(self.delimiter) || ends(self.quote) {
            return Err("`delimiter` and `quote` must differ and be no line ends".to_owned());
        }
        Ok(())
    }
}
