//! The transport on the simulator's network, where bytes dribble in pieces of any size: every frame of every connection is
//! echoed whole and in order, whatever the seed.

use engine::io::sim::{SimPeer, SimWorld};
use engine::mem::{Buf, Slice};
use engine::shard::Io;
use std::net::SocketAddr;
use std::sync::Arc;
use transport_tcp::{Admission, Event, Limits, TcpTransport};

struct Echo {
    io: Io,
    transport: TcpTransport,
    open: usize,
    /// Frames that came in two parts.
    placed: usize,
}

impl Echo {
    fn turn(&mut self) {
        let mut dones = Vec::new();
        self.io.turn(&mut dones);
        let now = self.io.now();
        dones.into_iter().for_each(|done| self.transport.handle(done, now));
        self.transport.tick(now);
        while let Some(event) = self.transport.poll_event() {
            match event {
                Event::Opened { .. } => self.open += 1,
                Event::Frame { conn, seq, frame } => {
                    let prefix = Slice::from((frame.len() as i32).to_be_bytes().to_vec());
                    self.transport.reply(conn, seq, vec![prefix, frame]);
                }
                Event::Placed { conn, seq, head, rest } => {
                    let prefix = Slice::from(((head.len() + rest.len()) as i32).to_be_bytes().to_vec());
                    self.placed += 1;
                    self.transport.reply(conn, seq, vec![prefix, head, rest.freeze()]);
                }
                Event::Closed { .. } => self.open -= 1,
                other @ (Event::Refused { .. } | Event::AcceptFailed(_)) => panic!("{other:?}"),
            }
        }
        while let Some(conn) = self.transport.poll_large() {
            if let Some((front, len)) = self.transport.large_front(conn) {
                let at = front.len() / 3;
                self.transport.place(conn, at, Buf::with_capacity(len - at));
            }
        }
        while let Some((token, op)) = self.transport.poll_op() {
            self.io.submit(token, op);
        }
        self.io.park(self.transport.next_deadline());
    }
}

fn stream(seed: u64) -> Vec<u8> {
    let lens = [1, 5, 100, 40_000, 7, 150_000, 3, 1_200_000, 12].iter().map(|len| len + seed as usize % 5);
    lens.flat_map(|len| [&(len as i32).to_be_bytes()[..], &vec![len as u8; len]].concat()).collect()
}

#[test]
fn echoes_whatever_the_network_does() {
    for seed in 1..=4 {
        let world = SimWorld::new(seed);
        let mut driver = world.driver();
        let listener = driver.listen(SocketAddr::from(([10, 0, 0, 1], 9092)));
        let limits = Limits { budget_bytes: 512 << 10, idle_ms: None, ..Limits::default() };
        let mut transport = TcpTransport::new(limits, Arc::new(Admission::unlimited()));
        transport.listen(listener);
        let mut echo = Echo { io: Io::new(Box::new(driver)), transport, open: 0, placed: 0 };
        let peers: Vec<SimPeer> = (0..4).map(|_| world.connect(listener).expect("it listens")).collect();
        let sent = stream(seed);
        peers.iter().for_each(|peer| peer.write(&sent));
        let mut got = vec![Vec::new(); peers.len()];
        for _ in 0..2_000_000 {
            echo.turn();
            peers.iter().zip(&mut got).for_each(|(peer, got)| got.extend(peer.read(usize::MAX)));
            if got.iter().all(|got| got.len() == sent.len()) {
                break;
            }
        }
        assert!(got.iter().all(|got| *got == sent), "seed {seed}");
        assert!(echo.placed > 0, "seed {seed}");
        // One says goodbye, one breaks, two are told to go.
        peers[0].close();
        peers[1].reset();
        (0..1000).for_each(|_| echo.turn());
        assert_eq!((echo.open, echo.transport.connection_count()), (2, 2), "seed {seed}");
        echo.transport.stop();
        (0..1000).for_each(|_| echo.turn());
        assert_eq!((echo.transport.connection_count(), echo.transport.spent_bytes()), (0, 0), "seed {seed}");
        assert!(peers.iter().all(SimPeer::is_closed), "seed {seed}");
    }
}
