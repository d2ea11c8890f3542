//! The executor over the simulated driver: order, permits, forgotten ops.

use super::{Class, Io};
use crate::io::Op;
use crate::io::sim::SimWorld;
use crate::time::Mono;
use std::cell::RefCell;
use std::rc::Rc;

type Story = Rc<RefCell<Vec<String>>>;

fn shard(seed: u64) -> (Io, Story) {
    (Io::new(Box::new(SimWorld::new(seed).driver())), Story::default())
}

fn run(io: &Io) {
    while io.tasks_running() > 0 {
        io.turn(&mut Vec::new());
        io.park(None);
    }
}

#[test]
fn tasks_run_first_in_first_out_and_yield_for_a_turn() {
    let (io, story) = shard(1);
    for name in ["a", "b"] {
        let (own, story) = (io.clone(), Rc::clone(&story));
        io.spawn(async move {
            story.borrow_mut().push(format!("{name}1"));
            own.yield_now().await;
            story.borrow_mut().push(format!("{name}2"));
        });
    }
    io.turn(&mut Vec::new());
    assert_eq!(*story.borrow(), ["a1", "b1"]);
    io.turn(&mut Vec::new());
    assert_eq!(*story.borrow(), ["a1", "b1", "a2", "b2"]);
    assert_eq!(io.tasks_running(), 0);
}

#[test]
fn ops_of_one_task_run_side_by_side() {
    let (io, story) = shard(2);
    let (own, told) = (io.clone(), Rc::clone(&story));
    io.spawn(async move {
        let start = own.now();
        let later = own.call(Op::Timer { at: start.plus_millis(20) });
        let sooner = own.call(Op::Timer { at: start.plus_millis(10) });
        later.await;
        sooner.await;
        told.borrow_mut().push(format!("{} ms", own.now().since(start).as_millis()));
    });
    run(&io);
    assert_eq!(*story.borrow(), ["20 ms"]);
}

#[test]
fn a_class_lets_so_many_work_and_serves_in_order() {
    let (io, story) = shard(3);
    let class = Class::new(&io, 2);
    for n in 0..5_u64 {
        let (own, class, story) = (io.clone(), class.clone(), Rc::clone(&story));
        io.spawn(async move {
            let _permit = class.acquire().await;
            story.borrow_mut().push(format!("{n} at {}", own.now().0 / 1_000_000));
            own.sleep_until(own.now().plus_millis(10)).await;
        });
    }
    run(&io);
    assert_eq!(*story.borrow(), ["0 at 0", "1 at 0", "2 at 10", "3 at 10", "4 at 20"]);
}

#[test]
fn nobody_passes_who_waits_for_a_class() {
    let (io, story) = shard(6);
    let class = Class::new(&io, 1);
    // The third asks in the very round in which the first gives back, before the second has run.
    for (name, sleeps_until_ms) in [("first", &[][..]), ("second", &[]), ("third", &[5, 10])] {
        let (own, class, story) = (io.clone(), class.clone(), Rc::clone(&story));
        io.spawn(async move {
            for ms in sleeps_until_ms {
                own.sleep_until(Mono(ms * 1_000_000)).await;
            }
            let _permit = class.acquire().await;
            story.borrow_mut().push(name.to_owned());
            own.sleep_until(Mono(10_000_000)).await;
        });
    }
    run(&io);
    assert_eq!(*story.borrow(), ["first", "second", "third"]);
}

#[test]
fn a_forgotten_op_gives_its_slot_back_when_it_is_done() {
    let (io, _) = shard(4);
    let own = io.clone();
    io.spawn(async move {
        for _ in 0..3 {
            drop(own.call(Op::Timer { at: Mono(5_000_000) }));
        }
        own.sleep_until(Mono(9_000_000)).await;
    });
    run(&io);
    assert_eq!(io.with_pending(|pending| pending.held()), 0);
}

#[test]
fn abandoned_tasks_release_what_they_hold() {
    let (io, _) = shard(5);
    let class = Class::new(&io, 1);
    for _ in 0..2 {
        let (own, class) = (io.clone(), class.clone());
        io.spawn(async move {
            let _permit = class.acquire().await;
            own.sleep_until(Mono(u64::MAX)).await;
        });
    }
    io.turn(&mut Vec::new());
    io.abandon_tasks();
    assert_eq!(io.tasks_running(), 0);
    let (free, again) = (class.clone(), io.clone());
    io.spawn(async move {
        let _permit = free.acquire().await;
        again.yield_now().await;
    });
    run(&io);
}
