//! Which flights have something to say: each has a waker of its own, so that a turn looks at those alone.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Wake, Waker};

/// Slots of flights that were woken, and who is to be told.
#[derive(Default)]
pub(super) struct Woken(Mutex<List>);

#[derive(Default)]
struct List {
    slots: Vec<u32>,
    waits: Option<Waker>,
}

/// The waker of whatever flies in a slot.
struct SlotWaker {
    slot: u32,
    woken: Arc<Woken>,
}

impl Woken {
    fn list(&self) -> MutexGuard<'_, List> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on `waker` is told.
    pub(super) fn tell(&self, waker: &Waker) {
        let waits = &mut self.list().waits;
        if !waits.as_ref().is_some_and(|old| old.will_wake(waker)) {
            *waits = Some(waker.clone());
        }
    }

    /// Moves the woken slots to `out`, which is empty.
    pub(super) fn take(&self, out: &mut Vec<u32>) {
        std::mem::swap(&mut self.list().slots, out);
    }

    pub(super) fn waker(self: &Arc<Woken>, slot: u32) -> Waker {
        Waker::from(Arc::new(SlotWaker { slot, woken: Arc::clone(self) }))
    }
}

impl Wake for SlotWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let mut list = self.woken.list();
        list.slots.push(self.slot);
        if let Some(waker) = &list.waits {
            waker.wake_by_ref();
        }
    }
}
