//! Connections that go from one shard's transport to another's: nothing that arrived is lost, nothing that was asked stays
//! without its answer, and nobody keeps anything of a connection that is gone.

#![allow(clippy::expect_used, reason = "a broken script should fail its test")]

mod world;

use engine::mem::Slice;
use std::sync::Arc;
use transport_tcp::{Admission, Leaving, Limits, TcpTransport};
use world::{World, framed};

/// A world around the transport of shard 0, and the transport of shard 1.
fn shards() -> (World, TcpTransport, Arc<Admission>) {
    let limits = Limits { idle_ms: Some(60_000), ..Limits::default() };
    let admission = Arc::new(Admission::unlimited());
    let mut world = World::admitting(limits.clone(), Arc::clone(&admission));
    let mut other = TcpTransport::new(limits, Arc::clone(&admission));
    world.transport.share(0);
    other.share(1);
    (world, other, admission)
}

/// Lets what is leaving shard 0 arrive at shard 1, around which the world is from then on.
fn cross(world: &mut World, other: TcpTransport, socket: u32) {
    let Leaving { to, conn, socket: loose, moving } = world.transport.poll_leaving().expect("it leaves");
    assert_eq!((to, conn, loose.0), (1, Some(world.conn(socket)), socket));
    assert_eq!((world.transport.connection_count(), world.transport.spent_bytes()), (0, 0));
    world.transport = other;
    let conn = world.transport.adopt(loose, moving, world.now).expect("it does not stop");
    world.conns.insert(socket, conn);
    world.run();
}

#[test]
fn every_cut_of_a_frame_goes_on_elsewhere() {
    const LEN: usize = 100_000;
    let body: Vec<u8> = (0..LEN).map(|i| (i % 251) as u8).collect();
    let frame = framed(&body);
    for cut in [0, 1, 3, 4, 5, 1000, 2051, 2052, 10_000, 32 << 10, 40_000, 99_999, LEN + 3] {
        let (mut world, other, admission) = shards();
        let a = world.connect();
        world.send(a, &frame[..cut]);
        world.transport.move_to(world.conn(a), 1);
        world.run();
        cross(&mut world, other, a);
        world.send(a, &[&frame[cut..], &framed(b"next")[..]].concat());
        let got: Vec<_> = world.frames.iter().map(|(_, seq, frame)| (*seq, frame.to_vec())).collect();
        assert!(got == [(0, body.clone()), (1, b"next".to_vec())], "cut at {cut}");
        world.peer(a).is_closed = true;
        world.run();
        assert_eq!((admission.open(), world.transport.spent_bytes()), (0, 0), "cut at {cut}");
    }
}

#[test]
fn it_leaves_only_when_all_is_answered() {
    let (mut world, other, _) = shards();
    let a = world.connect();
    world.send(a, &[framed(b"r0"), framed(b"r1")].concat());
    world.transport.move_to(world.conn(a), 1);
    world.run();
    // What comes now waits in the socket.
    world.send(a, &framed(b"r2"));
    world.reply(a, 1, b"a1");
    world.run();
    assert!(world.transport.poll_leaving().is_none() && world.frames.len() == 2);
    world.peer(a).is_stalled = true;
    world.reply(a, 0, b"a0");
    world.run();
    assert!(world.transport.poll_leaving().is_none(), "the answers are not taken yet");
    world.peer(a).is_stalled = false;
    world.run();
    cross(&mut world, other, a);
    assert_eq!(world.peer(a).incoming, [framed(b"a0"), framed(b"a1")].concat());
    let (_, seq, frame) = world.frames.last().expect("it was waiting").clone();
    assert_eq!((seq, &*frame), (0, &b"r2"[..]), "counted anew");
    let conn = world.conn(a);
    world.transport.reply(conn, 0, vec![Slice::from(framed(b"a2"))]);
    world.run();
    assert_eq!(world.peer(a).incoming, [framed(b"a0"), framed(b"a1"), framed(b"a2")].concat());
}

#[test]
fn a_frame_in_a_place_of_this_shard_ends_here_first() {
    let (mut world, other, _) = shards();
    world.place_at = Some(70);
    let a = world.connect();
    let frame = framed(&vec![7; 100_000]);
    world.send(a, &frame[..60_000]);
    world.transport.move_to(world.conn(a), 1);
    world.run();
    assert!(world.transport.poll_leaving().is_none());
    world.send(a, &frame[60_000..]);
    assert_eq!(world.placed.len(), 1);
    world.reply(a, 0, b"done");
    world.run();
    cross(&mut world, other, a);
}

#[test]
fn who_stops_moves_nothing_and_takes_nothing() {
    let (mut world, mut other, admission) = shards();
    let [a, b] = [(); 2].map(|()| world.connect_quietly());
    world.run();
    // The second was dealt to the other shard.
    let Leaving { to, conn, socket, moving } = world.transport.poll_leaving().expect("dealt out");
    assert_eq!((to, conn, socket.0), (1, None, b));
    other.stop();
    assert!(other.adopt(socket, moving, world.now).is_none());
    world.transport.stop();
    world.transport.move_to(world.conn(a), 1);
    world.run();
    assert!(world.transport.poll_leaving().is_none());
    assert_eq!((admission.open(), world.log.last().map(String::as_str)), (0, Some("closed 0: the server is stopping")));
}

#[test]
fn frames_and_silence_are_timed_on_where_it_goes() {
    for begun in [true, false] {
        let (mut world, other, admission) = shards();
        let a = world.connect();
        world.send(a, &framed(b"a frame")[..if begun { 6 } else { 0 }]);
        world.transport.move_to(world.conn(a), 1);
        world.run();
        cross(&mut world, other, a);
        world.advance_ms(30_001);
        assert_eq!(admission.open(), usize::from(!begun), "a frame that has begun must come on");
        world.advance_ms(30_000);
        assert_eq!(admission.open(), 0, "idle for a minute");
    }
}
