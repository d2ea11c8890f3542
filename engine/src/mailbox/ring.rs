//! A bounded ring from one sender to one receiver.
//!
//! Indexes only grow; an index modulo the slot count is its slot. The sender owns slots `tail..head + slots`, the
//! receiver owns `head..tail`; storing an index with Release hands slots over, loading it with Acquire takes them.
//! Each side keeps a copy of the other's index and looks again only when the copy says full or empty.

use super::park::take;
use crate::sync::{Arc, AtomicBool, AtomicUsize, Ordering, UnsafeCell, fence};
use crossbeam_utils::CachePadded;
use std::mem::MaybeUninit;

struct Shared<T> {
    slots: Box<[UnsafeCell<MaybeUninit<T>>]>,
    /// Next index to pop; stored by the receiver.
    head: CachePadded<AtomicUsize>,
    /// Next index to push; stored by the sender.
    tail: CachePadded<AtomicUsize>,
    /// The sender found the ring full and wants to hear when it is not.
    stalled: CachePadded<AtomicBool>,
}

// SAFETY: a slot is touched by one side at a time, as the indexes hand it over, so T only has to move between threads.
unsafe impl<T: Send> Send for Shared<T> {}
// SAFETY: as above.
unsafe impl<T: Send> Sync for Shared<T> {}

/// The pushing end.
pub struct Sender<T> {
    shared: Arc<Shared<T>>,
    tail: usize,
    /// The receiver's index when we last looked; it may have moved on since.
    head_seen: usize,
}

/// The popping end.
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
    head: usize,
    /// The sender's index when we last looked; it may have moved on since.
    tail_seen: usize,
}

/// A ring with room for `slots` values, a power of two.
pub fn ring<T>(slots: usize) -> (Sender<T>, Receiver<T>) {
    assert!(slots.is_power_of_two(), "{slots} slots: indexes wrap only around powers of two");
    let shared = Arc::new(Shared {
        slots: (0..slots).map(|_| UnsafeCell::new(MaybeUninit::uninit())).collect(),
        head: CachePadded::new(AtomicUsize::new(0)),
        tail: CachePadded::new(AtomicUsize::new(0)),
        stalled: CachePadded::new(AtomicBool::new(false)),
    });
    let sender = Sender { shared: Arc::clone(&shared), tail: 0, head_seen: 0 };
    (sender, Receiver { shared, head: 0, tail_seen: 0 })
}

impl<T> Shared<T> {
    fn slot(&self, index: usize) -> &UnsafeCell<MaybeUninit<T>> {
        &self.slots[index & (self.slots.len() - 1)]
    }
}

impl<T> Sender<T> {
    /// Pushes `value`, or gives it back when the ring is full.
    pub fn try_push(&mut self, value: T) -> Result<(), T> {
        if self.is_full() {
            return Err(value);
        }
        self.shared.slot(self.tail).with_mut(|slot| {
            // SAFETY: is_full saw with Acquire that the receiver is done with this slot; until the store below it is
            // ours alone.
            unsafe { (*slot).write(value) };
        });
        self.tail = self.tail.wrapping_add(1);
        self.shared.tail.store(self.tail, Ordering::Release);
        Ok(())
    }

    fn is_full(&mut self) -> bool {
        let full = |head: usize| self.tail.wrapping_sub(head) == self.shared.slots.len();
        if full(self.head_seen) {
            self.head_seen = self.shared.head.load(Ordering::Acquire);
        }
        full(self.head_seen)
    }

    /// Asks to be woken when a full ring has room. True if it is full indeed: then the receiver will find out with
    /// [`Receiver::take_stalled`]. False if there is room by now.
    ///
    /// The flag and the receiver's index are a Dekker pair: each side writes its own, fences, and reads the other's, so
    /// at least one of them sees the other.
    pub fn stall(&mut self) -> bool {
        self.shared.stalled.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        let full = self.is_full();
        if !full {
            self.shared.stalled.store(false, Ordering::Relaxed);
        }
        full
    }

    /// True when the receiver is gone.
    pub fn is_orphan(&self) -> bool {
        Arc::strong_count(&self.shared) == 1
    }
}

impl<T> Receiver<T> {
    /// Pops the oldest value.
    pub fn try_pop(&mut self) -> Option<T> {
        if self.is_empty() {
            return None;
        }
        // SAFETY: is_empty saw with Acquire that the sender has written this slot; until the store below it is ours
        // alone, and it is read once because the index moves on.
        let value = self.shared.slot(self.head).with_mut(|slot| unsafe { (*slot).assume_init_read() });
        self.head = self.head.wrapping_add(1);
        self.shared.head.store(self.head, Ordering::Release);
        Some(value)
    }

    /// Pops what is there now, oldest first; what is pushed meanwhile may or may not come along.
    pub fn drain(&mut self) -> impl Iterator<Item = T> {
        std::iter::from_fn(|| self.try_pop())
    }

    /// True when nothing is there right now.
    pub fn is_empty(&mut self) -> bool {
        if self.head == self.tail_seen {
            self.tail_seen = self.shared.tail.load(Ordering::Acquire);
        }
        self.head == self.tail_seen
    }

    /// Whether the sender must be woken because it waits for room. Call it after popping.
    pub fn take_stalled(&mut self) -> bool {
        fence(Ordering::SeqCst);
        take(&self.shared.stalled)
    }
}

impl<T> Drop for Shared<T> {
    fn drop(&mut self) {
        let (mut head, tail) = (self.head.load(Ordering::Acquire), self.tail.load(Ordering::Acquire));
        while head != tail {
            // SAFETY: both ends are gone, and head..tail was pushed and never popped.
            self.slot(head).with_mut(|slot| unsafe { (*slot).assume_init_drop() });
            head = head.wrapping_add(1);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::collections::VecDeque;
    use std::rc::Rc;

    #[test]
    fn behaves_as_a_bounded_queue() {
        let mut rng = crate::io::sim::Rng::new(1);
        for slots in [1, 2, 8] {
            let (mut sender, mut receiver) = ring(slots);
            let mut oracle = VecDeque::new();
            for value in 0..1000 {
                if rng.coin() {
                    let pushed = sender.try_push(value);
                    assert_eq!(pushed.is_ok(), oracle.len() < slots);
                    if pushed.is_ok() {
                        oracle.push_back(value);
                    }
                } else {
                    assert_eq!(receiver.try_pop(), oracle.pop_front());
                }
            }
        }
    }

    #[test]
    fn queued_values_are_dropped_with_the_ring() {
        let value = Rc::new(());
        let (mut sender, receiver) = ring(4);
        for _ in 0..3 {
            sender.try_push(Rc::clone(&value)).expect("there is room");
        }
        drop(receiver);
        assert!(sender.is_orphan());
        drop(sender);
        assert_eq!(Rc::strong_count(&value), 1);
    }
}
