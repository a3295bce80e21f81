//! Lines that a regular expression takes apart.

use super::Wanted;
use super::columns::Columns;
use super::line_decoder::{LineDecoder, ReadLine};
use super::types::FieldType;
use crate::event::{Batch, Reason, RejectKind, Span};
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
pub type RegexDecoder = LineDecoder<Captures>;

/// Reads the groups of a line.
#[derive(Clone)]
pub struct Captures {
    regex: Regex,
    /// The number of each column's group.
    groups: Vec<usize>,
    found: CaptureLocations,
    columns: Columns,
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
        Ok(LineDecoder::of(Captures { regex, groups, found, columns }))
    }
}

impl Captures {
    /// Adds the row of a line.
    fn add(&mut self, batch: &mut Batch, line: Span) -> Result<(), String> {
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

impl ReadLine for Captures {
    fn read(&mut self, batch: &mut Batch, line: Span) -> Result<(), Reason> {
        self.add(batch, line).map_err(|reason| Reason::new(RejectKind::Decode, reason))
    }

    fn another(&self) -> Captures {
        self.clone()
    }
}
