//! Faults that are real: the binary `ringlog` under load on a real file system, killed with SIGKILL or cut off from its
//! disk, started again, and read back from the beginning.
//!
//! ```text
//!  producers, consumer ──► ringlog ──► folder, or ext4 / xfs on a loop device
//!        │ what was sent, acknowledged, seen, committed      ▲ SIGKILL, FS_IOC_SHUTDOWN
//!        ▼                                                   │
//!     history ──► check ◄── everything read back after the restart
//! ```
//!
//! A run is a series of lives; a life is one data folder that goes through a few dozen faults and is then thrown away, so
//! that reading all of it stays quick. What a seed repeats here is the plan only: the kernel decides what a fault meets.
//! Runs that a seed repeats exactly are the simulator's, in `sim`.

pub mod check;
pub mod consumer;
pub mod disk;
pub mod history;
pub mod life;
pub mod node;
pub mod places;
pub mod producer;
pub mod random;
pub mod read_back;
pub mod record;
pub mod requests;
pub mod run;
pub mod summary;
pub mod sys;
pub mod wire;
