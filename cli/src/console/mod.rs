//! Producing and consuming from a terminal: `ringlog produce`, `ringlog consume`, `kafka-console-producer`,
//! `kafka-console-consumer`.

mod assign;
mod classic;
mod consume;
mod consumer_keys;
mod decode;
mod deserialize;
mod format;
mod heartbeat;
mod internal;
mod interrupt;
mod json;
pub mod kafka_consumer;
pub mod kafka_producer;
mod keys;
mod lines;
mod member;
mod numbers;
mod partition;
mod produce;
mod reader;
mod record;
mod typing;
