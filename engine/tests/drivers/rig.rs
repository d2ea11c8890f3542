//! A driver with a folder and a listener to try things on, and the far end of its connections.

use engine::io::glommio::GlommioDriver;
use engine::io::posix::PosixDriver;
use engine::io::sim::{SimPeer, SimWorld};
use engine::io::tokio_uring::TokioUringDriver;
use engine::io::uring::{UringDriver, UringRefused};
use engine::io::{ConnId, Done, Driver, FileId, ListenerId, Op, OpenMode, Owner, Token};
use engine::mem::{Buf, Slice};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::AsRawFd;
use std::path::PathBuf;
use std::time::Duration;

/// Turns of a millisecond at most that anything may take before the case fails.
const TURNS_MAX: u32 = 20_000;

pub(crate) struct Rig {
    pub(crate) driver: Box<dyn Driver>,
    pub(crate) listener: ListenerId,
    root: PathBuf,
    net: Net,
    next: u64,
    held: Vec<Done>,
    _folder: Option<tempfile::TempDir>,
}

enum Net {
    Real(SocketAddr),
    Sim(SimWorld),
}

pub(crate) enum Peer {
    Real(TcpStream),
    Sim(SimPeer),
}

impl Rig {
    pub(crate) fn posix() -> Rig {
        Rig::real(Box::new(PosixDriver::new().expect("epoll is everywhere")))
    }

    pub(crate) fn uring() -> Option<Rig> {
        Rig::unless_refused(UringDriver::new())
    }

    /// `uring`, with sends that are not copied wherever they go.
    pub(crate) fn zero_copy() -> Option<Rig> {
        Rig::unless_refused(UringDriver::new().map(|mut driver| {
            driver.zero_copy_everywhere();
            driver
        }))
    }

    pub(crate) fn tokio_uring() -> Option<Rig> {
        Rig::unless_refused(TokioUringDriver::new())
    }

    pub(crate) fn glommio() -> Option<Rig> {
        Rig::unless_refused(GlommioDriver::new())
    }

    /// None where it is refused and that was expected.
    fn unless_refused(driver: Result<impl Driver + 'static, UringRefused>) -> Option<Rig> {
        match driver {
            Ok(driver) => Some(Rig::real(Box::new(driver))),
            Err(refused) if std::env::var_os("RINGLOG_EXPECT_NO_URING").is_some() => {
                eprintln!("io_uring is refused here, as expected: {refused}");
                None
            }
            Err(refused) => panic!("{refused}. If that is right here, set RINGLOG_EXPECT_NO_URING=1"),
        }
    }

    pub(crate) fn sim(seed: u64) -> Rig {
        let world = SimWorld::new(seed);
        let mut driver = world.driver();
        let listener = driver.listen(SocketAddr::from(([127, 0, 0, 1], 9092)));
        let (driver, net) = (Box::new(driver), Net::Sim(world));
        let mut rig = Rig { driver, listener, root: "/data".into(), net, next: 0, held: Vec::new(), _folder: None };
        let path = rig.root.clone();
        rig.ok(Op::MakeDir { path });
        rig
    }

    fn real(mut driver: Box<dyn Driver>) -> Rig {
        let socket = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let address = socket.local_addr().expect("it is bound");
        let listener = driver.adopt_listener(socket).expect("a fresh listener can be adopted");
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("cargo gives tests a folder");
        let (root, net) = (folder.path().to_owned(), Net::Real(address));
        Rig { driver, listener, root, net, next: 0, held: Vec::new(), _folder: Some(folder) }
    }

    /// Drops the driver whatever it is doing, as a shard that fails does.
    pub(crate) fn drop_driver(&mut self) {
        drop(std::mem::replace(&mut self.driver, Box::new(PosixDriver::new().expect("epoll is everywhere"))));
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    pub(crate) fn submit(&mut self, op: Op) -> Token {
        self.next += 1;
        let token = Token::new(Owner::Node, self.next);
        self.driver.submit(token, op);
        token
    }

    /// One turn: what is done, and then a short park.
    pub(crate) fn turn(&mut self) {
        self.driver.reap(&mut self.held);
        if self.held.is_empty() {
            let until = self.driver.now().plus_millis(1);
            self.driver.park(Some(until));
            self.driver.reap(&mut self.held);
        }
    }

    /// The completion of `token`, if it is there.
    pub(crate) fn poll(&mut self, token: Token) -> Option<Done> {
        let index = self.held.iter().position(|done| done.token == token)?;
        Some(self.held.remove(index))
    }

    pub(crate) fn wait(&mut self, token: Token) -> Done {
        for _ in 0..TURNS_MAX {
            if let Some(done) = self.poll(token) {
                return done;
            }
            self.driver.reap(&mut self.held);
            if !self.held.iter().any(|done| done.token == token) {
                let until = self.driver.now().plus_millis(1);
                self.driver.park(Some(until));
            }
        }
        panic!("{token:?} never completed");
    }

    pub(crate) fn run(&mut self, op: Op) -> Done {
        let token = self.submit(op);
        self.wait(token)
    }

    /// Runs an op that must succeed.
    pub(crate) fn ok(&mut self, op: Op) -> (u32, Op) {
        let done = self.run(op);
        match done.result {
            Ok(count) => (count, done.op),
            Err(error) => panic!("{error}: {:?}", done.op),
        }
    }

    /// Runs an op that must fail, and says how.
    pub(crate) fn err(&mut self, op: Op) -> i32 {
        let done = self.run(op);
        let error = done.result.expect_err("the case wants it to fail");
        error.raw_os_error().expect("the kernel's or the simulated kernel's error")
    }

    pub(crate) fn open(&mut self, name: &str, mode: OpenMode) -> (FileId, u64) {
        let path = self.path(name);
        match self.ok(Op::Open { path, mode, len: 0 }) {
            (id, Op::Open { len, .. }) => (FileId(id), len),
            (_, other) => panic!("{other:?} came back for an open"),
        }
    }

    pub(crate) fn write(&mut self, file: FileId, at: u64, bufs: &[Slice]) -> u32 {
        self.ok(Op::WriteV { file, at, bufs: bufs.to_vec() }).0
    }

    pub(crate) fn read(&mut self, file: FileId, at: u64, room: usize) -> Vec<u8> {
        match self.ok(Op::Read { file, at, buf: Buf::with_capacity(room) }) {
            (count, Op::Read { buf, .. }) => {
                assert_eq!(buf.len(), count as usize);
                buf.as_slice().to_vec()
            }
            (_, other) => panic!("{other:?} came back for a read"),
        }
    }

    /// A connection, seen from both ends.
    pub(crate) fn connect(&mut self) -> (ConnId, Peer) {
        let accept = self.submit(Op::Accept { listener: self.listener, peer: None, local: None });
        let peer = match &self.net {
            Net::Real(address) => Peer::Real(TcpStream::connect(address).expect("somebody listens")),
            Net::Sim(world) => Peer::Sim(world.connect(self.listener).expect("somebody listens")),
        };
        let done = self.wait(accept);
        let Op::Accept { peer: Some(_), local: Some(_), .. } = done.op else {
            panic!("{:?} has no addresses", done.op)
        };
        (ConnId(done.result.expect("the connection is there")), peer)
    }

    /// Reads exactly `count` bytes at the far end while the driver works.
    pub(crate) fn read_from(&mut self, peer: &Peer, count: usize) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(count);
        for _ in 0..TURNS_MAX {
            bytes.extend(peer.read(count - bytes.len()));
            if bytes.len() == count {
                return bytes;
            }
            self.turn();
        }
        panic!("only {} of {count} bytes came", bytes.len());
    }

    /// Waits until the far end has seen the node close.
    pub(crate) fn await_close(&mut self, peer: &Peer) {
        for _ in 0..TURNS_MAX {
            if peer.sees_close() {
                return;
            }
            self.turn();
        }
        panic!("the far end never saw the close");
    }

    /// Lets a few turns pass in which nothing should happen.
    pub(crate) fn linger(&mut self) {
        (0..30).for_each(|_| self.turn());
    }
}

impl Peer {
    /// Sends everything, in the background where that takes time.
    pub(crate) fn write(&self, bytes: &[u8]) {
        match self {
            Peer::Real(stream) => {
                let (mut stream, bytes) = (stream.try_clone().expect("descriptors are left"), bytes.to_vec());
                let send = move || {
                    stream.set_nonblocking(false).and_then(|()| stream.write_all(&bytes)).expect("the node reads");
                };
                if std::thread::spawn(send).join().is_err() {
                    panic!("the far end could not send");
                }
            }
            Peer::Sim(peer) => peer.write(bytes),
        }
    }

    /// Offers next to no room for what it has not read.
    pub(crate) fn take_little(&self) {
        let Peer::Real(stream) = self else { panic!("the simulator has no windows") };
        let (bytes, len): (i32, _) = (32 << 10, size_of::<i32>() as u32);
        // SAFETY: the kernel reads the integer that lives across the call.
        let rc = unsafe {
            libc::setsockopt(stream.as_raw_fd(), libc::SOL_SOCKET, libc::SO_RCVBUF, (&raw const bytes).cast(), len)
        };
        assert_eq!(rc, 0, "any size may be asked for");
    }

    /// Everything until the other side closes or breaks off.
    pub(crate) fn read_to_end(&self) -> Vec<u8> {
        let Peer::Real(stream) = self else { panic!("the simulator has no end of its own") };
        stream.set_nonblocking(false).expect("it is a socket");
        let (mut stream, mut bytes) = (stream, Vec::new());
        let _ = stream.read_to_end(&mut bytes);
        bytes
    }

    /// As [`Peer::write`], to somebody who may be gone.
    pub(crate) fn write_if_open(&self, bytes: &[u8]) {
        match self {
            Peer::Real(stream) => {
                let mut stream: &TcpStream = stream;
                let _ = stream.write_all(bytes);
            }
            Peer::Sim(peer) => peer.write(bytes),
        }
    }

    fn read(&self, max: usize) -> Vec<u8> {
        match self {
            Peer::Real(stream) => {
                let mut bytes = vec![0; max];
                stream.set_nonblocking(true).expect("it is a socket");
                let mut stream: &TcpStream = stream;
                match stream.read(&mut bytes) {
                    Ok(count) => bytes[..count].to_vec(),
                    Err(error) if error.kind() == ErrorKind::WouldBlock => Vec::new(),
                    Err(error) => panic!("{error}"),
                }
            }
            Peer::Sim(peer) => peer.read(max),
        }
    }

    /// Sends no more.
    pub(crate) fn close(&self) {
        match self {
            Peer::Real(stream) => stream.shutdown(Shutdown::Write).expect("it is connected"),
            Peer::Sim(peer) => peer.close(),
        }
    }

    fn sees_close(&self) -> bool {
        match self {
            Peer::Real(stream) => {
                stream.set_read_timeout(Some(Duration::from_millis(1))).expect("not zero");
                stream.set_nonblocking(false).expect("it is a socket");
                let mut stream: &TcpStream = stream;
                matches!(stream.read(&mut [0; 64]), Ok(0)) || stream.take_error().is_ok_and(|error| error.is_some())
            }
            Peer::Sim(peer) => peer.is_closed(),
        }
    }
}
