//! What the tasks of one driver share: its files and sockets, and the completions that they have for it.

use super::files::{Devices, File};
use super::sockets::{self, Conn, Scratch};
use crate::io::kernel::slots::Slots;
use crate::io::kernel::socket;
use crate::io::{ConnId, Done, FileId, ListenerId, Op, OpenMode, Token};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::io;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::task::{Context, Waker};

/// Something that only the executor can begin.
pub(super) enum Start {
    Op(Token, Op),
    /// A file that the helper thread has opened, whether direct I/O was granted there, and the op that asked for it.
    Adopt(Token, Op, OwnedFd, bool),
    /// Cut the op short that has this token, if it waits for a peer.
    Cut(Token),
}

/// Whether an op that waits is to be cut short.
#[derive(Default)]
pub(super) struct Cut {
    asked: Cell<bool>,
    waits: RefCell<Option<Waker>>,
}

impl Cut {
    /// True once it is to be cut short; until then its task will be told.
    pub(super) fn is_asked(&self, cx: &Context<'_>) -> bool {
        let mut waits = self.waits.borrow_mut();
        if !waits.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            *waits = Some(cx.waker().clone());
        }
        self.asked.get()
    }

    fn ask(&self) {
        self.asked.set(true);
        let waits = self.waits.take();
        if let Some(waker) = waits {
            waker.wake();
        }
    }
}

pub(super) struct Shared {
    files: RefCell<Slots<Rc<File>>>,
    listeners: RefCell<Slots<Rc<TcpListener>>>,
    conns: RefCell<Slots<Rc<Conn>>>,
    /// Ops that wait for a peer.
    cuts: RefCell<HashMap<Token, Rc<Cut>>>,
    scratch: RefCell<Scratch>,
    /// Tasks that have not ended.
    pub(super) running: Cell<usize>,
    pub(super) ready: RefCell<Vec<Done>>,
    pub(super) devices: Devices,
    /// The task that waits for completions.
    pub(super) root: RefCell<Option<Waker>>,
}

impl Shared {
    pub(super) fn new() -> Rc<Shared> {
        Rc::new(Shared {
            files: RefCell::new(Slots::new()),
            listeners: RefCell::new(Slots::new()),
            conns: RefCell::new(Slots::new()),
            cuts: RefCell::default(),
            scratch: RefCell::new(Scratch::new()),
            running: Cell::new(0),
            ready: RefCell::default(),
            devices: Devices::new(),
            root: RefCell::default(),
        })
    }

    #[expect(clippy::expect_used, reason = "a FileId is made by Open only and dies in Close")]
    pub(super) fn file(&self, file: FileId) -> Rc<File> {
        Rc::clone(self.files.borrow().get(file.0).expect("the file is open"))
    }

    #[expect(clippy::expect_used, reason = "a ConnId is made by Accept only and dies in CloseConn")]
    pub(super) fn conn(&self, conn: ConnId) -> Rc<Conn> {
        Rc::clone(self.conns.borrow().get(conn.0).expect("the connection is open"))
    }

    #[expect(clippy::expect_used, reason = "a ListenerId is made by adopt_listener only and never dies")]
    fn listener(&self, listener: ListenerId) -> Rc<TcpListener> {
        Rc::clone(self.listeners.borrow().get(listener.0).expect("the listener is open"))
    }

    pub(super) fn insert_listener(&self, listener: TcpListener) -> ListenerId {
        ListenerId(self.listeners.borrow_mut().insert(Rc::new(listener)))
    }

    pub(super) fn complete(&self, token: Token, result: io::Result<u32>, op: Op) {
        self.ready.borrow_mut().push(Done { token, result, op });
        let root = self.root.take();
        if let Some(root) = root {
            root.wake();
        }
    }

    /// The socket goes when the executor next runs: until then its wait in the ring keeps it.
    pub(super) fn close_conn(&self, conn: ConnId) {
        let state = self.conns.borrow_mut().remove(conn.0);
        let idle = state.is_some_and(|state| !state.receiving.get() && !state.sending.get());
        assert!(idle, "a connection is closed once, when nothing is pending on it");
    }

    /// Cuts short everything that waits for a peer. Within the executor.
    pub(super) fn cut_all(&self) {
        let cuts: Vec<_> = self.cuts.borrow().values().cloned().collect();
        cuts.iter().for_each(|cut| cut.ask());
    }

    /// Closes everything. Within the executor.
    pub(super) fn clear(&self) {
        let files = self.files.replace(Slots::new());
        let conns = self.conns.replace(Slots::new());
        drop((files, conns));
    }

    /// Begins `start`. Within the executor.
    pub(super) fn begin(self: &Rc<Self>, start: Start) {
        let shared = Rc::clone(self);
        match start {
            Start::Cut(token) => {
                let cut = self.cuts.borrow().get(&token).cloned();
                if let Some(cut) = cut {
                    cut.ask();
                }
            }
            Start::Op(token, op) => self.spawn(async move { shared.perform(token, op).await }),
            Start::Adopt(token, op, file, is_direct) => {
                self.spawn(async move { shared.adopt(token, op, file, is_direct).await });
            }
        }
    }

    fn spawn(self: &Rc<Self>, task: impl Future<Output = ()> + 'static) {
        let shared = Rc::clone(self);
        self.running.set(self.running.get() + 1);
        let counted = async move {
            task.await;
            shared.running.set(shared.running.get() - 1);
        };
        glommio::spawn_local(counted).detach();
    }

    async fn adopt(&self, token: Token, op: Op, file: OwnedFd, is_direct: bool) {
        let Op::Open { path, mode, .. } = &op else { unreachable!("only opens make files") };
        let adopted = match mode {
            OpenMode::ReadDirect | OpenMode::WriteDirect | OpenMode::CreateDirect if is_direct => {
                File::direct(file, path, *mode, &self.devices).await
            }
            _ => Ok(File::buffered(file)),
        };
        let result = adopted.map(|file| self.files.borrow_mut().insert(Rc::new(file)));
        self.complete(token, result, op);
    }

    async fn perform(&self, token: Token, mut op: Op) {
        let result = match &mut op {
            Op::Read { file, at, buf } => self.file(*file).read(*at, buf).await,
            Op::WriteV { file, at, bufs } => self.file(*file).write(*at, bufs, &self.devices.direct).await,
            // The crate has no write that waits for the device.
            Op::WriteSynced { file, at, bufs } => {
                let file = self.file(*file);
                match file.write(*at, bufs, &self.devices.direct).await {
                    Ok(written) => file.sync().await.map(|_| written),
                    failed => failed,
                }
            }
            Op::SyncData { file } => self.file(*file).sync().await,
            Op::Close { file } => self.close(*file).await,
            Op::Accept { listener, peer, local } => {
                let (listener, cut) = (self.listener(*listener), self.begin_wait(token));
                let accepted = sockets::accept(&listener, &cut).await;
                accepted.map(|conn| {
                    (*peer, *local) = (socket::peer(conn.fd()), socket::local(conn.fd()));
                    self.conns.borrow_mut().insert(Rc::new(conn))
                })
            }
            Op::Recv { conn, into } => {
                let (conn, cut) = (self.conn(*conn), self.begin_wait(token));
                let result = conn.recv(into, &cut, &self.scratch).await;
                conn.receiving.set(false);
                result
            }
            Op::Send { conn, bufs } => {
                let (conn, cut) = (self.conn(*conn), self.begin_wait(token));
                let result = conn.send(bufs, &cut, &self.scratch).await;
                conn.sending.set(false);
                result
            }
            other => unreachable!("{other:?} is not for the executor"),
        };
        self.cuts.borrow_mut().remove(&token);
        self.complete(token, result, op);
    }

    /// A file on which something is still under way closes after that.
    async fn close(&self, file: FileId) -> io::Result<u32> {
        let file = self.files.borrow_mut().remove(file.0);
        if let Some(file) = file.and_then(Rc::into_inner) {
            file.close().await;
        }
        Ok(0)
    }

    fn begin_wait(&self, token: Token) -> Rc<Cut> {
        let cut = Rc::<Cut>::default();
        self.cuts.borrow_mut().insert(token, Rc::clone(&cut));
        cut
    }
}
