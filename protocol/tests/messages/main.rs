//! Every message in every version: round trips, a second implementation, hostile bytes, the version table.
//!
//! What would break without it: a client of some version that nobody tried by hand. Unit tests of reader, writer and
//! headers stand beside their code.

mod bounded;
mod counting;
mod message_sets;
mod oracle;
mod round_trip;
mod sample;
mod samples;
mod versions;
