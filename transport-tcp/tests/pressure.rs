//! Memory is bounded by not reading: without this, slow readers and fast writers take a shard's memory from everybody.

mod world;

use engine::mem::{pooled_bytes, trim};
use transport_tcp::Limits;
use world::{ANY_BYTES, World, framed};

#[test]
fn a_connection_with_enough_requests_in_flight_is_not_read() {
    let mut world = World::new(Limits { requests_in_flight_max: 2, ..Limits::default() });
    let a = world.connect();
    for i in 0..4 {
        world.send(a, &framed(&[i; 10]));
    }
    assert_eq!((world.frames.len(), world.peer(a).outgoing.len()), (2, 28));
    world.reply(a, 0, b"x");
    world.run();
    assert_eq!(world.frames.len(), 4, "both waiting frames fit one receive");
}

#[test]
fn a_spent_budget_stops_new_frames_of_everybody_until_answers_leave() {
    let mut world = World::new(Limits { budget_bytes: 10_000, ..Limits::default() });
    let (a, b) = (world.connect(), world.connect());
    world.send(a, &framed(&[1; 12_000]));
    world.send(b, &framed(b"1"));
    // The receive that was pending when the budget ran out still brings its bytes; the next one waits.
    world.send(b, &framed(b"2"));
    world.send(a, &framed(b"3"));
    assert_eq!(world.frames.len(), 2);
    world.reply(a, 0, b"x");
    world.run();
    assert_eq!(world.frames.len(), 4);
}

#[test]
fn what_a_slow_reader_leaves_counts() {
    let mut world = World::new(Limits { unsent_bytes_max: 5000, ..Limits::default() });
    let a = world.connect();
    world.peer(a).is_stalled = true;
    world.send(a, &framed(b"r0"));
    world.reply(a, 0, &[7; 6000]);
    world.run();
    world.send(a, &framed(b"r1"));
    world.send(a, &framed(b"r2"));
    assert_eq!(world.frames.len(), 2, "one receive was pending, the next does not start");
    world.peer(a).is_stalled = false;
    world.run();
    assert_eq!((world.frames.len(), world.peer(a).incoming.len()), (3, 6004));
}

/// Kafka works on one request of a connection at a time; here only large answers come alone.
#[test]
fn a_large_answer_is_sent_before_the_next_is_asked_for() {
    let mut world = World::new(Limits { is_large_ask: |frame| frame[0] == b'L', ..Limits::default() });
    let (a, b) = (world.connect(), world.connect());
    world.peer(a).is_stalled = true;
    world.send(a, &[&b"s0"[..], b"L1", b"s2", b"L3", b"s4"].map(framed).concat());
    world.send(b, &framed(b"L0"));
    assert_eq!(world.frames.len(), 4, "s0, L1 and s2 of one connection, L0 of the other");
    for seq in [1, 2, 0] {
        world.reply(a, seq, &[7; 1000]);
        world.run();
        assert_eq!(world.frames.len(), 4, "the peer has not taken what it asked for");
    }
    world.peer(a).is_stalled = false;
    world.run();
    assert_eq!(world.frames.len(), 6);
    world.reply(a, 3, b"x");
    world.reply(a, 4, b"y");
    world.run();
    assert_eq!(world.peer(a).incoming.len(), 3 * 1004 + 2 * 5);
}

#[test]
fn a_budget_spent_on_peers_that_take_nothing_is_taken_back() {
    let mut world = World::new(Limits { budget_bytes: 10_000, ..Limits::default() });
    let (small, large, honest) = (world.connect(), world.connect(), world.connect());
    for (peer, bytes) in [(small, 4_000), (large, 8_000)] {
        world.peer(peer).is_stalled = true;
        world.send(peer, &framed(b"r"));
        world.reply(peer, 0, &vec![7; bytes]);
        world.run();
    }
    // A receive was pending when the budget was spent; the next is not started.
    world.send(honest, &framed(b"1"));
    world.send(honest, &framed(b"2"));
    assert_eq!(world.frames.len(), 3);
    for _ in 0..19 {
        world.advance_ms(500);
    }
    let ended = |world: &World| -> Vec<String> {
        world.log.iter().filter(|line| line.contains("memory is short")).cloned().collect()
    };
    assert_eq!(ended(&world), [""; 0]);
    for _ in 0..3 {
        world.advance_ms(500);
    }
    assert_eq!(world.frames.len(), 4);
    let ended = ended(&world);
    assert!(ended.len() == 1 && ended[0].contains("none of 8004 answer bytes"), "one is enough: {ended:?}");
}

#[test]
fn halves_of_frames_cannot_deadlock_the_budget() {
    let mut world = World::new(Limits { budget_bytes: 100 << 10, ..Limits::default() });
    let peers = [world.connect(), world.connect(), world.connect()];
    let body = vec![5; 200 << 10];
    for peer in peers {
        world.send(peer, &framed(&body)[..60 << 10]);
    }
    for peer in peers {
        world.send(peer, &framed(&body)[60 << 10..]);
    }
    for _ in 0..3 {
        let (conn, seq, frame) = world.frames.pop().expect("one frame gets through at a time");
        assert_eq!(frame.len(), body.len());
        world.transport.no_reply(conn, seq);
        drop(frame);
        world.run();
    }
    assert_eq!(world.transport.spent_bytes(), 0);
}

#[test]
fn pressure_from_outside_stops_new_frames_and_lets_halves_finish() {
    let mut world = World::new(Limits::default());
    let (a, b) = (world.connect(), world.connect());
    world.send(a, &framed(&[1; 30_000])[..ANY_BYTES]);
    world.transport.set_read_pressure(true);
    world.send(a, &framed(&[1; 30_000])[ANY_BYTES..]);
    world.send(b, &framed(b"pending already"));
    world.send(b, &framed(b"new"));
    assert_eq!(world.frames.iter().map(|(_, _, frame)| frame.len()).collect::<Vec<_>>(), [30_000, 15]);
    world.transport.set_read_pressure(false);
    world.run();
    assert_eq!(world.frames.len(), 3);
}

#[test]
fn a_claimed_length_costs_what_arrives() {
    let mut world = World::new(Limits::default());
    let a = world.connect();
    world.send(a, &(100i32 << 20).to_be_bytes());
    for _ in 0..1000 {
        world.send(a, b"x");
        assert!(
            world.transport.spent_bytes() <= 2000,
            "a crawling client holds {} bytes",
            world.transport.spent_bytes()
        );
    }
    assert_eq!(world.room_max, ANY_BYTES, "the driver's own buffer, for as long as it has bytes");
    world.peer(a).is_closed = true;
    world.run();
    assert_eq!(world.log[1], "closed 0: the peer closed the connection after 1000 bytes of a frame of 104857600 bytes");
    assert_eq!((world.transport.connection_count(), world.transport.spent_bytes()), (0, 0));
}

/// Two thousand that claim 100 MB and send 100 bytes: when rooms did not grow with what arrived, 16 of them spent this budget.
#[test]
fn a_crowd_that_claims_much_spends_no_budget() {
    let mut world = World::new(Limits { budget_bytes: 1 << 20, ..Limits::default() });
    let claim = [&(100i32 << 20).to_be_bytes()[..], &[0; 100]].concat();
    for _ in 0..2_000 {
        let peer = world.connect_quietly();
        world.peer(peer).outgoing.extend(&claim);
    }
    world.run();
    assert_eq!(world.transport.connection_count(), 2_000);
    assert!(world.transport.spent_bytes() <= 400_000, "{} bytes", world.transport.spent_bytes());
    let honest = world.connect();
    world.send(honest, &framed(b"served"));
    assert_eq!(world.frames.len(), 1);
}

/// Frames that earned their room and stop spend the budget; they are ended before honest clients give up.
#[test]
fn a_budget_spent_on_frames_that_stop_is_taken_back() {
    let mut world = World::new(Limits { budget_bytes: 4 << 20, ..Limits::default() });
    let (stops, also_stops, honest) = (world.connect(), world.connect(), world.connect());
    for peer in [stops, also_stops] {
        world.send(peer, &framed(&[7; 2 << 20])[..60_000]);
    }
    world.send(honest, &framed(b"pending already"));
    world.send(honest, &framed(b"waits"));
    assert_eq!(world.frames.len(), 1);
    for _ in 0..21 {
        world.advance_ms(500);
    }
    let ended =
        world.log.iter().filter(|line| line.contains("a frame that holds 2097152 bytes does not come on")).count();
    assert_eq!((ended, world.frames.len()), (1, 2), "{:?}", world.log);
}

/// Requests that wait behind a large one keep no more than their bytes of the buffers they came in.
#[test]
fn frames_that_wait_let_their_buffers_go() {
    let mut world = World::new(Limits { is_large_ask: |frame| frame[0] == b'L', ..Limits::default() });
    let a = world.connect();
    trim();
    for _ in 0..3 {
        world.send(a, &framed(b"L"));
    }
    // One that was handed out, and is kept, pins its buffer; the next two came in buffers that the pool has again.
    assert_eq!((world.frames.len(), pooled_bytes()), (1, ANY_BYTES));
    for seq in 0..2 {
        world.reply(a, seq, b"x");
        world.run();
    }
    assert_eq!(world.frames.len(), 3);
}

/// Answers may hold memory of others, who say so: then those that nobody takes are looked for, budget or not.
#[test]
fn answers_that_nobody_takes_are_given_back_when_others_want_memory() {
    let mut world = World::new(Limits::default());
    let (takes_none, takes_all) = (world.connect(), world.connect());
    world.peer(takes_none).is_stalled = true;
    for peer in [takes_none, takes_all] {
        world.send(peer, &framed(b"r"));
        world.reply(peer, 0, &[7; 1000]);
        world.run();
    }
    world.transport.set_wanted(1);
    (0..20).for_each(|_| world.advance_ms(500));
    assert_eq!(world.log[2..], [""; 0], "a moment more");
    world.advance_ms(500);
    assert!(world.log[2].starts_with("closed 0: memory is short"), "{:?}", world.log);
    assert_eq!((world.log.len(), world.transport.connection_count()), (3, 1));
}
