//! An op under way in a ring: the call that starts (or goes on with) it, and the step that a completion makes. How a call
//! becomes an entry is the driver's, for each speaks its own crate.
//!
//! Everything the kernel reads or writes is owned by the [`Flight`]: buffers in its op, vectors and message header in
//! its boxed [`Scratch`]. A flight ends only when the kernel has completed its last entry.

use super::files::Files;
use super::{count, fs, socket, vectors};
use crate::io::{Op, RecvInto, Token};
use crate::mem::{Buf, Slice};
use std::io;
use std::os::fd::RawFd;

/// Memory that an entry points to besides buffers; boxed, so that it stays where it is.
pub(in crate::io) struct Scratch {
    iovecs: Vec<libc::iovec>,
    message: libc::msghdr,
}

impl Scratch {
    pub(in crate::io) fn new() -> Box<Scratch> {
        Box::new(Scratch { iovecs: Vec::new(), message: socket::message(&mut []) })
    }
}

/// An op that the ring works on.
pub(in crate::io) struct Flight {
    pub(in crate::io) token: Token,
    pub(in crate::io) op: Op,
    /// The descriptor of its file or socket.
    pub(in crate::io) fd: RawFd,
    /// Bytes moved so far.
    pub(in crate::io) moved: usize,
    /// Somebody asked for an early end: it is not started again.
    pub(in crate::io) cancelled: bool,
    /// A send that goes from where its bytes lie.
    pub(in crate::io) zero_copy: bool,
    /// How an [`Op::WriteSynced`] is flushed.
    pub(in crate::io) flush: Flush,
    pub(in crate::io) scratch: Box<Scratch>,
}

/// How a write that waits for the device gets there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::io) enum Flush {
    /// By the write itself.
    Within,
    /// By a flush once everything is written: the file system is not known to flush with a write.
    Behind,
    /// That flush is under way.
    Now,
}

impl Flush {
    /// What is right for `op`.
    pub(in crate::io) fn of(op: &Op, files: &Files) -> Flush {
        match op {
            Op::WriteSynced { file, .. } if !files.syncs_writes(*file) => Flush::Behind,
            _ => Flush::Within,
        }
    }
}

/// What the kernel is to do on a flight's descriptor. Pointers are good for as long as the flight is.
#[derive(Clone, Copy)]
pub(in crate::io) enum Call {
    Read {
        into: *mut u8,
        len: u32,
        at: u64,
    },
    WriteV {
        vectors: *const libc::iovec,
        count: u32,
        at: u64,
        /// RWF_DSYNC or nothing.
        flags: i32,
    },
    /// fdatasync.
    SyncData,
    Allocate {
        at: u64,
        len: u64,
    },
    SetLen {
        len: u64,
    },
    Close,
    /// With SOCK_CLOEXEC, without asking for the address.
    Accept,
    /// Into a buffer of the driver's choice.
    RecvAny,
    Recv {
        into: *mut u8,
        len: u32,
        /// MSG_WAITALL or nothing.
        flags: i32,
    },
    Send {
        message: *const libc::msghdr,
        flags: u32,
        /// From where the bytes lie, if the driver has asked for that.
        zero_copy: bool,
    },
}

/// What a completion means for its op.
pub(in crate::io) enum Step {
    Finished(io::Result<u32>),
    /// More to do: start it again from where it is.
    Again,
    /// Direct I/O was refused and switched off; start it again.
    LostDirect,
    /// The kernel does not send this from where it lies; start it again, copied.
    LostZeroCopy,
}

/// A length as an entry carries it; what is longer is moved in several rounds.
fn entry_len(bytes: usize) -> u32 {
    bytes.min(1 << 30) as u32
}

impl Flight {
    /// The call that does what is left of the op.
    pub(in crate::io) fn call(&mut self) -> Call {
        match &mut self.op {
            Op::Read { at, buf, .. } => {
                Call::Read { into: buf.spare_ptr(), len: entry_len(buf.spare_len()), at: *at + self.moved as u64 }
            }
            Op::WriteV { at, bufs, .. } => write(*at, bufs, self.moved, &mut self.scratch.iovecs, 0),
            Op::WriteSynced { .. } if self.flush == Flush::Now => Call::SyncData,
            Op::WriteSynced { at, bufs, .. } => {
                let flags = if self.flush == Flush::Within { libc::RWF_DSYNC } else { 0 };
                write(*at, bufs, self.moved, &mut self.scratch.iovecs, flags)
            }
            Op::SyncData { .. } => Call::SyncData,
            Op::Allocate { at, len, .. } => Call::Allocate { at: *at, len: *len },
            Op::SetLen { len, .. } => Call::SetLen { len: *len },
            Op::Close { .. } => Call::Close,
            Op::Accept { .. } => Call::Accept,
            Op::Recv { into, .. } => recv(into),
            Op::Send { bufs, .. } => {
                vectors::remaining(bufs, self.moved, &mut self.scratch.iovecs);
                self.scratch.message = socket::message(&mut self.scratch.iovecs);
                let flags = (libc::MSG_WAITALL | libc::MSG_NOSIGNAL) as u32;
                Call::Send { message: &raw const self.scratch.message, flags, zero_copy: self.zero_copy }
            }
            other => unreachable!("{other:?} does not fly"),
        }
    }

    /// Takes a completion in: `result` as the kernel gave it, `picked` the buffer it chose for a receive into `Any`.
    pub(in crate::io) fn step(&mut self, result: i32, picked: Option<Buf>) -> Step {
        let step = match result {
            0.. => self.moved_on(result as usize, picked),
            _ => self.failed(-result),
        };
        match step {
            Step::Again | Step::LostDirect | Step::LostZeroCopy if self.cancelled => {
                Step::Finished(Err(io::ErrorKind::Interrupted.into()))
            }
            step => step,
        }
    }

    fn failed(&mut self, code: i32) -> Step {
        let is_direct = || fs::drop_direct(self.fd).unwrap_or(false);
        match (code, &self.op) {
            (libc::EINTR | libc::EAGAIN, _) => Step::Again,
            // All buffers of the ring were in completions we had not looked at yet.
            (libc::ENOBUFS, Op::Recv { into: RecvInto::Any, .. }) => Step::Again,
            // That client left while it waited; the next may be there.
            (libc::ECONNABORTED, Op::Accept { .. }) => Step::Again,
            // Something else on the same descriptor was to end.
            (libc::ECANCELED, Op::Accept { .. } | Op::Recv { .. } | Op::Send { .. }) if !self.cancelled => Step::Again,
            (libc::ECANCELED, _) => Step::Finished(Err(io::ErrorKind::Interrupted.into())),
            // A flag that it does not know, a socket that cannot, or pages beyond the locked-memory limit.
            (libc::EINVAL | libc::EOPNOTSUPP | libc::ENOMEM | libc::ENOBUFS, Op::Send { .. }) if self.zero_copy => {
                self.zero_copy = false;
                Step::LostZeroCopy
            }
            // Direct reads go on in whole blocks only; what came before is the end of the file.
            (libc::EINVAL, Op::Read { .. }) if self.moved > 0 => Step::Finished(Ok(count(self.moved))),
            (libc::EINVAL, Op::WriteV { .. } | Op::WriteSynced { .. }) if is_direct() => Step::LostDirect,
            _ => Step::Finished(Err(io::Error::from_raw_os_error(code))),
        }
    }

    fn moved_on(&mut self, bytes: usize, picked: Option<Buf>) -> Step {
        self.moved += bytes;
        let complete = match &mut self.op {
            Op::Read { buf, .. } => {
                // SAFETY: the kernel wrote `bytes` bytes at the spare pointer that `call` gave it.
                unsafe { buf.advance(bytes) };
                bytes == 0 || buf.spare_len() == 0
            }
            Op::WriteV { bufs, .. } | Op::WriteSynced { bufs, .. }
                if bytes == 0 && vectors::total(bufs) > self.moved =>
            {
                return Step::Finished(Err(io::ErrorKind::WriteZero.into()));
            }
            Op::WriteV { bufs, .. } | Op::WriteSynced { bufs, .. } | Op::Send { bufs, .. } => {
                self.moved == vectors::total(bufs)
            }
            Op::Recv { into, .. } => received(into, bytes, picked),
            _ => true,
        };
        if complete && self.flush == Flush::Behind {
            self.flush = Flush::Now;
            return Step::Again;
        }
        if complete { Step::Finished(Ok(count(self.moved))) } else { Step::Again }
    }
}

fn write(at: u64, bufs: &[Slice], moved: usize, iovecs: &mut Vec<libc::iovec>, flags: i32) -> Call {
    vectors::remaining(bufs, moved, iovecs);
    Call::WriteV { vectors: iovecs.as_ptr(), count: iovecs.len() as u32, at: at + moved as u64, flags }
}

fn recv(into: &mut RecvInto) -> Call {
    match into {
        RecvInto::Any => Call::RecvAny,
        RecvInto::Buf(buf) => Call::Recv { into: buf.spare_ptr(), len: entry_len(buf.spare_len()), flags: 0 },
        RecvInto::Fill(buf) => {
            Call::Recv { into: buf.spare_ptr(), len: entry_len(buf.spare_len()), flags: libc::MSG_WAITALL }
        }
    }
}

/// Takes `bytes` received bytes in; true when the receive is complete.
fn received(into: &mut RecvInto, bytes: usize, picked: Option<Buf>) -> bool {
    match into {
        RecvInto::Any => {
            if let Some(buf) = picked {
                *into = RecvInto::Buf(buf);
            }
            true
        }
        RecvInto::Buf(buf) => {
            // SAFETY: the kernel wrote `bytes` bytes at the spare pointer that `recv` gave it.
            unsafe { buf.advance(bytes) };
            true
        }
        RecvInto::Fill(buf) => {
            // SAFETY: as above.
            unsafe { buf.advance(bytes) };
            bytes == 0 || buf.spare_len() == 0
        }
    }
}
