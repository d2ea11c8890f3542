//! What goes wrong, and when: one deed after the other, from a stream of its own.

use super::plan::{Feature, Plan};
use super::process::{DATA, NEVER};
use super::run::troubles;
use engine::io::sim::{End, Rng, SimWorld};
use engine::time::Mono;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// Completions after which a process that is to end has ended, at most: in the middle of something, but soon.
const SOON: u64 = 400;

/// Changes of names within which it has ended.
const NAMES_SOON: u64 = 12;

/// Bytes at the end of a file that rot takes more often than others.
const TAIL_BYTES: u64 = 2_000;

/// One misfortune, to be carried out by the run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Deed {
    /// The process ends in this way at the nth completion from now.
    EndAfter { nth: u64, end: End },
    /// The process ends in this way at the nth change of a name from now, or not at all if names are left alone.
    EndAmongNames { nth: u64, end: End },
    /// A clean stop.
    Stop,
    /// The disk gets slow, or stuck for a while, or well again.
    Disk { slowness: u64, stuck_ms: u64 },
    /// The disk has so many bytes left, or all again.
    Full { spare: Option<u64> },
    /// Nothing passes to the node, and from it to one client, for so long.
    Hold { to_node_ms: u64, to_peer_ms: u64 },
    /// The wall clock jumps.
    JumpWall { by_ms: i64 },
    /// The wall clock runs differently from here on.
    DriftWall { ppm: i64 },
}

/// See the module.
pub(crate) struct Nemesis {
    rng: Rng,
    deeds: Vec<Feature>,
    has: Vec<Feature>,
    next_at: Mono,
    gap_ms: u64,
    /// What has to be taken back before the next deed.
    undo: Option<Deed>,
    /// Storage errors have a reason since the process was started.
    pub(crate) is_troubled: bool,
    /// Deeds by name.
    pub(crate) counts: BTreeMap<String, u64>,
}

impl Nemesis {
    pub(crate) fn new(plan: &Plan) -> Nemesis {
        let mut rng = plan.rng("nemesis");
        let has: Vec<Feature> = plan.features.iter().copied().collect();
        let deeds = has.iter().copied().filter(|feature| feature.is_deed() && *feature != Feature::Wipe);
        let deeds: Vec<Feature> = deeds.filter(|feature| *feature != Feature::Rot).collect();
        let gap_ms = [300, 2_000, 10_000][rng.below(3) as usize];
        let next_at = if deeds.is_empty() { NEVER } else { Mono(0).plus_millis(1_000 + rng.below(gap_ms)) };
        let is_troubled = plan.chances().iter().any(|(chance, _)| troubles(*chance));
        Nemesis { rng, deeds, has, next_at, gap_ms, undo: None, is_troubled, counts: BTreeMap::new() }
    }

    pub(crate) fn due(&self) -> Mono {
        self.next_at
    }

    /// The next deed, or the end of the last one.
    pub(crate) fn strike(&mut self, now: Mono) -> Option<Deed> {
        self.next_at = now.plus_millis(50 + self.rng.below(2 * self.gap_ms));
        if let Some(undo) = self.undo.take() {
            return Some(undo);
        }
        let feature = *self.deeds.get(self.rng.below(self.deeds.len().max(1) as u64) as usize)?;
        *self.counts.entry(format!("{feature:?}")).or_default() += 1;
        self.is_troubled |= feature.troubles_disk();
        let well = Deed::Disk { slowness: 1, stuck_ms: 0 };
        let deed = match feature {
            Feature::Kill => self.end_somewhere(End::Kill),
            Feature::PowerCut => self.end_somewhere(End::PowerCut),
            Feature::Restart => Deed::Stop,
            Feature::SlowDisk => {
                self.undo = Some(well);
                Deed::Disk { slowness: 100, stuck_ms: 0 }
            }
            Feature::StuckDisk => {
                self.undo = Some(well);
                Deed::Disk { slowness: 1, stuck_ms: 100 + self.rng.below(20_000) }
            }
            Feature::FullDisk => {
                self.undo = Some(Deed::Full { spare: None });
                Deed::Full { spare: Some(self.rng.below(100_000)) }
            }
            Feature::Partitions => {
                let ms = 100 + self.rng.below(20_000);
                let (to_node_ms, to_peer_ms) = [(ms, ms), (ms, 0), (0, ms)][self.rng.below(3) as usize];
                Deed::Hold { to_node_ms, to_peer_ms }
            }
            Feature::ClockJumps => {
                let by_ms = [1_000, 60_000, 3_600_000, 86_400_000][self.rng.below(4) as usize];
                Deed::JumpWall { by_ms: if self.rng.coin() { by_ms } else { -by_ms } }
            }
            _ => Deed::DriftWall { ppm: [-100_000, -100, 100, 100_000][self.rng.below(4) as usize] },
        };
        Some(deed)
    }

    /// In the middle of anything, or of changes of names, of which there are few and each is a danger.
    fn end_somewhere(&mut self, end: End) -> Deed {
        match self.rng.below(3) {
            0 => Deed::EndAmongNames { nth: 1 + self.rng.below(NAMES_SOON), end },
            _ => Deed::EndAfter { nth: 1 + self.rng.below(SOON), end },
        }
    }

    /// Whether a process that starts now ends before it serves, and how.
    pub(crate) fn crash_at_start(&mut self) -> Option<(u64, End)> {
        let ends: Vec<End> = [(Feature::Kill, End::Kill), (Feature::PowerCut, End::PowerCut)]
            .into_iter()
            .filter(|(feature, _)| self.has.contains(feature))
            .map(|(_, end)| end)
            .collect();
        let end = *ends.get(self.rng.below(ends.len().max(1) as u64) as usize)?;
        (self.next_at < NEVER && self.rng.below(3) == 0).then(|| (1 + self.rng.below(SOON), end))
    }

    pub(crate) fn power_fails_after_stop(&mut self) -> bool {
        self.has.contains(&Feature::PowerCut) && self.rng.coin()
    }

    /// A file of a partition in which a bit has flipped at rest.
    pub(crate) fn rots(&mut self, world: &SimWorld) -> Option<PathBuf> {
        if !self.has.contains(&Feature::Rot) || self.rng.below(3) > 0 {
            return None;
        }
        let files = world.fs_list();
        let own: Vec<_> =
            files.iter().filter(|(path, len)| *len > 0 && DATA.iter().any(|dir| is_log_in(path, dir))).collect();
        let (path, len) = own.get(self.rng.below(own.len().max(1) as u64) as usize)?;
        // Half of them where a log ends, which a start looks at.
        let room = if self.rng.coin() { *len } else { TAIL_BYTES.min(*len) };
        world.flip_bit(path, len - 1 - self.rng.below(room), self.rng.below(8) as u8).ok()?;
        *self.counts.entry("Rot".to_owned()).or_default() += 1;
        self.is_troubled = true;
        Some(path.clone())
    }

    pub(crate) fn wipes(&mut self) -> bool {
        let wipes = self.has.contains(&Feature::Wipe) && self.rng.below(6) == 0;
        if wipes {
            *self.counts.entry("Wipe".to_owned()).or_default() += 1;
        }
        wipes
    }

    /// No more deeds.
    pub(crate) fn end(&mut self) {
        self.next_at = NEVER;
        self.has.clear();
    }
}

/// Whether it is the file of a topic's log in that data folder.
fn is_log_in(path: &std::path::Path, folder: &str) -> bool {
    path.strip_prefix(folder).is_ok_and(|rest| rest.to_string_lossy().starts_with('t'))
}
