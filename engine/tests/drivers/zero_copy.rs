//! Sends without the kernel's copy, forced upon loopback, where the kernel copies after all: the buffers come back only once
//! nobody reads them any more, and the driver learns from the report that it is not worth it.

use crate::rig::{Peer, Rig};
use engine::io::{ConnId, Op, Token};
use engine::mem::Slice;

/// Fits the sender's socket buffer and not the window of a receiver that does not read.
const BYTES: usize = 1 << 20;

fn bytes() -> Vec<u8> {
    (0..BYTES).map(|at| (at * 7 + at / 251) as u8).collect()
}

/// Sends in a few pieces, to a peer that reads nothing yet.
fn send(rig: &mut Rig, conn: ConnId) -> Token {
    let whole = Slice::from(bytes());
    let bufs = (0..BYTES).step_by(BYTES / 4).map(|at| whole.slice(at..at + BYTES / 4)).collect();
    rig.submit(Op::Send { conn, bufs })
}

/// A connection whose peer takes little before it reads.
fn connect(rig: &mut Rig) -> (ConnId, Peer) {
    let (conn, peer) = rig.connect();
    peer.take_little();
    (conn, peer)
}

/// A driver that sends without a copy, or nothing where there is none.
fn with_zero_copy(case: impl Fn(&mut Rig)) {
    let Some(mut rig) = Rig::zero_copy() else { return };
    if !rig.driver.caps().notes.iter().any(|note| note.contains("zero-copy")) {
        eprintln!("skipped: this kernel has no zero-copy sendmsg");
        return;
    }
    case(&mut rig);
}

#[test]
fn buffers_come_back_once_the_peer_has_the_bytes() {
    with_zero_copy(|rig| {
        let (conn, peer) = connect(rig);
        let token = send(rig, conn);
        rig.linger();
        assert!(rig.poll(token).is_none(), "the kernel still reads the buffers for what the peer has not taken");
        assert!(rig.read_from(&peer, BYTES) == bytes(), "every byte, in order");
        let done = rig.wait(token);
        assert_eq!(done.result.expect("it was sent") as usize, BYTES);
        assert!(matches!(done.op, Op::Send { bufs, .. } if bufs.len() == 4), "with its buffers");
        rig.ok(Op::CloseConn { conn });
    });
}

#[test]
fn a_report_of_copies_switches_it_off() {
    with_zero_copy(|rig| {
        let (conn, peer) = connect(rig);
        let token = send(rig, conn);
        assert!(rig.read_from(&peer, BYTES) == bytes());
        rig.wait(token);
        // From now on the kernel copies at once, and gives the buffers back before anybody reads.
        let (other, slow) = connect(rig);
        let token = send(rig, other);
        assert_eq!(rig.wait(token).result.expect("the kernel took it") as usize, BYTES);
        assert!(rig.read_from(&slow, BYTES) == bytes());
        for conn in [conn, other] {
            rig.ok(Op::CloseConn { conn });
        }
    });
}

#[test]
fn small_sends_are_copied() {
    with_zero_copy(|rig| {
        let (conn, peer) = connect(rig);
        let bufs = vec![Slice::copy_of(&[7; (16 << 10) - 1])];
        let token = rig.submit(Op::Send { conn, bufs });
        rig.linger();
        assert!(rig.poll(token).is_some(), "the kernel has its copy, whatever the peer does");
        assert_eq!(rig.read_from(&peer, (16 << 10) - 1), [7; (16 << 10) - 1]);
        rig.ok(Op::CloseConn { conn });
    });
}

#[test]
fn a_shutdown_ends_the_wait_for_a_peer_that_never_reads() {
    with_zero_copy(|rig| {
        let (conn, peer) = connect(rig);
        let token = send(rig, conn);
        rig.linger();
        assert!(rig.poll(token).is_none());
        rig.ok(Op::Shutdown { conn });
        let done = rig.wait(token);
        assert!(matches!(done.op, Op::Send { .. }));
        rig.ok(Op::CloseConn { conn });
        drop(peer);
    });
}

#[test]
fn a_driver_that_is_dropped_meanwhile_leaves_the_buffers_alone() {
    with_zero_copy(|rig| {
        let (conn, peer) = connect(rig);
        send(rig, conn);
        rig.linger();
        rig.drop_driver();
        // Whoever asks for memory now would get what was freed too early.
        let scribbles: Vec<_> = (0..64).map(|_| Slice::from(vec![0xEE; BYTES])).collect();
        let expect = bytes();
        let got = peer.read_to_end();
        assert!(got == expect[..got.len()], "the kernel sent somebody else's bytes");
        drop(scribbles);
    });
}
