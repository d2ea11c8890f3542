//! Batches that are received where the log will have them: what fails here would let two writers at the same memory, leave a
//! hole behind a client that died, or copy what need not be copied.

use crate::rig::{Rig, batch, limits, on_every_driver, small};
use engine::log::{AppendInfo, LeasedAppend, LogConfig, LogId};
use engine::mem::{Buf, Lease};

const LEN: usize = 40_000;

fn roomy() -> LogConfig {
    LogConfig { segment_bytes: 1 << 20, ..small() }
}

fn on_a_log(test: impl Fn(&mut Rig, LogId)) {
    on_every_driver(|driver, data| {
        let mut rig = Rig::boot(driver(), data, &roomy(), limits());
        let id = rig.create("t-0", roomy());
        rig.append(id, 1, 3000).unwrap();
        test(&mut rig, id);
        rig.check_whole(id);
        rig.until_durable(id);
        rig.check_whole(id);
        let end = rig.set().offsets(id).end;
        rig.shutdown();
        let mut rig = Rig::boot(driver(), data, &roomy(), limits());
        let id = rig.logs["t-0"];
        assert_eq!(rig.set().offsets(id).end, end);
        rig.check_whole(id);
    });
}

fn lease(rig: &mut Rig, id: LogId) -> Option<Buf> {
    rig.set().lease(id, LEN).map(Lease::into_buf)
}

/// Receives a batch for the log's end as it is now, with a few bytes behind it, and appends it.
fn arrive(rig: &mut Rig, id: LogId, mut room: Buf) -> AppendInfo {
    let base_offset = rig.set().offsets(id).end;
    let have = room.len();
    room.extend_from_slice(&batch(base_offset, 2, LEN - 3, 1000)[have..]);
    room.fill_zero(3);
    let mut lease = Lease::from_buf(room).unwrap();
    lease.truncate(LEN - 3);
    let batch = LeasedAppend {
        lease,
        base_offset,
        last_offset: base_offset + 1,
        leader_epoch: 7,
        max_timestamp: 1000,
        offset_of_max_timestamp: base_offset + 1,
    };
    rig.set().append_leased(id, batch).unwrap()
}

#[test]
fn one_producer_costs_no_copy() {
    on_a_log(|rig, id| {
        let before = rig.set().copied_bytes();
        for n in 0..20 {
            let room = lease(rig, id).unwrap();
            arrive(rig, id, room);
            if n % 3 == 0 {
                rig.turn();
            }
        }
        assert_eq!(rig.set().copied_bytes(), before);
    });
}

#[test]
fn another_producer_revokes_and_pays_nothing() {
    on_a_log(|rig, id| {
        let mut first = lease(rig, id).unwrap();
        first.extend_from_slice(&batch(3, 2, LEN - 3, 1000)[..10_000]);
        assert!(lease(rig, id).is_none(), "one lease at a time");
        rig.append(id, 2, LEN).unwrap();
        rig.turn();
        let before = rig.set().copied_bytes();
        arrive(rig, id, first);
        assert_eq!(rig.set().copied_bytes() - before, (LEN - 3) as u64, "a revoked batch is copied once");
        rig.append(id, 1, 100).unwrap();
    });
}

#[test]
fn a_log_with_two_producers_stops_lending_for_a_while() {
    on_a_log(|rig, id| {
        let revoked = lease(rig, id).unwrap();
        rig.append(id, 1, 100).unwrap();
        drop(revoked);
        let mut refused = 0;
        while lease(rig, id).is_none() {
            rig.append(id, 1, 100).unwrap();
            refused += 1;
        }
        assert!((8..64).contains(&refused), "{refused} appends");
    });
}

#[test]
fn death_in_the_middle_leaves_no_hole() {
    on_a_log(|rig, id| {
        for appends in [0, 1] {
            let mut room = lease(rig, id).unwrap();
            room.extend_from_slice(&[9; 20_000]);
            drop(room);
            (0..appends).for_each(|_| _ = rig.append(id, 3, 5000).unwrap());
            let room = lease(rig, id).unwrap();
            arrive(rig, id, room);
        }
    });
}

#[test]
fn a_batch_for_the_next_segment_gets_no_room_in_this_one() {
    on_a_log(|rig, id| {
        while let Some(room) = lease(rig, id) {
            assert!(!arrive(rig, id, room).rolled);
        }
        assert!(rig.set().segments(id)[0].2 as usize + LEN > 1 << 20);
        assert!(rig.append(id, 1, LEN).unwrap().rolled);
        let room = lease(rig, id).unwrap();
        arrive(rig, id, room);
    });
}

#[test]
fn a_segment_that_rolls_under_a_lease_takes_a_copy() {
    on_a_log(|rig, id| {
        let room = lease(rig, id).unwrap();
        rig.set().set_config(id, LogConfig { segment_bytes: 10_000, ..roomy() });
        assert!(arrive(rig, id, room).rolled);
        rig.append(id, 1, 100).unwrap();
    });
}

#[test]
fn a_truncated_log_forgets_what_it_lent() {
    on_a_log(|rig, id| {
        rig.append(id, 1, 5000).unwrap();
        rig.until_durable(id);
        let room = lease(rig, id).unwrap();
        rig.set().truncate_suffix(id, 1);
        rig.until("truncated", |rig| {
            rig.set().offsets(id).end == 1
                && rig.events.iter().any(|event| format!("{event:?}").starts_with("Truncated"))
        });
        arrive(rig, id, room);
    });
}

#[test]
fn a_log_without_a_segment_or_a_service_lends_nothing() {
    on_a_log(|rig, id| {
        let fresh = rig.create("u-0", roomy());
        assert!(lease(rig, fresh).is_none());
        rig.append(fresh, 1, 100).unwrap();
        assert!(lease(rig, fresh).is_some());
        rig.set().delete(fresh);
        assert!(lease(rig, fresh).is_none());
        rig.until_durable(id);
    });
}

#[test]
fn an_idle_log_gives_its_memory_back_under_a_lease() {
    on_a_log(|rig, id| {
        rig.until_durable(id);
        let room = lease(rig, id).unwrap();
        rig.pass(500);
        assert_eq!(rig.set().held_bytes(), 0);
        arrive(rig, id, room);
    });
}
