//! Models of the lock-free primitives of `engine::mailbox`; the crate itself is empty.
//!
//! * `tests/models.rs`, built with `RUSTFLAGS="--cfg loom"`: loom runs every interleaving that matters at tiny capacity.
//! * `tests/stress.rs`, built without: the same code on real threads, for what a model does not see (real wake-ups,
//!   long runs, the processor's own reordering).
//!
//! README.md says what each model covers and what none does.
