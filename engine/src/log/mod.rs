//! Partition logs: append, read, flush, recovery, retention.
