//! The controller: the only writer of the metadata log. It lives on shard 0 and is a machine of its own.

pub mod record;
