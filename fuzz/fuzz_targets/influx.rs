//! Any bytes as line protocol: read or refused alike however they come in blocks, and what was read reads back when
//! written.

#![no_main]

mod shared;

use headwater::formats::influx::{InfluxDecoder, InfluxEncoder, InfluxOptions};
use libfuzzer_sys::fuzz_target;
use shared::{cut, read, view, wanted, write};

fuzz_target!(|input: &[u8]| {
    let Some((cuts, bytes)) = cut(input) else { return };
    let options = InfluxOptions::default();
    let decoder = || InfluxDecoder::new(&options, &wanted());
    let all = read(&mut decoder(), bytes, &[], usize::MAX);
    assert_eq!(all, read(&mut decoder(), bytes, &cuts, 3));
    let written = write(&mut InfluxEncoder::new(&options, &view()), &all.whole);
    let again = read(&mut decoder(), &written, &[], usize::MAX);
    assert!(again.reasons.is_empty());
});
