//! Which edges of the program an input takes: the compiler's counters, read by us, so that no nightly toolchain is needed.
//!
//! `cargo xtask fuzz` builds with `-C passes=sancov-module` and inline 8-bit counters. Each edge then has a byte, which the
//! program counts up, all of them in one section of the binary. Without those flags there are no counters, nothing is ever
//! new, and the corpus does not grow.

use std::sync::atomic::{AtomicPtr, AtomicUsize, Ordering::Relaxed};

static START: AtomicPtr<u8> = AtomicPtr::new(std::ptr::null_mut());
static LEN: AtomicUsize = AtomicUsize::new(0);

/// Called by every instrumented module before `main`, always with the whole section.
///
/// # Safety
/// `start..stop` is the section of counters, as the compiler's pass passes it.
#[cfg(not(feature = "libfuzzer"))]
#[unsafe(no_mangle)]
pub unsafe extern "C" fn __sanitizer_cov_8bit_counters_init(start: *mut u8, stop: *mut u8) {
    START.store(start, Relaxed);
    LEN.store(stop.addr().saturating_sub(start.addr()), Relaxed);
}

/// Counters that are looked at together; most inputs touch few of these pages.
const PAGE: usize = 1024;
/// Every so many inputs all pages are looked at, since an input may reach code that no other has.
const SWEEP: u64 = 64;

/// What the inputs of one target have reached.
pub struct Coverage {
    /// For each counter, a bit for each magnitude that it has had.
    seen: Vec<u8>,
    /// Pages that any input touched.
    active: Vec<usize>,
    inputs: u64,
    edges: usize,
}

impl Default for Coverage {
    fn default() -> Coverage {
        Coverage { seen: vec![0; LEN.load(Relaxed)], active: Vec::new(), inputs: 0, edges: 0 }
    }
}

/// Whether the program was built with counters.
#[must_use]
pub fn is_measured() -> bool {
    LEN.load(Relaxed) > 0
}

impl Coverage {
    /// Edges that were taken at all.
    #[must_use]
    pub fn edges(&self) -> usize {
        self.edges
    }

    /// Forgets what ran so far, so that only what follows counts.
    pub fn begin(&mut self) {
        self.inputs += 1;
        let counters = counters();
        if self.sweeps() {
            counters.fill(0);
        } else {
            self.active.iter().for_each(|&page| page_of(counters, page).fill(0));
        }
    }

    /// Whether something was reached since [`Coverage::begin`] that no input of this target had.
    pub fn is_new(&mut self) -> bool {
        let counters = counters();
        let mut is_new = false;
        if self.sweeps() {
            for page in 0..counters.len().div_ceil(PAGE) {
                if page_of(counters, page).iter().any(|&count| count != 0) && !self.active.contains(&page) {
                    self.active.push(page);
                }
            }
        }
        for index in 0..self.active.len() {
            let page = self.active[index];
            is_new |= self.take(page, page_of(counters, page));
        }
        is_new
    }

    fn sweeps(&self) -> bool {
        self.inputs % SWEEP == 1 || self.inputs < SWEEP
    }

    fn take(&mut self, page: usize, counts: &[u8]) -> bool {
        let seen = &mut self.seen[page * PAGE..][..counts.len()];
        let mut is_new = false;
        let (words, rest) = counts.as_chunks::<8>();
        for (at, word) in words.iter().enumerate().filter(|(_, word)| **word != [0; 8]) {
            is_new |= note(&mut seen[8 * at..8 * at + 8], word, &mut self.edges);
        }
        is_new | note(&mut seen[8 * words.len()..], rest, &mut self.edges)
    }
}

fn note(seen: &mut [u8], counts: &[u8], edges: &mut usize) -> bool {
    let mut is_new = false;
    for (seen, &count) in seen.iter_mut().zip(counts) {
        let magnitude = magnitude(count);
        if magnitude & !*seen != 0 {
            *edges += usize::from(*seen == 0);
            *seen |= magnitude;
            is_new = true;
        }
    }
    is_new
}

/// Once, twice, three times, up to 7, 15, 31, 127 times, or more: a bit each.
fn magnitude(count: u8) -> u8 {
    match count {
        0 => 0,
        1..=3 => 1 << (count - 1),
        4..=7 => 8,
        8..=15 => 16,
        16..=31 => 32,
        32..=127 => 64,
        _ => 128,
    }
}

fn counters() -> &'static mut [u8] {
    let (start, len) = (START.load(Relaxed), LEN.load(Relaxed));
    if len == 0 {
        return &mut [];
    }
    // SAFETY: the section lives as long as the program. The instrumented code writes to it too, but on this one thread,
    // and only between two calls of `begin` and `is_new`; this file's own edges, which it may count meanwhile, are bytes
    // whose value nobody relies on.
    unsafe { std::slice::from_raw_parts_mut(start, len) }
}

fn page_of(counters: &mut [u8], page: usize) -> &mut [u8] {
    let end = ((page + 1) * PAGE).min(counters.len());
    &mut counters[page * PAGE..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every magnitude is one bit, and a larger count never has a smaller one's.
    #[test]
    fn magnitudes_are_bits_in_order() {
        let all: Vec<u8> = (0..=255).map(magnitude).collect();
        assert!(all[1..].iter().all(|bit| bit.is_power_of_two()) && all.is_sorted());
    }

    #[test]
    fn only_what_is_new_is_new() {
        let mut coverage = Coverage { seen: vec![0; 16], active: Vec::new(), inputs: 0, edges: 0 };
        let mut counts = [0; 16];
        counts[3] = 1;
        counts[15] = 200;
        let found: Vec<bool> = [1, 1, 2, 1, 4, 7]
            .map(|count| {
                counts[3] = count;
                coverage.take(0, &counts)
            })
            .into();
        assert_eq!(found, [true, false, true, false, true, false]);
        assert_eq!(coverage.edges(), 2);
    }
}
