//! Consumer groups: `ringlog groups`, `kafka-consumer-groups`. What is known about groups is read in [`read`], [`lag`] and
//! [`verdict`](crate::status), what can be done to them is in [`change`] and [`reset`]; [`kafka`] and [`print`] are Kafka's
//! face on both.

mod change;
pub mod kafka;
mod lag;
mod plan;
mod print;
mod read;
mod reset;
mod table;
mod time;
