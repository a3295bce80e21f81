//! What the targets of several formats share: reading bytes however they come in blocks, and writing events again.

use headwater::event::json::validate;
use headwater::event::{Batch, Layer, Path, Row, Slot, Step, View};
use headwater::formats::{Decoder, Encoder, Wanted};

/// What was read: cells as text, whole events, reasons.
#[derive(Debug, Default, PartialEq)]
pub struct Decoded {
    pub cells: Vec<String>,
    pub whole: Vec<Vec<u8>>,
    pub reasons: Vec<String>,
}

/// Fields at the top, inside maps and inside lists, and the whole event.
pub fn wanted() -> Wanted {
    let paths = [
        Path::field("a"),
        Path::field("b").then(Step::Field("a".to_owned())),
        Path::field("b").then(Step::Index(1)),
        Path::field("time"),
    ];
    let fields = paths.into_iter().enumerate().map(|(i, path)| (path, Slot(i as u16))).collect();
    Wanted { fields, whole: true }
}

/// The first bytes say where blocks end, the others are the input.
pub fn cut(input: &[u8]) -> Option<(Vec<usize>, &[u8])> {
    let (cuts, bytes) = input.split_first_chunk::<2>()?;
    let mut cuts: Vec<usize> = cuts.iter().map(|&c| c as usize * (bytes.len() + 1) / 256).collect();
    cuts.sort_unstable();
    Some((cuts, bytes))
}

/// Reads bytes in blocks that end at the given places.
pub fn read(decoder: &mut dyn Decoder, bytes: &[u8], cuts: &[usize], limit: usize) -> Decoded {
    let (mut decoded, mut batch, mut read) = (Decoded::default(), Batch::new(4, b"x"), 0);
    for (i, &cut) in cuts.iter().chain([&bytes.len()]).enumerate() {
        loop {
            batch.clear();
            let mut unreadable = Vec::new();
            let block = batch.store(&bytes[read..cut.max(read)]);
            read += decoder.decode(&mut batch, block, i == cuts.len(), limit, &mut unreadable);
            for row in 0..batch.len() {
                let cell = |slot| batch.get(Row(row as u32), Slot(slot));
                let show = |slot| format!("{:?} {:?}", cell(slot).kind(), batch.bytes(cell(slot)));
                decoded.cells.extend((0..4).map(show));
                let whole = batch.arena[batch.raw[row].range()].to_vec();
                assert!(validate(&whole).is_ok(), "whole events are JSON");
                decoded.whole.push(whole);
            }
            decoded.reasons.extend(unreadable.iter().map(|u| u.reason.text.to_string()));
            if batch.len() < limit {
                break;
            }
        }
    }
    assert_eq!(read, bytes.len());
    decoded
}

/// Whole events written again by an encoder, as far as it takes them.
pub fn write(encoder: &mut dyn Encoder, events: &[Vec<u8>]) -> Vec<u8> {
    let mut out = Vec::new();
    for event in events {
        let mut batch = Batch::new(0, b"");
        let row = batch.push_row(headwater::time::Timestamp::MIN, headwater::time::Timestamp::MIN);
        batch.raw[0] = batch.store(event);
        let before = out.len();
        if encoder.encode(&batch, row, &mut out).is_err() {
            assert_eq!(out.len(), before, "what is refused leaves nothing behind");
        }
    }
    out
}

/// Events that come whole from data.
pub fn view() -> View {
    View { layers: vec![Layer::Raw] }
}
