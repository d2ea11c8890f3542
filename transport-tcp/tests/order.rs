//! Pipelined requests are answered in order and in as few sends as possible; without this, clients match answers to the
//! wrong requests.

mod world;

use engine::mem::Slice;
use transport_tcp::Limits;
use world::{World, framed};

#[test]
fn answers_leave_in_the_order_of_requests() {
    let mut world = World::new(Limits::default());
    let a = world.connect();
    world.send(a, &[framed(b"r0"), framed(b"r1"), framed(b"r2")].concat());
    assert_eq!(
        world.frames.iter().map(|(_, seq, frame)| (*seq, frame.to_vec())).collect::<Vec<_>>(),
        [(0, b"r0".to_vec()), (1, b"r1".to_vec()), (2, b"r2".to_vec())]
    );
    world.reply(a, 2, b"a2");
    world.reply(a, 1, b"a1");
    world.run();
    assert_eq!(world.peer(a).incoming, b"");
    world.reply(a, 0, b"a0");
    world.run();
    assert_eq!(world.peer(a).incoming, [framed(b"a0"), framed(b"a1"), framed(b"a2")].concat());
    assert_eq!(world.peer(a).sends, 1, "answers of one turn share a send");
}

#[test]
fn a_silent_answer_holds_nothing_up() {
    let mut world = World::new(Limits::default());
    let a = world.connect();
    world.send(a, &[framed(b"acks=0"), framed(b"r1")].concat());
    world.reply(a, 1, b"a1");
    let conn = world.conn(a);
    world.transport.no_reply(conn, 0);
    world.run();
    assert_eq!(world.peer(a).incoming, framed(b"a1"));
}

#[test]
fn closing_comes_after_the_answers_before_it() {
    let mut world = World::new(Limits::default());
    let a = world.connect();
    world.send(a, &[framed(b"good"), framed(b"bad"), framed(b"late")].concat());
    let conn = world.conn(a);
    world.transport.close(conn, 1, "unknown API key 9999".into());
    world.run();
    assert!(!world.peer(a).was_shut_down);
    world.reply(a, 0, b"fine");
    world.run();
    assert_eq!(world.peer(a).incoming, framed(b"fine"));
    assert!(world.peer(a).was_given_back);
    assert_eq!(world.log, ["opened 0", "closed 0: unknown API key 9999"]);
    world.reply(a, 2, b"too late");
    assert_eq!((world.transport.connection_count(), world.transport.spent_bytes()), (0, 0));
}

#[test]
fn more_pieces_than_the_kernel_takes_leave_in_several_sends() {
    let mut world = World::new(Limits::default());
    let a = world.connect();
    world.send(a, &framed(b"r"));
    let parts = (0..2500).map(|i| Slice::from(vec![i as u8])).collect();
    let conn = world.conn(a);
    world.transport.reply(conn, 0, parts);
    world.run();
    assert_eq!(world.peer(a).incoming, (0..2500).map(|i| i as u8).collect::<Vec<_>>());
    assert_eq!(world.peer(a).sends, 3);
}
