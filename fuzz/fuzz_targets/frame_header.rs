//! libFuzzer's face of `fuzz::frames::stream`, which says what is checked.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::frames::stream(data));
