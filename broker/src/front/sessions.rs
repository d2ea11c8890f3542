//! Fetch sessions.
