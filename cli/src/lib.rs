//! The command line: a small Kafka client, and on it our own commands and the tools that Kafka users know by name.
//!
//! One source, two faces. A module an area (`topics`, `configs`, …) has the operations, our own face on them in its `mod.rs`, and
//! Kafka's face in its `kafka.rs`, which prints what Kafka's tool prints. Standard output carries what was asked for,
//! standard error everything about it; [`exit`] has the codes.
//!
//! ```text
//! node's main ─► applet::run_as_called (by argv[0])  ─► Applet::run ─┐
//!            └─► command::Command (clap, `ringlog …`) ─► run ────────┴─► topics · configs · … ─► client
//! ```
//!
//! It knows the broker by its protocol only. Deliberately elsewhere: starting a broker, `dump-log` and `verify`, which look at
//! files, are in `node`, whose binary dispatches to this crate.

pub mod applet;
pub mod client;
pub mod command;
pub mod completions;
pub mod configs;
pub mod console;
pub mod exit;
pub mod failure;
pub mod groups;
pub mod io;
pub mod java;
pub mod links;
pub mod log_dirs;
pub mod offsets;
pub mod options;
pub mod progress;
pub mod properties;
pub mod records;
mod status;
pub mod suggest;
pub mod table;
pub mod topic_filter;
pub mod topics;
mod watch;

pub use command::Command;
