//! The parts of one request while they are out at their owners.

use crate::io::Origin;
use crate::request::Header;

/// One request that waits for parts.
#[derive(Debug)]
pub(crate) struct Gather<C> {
    /// Whose request it is.
    pub(crate) origin: Origin,
    /// Its header.
    pub(crate) header: Header,
    /// When waiting ends, monotonic milliseconds.
    pub(crate) deadline_ms: Option<u64>,
    pub(crate) _c: std::marker::PhantomData<C>,
}
