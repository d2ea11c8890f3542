//! What threads share: the processor's atomics and std's reference counts; loom's in a build for its models
//! (`--cfg loom`), shuttle's in a build for its runs (`--cfg shuttle`). Whatever is lock-free here takes them from this
//! file, so that models and runs have the code that ships.

#[cfg(loom)]
pub(crate) use loom::{
    cell::UnsafeCell,
    sync::Arc,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering, fence},
};

#[cfg(shuttle)]
pub(crate) use shuttle::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering, fence},
};

#[cfg(not(any(loom, shuttle)))]
pub(crate) use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering, fence},
};

#[cfg(all(loom, feature = "glommio"))]
pub(crate) use loom::sync::{Mutex, MutexGuard};
#[cfg(all(shuttle, feature = "glommio"))]
pub(crate) use shuttle::sync::{Mutex, MutexGuard};
#[cfg(all(not(any(loom, shuttle)), feature = "glommio"))]
pub(crate) use std::sync::{Mutex, MutexGuard};

/// The standard cell behind loom's interface, which sees when each access begins and ends.
#[cfg(not(loom))]
pub(crate) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

#[cfg(not(loom))]
impl<T> UnsafeCell<T> {
    pub(crate) fn new(value: T) -> UnsafeCell<T> {
        UnsafeCell(std::cell::UnsafeCell::new(value))
    }

    pub(crate) fn with_mut<R>(&self, access: impl FnOnce(*mut T) -> R) -> R {
        access(self.0.get())
    }
}
