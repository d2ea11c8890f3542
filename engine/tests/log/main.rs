//! The log engine over every driver, and its crashes over the simulated disk. One binary, because linking costs more
//! than running.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

mod catch_up;
mod compaction;
mod crash;
mod ends;
mod faults;
mod journal;
mod leases;
mod life;
mod replacement;
mod rig;
mod rot;
mod scrub;
mod settings;
