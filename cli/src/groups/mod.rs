//! scratch
mod plan;
mod table;
mod time;
