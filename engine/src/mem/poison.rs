//! Idle memory under the address sanitizer (`--cfg asan`, see `cargo xtask sanitize`): what rests in a pool, and what a
//! region has beyond what was asked for, may be touched by nobody, and a touch is reported. Without it, memory that was
//! given back too early would look alive for as long as the pool keeps it. Other builds have nothing of it.

#[cfg(asan)]
unsafe extern "C" {
    fn __asan_poison_memory_region(at: *const u8, len: usize);
    fn __asan_unpoison_memory_region(at: *const u8, len: usize);
}

/// Nobody may touch `len` bytes at `at` from here on; they are mapped and stay so.
#[inline(always)]
pub(super) fn forbid(at: *const u8, len: usize) {
    #[cfg(asan)]
    // SAFETY: the sanitizer notes the range and touches none of it.
    unsafe {
        __asan_poison_memory_region(at, len);
    }
    let _ = (at, len);
}

/// The `len` bytes at `at` are somebody's again.
#[inline(always)]
pub(super) fn allow(at: *const u8, len: usize) {
    #[cfg(asan)]
    // SAFETY: as above.
    unsafe {
        __asan_unpoison_memory_region(at, len);
    }
    let _ = (at, len);
}
