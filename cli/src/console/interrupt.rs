//! Ctrl-C and SIGTERM as a question that loops ask: shall I stop? The second one ends the process at once.

use nix::sys::signal::{SigSet, Signal};
use std::process;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What shells expect of a program that a signal ended, for SIGINT.
const EXIT_BY_SIGINT: i32 = 130;

/// Whether the user wants an end.
#[derive(Clone, Debug, Default)]
pub(crate) struct Interrupt {
    asked: Arc<AtomicBool>,
}

impl Interrupt {
    /// Watches from now on. Threads that are started later inherit that they do not take these signals; hence this is called
    /// before any is.
    pub(crate) fn watch() -> Self {
        let interrupt = Interrupt::default();
        let mut signals = SigSet::empty();
        signals.add(Signal::SIGINT);
        signals.add(Signal::SIGTERM);
        if signals.thread_block().is_err() {
            // Then the signals end the process as they always do.
            return interrupt;
        }
        let asked = Arc::clone(&interrupt.asked);
        std::thread::spawn(move || {
            while signals.wait().is_ok() {
                if asked.swap(true, Ordering::Relaxed) {
                    process::exit(EXIT_BY_SIGINT);
                }
            }
        });
        interrupt
    }

    /// Whether it was asked for.
    pub(crate) fn is_asked(&self) -> bool {
        self.asked.load(Ordering::Relaxed)
    }
}
