//! The ringlog binary: command line, boot, the one loop.

pub mod args;
pub mod data_dir;
pub mod identity;
pub mod listen;
pub mod machine;
pub mod stop;
pub mod sys;
