//! Keys read back from any bytes: refused, or written again byte for byte.

#![no_main]

use headwater::event::{Batch, Slot, decode_value, encode_key};
use headwater::time::Timestamp;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut batch = Batch::new(1, b"");
    let row = batch.push_row(Timestamp::MIN, Timestamp::MIN);
    let Some((value, rest)) = decode_value(bytes, &mut batch) else { return };
    batch.set(row, Slot(0), value);
    let mut first = Vec::new();
    encode_key(&batch, row, &[Slot(0)], &mut first);
    let (again, empty) = decode_value(&first, &mut batch).expect("what was written can be read");
    assert!(empty.is_empty() && rest.len() + first.len() == bytes.len());
    batch.set(row, Slot(0), again);
    let mut second = Vec::new();
    encode_key(&batch, row, &[Slot(0)], &mut second);
    assert_eq!(first, second);
});
