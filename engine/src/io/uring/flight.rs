//! Ops under way in the ring: the entry that starts (or goes on with) each, and the step that its completion makes.
//!
//! Everything the kernel reads or writes is owned by the [`Flight`]: buffers in its op, vectors and message header in
//! its boxed [`Scratch`]. A flight ends only when the kernel has completed its last entry.

use super::bufring;
use crate::io::kernel::{count, fs, socket, vectors};
use crate::io::{Op, RecvInto, Token};
use crate::mem::Buf;
use io_uring::squeue::{Entry, Flags};
use io_uring::{opcode, types};
use std::io;
use std::os::fd::RawFd;

/// Memory that an entry points to besides buffers; boxed, so that it stays where it is.
pub(super) struct Scratch {
    iovecs: Vec<libc::iovec>,
    message: libc::msghdr,
}

impl Scratch {
    pub(super) fn new() -> Box<Scratch> {
        Box::new(Scratch { iovecs: Vec::new(), message: socket::message(&mut []) })
    }
}

/// An op that the ring works on.
pub(super) struct Flight {
    pub(super) token: Token,
    pub(super) op: Op,
    /// The descriptor of its file or socket.
    pub(super) fd: RawFd,
    /// Bytes moved so far.
    pub(super) moved: usize,
    /// Somebody asked for an early end: it is not started again.
    pub(super) cancelled: bool,
    pub(super) scratch: Box<Scratch>,
}

/// What a completion means for its op.
pub(super) enum Step {
    Finished(io::Result<u32>),
    /// More to do: start it again from where it is.
    Again,
    /// Direct I/O was refused and switched off; start it again.
    LostDirect,
}

/// A length as an entry carries it; what is longer is moved in several rounds.
fn entry_len(bytes: usize) -> u32 {
    bytes.min(1 << 30) as u32
}

impl Flight {
    /// The entry that does what is left of the op.
    pub(super) fn entry(&mut self) -> Entry {
        let fd = types::Fd(self.fd);
        match &mut self.op {
            Op::Read { at, buf, .. } => {
                let offset = *at + self.moved as u64;
                opcode::Read::new(fd, buf.spare_ptr(), entry_len(buf.spare_len())).offset(offset).build()
            }
            Op::WriteV { at, bufs, .. } => {
                vectors::remaining(bufs, self.moved, &mut self.scratch.iovecs);
                let (vectors, offset) = (&self.scratch.iovecs, *at + self.moved as u64);
                opcode::Writev::new(fd, vectors.as_ptr(), vectors.len() as u32).offset(offset).build()
            }
            Op::WriteSynced { at, bufs, .. } => {
                vectors::remaining(bufs, self.moved, &mut self.scratch.iovecs);
                let (vectors, offset) = (&self.scratch.iovecs, *at + self.moved as u64);
                let entry = opcode::Writev::new(fd, vectors.as_ptr(), vectors.len() as u32).offset(offset);
                entry.rw_flags(libc::RWF_DSYNC).build()
            }
            Op::SyncData { .. } => opcode::Fsync::new(fd).flags(types::FsyncFlags::DATASYNC).build(),
            Op::Allocate { at, len, .. } => opcode::Fallocate::new(fd, *len).offset(*at).build(),
            Op::SetLen { len, .. } => opcode::Ftruncate::new(fd, *len).build(),
            Op::Close { .. } => opcode::Close::new(fd).build(),
            Op::Accept { .. } => {
                let null = std::ptr::null_mut();
                opcode::Accept::new(fd, null, std::ptr::null_mut()).flags(libc::SOCK_CLOEXEC).build()
            }
            Op::Recv { into, .. } => recv_entry(fd, into),
            Op::Send { bufs, .. } => {
                vectors::remaining(bufs, self.moved, &mut self.scratch.iovecs);
                self.scratch.message = socket::message(&mut self.scratch.iovecs);
                let flags = (libc::MSG_WAITALL | libc::MSG_NOSIGNAL) as u32;
                opcode::SendMsg::new(fd, &raw const self.scratch.message).flags(flags).build()
            }
            other => unreachable!("{other:?} does not fly"),
        }
    }

    /// Takes a completion in: `result` as the kernel gave it, `picked` the buffer it chose for a receive into `Any`.
    pub(super) fn step(&mut self, result: i32, picked: Option<Buf>) -> Step {
        let step = match result {
            0.. => self.moved_on(result as usize, picked),
            _ => self.failed(-result),
        };
        match step {
            Step::Again | Step::LostDirect if self.cancelled => Step::Finished(Err(io::ErrorKind::Interrupted.into())),
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
            (libc::ECANCELED, _) => Step::Finished(Err(io::ErrorKind::Interrupted.into())),
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
                // SAFETY: the kernel wrote `bytes` bytes at the spare pointer that `entry` gave it.
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
        if complete { Step::Finished(Ok(count(self.moved))) } else { Step::Again }
    }
}

fn recv_entry(fd: types::Fd, into: &mut RecvInto) -> Entry {
    match into {
        RecvInto::Any => {
            opcode::Recv::new(fd, std::ptr::null_mut(), 0).buf_group(bufring::GROUP).build().flags(Flags::BUFFER_SELECT)
        }
        RecvInto::Buf(buf) => opcode::Recv::new(fd, buf.spare_ptr(), entry_len(buf.spare_len())).build(),
        RecvInto::Fill(buf) => {
            let len = entry_len(buf.spare_len());
            opcode::Recv::new(fd, buf.spare_ptr(), len).flags(libc::MSG_WAITALL).build()
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
            // SAFETY: the kernel wrote `bytes` bytes at the spare pointer that `recv_entry` gave it.
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
