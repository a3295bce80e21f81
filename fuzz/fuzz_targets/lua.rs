//! Scripts and values: the analysis of fields is sound, and the bridge gives back what it was given.

#![no_main]

#[path = "shared/script.rs"]
mod script;

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((first, bytes)) = bytes.split_first() else { return };
    if first % 2 == 0 {
        script::check_values(bytes);
    } else {
        script::check_analysis(&script::script(bytes));
    }
});
