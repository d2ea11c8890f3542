//! Real clocks and real randomness.

use crate::time::{Mono, Wall};
use std::time::{SystemTime, UNIX_EPOCH};

/// CLOCK_MONOTONIC, so that all shards of a process agree.
pub(in crate::io) fn mono() -> Mono {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: the kernel fills the struct we own; the clock always exists.
    let rc = unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    assert!(rc == 0, "CLOCK_MONOTONIC exists");
    Mono(time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64)
}

/// Milliseconds since 1970; negative on a machine whose clock was never set.
pub(in crate::io) fn wall() -> Wall {
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => Wall(since.as_millis() as i64),
        Err(before) => Wall(-(before.duration().as_millis() as i64)),
    }
}

/// 64 bits from the kernel.
pub(in crate::io) fn random() -> u64 {
    let mut bytes = [0; 8];
    // SAFETY: the kernel writes at most 8 bytes into the array we own.
    let got = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), bytes.len(), 0) };
    assert!(got == 8, "getrandom gives up to 256 bytes whole once the kernel has booted");
    u64::from_ne_bytes(bytes)
}
