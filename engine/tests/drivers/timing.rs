//! Timers, parking, waking.

use crate::rig::Rig;
use engine::io::{Op, OpenMode, ShardId, Waker};
use engine::mem::{Buf, Slice};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

crate::on_every_driver!(
    timers_in_order_of_time,
    a_cancelled_timer_is_interrupted,
    parking_ends_in_time,
    a_wake_ends_the_park,
    a_wake_reaches_the_shard_it_names,
    wakes_do_not_add_up,
    no_completion_is_slept_over,
);

fn timers_in_order_of_time(rig: &mut Rig) {
    let start = rig.driver.now();
    let late = rig.submit(Op::Timer { at: start.plus_millis(20) });
    let early = rig.submit(Op::Timer { at: start.plus_millis(5) });
    let past = rig.submit(Op::Timer { at: start });
    rig.wait(past);
    rig.wait(early);
    assert!(rig.driver.now() >= start.plus_millis(5));
    rig.wait(late);
    assert!(rig.driver.now() >= start.plus_millis(20));
}

fn a_cancelled_timer_is_interrupted(rig: &mut Rig) {
    let at = rig.driver.now().plus_millis(3_600_000);
    let token = rig.submit(Op::Timer { at });
    rig.ok(Op::Cancel(token));
    assert_eq!(rig.wait(token).result.expect_err("it did not fire").kind(), std::io::ErrorKind::Interrupted);
    rig.ok(Op::Cancel(token));
}

fn parking_ends_in_time(rig: &mut Rig) {
    rig.linger();
    let until = rig.driver.now() + Duration::from_millis(10);
    // A park may end early for no reason, but not for ever.
    for _ in 0..100 {
        if rig.driver.now() >= until {
            return;
        }
        rig.driver.reap(&mut Vec::new());
        rig.driver.park(Some(until));
    }
    panic!("100 parks later it is still {:?}", rig.driver.now());
}

fn a_wake_ends_the_park(rig: &mut Rig) {
    rig.linger();
    let waker = rig.driver.waker();
    for _ in 0..3 {
        waker.wake();
        let start = rig.driver.now();
        rig.driver.park(Some(start.plus_millis(10_000)));
        assert!(rig.driver.now() < start.plus_millis(10_000), "the park ended at its limit, not at the wake");
        rig.driver.reap(&mut Vec::new());
    }
}

/// Counts the wakes that reach a shard.
#[derive(Default)]
struct Counter(AtomicUsize);

impl Waker for Counter {
    fn wake(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn a_wake_reaches_the_shard_it_names(rig: &mut Rig) {
    let counters: Vec<Arc<Counter>> = (0..3).map(|_| Arc::default()).collect();
    rig.driver.set_peers(counters.iter().map(|counter| Arc::<Counter>::clone(counter) as Arc<dyn Waker>).collect());
    for shard in [2, 0, 2] {
        rig.ok(Op::Wake(ShardId(shard)));
    }
    let counts: Vec<_> = counters.iter().map(|counter| counter.0.load(Ordering::SeqCst)).collect();
    assert_eq!(counts, [1, 0, 2]);
}

fn wakes_do_not_add_up(rig: &mut Rig) {
    let waker = rig.driver.waker();
    (0..1000).for_each(|_| waker.wake());
    for _ in 0..10 {
        let until = rig.driver.now().plus_millis(1);
        rig.driver.park(Some(until));
        rig.driver.reap(&mut Vec::new());
    }
    let start = rig.driver.now();
    rig.driver.park(Some(start.plus_millis(5)));
    assert!(rig.driver.now() >= start.plus_millis(5), "no wake is left over");
}

/// Far more at once than a ring has entries, over and over; a driver that went to sleep over one would stay there.
fn no_completion_is_slept_over(rig: &mut Rig) {
    const AT_ONCE: usize = 3000;
    const PARK_MS: u64 = 60_000;
    let (file, _) = rig.open("many", OpenMode::Write);
    rig.write(file, 0, &[Slice::copy_of(&[7; 64])]);
    let start = rig.driver.now();
    for _ in 0..10 {
        for at in 0..AT_ONCE {
            rig.submit(Op::Read { file, at: at as u64 % 60, buf: Buf::with_capacity(4) });
        }
        let mut done = Vec::new();
        while done.len() < AT_ONCE {
            if rig.driver.reap(&mut done) == 0 {
                rig.driver.park(Some(start.plus_millis(PARK_MS)));
            }
        }
        assert!(done.iter().all(|done| matches!(done.result, Ok(4))), "every read found its bytes");
    }
    assert!(rig.driver.now() < start.plus_millis(PARK_MS), "it slept until its time was over");
    rig.ok(Op::Close { file });
}
