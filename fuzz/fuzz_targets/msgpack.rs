//! Any bytes as MessagePack: read or refused alike however they come in blocks, and what was read reads back when written.

#![no_main]

mod shared;

use headwater::formats::binary::{BinaryDecoder, BinaryEncoder, Msgpack};
use libfuzzer_sys::fuzz_target;
use shared::{cut, read, view, wanted, write};

fuzz_target!(|input: &[u8]| {
    let Some((cuts, bytes)) = cut(input) else { return };
    let decoder = || BinaryDecoder::<Msgpack>::new(&wanted());
    let all = read(&mut decoder(), bytes, &[], usize::MAX);
    assert_eq!(all, read(&mut decoder(), bytes, &cuts, 3));
    read(&mut BinaryDecoder::<Msgpack>::of_messages(&wanted()), bytes, &[], usize::MAX);
    let written = write(&mut BinaryEncoder::<Msgpack>::new(&view()), &all.whole);
    let again = read(&mut decoder(), &written, &[], usize::MAX);
    assert!(again.reasons.is_empty());
    assert_eq!(again.whole.len(), all.whole.len());
});
