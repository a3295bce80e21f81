//! States of aggregates as bytes: what several of them are made of.

use crate::event::bytes::{Malformed, Reader, put_number, put_signed};
use crate::event::decode_value;
use crate::event::{Batch, Kind};
use crate::time::Timestamp;

/// Where a pane lies in time and in the order of arrival: what is near takes few bytes.
#[derive(Clone, Copy, Debug)]
pub struct Near {
    /// A time.
    pub time: Timestamp,
    /// A place in the order of arrival.
    pub order: u64,
}

impl Near {
    /// The beginning of both.
    pub const ZERO: Near = Near { time: Timestamp(0), order: 0 };

    /// Appends a time.
    pub fn put_time(self, into: &mut Vec<u8>, time: Timestamp) {
        put_signed(into, time.0.wrapping_sub(self.time.0));
    }

    /// Reads a time.
    pub fn time(self, from: &mut Reader<'_>) -> Result<Timestamp, Malformed> {
        Ok(Timestamp(self.time.0.wrapping_add(from.signed()?)))
    }

    /// Appends a place in the order of arrival.
    pub fn put_order(self, into: &mut Vec<u8>, order: u64) {
        put_signed(into, order.wrapping_sub(self.order) as i64);
    }

    /// Reads a place in the order of arrival.
    pub fn order(self, from: &mut Reader<'_>) -> Result<u64, Malformed> {
        Ok(self.order.wrapping_add(from.signed()? as u64))
    }
}

/// No number of events is larger: with it, sums of numbers stay far from the end of their range.
const MOST: u64 = 1 << 56;

/// Reads a number of events.
pub fn events(from: &mut Reader<'_>) -> Result<u64, Malformed> {
    from.number()
        .and_then(|events| if events <= MOST { Ok(events) } else { Err(Malformed("too many events")) })
}

/// Appends a float, bit by bit.
pub fn put_float(into: &mut Vec<u8>, float: f64) {
    into.extend_from_slice(&float.to_le_bytes());
}

/// Reads a float, whatever it is: parts of windows may have left its range.
pub fn float(from: &mut Reader<'_>) -> Result<f64, Malformed> {
    from.fixed().map(f64::from_bits)
}

/// Appends a float that counts something, and says whether it is not 0.
pub fn put_counter(into: &mut Vec<u8>, counter: f64) -> bool {
    put_number(into, counter as u64);
    counter > 0.0
}

/// Reads a float that counts something.
pub fn counter(from: &mut Reader<'_>) -> Result<f64, Malformed> {
    events(from).map(|count| count as f64)
}

/// Whether there is something: a byte that is 0 or 1.
pub fn is_there(from: &mut Reader<'_>) -> Result<bool, Malformed> {
    match from.byte()? {
        0 => Ok(false),
        1 => Ok(true),
        _ => Err(Malformed("neither something nor nothing")),
    }
}

/// Reads a value in its canonical form behind its length.
pub fn canonical<'a>(from: &mut Reader<'a>) -> Result<&'a [u8], Malformed> {
    let bytes = from.bytes(u32::MAX as usize)?;
    if is_canonical(bytes, 1) { Ok(bytes) } else { Err(Malformed("no value")) }
}

/// Whether these are so many values as [`crate::event::encode_value`] writes them, with texts that are UTF-8.
pub fn is_canonical(bytes: &[u8], values: usize) -> bool {
    let mut batch = Batch::new(1, b"");
    let mut rest = bytes;
    for _ in 0..values {
        let Some((value, behind)) = decode_value(rest, &mut batch) else { return false };
        let is_text = matches!(value.kind(), Kind::Text | Kind::Json);
        if is_text && str::from_utf8(batch.bytes(value)).is_err() {
            return false;
        }
        rest = behind;
        batch.clear();
    }
    rest.is_empty()
}
