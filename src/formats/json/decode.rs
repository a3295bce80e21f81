//! Lines of a block to rows.

use super::event::{Scan, ScanEvent, touched_event, whole_event};
use super::fields::{Fields, NodeId};
use crate::event::bytes::Malformed;
use crate::event::json::scan::{Fault, Isa, PAD, Scanned, blank};
use crate::event::json::{elements, validate};
use crate::event::{Batch, Reason, RejectKind, Span, Unreadable};
use crate::formats::lines::{Lines, MAX_RECORD, too_long};
use crate::formats::{Decoder, Wanted};
use crate::time::Timestamp;
use std::ops::Range;

/// How JSON is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JsonInput {
    /// What a list at the top of a line means.
    pub root: Root,
    /// How much of a line is checked.
    pub validate: Validate,
}

/// What a list at the top of a line means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Root {
    /// Each element is an event.
    #[default]
    Explode,
    /// The list is the field `items` of one event.
    Keep,
}

/// How much of a line is checked.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Validate {
    /// Everything: a line that is no JSON is rejected.
    #[default]
    Strict,
    /// What stands up to the last wanted field. What is behind it is passed on or skipped as it is; of duplicate
    /// keys behind it nothing is known.
    Touched,
}

/// Reads one JSON value a line. Blank lines are skipped; a number is judged to be out of range only in a wanted
/// field; of duplicate keys the last wins.
pub struct JsonDecoder {
    fields: Fields,
    open: Vec<(NodeId, usize)>,
    unescaped: Vec<u8>,
    rules: Rules,
    lines: Lines,
    made_of: (Isa, JsonInput, Wanted),
}

/// What stays the same from line to line.
#[derive(Clone, Copy)]
struct Rules {
    scan_event: ScanEvent,
    strict: bool,
    root: Root,
    /// What is wanted of a list that is kept.
    items: u16,
    whole: bool,
}

impl JsonDecoder {
    /// A decoder of the wanted fields.
    pub fn new(options: JsonInput, wanted: &Wanted) -> JsonDecoder {
        JsonDecoder::with(Isa::best(), options, wanted)
    }

    pub(super) fn with(isa: Isa, options: JsonInput, wanted: &Wanted) -> JsonDecoder {
        let mut fields = Fields::new(&wanted.fields);
        let items = wanted.fields.iter().filter(|(path, _)| path.root() == "items");
        let items = fields.add_picks(items.map(|(path, slot)| (path.rest().to_vec(), *slot)).collect());
        let strict = options.validate == Validate::Strict;
        let scan_event = if strict { whole_event(isa) } else { touched_event(isa) };
        JsonDecoder {
            fields,
            open: Vec::new(),
            unescaped: Vec::new(),
            rules: Rules { scan_event, strict, root: options.root, items, whole: wanted.whole },
            lines: Lines::default(),
            made_of: (isa, options, wanted.clone()),
        }
    }

    /// A decoder of the same for another input.
    pub(in crate::formats) fn fresh(&self) -> JsonDecoder {
        let (isa, options, wanted) = &self.made_of;
        JsonDecoder::with(*isa, *options, wanted)
    }

    /// Reads whole lines, see [`Lines::decode`].
    fn stretch(
        &mut self,
        batch: &mut Batch,
        lines: Range<usize>,
        limit: usize,
        unreadable: &mut Vec<Unreadable>,
    ) -> usize {
        let mut arena = std::mem::take(&mut batch.arena);
        let len = arena.len();
        arena.resize(len.max(lines.end + PAD), 0);
        let scan = Scan {
            fields: &mut self.fields,
            open: &mut self.open,
            unescaped: &mut self.unescaped,
            unescaped_at: len,
            base: arena.as_ptr(),
        };
        let block = Block { text: &arena, scan, rules: self.rules, batch, unreadable };
        // SAFETY: the lines end in a newline, behind which PAD bytes were made sure of above.
        let read = unsafe { block.read(lines, limit) };
        arena.truncate(len);
        arena.append(&mut self.unescaped);
        batch.arena = arena;
        read
    }
}

impl Decoder for JsonDecoder {
    fn decode(
        &mut self,
        batch: &mut Batch,
        block: Span,
        last: bool,
        limit: usize,
        unreadable: &mut Vec<Unreadable>,
    ) -> usize {
        let mut lines = std::mem::take(&mut self.lines);
        let read = lines.decode(batch, block, last, limit, unreadable, |batch, lines, unreadable| {
            self.stretch(batch, lines, limit, unreadable)
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
        Box::new(self.fresh())
    }
}

/// Lines being read: the arena stands still meanwhile.
struct Block<'a> {
    text: &'a [u8],
    scan: Scan<'a>,
    rules: Rules,
    batch: &'a mut Batch,
    unreadable: &'a mut Vec<Unreadable>,
}

impl Block<'_> {
    /// Reads lines until the batch has `limit` rows; returns the place behind the last one read.
    ///
    /// # Safety
    /// The lines are padded text: the last ends in a newline, behind which [`PAD`] bytes are readable.
    unsafe fn read(mut self, lines: Range<usize>, limit: usize) -> usize {
        let mut at = lines.start;
        while at < lines.end && self.batch.len() < limit {
            // SAFETY: every line ends in a newline at the latest where the stretch ends.
            at = unsafe { self.line(at) };
        }
        at
    }

    /// Reads the line that starts at `line`; returns the start of the next.
    ///
    /// # Safety
    /// It is in padded text.
    #[inline]
    unsafe fn line(&mut self, line: usize) -> usize {
        // SAFETY: the line ends in a newline, which no scan passes.
        unsafe {
            let base = self.scan.base;
            let start = blank::<true>(base.add(line));
            match *start {
                b'{' => {}
                b'\n' => return start.addr() - base.addr() + 1,
                _ => return self.no_map(line),
            }
            let row = self.batch.push_row(Timestamp::MIN, Timestamp::MIN);
            let end = match (self.rules.scan_event)(&mut self.scan, start, self.batch.row_mut(row)) {
                Ok(end) => end,
                Err(fault) => return self.undo(line, fault),
            };
            let newline = match self.line_end(end) {
                Ok(newline) => newline.addr() - base.addr(),
                Err(fault) => return self.undo(line, fault),
            };
            if newline - line > MAX_RECORD {
                self.batch.pop_row();
                return self.reject(line, None);
            }
            if self.rules.whole {
                let end = if self.rules.strict {
                    end.addr() - base.addr()
                } else {
                    self.trimmed(line, newline).end
                };
                let start = start.addr() - base.addr();
                self.batch.raw[row.index()] = Span::new(start, end - start);
            }
            newline + 1
        }
    }

    /// The newline behind an event that was scanned up to `end`.
    ///
    /// # Safety
    /// `end` is in padded text.
    #[inline(always)]
    unsafe fn line_end(&self, end: *const u8) -> Scanned {
        if !self.rules.strict {
            let end = end.addr() - self.scan.base.addr();
            return Ok(self.text[self.newline(end)..].as_ptr());
        }
        // SAFETY: the caller's promise is passed on.
        unsafe {
            let at = blank::<true>(end);
            if *at == b'\n' { Ok(at) } else { Err(Fault { at, message: "unexpected text behind the value" }) }
        }
    }

    /// The first newline from `at` on.
    fn newline(&self, at: usize) -> usize {
        memchr::memchr(b'\n', &self.text[at..]).map_or(self.text.len(), |i| at + i)
    }

    /// A line without white space behind it.
    fn trimmed(&self, line: usize, newline: usize) -> Range<usize> {
        let blank = self.text[line..newline].iter().rev().take_while(|b| matches!(b, b' ' | b'\t' | b'\r'));
        line..newline - blank.count()
    }

    /// Takes a row back and rejects its line.
    #[cold]
    fn undo(&mut self, line: usize, fault: Fault) -> usize {
        self.batch.pop_row();
        self.reject(line, Some((fault.at.addr() - self.scan.base.addr() - line, fault.message)))
    }

    /// Rejects the line for a fault at some offset in it, or for its length; returns the start of the next.
    #[cold]
    fn reject(&mut self, line: usize, fault: Option<(usize, &str)>) -> usize {
        let newline = self.newline(line);
        let unreadable = match fault {
            Some((offset, message)) if newline - line <= MAX_RECORD => {
                self.unreadable_at(self.trimmed(line, newline), format!("{message} at column {}", offset + 1))
            }
            _ => too_long(self.batch, line),
        };
        self.unreadable.push(unreadable);
        newline + 1
    }

    fn unreadable_at(&self, place: Range<usize>, reason: String) -> Unreadable {
        let raw = Span::new(place.start, place.len());
        Unreadable::behind(self.batch, raw, Reason::new(RejectKind::Decode, reason))
    }

    /// Reads a line that holds no map: a list, or what is rejected.
    #[cold]
    fn no_map(&mut self, line: usize) -> usize {
        let newline = self.newline(line);
        let text = &self.text[line..newline];
        if text.len() > MAX_RECORD {
            return self.reject(line, None);
        }
        if let Err(fault) = validate(text) {
            return self.reject(line, Some((fault.offset, fault.message)));
        }
        let list = text.trim_ascii();
        match (list.starts_with(b"["), self.rules.root) {
            (true, Root::Explode) => elements(list).for_each(|element| self.element(element)),
            (true, Root::Keep) => self.keep(list),
            _ => self.refuse(&self.text[self.trimmed(line, newline)], "the value is no map"),
        }
        newline + 1
    }

    /// Rejects a value for what it is.
    fn refuse(&mut self, value: &[u8], reason: &str) {
        let start = value.as_ptr().addr() - self.scan.base.addr();
        let unreadable = self.unreadable_at(start..start + value.len(), reason.to_owned());
        self.unreadable.push(unreadable);
    }

    /// Reads an element of a list, which was checked, as an event.
    fn element(&mut self, element: &[u8]) {
        if !element.starts_with(b"{") {
            return self.refuse(element, "the element is no map");
        }
        let row = self.batch.push_row(Timestamp::MIN, Timestamp::MIN);
        // SAFETY: the element is part of the text.
        let scanned =
            unsafe { (self.rules.scan_event)(&mut self.scan, element.as_ptr(), self.batch.row_mut(row)) };
        if let Err(fault) = scanned {
            self.batch.pop_row();
            return self.refuse(element, fault.message);
        }
        if self.rules.whole {
            let start = element.as_ptr().addr() - self.scan.base.addr();
            self.batch.raw[row.index()] = Span::new(start, element.len());
        }
    }

    /// Reads a list, which was checked, as the field `items` of an event.
    fn keep(&mut self, list: &[u8]) {
        let row = self.batch.push_row(Timestamp::MIN, Timestamp::MIN);
        let Range { start, end } = list.as_ptr_range();
        // SAFETY: the list is part of the text.
        let picked = unsafe { self.scan.pick(self.rules.items, start, end, self.batch.row_mut(row)) };
        if let Err(fault) = picked {
            self.batch.pop_row();
            return self.refuse(list, fault.message);
        }
        if self.rules.whole {
            let start = self.scan.unescaped_at + self.scan.unescaped.len();
            self.scan.unescaped.extend_from_slice(b"{\"items\":");
            self.scan.unescaped.extend_from_slice(list);
            self.scan.unescaped.push(b'}');
            self.batch.raw[row.index()] = Span::new(start, list.len() + 10);
        }
    }
}
