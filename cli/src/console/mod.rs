//! Producing and consuming from a terminal: `ringlog produce`, `ringlog consume`, `kafka-console-producer`,
//! `kafka-console-consumer`.
