//! Rows to records.

use super::CsvOptions;
use crate::event::{Batch, Reason, Row, View};
use crate::formats::Encoder;
use crate::formats::lookup::{BytesAs, Lookup};

/// Writes a record an event; a header as the preamble, if there is to be one. Text that equals what null is
/// written as is quoted.
pub struct CsvEncoder {
    options: CsvOptions,
    columns: Vec<(String, Lookup)>,
    field: Vec<u8>,
}

impl CsvEncoder {
    /// An encoder of events that look like `view`. Columns that are not named are all fields of the view; an error
    /// if they are not known before events come.
    pub fn new(options: &CsvOptions, view: &View) -> Result<CsvEncoder, String> {
        options.check()?;
        let mut names = options.columns.clone();
        if names.is_empty() {
            let fields = view
                .fields()
                .ok_or("format `csv` needs `columns`: which fields there are is known only from the data")?;
            names = fields.iter().map(|(name, _)| name.to_string()).collect();
        }
        let columns = names.into_iter().map(|name| (name.clone(), Lookup::new(view, &name))).collect();
        Ok(CsvEncoder { options: options.clone(), columns, field: Vec::new() })
    }
}

impl Encoder for CsvEncoder {
    fn encode(&mut self, batch: &Batch, row: Row, into: &mut Vec<u8>) -> Result<(), Reason> {
        for (i, (_, lookup)) in self.columns.iter_mut().enumerate() {
            if i > 0 {
                into.push(self.options.delimiter);
            }
            self.field.clear();
            if lookup.write(batch, row, BytesAs::Base64, &mut self.field) {
                write_field(&self.options, &self.field, into);
            } else {
                into.extend_from_slice(self.options.null.as_bytes());
            }
        }
        into.push(b'\n');
        Ok(())
    }

    fn preamble(&self, into: &mut Vec<u8>) {
        if !self.options.header {
            return;
        }
        for (i, (name, _)) in self.columns.iter().enumerate() {
            if i > 0 {
                into.push(self.options.delimiter);
            }
            write_field(&self.options, name.as_bytes(), into);
        }
        into.push(b'\n');
    }
}

/// Appends a field, in quotes where it has to be.
fn write_field(options: &CsvOptions, field: &[u8], into: &mut Vec<u8>) {
    let special = |b: &u8| [options.delimiter, options.quote, b'\n', b'\r'].contains(b);
    if !field.iter().any(special) && field != options.null.as_bytes() {
        into.extend_from_slice(field);
        return;
    }
    into.push(options.quote);
    for &byte in field {
        if byte == options.quote {
            into.push(byte);
        }
        into.push(byte);
    }
    into.push(options.quote);
}
