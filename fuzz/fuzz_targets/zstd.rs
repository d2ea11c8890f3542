//! libFuzzer's face of `fuzz::targets::zstd`, which says what is checked.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| fuzz::targets::zstd(data));
