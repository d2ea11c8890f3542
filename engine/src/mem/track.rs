//! Who reads and writes which bytes, for the models only: in a build for loom every access to a region is an access to one
//! of loom's cells for each byte, so that two threads on one byte without order between them are reported. Other builds
//! have nothing of it.
//!
//! An access counts where the reference is made, not for as long as it lives. A byte is known from its first write on,
//! also while its memory rests in a pool: what the next user writes is held against what the last ones read.

#[cfg(loom)]
pub(super) use cells::{reading, released, writing};

#[cfg(loom)]
pub use cells::scribble;

#[cfg(not(loom))]
#[inline(always)]
pub(super) fn reading(_: *const u8, _: usize) {}

#[cfg(not(loom))]
#[inline(always)]
pub(super) fn writing(_: *const u8, _: usize) {}

#[cfg(not(loom))]
#[inline(always)]
pub(super) fn released(_: *const u8, _: usize) {}

#[cfg(loom)]
mod cells {
    use loom::cell::UnsafeCell;
    use std::cell::RefCell;
    use std::collections::BTreeMap;

    thread_local! {
        /// By address. All threads of a model run on one thread of the system, and each model on its own.
        static CELLS: RefCell<BTreeMap<usize, UnsafeCell<()>>> = const { RefCell::new(BTreeMap::new()) };
    }

    /// `len` bytes at `at` are read.
    pub(in crate::mem) fn reading(at: *const u8, len: usize) {
        CELLS.with_borrow(|cells| cells.range(at.addr()..at.addr() + len).for_each(|(_, cell)| cell.with(|_| ())));
    }

    /// `len` bytes at `at` are written.
    pub(in crate::mem) fn writing(at: *const u8, len: usize) {
        CELLS.with_borrow_mut(|cells| {
            for address in at.addr()..at.addr() + len {
                cells.entry(address).or_insert_with(|| UnsafeCell::new(())).with_mut(|_| ());
            }
        });
    }

    /// `len` bytes at `at` are the system's again.
    pub(in crate::mem) fn released(at: *const u8, len: usize) {
        writing_known(at, len);
        CELLS.with_borrow_mut(|cells| {
            let mut kept = cells.split_off(&at.addr());
            cells.append(&mut kept.split_off(&(at.addr() + len)));
        });
    }

    /// To free memory is to write to all of it.
    fn writing_known(at: *const u8, len: usize) {
        CELLS.with_borrow(|cells| cells.range(at.addr()..at.addr() + len).for_each(|(_, cell)| cell.with_mut(|_| ())));
    }

    /// For a control, which must be found wanting: counts as a write to bytes that nobody may write.
    pub fn scribble(slice: &[u8]) {
        writing(slice.as_ptr(), slice.len());
    }
}
