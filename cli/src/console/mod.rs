//! Producing and consuming from a terminal: `ringlog produce`, `ringlog consume`, `kafka-console-producer`,
//! `kafka-console-consumer`.

mod deserialize;
mod format;
mod internal;
mod numbers;
mod partition;
mod reader;
mod record;
