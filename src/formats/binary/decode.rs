//! Records to rows.

use super::extent::extent;
use super::item::{Fault, Item, Notation};
use super::read::Read;
use super::tree::Tree;
use crate::event::bytes::Malformed;
use crate::event::{Batch, Reason, RejectKind, Row, Span, Unreadable};
use crate::formats::lines::{MAX_RECORD, SAMPLE, too_long};
use crate::formats::sequence::{ReadSequence, Sequence};
use crate::formats::{Decoder, Wanted};
use crate::time::Timestamp;
use std::marker::PhantomData;
use std::ops::Range;

/// Reads values that stand one behind the other: a map is an event, a list one event an element. What is not read of
/// an event is not judged either. Where bytes are no value at all, nobody knows where the next one starts: what
/// follows in the same input is lost, which is said once.
pub struct BinaryDecoder<N> {
    tree: Tree,
    whole: bool,
    framing: Framing,
    sequence: Sequence,
    extra: Vec<u8>,
    notation: PhantomData<N>,
}

/// What a block is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Framing {
    /// A part of a sequence of values.
    Sequence,
    /// One value.
    Message,
}

impl<N: Notation> BinaryDecoder<N> {
    /// A decoder of the wanted fields in a sequence of values.
    pub fn new(wanted: &Wanted) -> BinaryDecoder<N> {
        let tree = Tree::new(&wanted.fields);
        let framing = Framing::Sequence;
        BinaryDecoder {
            tree,
            whole: wanted.whole,
            framing,
            sequence: Sequence::default(),
            extra: Vec::new(),
            notation: PhantomData,
        }
    }

    /// The same for blocks that are one value each.
    pub fn of_messages(wanted: &Wanted) -> BinaryDecoder<N> {
        BinaryDecoder { framing: Framing::Message, ..BinaryDecoder::new(wanted) }
    }

    /// Reads a whole record; a list at its top is one event an element.
    fn record(&mut self, batch: &mut Batch, record: Range<usize>, unreadable: &mut Vec<Unreadable>) {
        let arena = std::mem::take(&mut batch.arena);
        let mut extra = std::mem::take(&mut self.extra);
        extra.clear();
        let mut read = Read::<N>::new(&arena[..record.end], &mut extra, arena.len());
        let outcome = match read.item(record.start) {
            Ok((Item::List(_), first)) => self.elements(batch, &mut read, first..record.end, unreadable),
            Ok(_) => self.event(batch, &mut read, record.clone(), unreadable),
            Err(reason) => Err(reason),
        };
        if let Err(reason) = outcome {
            unreadable.push(refusal(batch, record, reason));
        }
        batch.arena = arena;
        batch.arena.append(&mut extra);
        self.extra = extra;
    }

    fn elements(
        &self,
        batch: &mut Batch,
        read: &mut Read<'_, N>,
        list: Range<usize>,
        unreadable: &mut Vec<Unreadable>,
    ) -> Result<(), &'static str> {
        let mut at = list.start;
        // Behind the last element stands the record's end, or the break of a list of no given length.
        while at < list.end && read.item(at)?.0 != Item::Break {
            let end = read.skip(at)?;
            self.event(batch, read, at..end, unreadable)?;
            at = end;
        }
        Ok(())
    }

    /// Reads a value as an event, or refuses it.
    fn event(
        &self,
        batch: &mut Batch,
        read: &mut Read<'_, N>,
        place: Range<usize>,
        unreadable: &mut Vec<Unreadable>,
    ) -> Result<(), &'static str> {
        if !matches!(read.item(place.start)?.0, Item::Map(_)) {
            unreadable.push(refusal(batch, place, "the value is no map"));
            return Ok(());
        }
        let row = batch.push_row(Timestamp::MIN, Timestamp::MIN);
        if let Err(reason) = self.fill(batch, row, read, place.start) {
            batch.pop_row();
            unreadable.push(refusal(batch, place, reason));
        }
        Ok(())
    }

    fn fill(
        &self,
        batch: &mut Batch,
        row: Row,
        read: &mut Read<'_, N>,
        at: usize,
    ) -> Result<(), &'static str> {
        read.take(at, &self.tree, batch.row_mut(row))?;
        if self.whole {
            batch.raw[row.index()] = read.json(at)?;
        }
        Ok(())
    }
}

impl<N: Notation> ReadSequence for BinaryDecoder<N> {
    fn sequence(&mut self) -> &mut Sequence {
        &mut self.sequence
    }

    fn lose(&mut self, batch: &Batch, rest: Range<usize>, what: &str, unreadable: &mut Vec<Unreadable>) {
        let text = match self.framing {
            Framing::Message => format!("the message is no {}: {what}", N::NAME),
            Framing::Sequence => {
                self.sequence.lost = true;
                format!("no {}: {what}; what follows cannot be read", N::NAME)
            }
        };
        let sample = Span::new(rest.start, rest.len().min(SAMPLE));
        unreadable.push(Unreadable::behind(batch, sample, Reason::new(RejectKind::Decode, text)));
    }

    fn next(
        &mut self,
        batch: &mut Batch,
        rest: Range<usize>,
        last: bool,
        unreadable: &mut Vec<Unreadable>,
    ) -> Option<usize> {
        let Range { start, end } = rest;
        match extent::<N>(&batch.arena[..end], start) {
            Ok(behind) if behind - start > MAX_RECORD => {
                unreadable.push(too_long(batch, start));
                return Some(behind);
            }
            Ok(behind) if self.framing == Framing::Message && behind < end => {
                self.lose(batch, rest, "bytes stand behind the value", unreadable);
            }
            Ok(behind) => {
                self.record(batch, start..behind, unreadable);
                return Some(behind);
            }
            Err(Fault::Short) if end - start > MAX_RECORD => {
                self.lose(batch, rest, "a value longer than 16 MiB", unreadable);
            }
            Err(Fault::Short) if !last => return None,
            Err(Fault::Short) => self.lose(batch, rest, "it ends within a value", unreadable),
            Err(Fault::Broken(what)) => self.lose(batch, rest, what, unreadable),
        }
        Some(end)
    }
}

fn refusal(batch: &Batch, place: Range<usize>, reason: &'static str) -> Unreadable {
    let reason = Reason::new(RejectKind::Decode, reason);
    Unreadable::behind(batch, Span::new(place.start, place.len()), reason)
}

impl<N: Notation> Decoder for BinaryDecoder<N> {
    fn decode(
        &mut self,
        batch: &mut Batch,
        block: Span,
        last: bool,
        limit: usize,
        unreadable: &mut Vec<Unreadable>,
    ) -> usize {
        self.decode_sequence(batch, block, last, limit, unreadable)
    }

    fn save(&self, into: &mut Vec<u8>) {
        self.sequence.save(into);
    }

    fn load(&mut self, saved: &[u8]) -> Result<(), Malformed> {
        self.sequence.load(saved)
    }

    fn another(&self) -> Box<dyn Decoder> {
        Box::new(BinaryDecoder::<N> {
            tree: self.tree.clone(),
            whole: self.whole,
            framing: self.framing,
            sequence: Sequence::default(),
            extra: Vec::new(),
            notation: PhantomData,
        })
    }
}
