//! What a run is made of, drawn from its seed: swarm testing, where each seed has some of the features and some of the
//! faults, so that none is always hidden behind another. A plan can be cut down, to shrink a failing run.

use super::admin::Duties;
use super::operator::Operation;
use super::process::Setup;
use broker::BrokerSettings;
use broker::config::Values;
use broker::settings::ListenerSettings;
use engine::io::sim::{Chance, Rng};
use engine::log::LogLimits;
use std::collections::BTreeSet;
use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

/// Everything that a run may have or not have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Feature {
    /// Producers that send once.
    Plain,
    /// Producers that send until it is there once.
    Idempotent,
    /// Consumers without a group.
    Consumers,
    /// Consumer groups that commit.
    Groups,
    /// Topics are made and deleted, partitions added.
    TopicChanges,
    /// Records are deleted by request.
    DeleteRecords,
    /// Retention by size and time.
    Retention,
    /// Topics that promise less than `fsync`.
    WeakDurability,
    /// Topics whose batches the broker rebuilds.
    Rewriting,
    /// Large batches.
    LargeBatches,
    /// Configurations of topics are altered.
    ConfigChanges,
    /// Connections move to the core that does their work.
    Moves,
    /// Somebody runs the cluster: asks everything that can be asked, commits and deletes offsets of groups without members.
    Operator,
    /// Several data folders, between which logs are moved while they are used.
    Folders,
    /// Groups with members of both protocols, who come and go.
    Migration,
    /// Clients that Kafka 4.0 turned away, among those of today.
    OldClients,
    /// The process is killed, also while it starts.
    Kill,
    /// The power fails, also while the node starts.
    PowerCut,
    /// Clean restarts.
    Restart,
    /// The disk is a hundred times slower for a while.
    SlowDisk,
    /// The disk completes nothing for a while.
    StuckDisk,
    /// The disk is full for a while.
    FullDisk,
    /// Reads, writes and syncs fail now and then.
    DiskErrors,
    /// The disk holds something else than was written, or does not give it back.
    DiskDamage,
    /// A bit flips at rest.
    Rot,
    /// The disk is replaced by an empty one.
    Wipe,
    /// Bytes are lost on the way and sent again late.
    PacketLoss,
    /// Connections break.
    Resets,
    /// Nothing passes between a client and the node for a while, or in one direction only.
    Partitions,
    /// The wall clock jumps.
    ClockJumps,
    /// The wall clock runs fast or slow.
    ClockDrift,
    /// Topics that keep the newest record of each key.
    Compaction,
}

impl Feature {
    /// All of them.
    pub const ALL: [Feature; 32] = [
        Feature::Plain,
        Feature::Idempotent,
        Feature::Consumers,
        Feature::Groups,
        Feature::TopicChanges,
        Feature::DeleteRecords,
        Feature::Retention,
        Feature::WeakDurability,
        Feature::Rewriting,
        Feature::LargeBatches,
        Feature::Kill,
        Feature::PowerCut,
        Feature::Restart,
        Feature::SlowDisk,
        Feature::StuckDisk,
        Feature::FullDisk,
        Feature::DiskErrors,
        Feature::DiskDamage,
        Feature::Rot,
        Feature::Wipe,
        Feature::PacketLoss,
        Feature::Resets,
        Feature::Partitions,
        Feature::ClockJumps,
        Feature::ClockDrift,
        Feature::Moves,
        Feature::Compaction,
        Feature::ConfigChanges,
        Feature::Operator,
        Feature::Folders,
        Feature::Migration,
        Feature::OldClients,
    ];

    /// How many in a hundred seeds have it.
    fn odds(self) -> u64 {
        match self {
            Feature::Plain | Feature::Idempotent | Feature::Consumers => 80,
            Feature::Kill | Feature::PowerCut => 60,
            Feature::Wipe => 4,
            Feature::Operator => 60,
            Feature::DiskDamage | Feature::Rot => 15,
            Feature::DiskErrors | Feature::FullDisk | Feature::StuckDisk => 25,
            _ => 40,
        }
    }

    /// The faults of the disk after which storage errors have a reason.
    pub(crate) fn troubles_disk(self) -> bool {
        matches!(
            self,
            Feature::StuckDisk
                | Feature::FullDisk
                | Feature::DiskErrors
                | Feature::DiskDamage
                | Feature::Rot
                | Feature::SlowDisk
        )
    }

    /// True for what the nemesis does, one deed after the other.
    pub(crate) fn is_deed(self) -> bool {
        self >= Feature::Kill
            && !matches!(self, Feature::DiskErrors | Feature::DiskDamage | Feature::PacketLoss)
            && !matches!(self, Feature::Resets | Feature::Compaction)
    }
}

impl fmt::Display for Feature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = format!("{self:?}");
        for (at, letter) in text.chars().enumerate() {
            if letter.is_uppercase() && at > 0 {
                f.write_str("-")?;
            }
            write!(f, "{}", letter.to_ascii_lowercase())?;
        }
        Ok(())
    }
}

impl FromStr for Feature {
    type Err = String;

    fn from_str(text: &str) -> Result<Feature, String> {
        let known = Feature::ALL.iter().find(|feature| feature.to_string() == text);
        known.copied().ok_or_else(|| {
            let names: Vec<String> = Feature::ALL.iter().map(Feature::to_string).collect();
            format!("{text:?} is no feature; there are {}", names.join(", "))
        })
    }
}

/// A run before it begins.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Everything else follows from it.
    pub seed: u64,
    /// What the run has.
    pub features: BTreeSet<Feature>,
    /// Virtual time until the faults stop, in seconds.
    pub seconds: u64,
    /// Producers, consumers and group members at most.
    pub clients: usize,
    /// Shards of the node.
    pub shards: usize,
}

impl Plan {
    /// The plan of a seed.
    pub fn draw(seed: u64) -> Plan {
        let mut rng = stream(seed, "plan");
        // Drawn apart: it came later, and the seeds before it are still about what they were about.
        let later = [
            (Feature::Moves, "moves"),
            (Feature::ConfigChanges, "config changes"),
            (Feature::Compaction, "compaction"),
            (Feature::Operator, "operator"),
            (Feature::Folders, "folders"),
            (Feature::Migration, "migration"),
            (Feature::OldClients, "old clients"),
        ];
        let drawn = Feature::ALL.into_iter().filter(|feature| later.iter().all(|(other, _)| other != feature));
        let mut features: BTreeSet<Feature> = drawn.filter(|feature| rng.below(100) < feature.odds()).collect();
        for (feature, name) in later {
            if stream(seed, name).below(100) < feature.odds() {
                features.insert(feature);
            }
        }
        if !features.contains(&Feature::Plain) {
            features.insert(Feature::Idempotent);
        }
        let seconds = 20 + rng.below(100);
        let clients = 6 + rng.below(11) as usize;
        let shards = 1 + rng.below(4) as usize;
        Plan { seed, features, seconds, clients, shards }
    }

    /// The same run without a feature.
    pub fn without(&self, feature: Feature) -> Plan {
        let mut plan = self.clone();
        plan.features.remove(&feature);
        plan
    }

    /// Whether the run has it.
    pub fn has(&self, feature: Feature) -> bool {
        self.features.contains(&feature)
    }

    /// How the node is started.
    pub(crate) fn setup(&self) -> Setup {
        let mut rng = stream(self.seed, "setup");
        let pick = |rng: &mut Rng, values: &[u64]| values[rng.below(values.len() as u64) as usize];
        let segment_bytes_max = pick(&mut rng, &[8 << 10, 64 << 10, 1 << 20, 1 << 30]);
        // Spares are written full of zeros, which a simulated disk does not do for nothing.
        let has_spares = segment_bytes_max <= 64 << 10;
        let log_limits = LogLimits {
            tail_cache_bytes: pick(&mut rng, &[64 << 10, 1 << 20, 64 << 20]) as usize,
            unwritten_bytes_max: pick(&mut rng, &[512 << 10, 64 << 20]) as usize,
            write_bytes_max: pick(&mut rng, &[8 << 10, 4 << 20]) as usize,
            writes_in_flight_max: pick(&mut rng, &[1, 4]) as usize,
            read_files_max: pick(&mut rng, &[2, 256]) as usize,
            idle_ms: pick(&mut rng, &[200, 10_000]),
            retention_check_ms: pick(&mut rng, &[200, 5_000]),
            checkpoint_ms: pick(&mut rng, &[20, 500, 5_000]),
            spares_max: pick(&mut rng, &[0, 2]) as usize,
            spare_rate_min: if has_spares { 1_000 } else { 8 << 20 },
            segment_bytes_max,
            relocate_bytes_per_s: pick(&mut stream(self.seed, "relocation"), &[1 << 20, 8 << 20, u64::MAX]),
            ..compaction(self.seed, journal(self.seed))
        };
        let bind = SocketAddr::from(([127, 0, 0, 1], 9092));
        let listeners = vec![ListenerSettings { name: "PLAINTEXT".to_owned(), bind, advertised: None }];
        let mut statics = Values::new();
        for (key, value) in [
            ("offsets.topic.num.partitions", pick(&mut rng, &[1, 3, 8])),
            ("offsets.topic.replication.factor", 1),
            // Clocks jump by days here.
            ("offsets.retention.minutes", 1_000_000),
            ("group.initial.rebalance.delay.ms", pick(&mut rng, &[0, 500])),
            ("group.min.session.timeout.ms", 1_000),
            ("max.incremental.fetch.session.cache.slots", pick(&mut rng, &[2, 1_000])),
        ] {
            statics.insert(key.to_owned(), value.to_string());
        }
        for (key, value) in [
            ("group.consumer.session.timeout.ms", 3_000),
            ("group.consumer.min.session.timeout.ms", 1_000),
            ("group.consumer.heartbeat.interval.ms", 1_000),
            ("group.consumer.min.heartbeat.interval.ms", 100),
            ("group.consumer.assignment.interval.ms", pick(&mut stream(self.seed, "assignment interval"), &[0, 1_000])),
        ] {
            statics.insert(key.to_owned(), value.to_string());
        }
        if self.has(Feature::Moves) {
            let bytes = pick(&mut stream(self.seed, "moves after"), &[1, 16 << 10]);
            statics.insert("core.connection.moves".to_owned(), "true".to_owned());
            statics.insert("core.connection.moves.bytes".to_owned(), bytes.to_string());
        }
        let mut broker = BrokerSettings::new(1, listeners, statics);
        broker.cluster_id = Some("a simulated cluster 00".to_owned());
        let network_bytes = pick(&mut rng, &[4 << 20, 64 << 20]) as usize;
        Setup { shards: self.shards, log_limits, folders: self.folders(), network_bytes, broker }
    }

    fn folders(&self) -> usize {
        let more = 2 + stream(self.seed, "how many folders").below(2) as usize;
        if self.has(Feature::Folders) { more } else { 1 }
    }

    /// What the operator does; none where there is no such person.
    pub(crate) fn operation(&self) -> Option<Operation> {
        let mut rng = stream(self.seed, "operation");
        let folders = self.folders();
        let is_there = self.has(Feature::Operator) || folders > 1;
        is_there.then(|| Operation { gap_ms: 50 + rng.below(1_500), folders, asks: self.has(Feature::Operator) })
    }

    /// What the administrator does.
    pub(crate) fn duties(&self) -> Duties {
        let mut rng = stream(self.seed, "duties");
        let changes = self.has(Feature::TopicChanges);
        Duties {
            topics: 1 + rng.below(4) as usize,
            gap_ms: 200 + rng.below(3_000),
            creates: changes,
            deletes: changes,
            adds_partitions: changes,
            deletes_records: self.has(Feature::DeleteRecords),
            weak: self.has(Feature::WeakDurability),
            retention: self.has(Feature::Retention),
            rewriting: self.has(Feature::Rewriting),
            compacted: self.has(Feature::Compaction),
            configures: self.has(Feature::ConfigChanges),
        }
    }

    /// The version that an old client speaks, up to `max`; none for a client of today.
    pub(crate) fn old_version(&self, who: &str, max: i16) -> Option<i16> {
        let mut rng = stream(self.seed, &format!("the version of {who}"));
        (self.has(Feature::OldClients) && rng.coin()).then(|| rng.below(max as u64 + 1) as i16)
    }

    /// Misfortunes that come by chance, with how often per million ops.
    pub(crate) fn chances(&self) -> Vec<(Chance, u64)> {
        let mut rng = stream(self.seed, "chances");
        let mut chances = Vec::new();
        let mut add = |has: bool, kinds: &[Chance], odds: [u64; 2]| {
            for kind in kinds {
                let rate = odds[rng.below(2) as usize];
                if rng.coin() && has {
                    chances.push((*kind, rate));
                }
            }
        };
        let errors = [Chance::ReadError, Chance::WriteError, Chance::SyncError];
        let damage = [Chance::LatentSector, Chance::BitFlip, Chance::Misdirected, Chance::Phantom];
        add(self.has(Feature::DiskErrors), &errors, [30, 300]);
        add(self.has(Feature::DiskDamage), &damage, [30, 300]);
        add(self.has(Feature::PacketLoss), &[Chance::PacketLoss], [1_000, 20_000]);
        add(self.has(Feature::Resets), &[Chance::Reset], [20, 300]);
        chances
    }

    /// The rng of one part of the run: what happens elsewhere does not change it.
    pub(crate) fn rng(&self, part: &str) -> Rng {
        stream(self.seed, part)
    }
}

fn stream(seed: u64, part: &str) -> Rng {
    let mut hash = 0xCBF2_9CE4_8422_2325_u64;
    for byte in part.bytes() {
        hash = (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01B3);
    }
    Rng::new(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ hash)
}
/// Passes come often, and with memory for few keys.
fn compaction(seed: u64, limits: LogLimits) -> LogLimits {
    let mut rng = stream(seed, "passes");
    LogLimits {
        clean_backoff_ms: Some([20, 200, 2_000][rng.below(3) as usize]),
        clean_keys_bytes: [0, 4 << 10, 1 << 20][rng.below(3) as usize],
        ..limits
    }
}

/// Most seeds have a journal, and most of these a small one that goes round all the time.
fn journal(seed: u64) -> LogLimits {
    let mut rng = stream(seed, "journal");
    let (journal_bytes, journal_flushes_min) = match rng.below(5) {
        0 => (0, 1),
        1 => (1 << 20, 20),
        _ => (128 << 10, 1 + rng.below(5) as u32),
    };
    LogLimits { journal_bytes, journal_flushes_min, synced_writes: rng.coin(), ..LogLimits::default() }
}
