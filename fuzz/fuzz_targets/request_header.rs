//! libFuzzer's face of `fuzz::targets::request_header`, which says what is checked.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::targets::request_header(data));
