//! Scatter lists as the kernel takes them.

use crate::io::limits::IOVECS_MAX;
use crate::mem::Slice;

/// Fills `out` with what is left of `bufs` after their first `done` bytes, at most [`IOVECS_MAX`] pieces. The pointers
/// are good while `bufs` is held.
pub(in crate::io) fn remaining(bufs: &[Slice], done: usize, out: &mut Vec<libc::iovec>) {
    out.clear();
    let mut skip = done;
    for buf in bufs {
        if skip >= buf.len() {
            skip -= buf.len();
            continue;
        }
        if out.len() == IOVECS_MAX {
            return;
        }
        let rest = &buf[skip..];
        skip = 0;
        out.push(libc::iovec { iov_base: rest.as_ptr().cast_mut().cast(), iov_len: rest.len() });
    }
}

/// All bytes of `bufs`.
pub(in crate::io) fn total(bufs: &[Slice]) -> usize {
    bufs.iter().map(|buf| buf.len()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_left_after_some_bytes() {
        let bufs: Vec<_> = ["abc", "", "de", "f"].iter().map(|text| Slice::copy_of(text.as_bytes())).collect();
        let mut out = Vec::new();
        for (done, lengths) in [(0, &[3, 2, 1][..]), (1, &[2, 2, 1]), (3, &[2, 1]), (4, &[1, 1]), (5, &[1]), (6, &[])] {
            remaining(&bufs, done, &mut out);
            assert_eq!(out.iter().map(|v| v.iov_len).collect::<Vec<_>>(), lengths, "after {done}");
        }
    }

    #[test]
    fn no_more_pieces_than_the_kernel_takes() {
        let bufs = vec![Slice::from_static(b"x"); IOVECS_MAX + 5];
        let mut out = Vec::new();
        remaining(&bufs, 0, &mut out);
        assert_eq!(out.len(), IOVECS_MAX);
        remaining(&bufs, IOVECS_MAX, &mut out);
        assert_eq!((out.len(), total(&bufs)), (5, IOVECS_MAX + 5));
    }
}
