//! The append-only chunk in which batches lie: written by one owner behind what is already shared.

use super::buf::{Buf, Home, LentRange};
use super::slice::{Slice, TailMemory};
use super::track;
use crate::sync::Arc;
use std::fmt;
use std::ops::Range;

/// Page-aligned memory that fills from the front.
///
/// ```text
///  0              published           len                      capacity
///  | frozen,      | still patched     | room: append or lease  |
///  | in slices    | by its owner      |                        |
/// ```
/// Calling order: `append` or `lease` + `accept`, then `unpublished_mut` to patch, then `publish`, then `slice`.
/// While a lease is out, `append` and a second `lease` are refused: ask [`Tail::is_leased`] first.
pub struct Tail {
    memory: Arc<TailMemory>,
    /// What the owner asked for, in bytes; the memory may be larger.
    capacity: usize,
    /// Everything below is frozen and may be in slices.
    published: usize,
    /// Everything below is written; `published <= len <= capacity`.
    len: usize,
}

impl Tail {
    /// An empty tail of `capacity` bytes.
    pub fn new(capacity: usize) -> Tail {
        let memory = TailMemory::new(capacity);
        assert!(capacity <= memory.size(), "a region is at least as large as asked");
        Tail { memory: Arc::new(memory), capacity, published: 0, len: 0 }
    }

    /// Bytes that fit in all.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// Bytes appended, published or not.
    pub fn len(&self) -> usize {
        self.len
    }

    /// True when nothing was appended yet.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes that are frozen.
    pub fn published(&self) -> usize {
        self.published
    }

    /// Bytes that still fit.
    pub fn room(&self) -> usize {
        self.capacity - self.len
    }

    /// True while a lease of this tail is held by somebody.
    pub fn is_leased(&self) -> bool {
        self.memory.is_leased()
    }

    /// Copies `bytes` behind what is there; they must fit, and no lease may be out. Not shared before
    /// [`Tail::publish`].
    pub fn append(&mut self, bytes: &[u8]) -> Range<usize> {
        assert!(!self.is_leased(), "append while a lease is out would write under the receiver");
        assert!(bytes.len() <= self.room(), "{} bytes do not fit {} of room", bytes.len(), self.room());
        let start = self.len;
        // SAFETY: the room is inside the memory; slices end at `published`, no lease is out, so nobody sees it.
        unsafe {
            let room = self.memory.ptr().as_ptr().add(start);
            track::writing(room, bytes.len());
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), room, bytes.len());
        }
        self.len += bytes.len();
        start..self.len
    }

    /// What was appended and not yet shared, to patch header bytes.
    pub fn unpublished_mut(&mut self) -> &mut [u8] {
        // SAFETY: the range was written, slices end at `published`, a lease starts at `len`, and &mut self is unique.
        unsafe {
            let start = self.memory.ptr().as_ptr().add(self.published);
            track::writing(start, self.len - self.published);
            std::slice::from_raw_parts_mut(start, self.len - self.published)
        }
    }

    /// Freezes everything appended so far.
    pub fn publish(&mut self) {
        self.published = self.len;
    }

    /// Shares published bytes; the slice outlives the tail. `range` must lie below [`Tail::published`].
    pub fn slice(&self, range: Range<usize>) -> Slice {
        assert!(range.start <= range.end && range.end <= self.published, "{range:?} is not below {}", self.published);
        // SAFETY: below `published` everything is written, and `published` never goes back.
        unsafe { Slice::of_tail(&self.memory, range) }
    }

    /// Lends the next `len` bytes, which must fit, to be received into. Until the lease is accepted or dropped nothing
    /// else is appended.
    pub fn lease(&mut self, len: usize) -> Lease {
        assert!(!self.is_leased(), "one lease at a time: two could not both be next");
        assert!(len <= self.room(), "a lease of {len} bytes does not fit {} of room", self.room());
        self.memory.begin_lease();
        let lent = LentRange { memory: Arc::clone(&self.memory), start: self.len };
        // SAFETY: the range lies in the room, which only `append` and `lease` touch, and both refuse while it is out.
        Lease(unsafe { Buf::lent(lent, len) })
    }

    /// True while `lease` is the next bytes of this tail: it may be accepted.
    pub fn has_lent(&self, lease: &Lease) -> bool {
        matches!(lease.0.home(), Home::Tail(lent) if Arc::ptr_eq(&lent.memory, &self.memory) && lent.start == self.len)
    }

    /// Appends what was received into `lease`, without a copy; unused room of the lease is room of the tail again.
    pub fn accept(&mut self, lease: Lease) -> Range<usize> {
        let Home::Tail(lent) = lease.0.home() else { unreachable!("a Lease is made from a lent Buf only") };
        assert!(Arc::ptr_eq(&lent.memory, &self.memory), "a lease goes back to the tail that gave it");
        assert!(lent.start == self.len, "nothing is appended while a lease is out");
        let start = self.len;
        self.len += lease.0.len();
        start..self.len
    }
}

impl fmt::Debug for Tail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Tail({} published, {} of {} bytes)", self.published, self.len, self.capacity)
    }
}

/// The exclusive right to fill the next bytes of a [`Tail`]. Dropping it revokes it: what arrived is forgotten, so copy
/// it out first ([`Lease::as_slice`]) if it is still wanted.
#[derive(Debug)]
pub struct Lease(Buf);

impl Lease {
    /// As the target of a receive. The buffer comes back by [`Lease::from_buf`].
    pub fn into_buf(self) -> Buf {
        self.0
    }

    /// The lease behind a buffer; a buffer that no tail lent is given back.
    pub fn from_buf(buf: Buf) -> Result<Lease, Buf> {
        match buf.home() {
            Home::Tail(_) => Ok(Lease(buf)),
            Home::Pool(_) => Err(buf),
        }
    }

    /// What arrived so far.
    pub fn as_slice(&self) -> &[u8] {
        self.0.as_slice()
    }

    /// Forgets what arrived from `len` on: it is not for the tail.
    pub fn truncate(&mut self, len: usize) {
        self.0.truncate(len);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn appended_patched_published_shared() {
        let mut tail = Tail::new(100);
        assert_eq!(tail.append(b"abc"), 0..3);
        assert_eq!(tail.append(b"def"), 3..6);
        tail.unpublished_mut()[0] = b'A';
        tail.publish();
        let early = tail.slice(0..6);
        tail.append(b"ghi");
        assert_eq!(tail.unpublished_mut(), b"ghi");
        tail.publish();
        let late = tail.slice(4..9);
        assert_eq!((tail.published(), tail.room(), tail.capacity()), (9, 91, 100));
        drop(tail);
        assert_eq!((&*early, &*late), (&b"Abcdef"[..], &b"efghi"[..]));
    }

    #[test]
    #[should_panic(expected = "not below")]
    fn unpublished_bytes_are_not_shared() {
        let mut tail = Tail::new(10);
        tail.append(b"abc");
        tail.slice(0..1);
    }

    #[test]
    fn a_lease_is_received_into_and_accepted() {
        let mut tail = Tail::new(10);
        tail.append(b"ab");
        let mut buf = tail.lease(5).into_buf();
        assert_eq!((buf.capacity(), buf.len(), tail.is_leased()), (5, 0, true));
        buf.extend_from_slice(b"cde");
        let lease = Lease::from_buf(buf).expect("the tail lent it");
        assert!(tail.has_lent(&lease) && !Tail::new(10).has_lent(&lease));
        assert_eq!(tail.accept(lease), 2..5);
        assert!(!tail.is_leased());
        assert_eq!(tail.append(b"f"), 5..6);
        tail.publish();
        assert_eq!(&*tail.slice(0..6), b"abcdef");
    }

    #[test]
    fn what_follows_the_batch_in_a_lease_is_not_appended() {
        let mut tail = Tail::new(10);
        let mut buf = tail.lease(6).into_buf();
        buf.extend_from_slice(b"abcdef");
        let mut lease = Lease::from_buf(buf).expect("the tail lent it");
        lease.truncate(4);
        assert_eq!((tail.accept(lease), tail.append(b"x")), (0..4, 4..5));
    }

    #[test]
    fn a_dropped_lease_leaves_no_hole() {
        let mut tail = Tail::new(10);
        let mut lease = tail.lease(5).into_buf();
        lease.extend_from_slice(b"xx");
        drop(lease);
        assert_eq!(tail.append(b"ab"), 0..2);
    }

    #[test]
    #[should_panic(expected = "while a lease is out")]
    fn appending_under_a_lease_is_refused() {
        let mut tail = Tail::new(10);
        let _lease = tail.lease(5);
        tail.append(b"a");
    }

    #[test]
    #[should_panic(expected = "handed back to its tail")]
    fn a_lease_cannot_be_frozen() {
        Tail::new(10).lease(5).into_buf().freeze();
    }

    #[test]
    fn a_pooled_buffer_is_no_lease() {
        assert!(Lease::from_buf(Buf::with_capacity(1)).is_err());
    }

    #[test]
    fn a_lease_outlives_its_tail() {
        let mut tail = Tail::new(8192);
        let mut buf = tail.lease(8192).into_buf();
        drop(tail);
        buf.fill_zero(8192);
        assert_eq!(buf.as_slice(), [0; 8192]);
    }
}
