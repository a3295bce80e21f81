//! What holds of every script and value on their way over the bridge; `fuzz/fuzz_targets/lua.rs` asks the same.

#[path = "../fuzz/fuzz_targets/shared/script.rs"]
mod script;

use proptest::prelude::*;

proptest! {
    #![proptest_config(ProptestConfig { cases: 8_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn scripts_touch_only_what_is_named(bytes in prop::collection::vec(any::<u8>(), 1..24)) {
        script::check_analysis(&script::script(&bytes));
    }

    #[test]
    fn values_come_back_as_they_went_in(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        script::check_values(&bytes);
    }
}
