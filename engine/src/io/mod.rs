//! The one seam between a shard and the world: every effect is an [`Op`], submitted to a [`Driver`] and handed back in a
//! [`Done`] when it happened. Buffers travel inside the op, so the kernel's hold on memory ends exactly where the op
//! comes back. Nothing else on a shard calls the kernel; boot, the command line and bench are outside.
//!
//! What a driver cannot do it says through [`Caps`]; the engine routes by capability and never by driver name.

#[cfg(feature = "glommio")]
pub mod glommio;
mod kernel;
mod limits;
pub mod posix;
pub mod sim;
#[cfg(feature = "tokio-uring")]
pub mod tokio_uring;
pub mod uring;

use crate::mem::{Buf, Slice};
use crate::time::{Mono, Wall};
use std::io;
use std::os::fd::OwnedFd;
use std::path::PathBuf;

/// Names an op until its [`Done`] returns. The top byte says whose it is ([`Owner`]), the rest belongs to the owner.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Token(pub u64);

/// Who submitted an op, and therefore who gets its completion.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Owner {
    /// An [`OpFuture`](crate::shard::OpFuture) of a task.
    Task = 1,
    /// The log set's writer and flusher.
    Log = 2,
    /// A transport.
    Net = 3,
    /// The node's loop.
    Node = 4,
}

impl Token {
    /// Bits that the owner may use.
    pub const PAYLOAD_BITS: u32 = 56;

    /// A token of `owner`. `payload` must fit [`Token::PAYLOAD_BITS`].
    pub fn new(owner: Owner, payload: u64) -> Token {
        assert!(payload >> Token::PAYLOAD_BITS == 0, "token payload {payload:#x} is wider than 56 bits");
        Token((owner as u64) << Token::PAYLOAD_BITS | payload)
    }

    /// Whose completion this is.
    pub fn owner(self) -> Owner {
        match self.0 >> Token::PAYLOAD_BITS {
            1 => Owner::Task,
            2 => Owner::Log,
            3 => Owner::Net,
            4 => Owner::Node,
            other => unreachable!("tokens are made by Token::new only, got owner {other}"),
        }
    }

    /// What the owner stored.
    pub fn payload(self) -> u64 {
        self.0 & ((1 << Token::PAYLOAD_BITS) - 1)
    }
}

/// An open file of one driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId(pub u32);

/// A listening socket of one driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ListenerId(pub u32);

/// A connected socket of one driver. Ids are reused after [`Op::CloseConn`] completed, never before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ConnId(pub u32);

/// One core of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ShardId(pub u16);

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// Existing file, reads through the page cache.
    Read,
    /// Existing file, reads past the page cache: what the device holds, in whole blocks.
    ReadDirect,
    /// Existing or new file for buffered writes.
    Write,
    /// Existing or new file for whole-block writes past the page cache (falls back to buffered where the file system
    /// cannot; `Caps::direct` says so).
    WriteDirect,
    /// A file that must not exist yet, otherwise as [`OpenMode::WriteDirect`].
    CreateDirect,
}

/// What one entry of a folder is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirEntry {
    /// File name without the folder.
    pub name: String,
    /// True for a folder.
    pub is_dir: bool,
    /// Size in bytes for a file.
    pub len: u64,
}

/// Where received bytes go.
#[derive(Debug)]
pub enum RecvInto {
    /// The driver picks a pooled buffer only once bytes are there, so that idle connections hold no memory. On
    /// completion this is [`RecvInto::Buf`] with the bytes in it.
    Any,
    /// Into the spare room of this buffer (from `len` to `capacity`). Completes when the room is full or the peer has
    /// closed; the result counts only the new bytes.
    Fill(Buf),
    /// As `Fill`, but completes with whatever is there first.
    Buf(Buf),
}

/// One effect on the world.
#[expect(missing_docs, reason = "the sentence at each variant explains its fields")]
#[derive(Debug)]
pub enum Op {
    /// Opens `path`; the result is the [`FileId`], `len` is filled with the file's size in bytes.
    Open { path: PathBuf, mode: OpenMode, len: u64 },
    /// Closes a file. Never fails usefully; durability is [`Op::SyncData`]'s business.
    Close { file: FileId },
    /// Reads into the whole spare room of `buf` from byte `at`; the result is the byte count, short only at end of file.
    /// With a direct file `at` and the room must be whole blocks.
    Read { file: FileId, at: u64, buf: Buf },
    /// Writes all `bufs`, in order, from byte `at`. With a direct file every slice is whole blocks, block-aligned in
    /// memory. The result is the full byte count: a driver finishes short writes itself or fails.
    WriteV { file: FileId, at: u64, bufs: Vec<Slice> },
    /// As [`Op::WriteV`], and completes only once these bytes survive a power cut. What else was written to the file may or
    /// may not be covered.
    WriteSynced { file: FileId, at: u64, bufs: Vec<Slice> },
    /// Makes everything written to `file` before this op was submitted survive a power cut, with the metadata needed to read it.
    SyncData { file: FileId },
    /// Reserves space for `at..at + len` and makes the file at least that long; the new space reads as zeros.
    Allocate { file: FileId, at: u64, len: u64 },
    /// Cuts or extends the file to `len` bytes.
    SetLen { file: FileId, len: u64 },
    /// Renames within one file system, replacing `to`.
    Rename { from: PathBuf, to: PathBuf },
    /// Removes a file.
    Unlink { path: PathBuf },
    /// Makes one folder; fine if it exists.
    MakeDir { path: PathBuf },
    /// Removes an empty folder.
    RemoveDir { path: PathBuf },
    /// Makes creations, renames and removals in a folder survive a power cut.
    SyncDir { path: PathBuf },
    /// Lists a folder into `entries`, sorted by name.
    List { path: PathBuf, entries: Vec<DirEntry> },
    /// Bytes of the file system that holds `path`: what we may still use, filled into `free`, and all, filled into `total`.
    FreeSpace { path: PathBuf, free: u64, total: u64 },
    /// Waits for one connection; the result is the [`ConnId`]. `peer` is filled with its address.
    Accept { listener: ListenerId, peer: Option<std::net::SocketAddr>, local: Option<std::net::SocketAddr> },
    /// Receives bytes; the result is how many, 0 when the peer has closed its side. One at a time on a connection.
    /// [`RecvInto::Any`] may still be `Any` when no byte came.
    Recv { conn: ConnId, into: RecvInto },
    /// Sends all `bufs`, in order, as one vectored send where the kernel can; completes when the kernel took everything.
    /// One at a time on a connection; the result is the full byte count.
    Send { conn: ConnId, bufs: Vec<Slice> },
    /// Ends both directions: pending receives complete with 0, pending sends fail.
    Shutdown { conn: ConnId },
    /// Gives the socket back. Only once no other op on it is pending.
    CloseConn { conn: ConnId },
    /// Completes at `at` or soon after.
    Timer { at: Mono },
    /// Wakes another shard out of its park.
    Wake(ShardId),
    /// Asks for an earlier completion of the op with this token ([`io::ErrorKind::Interrupted`] or its normal result);
    /// bytes that an interrupted receive had taken stay in its buffer;
    /// completes itself with 0 either way.
    Cancel(Token),
}

/// An op that happened, with everything that travelled in it.
#[derive(Debug)]
pub struct Done {
    /// As given to [`Driver::submit`].
    pub token: Token,
    /// The op's own meaning of success, or the kernel's error.
    pub result: io::Result<u32>,
    /// The op, with buffers to reuse and answers filled in.
    pub op: Op,
}

/// A connected socket between two drivers: released by one, to be adopted by another of its kind.
#[derive(Debug)]
pub struct Loose(pub(in crate::io) LooseSocket);

/// What a [`Loose`] socket is.
#[derive(Debug)]
pub(in crate::io) enum LooseSocket {
    /// The kernel's; closed when dropped.
    Kernel(OwnedFd),
    /// A simulated world's.
    Sim(ConnId),
}

/// What a driver can do here, probed at start.
#[derive(Clone, Debug, Default)]
pub struct Caps {
    /// The driver's name for people, e.g. `uring`.
    pub name: &'static str,
    /// O_DIRECT works in the data folders.
    pub direct: bool,
    /// Smallest block of a direct write, in bytes; a power of two up to 4096.
    pub block: u32,
    /// How it drives the kernel, for the start-up line (flags, fallbacks).
    pub notes: Vec<String>,
}

/// Wakes a parked driver from another thread.
pub trait Waker: Send + Sync {
    /// Makes the driver's current or next park return soon. Cheap when repeated.
    fn wake(&self);
}

/// The world as one shard sees it. One driver belongs to one thread.
pub trait Driver {
    /// Starts `op`. Never blocks and never fails: errors come back in the [`Done`].
    fn submit(&mut self, token: Token, op: Op);
    /// Moves every completion that is there to `out` and says how many; does not block. Also pushes submitted ops to
    /// the kernel.
    fn reap(&mut self, out: &mut Vec<Done>) -> usize;
    /// Waits until something completes, a waker fires, or `until` passes (`None`: no limit).
    fn park(&mut self, until: Option<Mono>);
    /// Monotonic time.
    fn now(&self) -> Mono;
    /// Wall-clock time.
    fn wall(&self) -> Wall;
    /// A random number: seeded in the simulator, from the kernel otherwise.
    fn random(&mut self) -> u64;
    /// What works here.
    fn caps(&self) -> &Caps;
    /// A waker for this driver, to be given to the other shards.
    fn waker(&self) -> std::sync::Arc<dyn Waker>;
    /// The wakers of all shards by [`ShardId`], for [`Op::Wake`]; called once at boot.
    fn set_peers(&mut self, peers: Vec<std::sync::Arc<dyn Waker>>);
    /// Keeps `files` open for as long as the kernel may still be working on ops of this driver, even when the process
    /// was killed: a lock on one of them tells the next process when the last write of this one has ended. Called once
    /// at boot, on the driver's thread. Nothing to do for a driver whose ops end with the process.
    fn hold(&mut self, files: &[std::sync::Arc<std::fs::File>]) -> io::Result<()> {
        let _ = files;
        Ok(())
    }
    /// True when connections can go from this driver to another one of its kind.
    fn hands_over(&self) -> bool {
        false
    }
    /// Takes a connection out, on which no op is pending; its id may be used again. `None` from a driver that does not
    /// hand over, which keeps it.
    fn release_conn(&mut self, conn: ConnId) -> Option<Loose> {
        let _ = conn;
        None
    }
    /// Takes over a connection that another driver of this kind released.
    fn adopt_conn(&mut self, socket: Loose) -> io::Result<ConnId> {
        drop(socket);
        Err(io::ErrorKind::Unsupported.into())
    }
    /// Bytes that the driver has copied by itself, on their way between an op's buffers and the kernel.
    fn copied_bytes(&self) -> u64 {
        0
    }
    /// Takes over a bound, listening socket made at boot.
    fn adopt_listener(&mut self, listener: std::net::TcpListener) -> io::Result<ListenerId>;
}
