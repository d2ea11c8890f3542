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

#[cfg(all(test, asan))]
mod tests {
    use super::super::Buf;

    unsafe extern "C" {
        fn __asan_address_is_poisoned(at: *const u8) -> i32;
    }

    fn is_forbidden(at: *const u8) -> bool {
        // SAFETY: the sanitizer looks the address up and touches nothing there.
        unsafe { __asan_address_is_poisoned(at) != 0 }
    }

    #[test]
    fn what_nobody_asked_for_and_what_rests_in_the_pool_is_forbidden() {
        let buf = Buf::with_capacity(5000);
        let start = buf.as_slice().as_ptr();
        let at = |byte| start.wrapping_add(byte);
        assert_eq!([0, 4999, 5000, 8191].map(|byte| is_forbidden(at(byte))), [false, false, true, true]);
        drop(buf);
        assert_eq!([0, 4999].map(|byte| is_forbidden(at(byte))), [true, true]);
        let again = Buf::with_capacity(8192);
        assert_eq!((again.as_slice().as_ptr(), is_forbidden(at(8191))), (start, false));
    }
}
