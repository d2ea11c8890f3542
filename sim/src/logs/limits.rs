//! Bounds of a run.

/// Steps of a run, unless the caller says otherwise.
pub const STEPS_DEFAULT: u64 = 400;

/// Logs side by side.
pub(crate) const LOGS_MAX: usize = 4;

/// Turns of the loop before a wait counts as endless: far more than any recovery here takes.
pub(crate) const TURNS_MAX: usize = 2_000_000;

/// Virtual time a clean stop may take, in milliseconds.
pub(crate) const SHUTDOWN_MS: u64 = 60_000;

/// Bytes asked of one read at most, beyond the first batch.
pub(crate) const READ_BYTES_MAX: u64 = 40_000;

/// Turns that a recovery gets before it is cut off in turn, at most.
pub(crate) const RECOVERY_TURNS_MAX: u64 = 80;
