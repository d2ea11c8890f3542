//! A load generator for any Kafka broker, and the comparison that runs ours and Kafka on the same core.
//!
//! [`frames`] encodes requests once; [`load`] drives connections from one thread; [`stats`] counts; [`brokers`] starts
//! and measures broker processes; [`compare`] runs scenarios in interleaved rounds and prints the table.

pub mod frames;

pub mod stats;

pub mod load;

pub mod brokers;

pub mod compare;
