//! A data folder on a disk whose faults the test switches while the broker runs.

use super::{Broker, folder};
use faultfs::{FaultFs, RuleId};
use std::path::PathBuf;
use std::time::{Duration, Instant};

pub const EIO: i32 = 5;

/// What Kafka calls trouble with the disk.
pub const KAFKA_STORAGE_ERROR: i16 = 56;

/// The fields drop in order: unmounted before the folder goes.
pub struct FaultyDisk {
    pub faults: FaultFs,
    _folder: tempfile::TempDir,
}

impl FaultyDisk {
    /// `None`, with the reason printed, where this process may not mount.
    pub fn mount() -> Option<FaultyDisk> {
        let folder = folder();
        let backing = folder.path().join("backing");
        std::fs::create_dir(&backing).expect("new");
        match FaultFs::mount(&backing, &folder.path().join("mounted")) {
            Ok(faults) => Some(FaultyDisk { faults, _folder: folder }),
            Err(error) => {
                println!("skipped: {error}");
                None
            }
        }
    }

    /// The broker's folder.
    pub fn data(&self) -> PathBuf {
        self.faults.path().join("data")
    }

    /// A broker on this disk.
    pub fn start(&self, driver: &str) -> Broker {
        Broker::start(&self.data(), &["--io", driver])
    }

    /// Waits until a rule has struck.
    pub fn await_strike(&self, rule: RuleId) {
        let end = Instant::now() + super::PATIENCE;
        while self.faults.struck(rule) == 0 {
            assert!(Instant::now() < end, "nothing did what {rule:?} waits for");
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}
