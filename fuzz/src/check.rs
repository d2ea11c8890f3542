//! What every input is held to: no panic, bounded memory, bounded time.

use std::panic::catch_unwind;
use std::time::{Duration, Instant};

use crate::Target;
use crate::coverage::Coverage;
use crate::meter::{peak_bytes, thread_time};

/// Longest that an input of up to [`TIMED_BYTES`] may take; longer inputs have so much for each such piece.
pub const INPUT_TIME_MAX: Duration = Duration::from_millis(10);
/// See [`INPUT_TIME_MAX`].
pub const TIMED_BYTES: usize = 64 * 1024;
/// A slow input has to be slow every time, by this thread's own clock.
const SLOW_REPEATS: usize = 4;

/// What one input cost.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// Bytes that were held at the peak.
    pub peak_bytes: usize,
    /// The part of the allowance that this is.
    pub memory_share: f64,
    /// How long it took; the best of several where it was long.
    pub time: Duration,
    /// It reached something that no input before it did.
    pub is_new: bool,
}

/// Longest that `len` bytes may take.
#[must_use]
pub fn time_allowed(target: &Target, len: usize) -> Duration {
    target.time.unwrap_or(INPUT_TIME_MAX) * len.div_ceil(TIMED_BYTES).max(1) as u32
}

/// Feeds one input and holds it to its allowances; the error says which it broke. An input that takes longer than `noticed`
/// is timed again, without what other programs took meanwhile.
pub fn check(target: &Target, input: &[u8], coverage: &mut Coverage, noticed: Duration) -> Result<Cost, String> {
    let begin = Instant::now();
    let mut panicked = false;
    coverage.begin();
    let peak = peak_bytes(|| panicked = catch_unwind(|| (target.fuzz)(input)).is_err());
    let mut time = begin.elapsed();
    if panicked {
        return Err("it panicked".into());
    }
    let is_new = coverage.is_new();
    let allowed = target.memory.allowed_bytes(input.len());
    if peak > allowed {
        return Err(format!("{} bytes of input took {peak} bytes of memory, {allowed} allowed", input.len()));
    }
    let most = time_allowed(target, input.len());
    if time > most.min(noticed) {
        time = best_of(target, input, most);
        if time > most {
            return Err(format!("{} bytes of input took {time:?} at best, {most:?} allowed", input.len()));
        }
    }
    Ok(Cost { peak_bytes: peak, memory_share: peak as f64 / allowed as f64, time, is_new })
}

/// The shortest of some runs, without what other programs took meanwhile.
fn best_of(target: &Target, input: &[u8], enough: Duration) -> Duration {
    let mut best = Duration::MAX;
    for _ in 0..SLOW_REPEATS {
        let begin = thread_time();
        (target.fuzz)(input);
        best = best.min(thread_time() - begin);
        if best <= enough {
            break;
        }
    }
    best
}
