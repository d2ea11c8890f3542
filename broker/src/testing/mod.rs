//! A whole broker without a machine under it, for tests and benches: storage in vectors, shards that exchange messages in an
//! order drawn from a seed, a clock that is set by hand. Behind the feature `testing`; nothing that ships uses it.

mod calls;
pub mod parsers;
mod store;
mod world;

pub use calls::{
    Call, FetchCall, FetchedPart, Produced, ask_offsets, body_of, fetch, produce, produce_frame, produced, records,
};
pub use store::{Memory, MemoryChunk, Spoiled};
pub use world::{Outcome, World};
