//! Filled in below.

pub mod batch;
pub mod compress;
pub mod crc;
