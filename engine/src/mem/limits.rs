//! Bounds of the memory pool and what they have to do with each other.

/// Alignment of every buffer and the unit of direct I/O, in bytes: a page, and a multiple of any device's sector.
pub const BLOCK: usize = 4096;

/// Smallest size class, in bytes.
pub(super) const CLASS_MIN: usize = BLOCK;

/// Largest size class, in bytes; anything larger is mapped for itself and unmapped when dropped.
pub(super) const CLASS_MAX: usize = 4 << 20;

/// How many size classes there are: powers of two from [`CLASS_MIN`] to [`CLASS_MAX`].
pub(super) const CLASSES: usize = (CLASS_MAX / CLASS_MIN).trailing_zeros() as usize + 1;

/// Most idle memory that one thread keeps, in bytes.
pub(super) const POOL_BYTES_MAX: usize = 64 << 20;

/// From this size on memory is mapped on a huge-page boundary and the kernel asked for huge pages, in bytes.
pub(super) const HUGE_PAGE: usize = 2 << 20;

const _: () = assert!(CLASS_MIN << (CLASSES - 1) == CLASS_MAX, "the classes must end exactly at CLASS_MAX");
const _: () = assert!(CLASS_MAX <= POOL_BYTES_MAX, "a freed buffer of the largest class must fit an empty pool");
const _: () = assert!(HUGE_PAGE.is_power_of_two() && HUGE_PAGE.is_multiple_of(BLOCK), "alignments must nest");
