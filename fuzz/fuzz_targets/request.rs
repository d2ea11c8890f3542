//! libFuzzer's face of `fuzz::targets::request`, which says what is checked.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::targets::request(data));
