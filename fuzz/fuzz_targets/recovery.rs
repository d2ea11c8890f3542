//! libFuzzer's face of `fuzz::recovery::folder`, which says what is checked.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::recovery::folder(data));
