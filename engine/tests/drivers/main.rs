//! One behaviour for every driver: the same cases over `uring`, `tokio-uring`, `glommio`, `posix` and `sim`. If a case fails on one of them, code
//! that was tested on the others does something else in production or under the simulator.
//!
//! A ring that is refused fails its cases, because a test that quietly skips proves nothing; where it is expected (a
//! container without io_uring) say so with `RINGLOG_EXPECT_NO_URING=1`.
#![allow(clippy::expect_used, reason = "a test that cannot go on fails")]

mod ends;
mod files;
mod holding;
mod refused;
mod rig;
mod sockets;
mod timing;
mod zero_copy;

/// Makes a module for each driver with one test for each case.
macro_rules! on_every_driver {
    ($($case:ident),* $(,)?) => {
        crate::on_every_real_driver!($($case),*);
        mod sim { $(#[test] fn $case() { (0..8).for_each(|seed| super::$case(&mut crate::rig::Rig::sim(seed))); })* }
    };
}

/// As [`on_every_driver`], for cases about the kernel.
macro_rules! on_every_real_driver {
    ($($case:ident),* $(,)?) => {
        crate::on_every_ring!($($case),*);
        mod posix { $(#[test] fn $case() { super::$case(&mut crate::rig::Rig::posix()); })* }
    };
}

/// As [`on_every_driver`], for cases about rings.
macro_rules! on_every_ring {
    ($($case:ident),* $(,)?) => {
        mod uring { $(#[test] fn $case() { crate::rig::Rig::uring().iter_mut().for_each(super::$case); })* }
        mod tokio_uring { $(#[test] fn $case() { crate::rig::Rig::tokio_uring().iter_mut().for_each(super::$case); })* }
        mod glommio { $(#[test] fn $case() { crate::rig::Rig::glommio().iter_mut().for_each(super::$case); })* }
    };
}
pub(crate) use {on_every_driver, on_every_real_driver, on_every_ring};
