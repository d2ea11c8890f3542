//! Settings of topics, brokers, loggers, client metrics and groups.

pub mod names;
