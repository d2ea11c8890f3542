//! What only the simulator does: crashes, faults, one clock for many shards, and the same run for the same seed. If this
//! breaks, every simulation above it proves less than it says.
#![allow(clippy::expect_used, reason = "a test that cannot go on fails")]

use engine::io::sim::{OpKind, SimDriver, SimWorld};
use engine::io::{ConnId, Done, Driver, FileId, Op, OpenMode, Owner, RecvInto, Token};
use engine::mem::{BLOCK, Slice};
use std::collections::BTreeSet;
use std::net::SocketAddr;

const EIO: i32 = 5;
const ENOSPC: i32 = 28;

fn run(driver: &mut SimDriver, op: Op) -> Done {
    let mut out = Vec::new();
    driver.submit(Token::new(Owner::Node, 1), op);
    for _ in 0..1000 {
        driver.reap(&mut out);
        if let Some(done) = out.pop() {
            return done;
        }
        driver.park(None);
    }
    panic!("the op never completed");
}

fn ok(driver: &mut SimDriver, op: Op) -> u32 {
    run(driver, op).result.expect("it works")
}

fn err(driver: &mut SimDriver, op: Op) -> i32 {
    run(driver, op).result.expect_err("it fails").raw_os_error().expect("with a kernel's error")
}

fn open(driver: &mut SimDriver, path: &str, mode: OpenMode) -> FileId {
    FileId(ok(driver, Op::Open { path: path.into(), mode, len: 0 }))
}

fn write(file: FileId, at: u64, byte: u8, blocks: usize) -> Op {
    Op::WriteV { file, at, bufs: vec![Slice::copy_of(&vec![byte; blocks * BLOCK])] }
}

/// A durable file of one block of `o`, open.
fn with_file(seed: u64) -> (SimWorld, SimDriver, FileId) {
    let world = SimWorld::new(seed);
    world.write_file("/data/f", &[b'o'; BLOCK]).expect("an empty disk takes it");
    let mut driver = world.driver();
    let file = open(&mut driver, "/data/f", OpenMode::WriteDirect);
    (world, driver, file)
}

#[test]
fn what_was_synced_survives_and_the_rest_may_not() {
    let mut seen = BTreeSet::new();
    for seed in 0..100 {
        let (world, mut driver, file) = with_file(seed);
        ok(&mut driver, write(file, BLOCK as u64, b's', 1));
        ok(&mut driver, Op::SyncData { file });
        ok(&mut driver, write(file, 2 * BLOCK as u64, b'u', 1));
        world.crash();
        let bytes = world.read_file("/data/f").expect("its name is durable");
        assert_eq!((bytes[0], bytes[BLOCK], bytes[2 * BLOCK - 1]), (b'o', b's', b's'), "seed {seed}");
        let sectors = bytes[2 * BLOCK..].chunks(512).filter(|sector| sector[0] == b'u').count();
        seen.insert((bytes.len() / BLOCK, sectors));
    }
    assert!(seen.contains(&(2, 0)) && seen.contains(&(3, 0)) && seen.contains(&(3, 8)), "{seen:?}");
    assert!(seen.iter().any(|(_, sectors)| (1..8).contains(sectors)), "torn in the middle: {seen:?}");
}

#[test]
fn a_name_needs_its_folder_synced() {
    let survives = |synced: bool, seed: u64| {
        let world = SimWorld::new(seed);
        world.write_file("/data/other", b"").expect("an empty disk takes it");
        let mut driver = world.driver();
        let file = open(&mut driver, "/data/new", OpenMode::CreateDirect);
        ok(&mut driver, write(file, 0, b'x', 1));
        ok(&mut driver, Op::SyncData { file });
        if synced {
            ok(&mut driver, Op::SyncDir { path: "/data".into() });
        }
        world.crash();
        world.read_file("/data/new").is_ok()
    };
    assert!((0..50).all(|seed| survives(true, seed)));
    assert!((0..50).any(|seed| !survives(false, seed)));
    assert!((0..50).any(|seed| survives(false, seed)));
}

#[test]
fn a_killed_process_loses_nothing_that_completed() {
    for seed in 0..20 {
        let (world, mut driver, file) = with_file(seed);
        ok(&mut driver, write(file, BLOCK as u64, b'w', 1));
        world.kill();
        assert_eq!(world.read_file("/data/f").expect("it is there")[BLOCK..], [b'w'; BLOCK]);
        driver.submit(Token::new(Owner::Node, 2), Op::SyncData { file });
        assert_eq!(driver.reap(&mut Vec::new()), 0, "a dead driver does nothing");
        let mut again = world.restart();
        open(&mut again, "/data/f", OpenMode::ReadDirect);
    }
}

#[test]
fn a_failed_sync_is_not_made_good_by_the_next() {
    let lost = (0..50).any(|seed| {
        let (world, mut driver, file) = with_file(seed);
        ok(&mut driver, write(file, 0, b'n', 1));
        world.faults(|faults| faults.fail_nth(OpKind::SyncData, 1, EIO));
        assert_eq!(err(&mut driver, Op::SyncData { file }), EIO);
        ok(&mut driver, Op::SyncData { file });
        world.crash();
        world.read_file("/data/f").expect("its name is durable").contains(&b'o')
    });
    assert!(lost, "in fifty crashes the second sync always saved it");
}

#[test]
fn the_nth_op_fails_once() {
    let (world, mut driver, file) = with_file(1);
    world.faults(|faults| faults.fail_nth(OpKind::WriteV, 2, ENOSPC));
    ok(&mut driver, write(file, 0, b'a', 1));
    assert_eq!(err(&mut driver, write(file, 0, b'b', 1)), ENOSPC);
    ok(&mut driver, write(file, 0, b'c', 1));
}

#[test]
fn a_full_disk_heals() {
    let (world, mut driver, file) = with_file(1);
    world.faults(|faults| faults.capacity = 2 * BLOCK as u64);
    ok(&mut driver, write(file, BLOCK as u64, b'a', 1));
    assert_eq!(err(&mut driver, write(file, 2 * BLOCK as u64, b'b', 1)), ENOSPC);
    assert_eq!(err(&mut driver, Op::Allocate { file, at: 0, len: 3 * BLOCK as u64 }), ENOSPC);
    ok(&mut driver, write(file, 0, b'c', 2));
    ok(&mut driver, Op::SetLen { file, len: BLOCK as u64 });
    let Op::FreeSpace { free, .. } = run(&mut driver, Op::FreeSpace { path: "/data".into(), free: 0, total: 0 }).op
    else {
        panic!("another op came back")
    };
    assert_eq!(free, BLOCK as u64);
    ok(&mut driver, write(file, BLOCK as u64, b'd', 1));
}

#[test]
fn bits_rot_where_told() {
    let (world, _driver, _) = with_file(1);
    world.flip_bit("/data/f", 1000, 3).expect("the file is there");
    let bytes = world.read_file("/data/f").expect("it is there");
    assert_eq!((bytes[999], bytes[1000]), (b'o', b'o' ^ 8));
    assert_eq!(world.fs_list(), [("/data/f".into(), BLOCK as u64)]);
}

#[test]
#[should_panic(expected = "not block-aligned")]
fn direct_writes_start_at_blocks() {
    let (_world, mut driver, file) = with_file(1);
    run(&mut driver, write(file, 512, b'x', 1));
}

#[test]
#[should_panic(expected = "unaligned memory")]
fn direct_writes_are_whole_blocks() {
    let (_world, mut driver, file) = with_file(1);
    run(&mut driver, Op::WriteV { file, at: 0, bufs: vec![Slice::from_static(b"short")] });
}

#[test]
fn time_stands_still_until_all_shards_park() {
    let world = SimWorld::new(1);
    let (mut a, mut b) = (world.driver(), world.driver());
    let at = world.now().plus_millis(1000);
    a.submit(Token::new(Owner::Node, 1), Op::Timer { at });
    a.park(None);
    assert_eq!(world.now(), engine::time::Mono(0), "b is busy");
    b.park(None);
    assert_eq!(world.now(), at);
    assert_eq!((a.reap(&mut Vec::new()), b.reap(&mut Vec::new())), (1, 0));
    b.park(None);
    a.waker().wake();
    a.submit(Token::new(Owner::Node, 2), Op::Timer { at: at.plus_millis(1) });
    a.park(None);
    assert_eq!(world.now(), at, "a was woken and has not looked yet");
}

#[test]
fn a_broken_connection_fails_its_receive() {
    let world = SimWorld::new(3);
    let mut driver = world.driver();
    let listener = driver.listen(SocketAddr::from(([127, 0, 0, 1], 9092)));
    let peer = world.connect(listener).expect("it listens");
    let conn = ConnId(ok(&mut driver, Op::Accept { listener, peer: None, local: None }));
    peer.reset();
    assert_eq!(err(&mut driver, Op::Recv { conn, into: RecvInto::Any }), 104);
}

/// A bit of everything, and the world's trace of it.
fn trace(seed: u64) -> u64 {
    let (world, mut driver, file) = with_file(seed);
    let listener = driver.listen(SocketAddr::from(([127, 0, 0, 1], 9092)));
    let peer = world.connect(listener).expect("it listens");
    let conn = ConnId(ok(&mut driver, Op::Accept { listener, peer: None, local: None }));
    peer.write(&[7; 50_000]);
    let mut received = 0;
    while received < 50_000 {
        received += ok(&mut driver, Op::Recv { conn, into: RecvInto::Any });
    }
    for block in 0..10 {
        driver.submit(Token::new(Owner::Log, block), write(file, block * BLOCK as u64, b'x', 1));
    }
    let mut done = Vec::new();
    while done.len() < 10 {
        driver.park(None);
        driver.reap(&mut done);
    }
    ok(&mut driver, Op::SyncData { file });
    world.trace()
}

#[test]
fn a_seed_reproduces_everything() {
    let traces: BTreeSet<u64> = (0..10).map(trace).collect();
    assert_eq!(traces.len(), 10, "different seeds, different runs");
    assert_eq!(traces, (0..10).map(trace).collect());
}
