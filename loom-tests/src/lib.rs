//! Models of what threads share without a lock; README.md says what each covers and what none does.
//!
//! * `tests/models.rs`, `memory.rs`, `image.rs`, `stages.rs`, `signal.rs`, `glommio.rs`, built with `RUSTFLAGS="--cfg loom"`: loom runs
//!   every interleaving that matters at tiny capacity.
//! * `tests/shards.rs`, built with `RUSTFLAGS="--cfg shuttle"`: whole shards under random schedules.
//! * `tests/stress.rs` and `scripts.rs`, built without either: the same code on real threads, for what a model does not
//!   see, and every short script of one thread.
//!
//! Here is only what they share.

#[cfg(any(loom, shuttle))]
mod bed;
#[cfg(any(loom, shuttle))]
pub use bed::{Bed, Bell};

/// For models with too many interleavings: those with at most three preemptions, where most bugs show.
#[cfg(loom)]
pub fn bounded(model: impl Fn() + Sync + Send + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}
