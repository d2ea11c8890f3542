//! Topics. The operations are in [`read`] and [`change`]; here is our own face on them, `ringlog topics …`, and in [`kafka`] that of
//! `kafka-topics`.

mod change;
pub mod kafka;
mod own;
mod read;

pub use own::{TopicsArgs, run};
