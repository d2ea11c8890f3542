//! scratch
mod deserialize;
mod format;
mod internal;
pub(crate) mod java;
mod partition;
mod reader;
mod record;
