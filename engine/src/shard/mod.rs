//! A shard's turn: completions to their owners, tasks over ops. The loop itself is the `node` crate's.
