//! Records to rows. Framing is by record, so that a quoted field may hold line ends.

use super::CsvOptions;
use crate::event::bytes::{self, Malformed, put_bytes};
use crate::event::{Batch, Reason, RejectKind, Span, Unreadable};
use crate::formats::columns::Columns;
use crate::formats::lines::{MAX_RECORD, too_long};
use crate::formats::{Decoder, Wanted};
use csv_core::{ReadRecordResult, Reader, ReaderBuilder};
use std::ops::Range;

/// Reads a record an event. A header names the columns; `columns` names them otherwise, or anew. A field that
/// equals `null` is null. A record with another number of fields is rejected; empty lines are skipped.
pub struct CsvDecoder {
    options: CsvOptions,
    wanted: Wanted,
    record: RecordReader,
    /// Known once the header was read.
    columns: Option<Columns>,
    header_is_next: bool,
    /// Whether the bytes at hand are the input's first.
    at_start: bool,
    /// Whether a record that is too long still goes on.
    overlong: bool,
    /// Whether each block is an input of its own, with its own header.
    apart: bool,
}

impl CsvDecoder {
    /// A decoder of the wanted fields. An error says what the options lack.
    pub fn new(options: &CsvOptions, wanted: &Wanted) -> Result<CsvDecoder, String> {
        options.check()?;
        let named = !options.columns.is_empty();
        if !named && !options.header {
            return Err("format `csv` without a header needs `columns`".to_owned());
        }
        let columns = named.then(|| Columns::new(&options.columns, &options.types, wanted)).transpose()?;
        Ok(CsvDecoder {
            record: RecordReader::new(options),
            columns,
            header_is_next: options.header,
            options: options.clone(),
            wanted: wanted.clone(),
            at_start: true,
            overlong: false,
            apart: false,
        })
    }

    /// The same for blocks that are an input each, such as messages.
    pub fn apart(options: &CsvOptions, wanted: &Wanted) -> Result<CsvDecoder, String> {
        Ok(CsvDecoder { apart: true, ..CsvDecoder::new(options, wanted)? })
    }

    /// Forgets all of the input before.
    fn begin_anew(&mut self) {
        self.columns.take_if(|_| self.options.columns.is_empty());
        (self.header_is_next, self.at_start, self.overlong) = (self.options.header, true, false);
    }

    /// Adds the record just read as a row, or learns the header from it.
    fn take(&mut self, batch: &mut Batch) -> Result<(), String> {
        if std::mem::take(&mut self.header_is_next) {
            return self.header();
        }
        let Some(columns) = &mut self.columns else {
            return Err("there is no header that says what the fields are".to_owned());
        };
        if self.record.len() != columns.len() {
            return Err(format!("expected {} fields, found {}", columns.len(), self.record.len()));
        }
        let start = batch.arena.len();
        batch.arena.extend_from_slice(self.record.text());
        let (record, null) = (&self.record, self.options.null.as_bytes());
        let added = columns.add_row(batch, |batch, i| {
            let field = record.field(i);
            let span = Span::new(start + field.start, field.len());
            (batch.arena[span.range()] != *null).then_some(span)
        });
        if added.is_err() {
            batch.arena.truncate(start);
        }
        added
    }

    /// Learns the columns from the record just read, unless they were given.
    fn header(&mut self) -> Result<(), String> {
        if self.columns.is_none() {
            let text = |i| String::from_utf8_lossy(&self.record.text()[self.record.field(i)]).into_owned();
            let names: Vec<String> = (0..self.record.len()).map(text).collect();
            self.columns = Some(Columns::new(&names, &self.options.types, &self.wanted)?);
        }
        Ok(())
    }

    /// The place behind a byte order mark at the start of the input, or behind the rest of a record that was too long.
    fn skip(&mut self, arena: &[u8], block: Range<usize>, last: bool) -> usize {
        let text = &arena[block.clone()];
        if self.at_start {
            let mark = b"\xef\xbb\xbf";
            if text.len() < mark.len() && !last {
                return block.start;
            }
            self.at_start = false;
            return block.start + if text.starts_with(mark) { mark.len() } else { 0 };
        }
        if !self.overlong {
            return block.start;
        }
        let newline = memchr::memchr(b'\n', text);
        self.overlong = newline.is_none() && !last;
        newline.map_or(block.end, |i| block.start + i + 1)
    }
}

impl Decoder for CsvDecoder {
    fn decode(
        &mut self,
        batch: &mut Batch,
        block: Span,
        last: bool,
        limit: usize,
        unreadable: &mut Vec<Unreadable>,
    ) -> usize {
        if !self.apart {
            return self.decode_on(batch, block, last, limit, unreadable);
        }
        self.begin_anew();
        let before = (batch.len(), unreadable.len());
        let read = self.decode_on(batch, block, last, limit, unreadable);
        // Whoever sends records without a header must not see them vanish.
        if (batch.len(), unreadable.len()) == before && self.options.header && !self.header_is_next {
            let reason = "there is a header and no record behind it; without headers: `header: false`";
            unreadable.push(Unreadable::behind(batch, block, Reason::new(RejectKind::Decode, reason)));
        }
        read
    }

    fn save(&self, into: &mut Vec<u8>) {
        if self.at_start {
            return;
        }
        into.push(u8::from(self.header_is_next) << 1 | u8::from(self.overlong));
        if self.options.columns.is_empty() {
            let names = self.columns.iter().flat_map(Columns::names);
            names.for_each(|name| put_bytes(into, name.as_bytes()));
        }
    }

    fn load(&mut self, saved: &[u8]) -> Result<(), Malformed> {
        self.begin_anew();
        let mut reader = bytes::Reader::new(saved);
        if reader.remaining() == 0 {
            return Ok(());
        }
        let flags = reader.byte()?;
        let mut names = Vec::new();
        while reader.remaining() > 0 {
            let name = str::from_utf8(reader.bytes(MAX_RECORD)?).map_err(|_| Malformed("not UTF-8"))?;
            names.push(name.to_owned());
        }
        if !names.is_empty() {
            let columns = Columns::new(&names, &self.options.types, &self.wanted);
            self.columns = Some(columns.map_err(|_| Malformed("columns of another header"))?);
        }
        (self.at_start, self.header_is_next, self.overlong) = (false, flags & 2 != 0, flags & 1 != 0);
        Ok(())
    }

    fn another(&self) -> Box<dyn Decoder> {
        let named = !self.options.columns.is_empty();
        Box::new(CsvDecoder {
            options: self.options.clone(),
            wanted: self.wanted.clone(),
            record: RecordReader::new(&self.options),
            columns: self.columns.clone().filter(|_| named),
            header_is_next: self.options.header,
            at_start: true,
            overlong: false,
            apart: self.apart,
        })
    }
}

impl CsvDecoder {
    /// Decodes the next block of an input.
    fn decode_on(
        &mut self,
        batch: &mut Batch,
        block: Span,
        last: bool,
        limit: usize,
        unreadable: &mut Vec<Unreadable>,
    ) -> usize {
        let Range { start, end } = block.range();
        let mut at = self.skip(&batch.arena, start..end, last);
        while at < end && batch.len() < limit && !self.at_start && !self.overlong {
            // One byte more than allowed tells a record that is too long from one that just fits.
            let stop = end.min(at + MAX_RECORD + 1);
            let fits = stop - at <= MAX_RECORD;
            let Some(read) = self.record.read(&batch.arena[at..stop], last && fits) else {
                if !fits {
                    self.overlong = true;
                    unreadable.push(too_long(batch, at));
                    at = self.skip(&batch.arena, stop..end, last);
                    continue;
                }
                // What is left is no record if nothing comes behind it.
                return if last { end - start } else { at - start };
            };
            let raw = trimmed(&batch.arena, at..at + read);
            at += read;
            if let Err(reason) = self.take(batch) {
                unreadable.push(Unreadable::behind(batch, raw, Reason::new(RejectKind::Decode, reason)));
            }
        }
        at - start
    }
}

/// A record without line ends around it.
fn trimmed(arena: &[u8], record: Range<usize>) -> Span {
    let is_end = |b: &&u8| matches!(b, b'\n' | b'\r');
    let text = &arena[record.clone()];
    let before = text.iter().take_while(is_end).count();
    let behind = text[before..].iter().rev().take_while(is_end).count();
    Span::new(record.start + before, text.len() - before - behind)
}

/// One record at a time.
struct RecordReader {
    reader: Reader,
    text: Vec<u8>,
    ends: Vec<usize>,
    fields: usize,
}

impl RecordReader {
    fn new(options: &CsvOptions) -> RecordReader {
        let reader = ReaderBuilder::new().delimiter(options.delimiter).quote(options.quote).build();
        let mut record = RecordReader { reader, text: vec![0; 1024], ends: vec![0; 32], fields: 0 };
        record.restart();
        record
    }

    /// Forgets the record that was begun. An empty line is read so that no byte order mark is looked for: it counts
    /// only at the start of the input, which is not the reader's to know. (A clone of a reader would not do: with
    /// csv-core 0.1.13 it lacks half of its tables.)
    fn restart(&mut self) {
        self.reader.reset();
        self.reader.read_record(b"\n", &mut [0], &mut [0]);
    }

    /// Reads the first record of the input; returns the bytes that took. None if there is no whole record: then
    /// the next call starts anew.
    fn read(&mut self, input: &[u8], last: bool) -> Option<usize> {
        let (mut read, mut written) = (0, 0);
        self.fields = 0;
        loop {
            if read == input.len() && !last {
                break;
            }
            let (text, ends) = (&mut self.text[written..], &mut self.ends[self.fields..]);
            let (result, taken, text, ends) = self.reader.read_record(&input[read..], text, ends);
            (read, written, self.fields) = (read + taken, written + text, self.fields + ends);
            match result {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull => self.text.resize(self.text.len() * 2, 0),
                ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
                ReadRecordResult::Record => return Some(read),
                ReadRecordResult::End => break,
            }
        }
        self.restart();
        None
    }

    /// Number of fields of the record.
    fn len(&self) -> usize {
        self.fields
    }

    /// The fields of the record, unquoted, one behind the other.
    fn text(&self) -> &[u8] {
        &self.text[..self.fields.checked_sub(1).map_or(0, |last| self.ends[last])]
    }

    /// Where a field stands in that text.
    fn field(&self, i: usize) -> Range<usize> {
        i.checked_sub(1).map_or(0, |before| self.ends[before])..self.ends[i]
    }
}
