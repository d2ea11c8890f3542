//! Sockets: bytes in order, in whatever pieces; back-pressure; the end of a connection, from both sides.

use crate::rig::Rig;
use engine::io::{ConnId, Op, RecvInto};
use engine::mem::{Buf, Lease, Slice, Tail};

crate::on_every_driver!(
    bytes_come_back_in_order,
    a_fill_completes_when_full,
    a_fill_ends_early_with_the_peer,
    a_fill_lands_in_a_tail,
    a_large_send_waits_for_the_reader,
    the_end_is_zero_bytes,
    shutdown_ends_a_pending_receive,
    a_cancelled_receive_gives_its_buffer_back,
    a_cancelled_accept_leaves_the_listener_alone,
    ids_are_good_until_closed,
    many_connections_receive_at_once,
    a_released_connection_goes_on_elsewhere,
);

fn recv_any(rig: &mut Rig, conn: ConnId) -> Vec<u8> {
    match rig.ok(Op::Recv { conn, into: RecvInto::Any }) {
        (0, _) => Vec::new(),
        (count, Op::Recv { into: RecvInto::Buf(buf), .. }) => {
            assert_eq!(buf.len(), count as usize);
            buf.as_slice().to_vec()
        }
        (_, other) => panic!("{other:?} came back for a receive"),
    }
}

fn close(rig: &mut Rig, conn: ConnId) {
    rig.ok(Op::CloseConn { conn });
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|at| (at * 7 + at / 251) as u8).collect()
}

fn bytes_come_back_in_order(rig: &mut Rig) {
    let (conn, peer) = rig.connect();
    let sent = pattern(100_000);
    peer.write(&sent);
    let mut echoed = Vec::new();
    while echoed.len() < sent.len() {
        let piece = recv_any(rig, conn);
        assert!(!piece.is_empty(), "the peer is still there");
        echoed.extend_from_slice(&piece);
        rig.ok(Op::Send { conn, bufs: vec![Slice::from(piece)] });
    }
    assert_eq!(rig.read_from(&peer, sent.len()), sent);
    assert_eq!(echoed, sent);
    close(rig, conn);
}

fn a_fill_completes_when_full(rig: &mut Rig) {
    let (conn, peer) = rig.connect();
    let mut buf = Buf::with_capacity(10);
    buf.extend_from_slice(b"ab");
    let token = rig.submit(Op::Recv { conn, into: RecvInto::Fill(buf) });
    peer.write(b"cdef");
    rig.linger();
    assert!(rig.poll(token).is_none(), "half of it is not enough");
    peer.write(b"ghij-rest");
    let done = rig.wait(token);
    let Op::Recv { into: RecvInto::Fill(buf), .. } = done.op else { panic!("{:?} came back", done.op) };
    assert_eq!((done.result.expect("it was filled"), buf.as_slice()), (8, &b"abcdefghij"[..]));
    let mut rest = Vec::new();
    while rest.len() < 5 {
        rest.extend(recv_any(rig, conn));
    }
    assert_eq!(rest, b"-rest");
    close(rig, conn);
}

fn a_fill_ends_early_with_the_peer(rig: &mut Rig) {
    let (conn, peer) = rig.connect();
    let token = rig.submit(Op::Recv { conn, into: RecvInto::Fill(Buf::with_capacity(10)) });
    peer.write(b"abc");
    peer.close();
    let done = rig.wait(token);
    let Op::Recv { into: RecvInto::Fill(buf), .. } = done.op else { panic!("{:?} came back", done.op) };
    assert_eq!((done.result.expect("short, not failed"), buf.as_slice()), (3, &b"abc"[..]));
    close(rig, conn);
}

fn a_fill_lands_in_a_tail(rig: &mut Rig) {
    let (conn, peer) = rig.connect();
    let mut tail = Tail::new(200_000);
    tail.append(b"header");
    let sent = pattern(150_000);
    let token = rig.submit(Op::Recv { conn, into: RecvInto::Fill(tail.lease(sent.len()).into_buf()) });
    peer.write(&sent[..100_000]);
    peer.write(&sent[100_000..]);
    let Op::Recv { into: RecvInto::Fill(buf), .. } = rig.wait(token).op else { panic!("a fill comes back as one") };
    let range = tail.accept(Lease::from_buf(buf).expect("the tail lent it"));
    tail.publish();
    assert_eq!((range.clone(), &*tail.slice(range)), (6..150_006, &sent[..]));
    close(rig, conn);
}

fn a_large_send_waits_for_the_reader(rig: &mut Rig) {
    let (conn, peer) = rig.connect();
    let sent = pattern(24 << 20);
    // More pieces than one call takes, and more bytes than socket buffers hold.
    let whole = Slice::from(sent.clone());
    let bufs: Vec<_> = (0..sent.len()).step_by(16 << 10).map(|at| whole.slice(at..at + (16 << 10))).collect();
    assert!(bufs.len() > 1024);
    let token = rig.submit(Op::Send { conn, bufs });
    rig.linger();
    assert!(rig.poll(token).is_none(), "nobody has read yet");
    assert!(rig.read_from(&peer, sent.len()) == sent, "every byte, in order");
    assert_eq!(rig.wait(token).result.expect("it was sent") as usize, sent.len());
    close(rig, conn);
}

fn the_end_is_zero_bytes(rig: &mut Rig) {
    let (conn, peer) = rig.connect();
    peer.write(b"last words");
    peer.close();
    let mut heard = Vec::new();
    loop {
        match recv_any(rig, conn) {
            piece if piece.is_empty() => break,
            piece => heard.extend(piece),
        }
    }
    assert_eq!(heard, b"last words");
    let (count, _) = rig.ok(Op::Recv { conn, into: RecvInto::Buf(Buf::with_capacity(10)) });
    assert_eq!(count, 0, "and it stays the end");
    // The other direction still works.
    rig.ok(Op::Send { conn, bufs: vec![Slice::from_static(b"bye")] });
    assert_eq!(rig.read_from(&peer, 3), b"bye");
    close(rig, conn);
    rig.await_close(&peer);
}

fn shutdown_ends_a_pending_receive(rig: &mut Rig) {
    for into in [RecvInto::Any, RecvInto::Fill(Buf::with_capacity(10)), RecvInto::Buf(Buf::with_capacity(10))] {
        let (conn, peer) = rig.connect();
        let token = rig.submit(Op::Recv { conn, into });
        rig.linger();
        assert!(rig.poll(token).is_none());
        rig.ok(Op::Shutdown { conn });
        assert_eq!(rig.wait(token).result.expect("the end, not an error"), 0);
        assert!(rig.run(Op::Send { conn, bufs: vec![Slice::from_static(b"x")] }).result.is_err());
        close(rig, conn);
        rig.await_close(&peer);
    }
}

fn a_cancelled_receive_gives_its_buffer_back(rig: &mut Rig) {
    let (conn, peer) = rig.connect();
    let token = rig.submit(Op::Recv { conn, into: RecvInto::Fill(Buf::with_capacity(100)) });
    peer.write(b"half");
    rig.linger();
    rig.ok(Op::Cancel(token));
    let done = rig.wait(token);
    assert_eq!(done.result.expect_err("it was interrupted").kind(), std::io::ErrorKind::Interrupted);
    let Op::Recv { into: RecvInto::Fill(buf), .. } = done.op else { panic!("{:?} came back", done.op) };
    assert_eq!(buf.as_slice(), b"half");
    // The connection is as good as before.
    peer.write(b"more");
    assert_eq!(recv_any(rig, conn)[0], b'm');
    rig.ok(Op::Cancel(token));
    close(rig, conn);
}

fn a_cancelled_accept_leaves_the_listener_alone(rig: &mut Rig) {
    let token = rig.submit(Op::Accept { listener: rig.listener, peer: None, local: None });
    rig.linger();
    rig.ok(Op::Cancel(token));
    assert!(rig.wait(token).result.is_err());
    let (conn, _peer) = rig.connect();
    close(rig, conn);
}

fn ids_are_good_until_closed(rig: &mut Rig) {
    let connected: Vec<_> = (0..5).map(|_| rig.connect()).collect();
    for (index, (conn, peer)) in connected.iter().enumerate() {
        peer.write(&[index as u8]);
        assert_eq!(recv_any(rig, *conn), [index as u8]);
    }
    for (conn, _) in connected {
        close(rig, conn);
    }
}

fn many_connections_receive_at_once(rig: &mut Rig) {
    // More than there are buffers in a ring of them, each with bytes before anybody looks.
    let connected: Vec<_> = (0..150).map(|_| rig.connect()).collect();
    let tokens: Vec<_> =
        connected.iter().map(|(conn, _)| rig.submit(Op::Recv { conn: *conn, into: RecvInto::Any })).collect();
    rig.linger();
    for (index, (_, peer)) in connected.iter().enumerate() {
        peer.write(&[index as u8]);
    }
    for (index, token) in tokens.into_iter().enumerate() {
        let Op::Recv { into: RecvInto::Buf(buf), .. } = rig.wait(token).op else { panic!("bytes come in a buffer") };
        assert_eq!(buf.as_slice(), [index as u8]);
    }
    for (conn, _) in connected {
        close(rig, conn);
    }
}

/// Out of the driver and back under another id: as from one shard to another.
fn a_released_connection_goes_on_elsewhere(rig: &mut Rig) {
    if !rig.driver.hands_over() {
        return println!("{} does not hand connections over", rig.driver.caps().name);
    }
    let (conn, peer) = rig.connect();
    let token = rig.submit(Op::Recv { conn, into: RecvInto::Any });
    rig.ok(Op::Cancel(token));
    let done = rig.wait(token);
    assert_eq!(done.result.expect_err("it was cut short").kind(), std::io::ErrorKind::Interrupted);
    peer.write(b"on the way");
    let (other, _other_peer) = rig.connect();
    let loose = rig.driver.release_conn(conn).expect("it hands over");
    close(rig, other);
    let conn = rig.driver.adopt_conn(loose).expect("it was of this kind");
    let mut got = Vec::new();
    while got.len() < 10 {
        got.extend(recv_any(rig, conn));
    }
    assert_eq!(got, b"on the way");
    // What comes later is noticed, too.
    let token = rig.submit(Op::Recv { conn, into: RecvInto::Any });
    rig.linger();
    peer.write(b"later");
    assert_eq!(rig.wait(token).result.expect("it came"), 5);
    rig.ok(Op::Send { conn, bufs: vec![Slice::from(b"answer".to_vec())] });
    assert_eq!(rig.read_from(&peer, 6), b"answer");
    close(rig, conn);
}
