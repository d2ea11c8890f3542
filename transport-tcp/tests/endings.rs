//! How connections end: limits, idleness, foreign protocols, peers that vanish, our own stop. Each gives its memory and
//! its socket back, and says why.

mod world;

use std::collections::HashMap;
use transport_tcp::{Admission, Limits};
use world::{World, framed};

#[test]
fn foreign_bytes_are_named() {
    for (bytes, said) in [
        (
            &b"GET / HTTP/1.1\r\n\r\n"[..],
            "1195725856 is not in 1..=104857600: this is a Kafka port, and the peer speaks HTTP",
        ),
        (
            &[0x16, 3, 1, 2, 0, 1][..],
            "369295618 is not in 1..=104857600: this is a plaintext Kafka port, and the peer speaks TLS",
        ),
        (&[0xFF; 8][..], "-1 is not in 1..=104857600: the peer does not speak the Kafka protocol"),
        (&[0; 4][..], "0 is not in 1..=104857600: the peer does not speak the Kafka protocol"),
        (
            &[0x7F, 0xFF, 0xFF, 0xFF][..],
            "2147483647 is not in 1..=104857600: the peer does not speak the Kafka protocol",
        ),
    ] {
        let mut world = World::new(Limits::default());
        let a = world.connect();
        world.send(a, bytes);
        assert_eq!(world.log[1], format!("closed 0: frame length {said}"));
        assert!(world.peer(a).was_given_back);
    }
}

#[test]
fn idle_connections_end_and_busy_ones_stay() {
    let mut world = World::new(Limits { idle_ms: Some(1000), ..Limits::default() });
    let (idle, busy, parked) = (world.connect(), world.connect(), world.connect());
    world.send(parked, &framed(b"long poll"));
    for byte in [0, 0, 0, 2] {
        world.advance_ms(400);
        world.send(busy, &[byte]);
    }
    assert_eq!(world.log[3..], ["closed 0: no byte moved for 1000 ms"]);
    assert!(world.peer(idle).was_given_back);
    world.reply(parked, 0, b"at last");
    world.run();
    world.advance_ms(2000);
    world.advance_ms(2000);
    assert_eq!(world.transport.connection_count(), 0);
}

#[test]
fn a_reader_that_takes_nothing_is_idle() {
    let mut world = World::new(Limits { idle_ms: Some(1000), ..Limits::default() });
    let a = world.connect();
    world.peer(a).is_stalled = true;
    world.send(a, &framed(b"r"));
    world.reply(a, 0, &[0; 100]);
    world.run();
    world.advance_ms(1000);
    assert_eq!(world.log[1..], ["closed 0: no byte moved for 1000 ms"]);
    assert!(world.peer(a).was_given_back);
    assert_eq!(world.transport.spent_bytes(), 0);
}

/// A byte a second keeps a connection from being idle; it must not keep a frame from ending.
#[test]
fn a_frame_that_crawls_ends_its_connection_and_one_that_walks_does_not() {
    let mut world = World::new(Limits::default());
    let (crawls, walks, silent) = (world.connect(), world.connect(), world.connect());
    let frame = framed(&[7; 1 << 20]);
    world.send(silent, &frame[..2]);
    for second in 0..60 {
        world.send(crawls, &frame[second..=second]);
        world.send(walks, &frame[second * 17_000..(second + 1) * 17_000]);
        world.advance_ms(1000);
    }
    assert_eq!(
        world.log[3..],
        [
            "closed 0: 26 bytes of a frame of 1048576 bytes came in 30000 ms, slower than any client waits for its answer",
            "closed 2: 2 bytes of a frame of 4 bytes came in 30000 ms, slower than any client waits for its answer",
        ]
    );
    assert!(world.peer(crawls).was_given_back && world.peer(silent).was_given_back);
    world.send(walks, &frame[60 * 17_000..]);
    assert_eq!(world.frames.len(), 1);
}

#[test]
fn a_room_that_is_not_filled_ends_its_connection() {
    let mut world = World::new(Limits::default());
    let a = world.connect();
    world.send(a, &framed(&[7; 2 << 20])[..60_000]);
    for _ in 0..180 {
        world.advance_ms(1000);
    }
    assert!(world.log[1].starts_with("closed 0: 59996 bytes of a frame of 2097152 bytes came in 1"), "{:?}", world.log);
    assert_eq!((world.transport.connection_count(), world.transport.spent_bytes()), (0, 0));
}

#[test]
fn a_frame_that_we_do_not_read_has_time() {
    let mut world = World::new(Limits { requests_in_flight_max: 1, ..Limits::default() });
    let a = world.connect();
    world.send(a, &[framed(b"asked"), framed(&[7; 100])[..50].to_vec()].concat());
    world.send(a, &framed(&[7; 100])[50..]);
    for _ in 0..100 {
        world.advance_ms(1000);
    }
    assert_eq!(world.log[1..], [""; 0]);
    world.reply(a, 0, b"answered");
    world.run();
    assert_eq!(world.frames.len(), 2);
}

#[test]
fn too_many_connections_are_refused_with_the_limit() {
    let overrides = HashMap::from([([10, 0, 0, 1].into(), 0)]);
    let mut world = World::admitting(Limits::default(), Admission::new(2, 1, overrides));
    // Addresses end in the peer's number modulo 3.
    for _ in 0..6 {
        world.connect();
    }
    assert_eq!(
        world.log,
        [
            "opened 0",
            "refused 1: 0 connections from this address are open already (max.connections.per.ip)",
            "opened 2",
            "refused 3: 2 connections are open already (max.connections)",
            "refused 4: 2 connections are open already (max.connections)",
            "refused 5: 2 connections are open already (max.connections)",
        ]
    );
    world.peer(0).is_closed = true;
    world.run();
    world.connect();
    assert_eq!(world.log[6..], ["closed 0: the peer closed the connection", "opened 6"]);
}

#[test]
fn stopping_serves_what_was_asked_and_takes_nothing_more() {
    let mut world = World::new(Limits::default());
    let (quiet, asking) = (world.connect(), world.connect());
    world.send(asking, &framed(b"r0"));
    world.transport.stop();
    world.run();
    assert!(world.peer(quiet).was_given_back && !world.peer(asking).was_given_back);
    world.reply(asking, 0, b"a0");
    world.run();
    assert_eq!(world.peer(asking).incoming, framed(b"a0"));
    assert!(world.peer(asking).was_given_back);
    assert_eq!(world.log[2..], ["closed 0: the server is stopping", "closed 1: the server is stopping"]);
}

#[test]
fn stopping_at_once_drops_what_waits() {
    let mut world = World::new(Limits::default());
    let a = world.connect();
    world.send(a, &framed(b"r0"));
    world.transport.close_all();
    world.run();
    assert_eq!((world.transport.connection_count(), world.transport.spent_bytes()), (0, 0));
}

/// Each connection has a time at which it is idle, ten minutes from now: a flood must not leave millions of them.
#[test]
fn connections_that_come_and_go_leave_no_times() {
    let mut world = World::new(Limits::default());
    let stays = world.connect();
    for _ in 0..3000 {
        let a = world.connect();
        world.send(a, &[0, 0]);
        world.peer(a).is_closed = true;
        world.run();
        assert!(world.transport.time_count() <= 2200, "{} times", world.transport.time_count());
    }
    world.advance_ms(600_000);
    assert!(world.peer(stays).was_given_back, "the one that stayed still has its time");
}

#[test]
fn ids_are_never_reused() {
    let mut world = World::new(Limits::default());
    let mut seen = Vec::new();
    for _ in 0..50 {
        let a = world.connect();
        seen.push(world.conn(a));
        world.peer(a).is_closed = true;
        world.run();
    }
    seen.sort_unstable();
    seen.dedup();
    assert_eq!((seen.len(), world.transport.connection_count()), (50, 0));
}
