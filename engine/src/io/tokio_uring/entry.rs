//! Calls as entries of the ring that tokio-uring drives, which speaks an older version of the default driver's crate.

use super::lent;
use crate::io::kernel::flight::Call;
use io_uring_06::squeue::{Entry, Flags};
use io_uring_06::{opcode, types};
use std::os::fd::RawFd;

/// The entry that makes `call` on `fd`.
pub(super) fn of(fd: RawFd, call: Call) -> Entry {
    let fd = types::Fd(fd);
    let null = std::ptr::null_mut::<u8>();
    match call {
        Call::Read { into, len, at } => opcode::Read::new(fd, into, len).offset(at).build(),
        Call::WriteV { vectors, count, at, flags } => {
            opcode::Writev::new(fd, vectors, count).offset(at).rw_flags(flags).build()
        }
        Call::SyncData => opcode::Fsync::new(fd).flags(types::FsyncFlags::DATASYNC).build(),
        Call::Allocate { at, len } => opcode::Fallocate::new(fd, len).offset(at).build(),
        Call::SetLen { .. } => unreachable!("this version has no ftruncate: the helper thread does it"),
        Call::Close => opcode::Close::new(fd).build(),
        Call::Accept => opcode::Accept::new(fd, null.cast(), null.cast()).flags(libc::SOCK_CLOEXEC).build(),
        Call::RecvAny => opcode::Recv::new(fd, null, 0).buf_group(lent::GROUP).build().flags(Flags::BUFFER_SELECT),
        Call::Recv { into, len, flags } => opcode::Recv::new(fd, into, len).flags(flags).build(),
        Call::Send { message, flags, .. } => opcode::SendMsg::new(fd, message).flags(flags).build(),
    }
}

/// Ends whatever waits on `fd`. By descriptor, because the crate keeps to itself by which number the kernel knows an op.
pub(super) fn cancel(fd: RawFd) -> Entry {
    opcode::AsyncCancel2::new(types::CancelBuilder::fd(types::Fd(fd)).all()).build()
}
