//! Every script of up to twelve pushes and pops on one thread, held against `VecDeque`, at every small capacity: full,
//! empty and each way to wrap. Races of short scripts are in `models.rs`.
#![cfg(not(any(loom, shuttle)))]

use engine::mailbox::ring;
use std::collections::VecDeque;

const STEPS: u32 = 12;

/// Runs the bits of `script`: 1 pushes, 0 pops.
fn check(slots: usize, script: u32) {
    let (mut sender, mut receiver) = ring(slots);
    let mut oracle = VecDeque::new();
    for step in 0..STEPS {
        if script >> step & 1 == 1 {
            let has_room = oracle.len() < slots;
            assert_eq!(sender.try_push(step), if has_room { Ok(()) } else { Err(step) }, "{slots} slots, {script:#b}");
            oracle.extend(has_room.then_some(step));
        } else {
            assert_eq!(receiver.is_empty(), oracle.is_empty(), "{slots} slots, script {script:#b}, step {step}");
            assert_eq!(receiver.try_pop(), oracle.pop_front(), "{slots} slots, script {script:#b}, step {step}");
        }
    }
    assert_eq!(receiver.drain().collect::<VecDeque<_>>(), oracle, "{slots} slots, script {script:#b}");
}

#[test]
fn every_short_script_does_what_a_queue_does() {
    for slots in [1, 2, 4] {
        (0..1 << STEPS).for_each(|script| check(slots, script));
    }
}
