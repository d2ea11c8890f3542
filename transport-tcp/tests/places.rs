//! Large frames whose rest is received into a place of somebody else's: what fails here would leave bytes in memory that
//! another writer believes to be free, or take room from connections for ever.

mod world;

use transport_tcp::{Admission, Limits};
use world::{World, framed};

fn body(len: usize) -> Vec<u8> {
    (0..len).map(|i| (i % 251) as u8).collect()
}

fn world() -> World {
    let mut world = World::new(Limits::default());
    world.place_at = Some(70);
    world
}

#[test]
fn every_cut_gives_the_same_frame() {
    const LEN: usize = 100_000;
    let frame = framed(&body(LEN));
    let near = |at: usize| at.saturating_sub(6)..(at + 6).min(LEN + 4);
    for cut in [0, 4, 74, 16 << 10, 32 << 10, (32 << 10) + 4, 64 << 10, LEN + 4].into_iter().flat_map(near) {
        let mut world = world();
        let a = world.connect();
        world.send(a, &frame[..cut]);
        world.send(a, &frame[cut..]);
        world.send(a, &framed(b"next"));
        assert_eq!(world.placed.len(), 1, "cut at {cut}");
        let (_, seq, head, rest) = &world.placed[0];
        assert_eq!((*seq, head.len(), rest.len()), (0, 70, LEN - 70), "cut at {cut}");
        assert!([head, rest.as_slice()].concat() == body(LEN), "cut at {cut}");
        assert_eq!(&*world.frames[0].2, b"next", "cut at {cut}");
    }
}

#[test]
fn the_rest_is_received_straight_into_its_place() {
    let mut world = world();
    let a = world.connect();
    world.send(a, &framed(&body(1 << 20)));
    assert_eq!(world.room_max, (1 << 20) - 70, "no room was made for the whole frame");
    assert_eq!(world.placed.len(), 1);
}

#[test]
fn small_and_very_large_frames_are_not_offered() {
    for len in [30_000, (2 << 20) + 1] {
        let mut world = world();
        let a = world.connect();
        world.send(a, &framed(&body(len)));
        assert_eq!((world.placed.len(), world.frames.len()), (0, 1), "{len} bytes");
    }
}

#[test]
fn death_and_idleness_inside_a_place_give_it_back() {
    for dies in [true, false] {
        let mut world = World::new(Limits { idle_ms: Some(1000), ..Limits::default() });
        world.place_at = Some(70);
        let a = world.connect();
        world.send(a, &framed(&body(100_000))[..60_004]);
        if dies {
            world.peer(a).is_closed = true;
            world.run();
            assert_eq!(
                world.log[1],
                "closed 0: the peer closed the connection after 60000 bytes of a frame of 100000 bytes"
            );
        } else {
            world.advance_ms(1000);
            world.advance_ms(1000);
            assert_eq!(world.log[1], "closed 0: no byte moved for 1000 ms");
        }
        assert_eq!((world.transport.connection_count(), world.transport.spent_bytes()), (0, 0));
        assert!(world.placed.is_empty() && world.frames.is_empty());
    }
}

#[test]
fn places_are_few_and_come_free_again() {
    let mut world = world();
    let peers: Vec<u32> = (0..20).map(|_| world.connect()).collect();
    let frame = framed(&body(50_000));
    peers.iter().for_each(|peer| world.send(*peer, &frame[..40_000]));
    peers.iter().for_each(|peer| world.send(*peer, &frame[40_000..]));
    assert_eq!((world.placed.len(), world.frames.len()), (16, 4));
    peers[..8].iter().for_each(|peer| world.send(*peer, &frame[..40_000]));
    for peer in &peers[..8] {
        world.peer(*peer).is_closed = true;
    }
    world.run();
    world.send(peers[9], &frame[..40_000]);
    world.send(peers[9], &frame[40_000..]);
    assert_eq!(world.placed.len(), 17);
}

#[test]
fn a_spent_budget_places_nothing() {
    let mut world = World::admitting(Limits { budget_bytes: 90_000, ..Limits::default() }, Admission::unlimited());
    world.place_at = Some(70);
    let a = world.connect();
    world.send(a, &framed(&body(80_000)));
    assert_eq!((world.placed.len(), world.frames.len()), (0, 1));
}

#[test]
fn a_placed_frame_waits_behind_a_large_answer() {
    for dies in [true, false] {
        let mut world = World::new(Limits { is_large_ask: |frame| frame == b"fetch", ..Limits::default() });
        world.place_at = Some(70);
        let a = world.connect();
        world.send(a, &framed(b"fetch"));
        world.send(a, &framed(b"fetch"));
        let frame = framed(&body(50_000));
        world.send(a, &frame[..40_000]);
        world.send(a, &frame[40_000..]);
        assert_eq!((world.frames.len(), world.placed.len()), (1, 0));
        if dies {
            world.peer(a).is_closed = true;
            world.run();
            assert_eq!((world.transport.connection_count(), world.transport.spent_bytes()), (0, 0));
        } else {
            world.reply(a, 0, b"records");
            world.run();
            assert_eq!((world.frames.len(), world.placed.len(), world.placed[0].1), (2, 1, 2));
        }
        let b = world.connect();
        let before = world.placed.len();
        world.send(b, &frame[..40_000]);
        world.send(b, &frame[40_000..]);
        assert_eq!(world.placed.len(), before + 1);
    }
}

#[test]
fn behind_a_large_frame_only_a_head_is_received_before_the_place() {
    let mut world = world();
    let a = world.connect();
    let frame = framed(&body(100_000));
    (0..9).for_each(|_| world.send(a, &frame));
    let before = world.transport.tally();
    (0..9).for_each(|_| world.send(a, &frame));
    let after = world.transport.tally();
    assert_eq!(world.placed.len(), 18);
    assert_eq!(after.moved_bytes - before.moved_bytes, 0, "heads are as long as those before them");
    assert_eq!(after.receives - before.receives, 18, "a head and the rest of each");
}

#[test]
fn a_claim_is_believed_only_up_to_what_came_before() {
    let mut world = world();
    let [a, b] = [(); 2].map(|()| world.connect());
    world.send(a, &framed(&body(50_000)));
    world.room_max = 0;
    world.send(a, &framed(&body(1 << 20))[..600]);
    assert!(world.room_max <= 16 << 10, "room for {} bytes of a frame 20 times as large as the last", world.room_max);
    world.send(b, &framed(&body(50_000)));
    world.room_max = 0;
    world.send(b, &framed(&body(50_000))[..600]);
    assert_eq!(world.room_max, 50_000 - 70, "as much as the last");
}

#[test]
fn small_frames_end_the_waiting_for_heads() {
    let mut world = world();
    let a = world.connect();
    world.send(a, &framed(&body(50_000)));
    world.send(a, &framed(b"small"));
    let before = world.transport.tally();
    let many: Vec<u8> = (0..100).flat_map(|_| framed(b"small")).collect();
    world.send(a, &many);
    assert_eq!(world.transport.tally().receives - before.receives, 1, "all come in one buffer again");
    assert_eq!(world.frames.len(), 102);
}
