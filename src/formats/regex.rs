//! Lines that a regular expression takes apart.

use super::columns::Columns;
use super::lines::{Lines, each_line};
use super::text::without_return;
use super::types::FieldType;
use super::{Decoder, Wanted};
use crate::event::bytes::Malformed;
use crate::event::{Batch, Reason, RejectKind, Span, Unreadable};
use regex::{CaptureLocations, Regex};

/// How lines are taken apart.
#[derive(Clone, Debug, Default)]
pub struct RegexOptions {
    /// The expression; its named groups become fields. It is not anchored by itself.
    pub pattern: String,
    /// Types of groups; others are text.
    pub types: Vec<(String, FieldType)>,
}

/// Reads each line as the named groups of an expression; a group that took no part is null. A line without a
/// match is rejected.
pub struct RegexDecoder {
    regex: Regex,
    /// The number of each column's group.
    groups: Vec<usize>,
    found: CaptureLocations,
    columns: Columns,
    lines: Lines,
}

impl RegexDecoder {
    /// A decoder of the wanted fields. An error says what is wrong with the expression or its types.
    pub fn new(options: &RegexOptions, wanted: &Wanted) -> Result<RegexDecoder, String> {
        let regex = Regex::new(&options.pattern).map_err(|e| e.to_string())?;
        let named = regex.capture_names().enumerate().filter_map(|(i, name)| Some((i, name?.to_owned())));
        let (groups, names): (Vec<usize>, Vec<String>) = named.unzip();
        if names.is_empty() {
            return Err("the expression has no named group such as `(?<name>…)`".to_owned());
        }
        let columns = Columns::new(&names, &options.types, wanted)?;
        let found = regex.capture_locations();
        Ok(RegexDecoder { regex, groups, found, columns, lines: Lines::default() })
    }

    /// Adds the row of a line.
    fn line(&mut self, batch: &mut Batch, line: Span) -> Result<(), String> {
        let text = str::from_utf8(&batch.arena[line.range()]).map_err(|_| "the line is not UTF-8")?;
        if self.regex.captures_read(&mut self.found, text).is_none() {
            return Err("the line does not match the expression".to_owned());
        }
        let (found, groups) = (&self.found, &self.groups);
        self.columns.add_row(batch, |_, i| {
            let (start, end) = found.get(groups[i])?;
            Some(Span::new(line.start as usize + start, end - start))
        })
    }
}

impl Decoder for RegexDecoder {
    fn decode(
        &mut self,
        batch: &mut Batch,
        block: Span,
        last: bool,
        limit: usize,
        unreadable: &mut Vec<Unreadable>,
    ) -> usize {
        let mut lines = std::mem::take(&mut self.lines);
        let read = lines.decode(batch, block, last, limit, unreadable, |batch, stretch, unreadable| {
            each_line(batch, stretch, limit, unreadable, |batch, line, unreadable| {
                let raw = without_return(batch, line);
                if let Err(reason) = self.line(batch, raw) {
                    unreadable.push(Unreadable::behind(batch, raw, Reason::new(RejectKind::Decode, reason)));
                }
            })
        });
        self.lines = lines;
        read
    }

    fn save(&self, into: &mut Vec<u8>) {
        self.lines.save(into);
    }

    fn load(&mut self, saved: &[u8]) -> Result<(), Malformed> {
        self.lines.load(saved)
    }

    fn another(&self) -> Box<dyn Decoder> {
        Box::new(RegexDecoder {
            regex: self.regex.clone(),
            groups: self.groups.clone(),
            found: self.regex.capture_locations(),
            columns: self.columns.clone(),
            lines: Lines::default(),
        })
    }
}
