//! What a run found, as one line for people and as JSON for machines.

use crate::check::{Class, Violation};
use crate::disk::FileSystem;
use crate::life::{Fault, Moment};
use crate::read_back::Look;
use std::fmt;
use std::time::Duration;

/// See the module.
#[derive(Clone, Debug)]
pub struct Summary {
    /// Which faults.
    pub fault: Fault,
    /// How nodes were told to acknowledge.
    pub durability: String,
    /// Faults that happened.
    pub faults: u64,
    /// How many of them met a start.
    pub starts: u64,
    /// How many met a clean stop.
    pub stops: u64,
    /// Partitions read whose beginning retention had taken.
    pub shortened: u64,
    /// Records acknowledged after the power was cut, which no client can have heard, and gone.
    pub late_and_gone: u64,
    /// Acknowledged records that were looked for after a fault, each counted once.
    pub checked: u64,
    /// Records read, as often as they were.
    pub read: u64,
    /// Acknowledged, seen or committed, and gone.
    pub lost: u64,
    /// Twice in a log.
    pub duplicated: u64,
    /// In the wrong place.
    pub reordered: u64,
    /// Never sent.
    pub phantom: u64,
    /// A node that did not start, a refusal without a reason, and the like.
    pub other: u64,
    /// How long it took.
    pub time: Duration,
}

impl Summary {
    /// Of a run that begins.
    pub fn new(fault: Fault, durability: &str) -> Summary {
        Summary {
            fault,
            durability: durability.to_owned(),
            faults: 0,
            starts: 0,
            stops: 0,
            shortened: 0,
            late_and_gone: 0,
            checked: 0,
            read: 0,
            lost: 0,
            duplicated: 0,
            reordered: 0,
            phantom: 0,
            other: 0,
            time: Duration::ZERO,
        }
    }

    /// Counts a fault.
    pub fn count(&mut self, moment: Moment) {
        self.faults += 1;
        match moment {
            Moment::Start => self.starts += 1,
            Moment::Stop => self.stops += 1,
            Moment::Load => {}
        }
    }

    /// Adds what a look showed.
    pub fn add(&mut self, look: &Look) {
        self.checked += look.newly_checked;
        self.read += look.read;
        self.shortened += look.shortened;
        self.late_and_gone += look.late_and_gone;
        for (class, count) in look.violations.iter().map(Violation::class) {
            *match class {
                Class::Lost => &mut self.lost,
                Class::Duplicated => &mut self.duplicated,
                Class::Reordered => &mut self.reordered,
                Class::Phantom => &mut self.phantom,
                Class::Other => &mut self.other,
            } += count;
        }
    }

    /// Whether nothing was wrong.
    pub fn is_clean(&self) -> bool {
        self.lost + self.duplicated + self.reordered + self.phantom + self.other == 0
    }

    /// The same as one JSON object.
    pub fn json(&self) -> String {
        serde_json::json!({
            "fault": fault_name(self.fault), "durability": self.durability, "faults": self.faults,
            "at_start": self.starts, "in_stop": self.stops, "partitions_shortened": self.shortened,
            "late_and_gone": self.late_and_gone,
            "acknowledged_records_checked": self.checked, "records_read": self.read, "lost": self.lost,
            "duplicated": self.duplicated, "reordered": self.reordered, "phantom": self.phantom, "other": self.other,
            "seconds": self.time.as_secs_f64(),
        })
        .to_string()
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Summary { faults, durability, checked, lost, duplicated, reordered, phantom, other, starts, stops, .. } =
            self;
        let (name, seconds) = (fault_name(self.fault), self.time.as_secs_f64());
        write!(
            f,
            "{faults} x {name} ({starts} at start, {stops} in a clean stop), durability={durability}: {checked} acknowledged records checked, {lost} lost, \
             {duplicated} duplicated, {reordered} reordered, {phantom} phantom, {other} other violations, {seconds:.1} s"
        )
    }
}

fn fault_name(fault: Fault) -> &'static str {
    match fault {
        Fault::Kill => "kill -9",
        Fault::PowerCut(FileSystem::Ext4) => "power cut on ext4",
        Fault::PowerCut(FileSystem::Xfs) => "power cut on xfs",
    }
}
