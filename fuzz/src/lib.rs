//! The fuzz targets in one table, and what runs them.
//!
//! Reading order: the table below; `check` is what every input is held to, `campaign` what chooses inputs, `mutate` how
//! they are damaged, `coverage` and `corpus` how the good ones are told and kept. The other modules are the targets.

pub mod campaign;
pub mod check;
pub mod corpus;
pub mod coverage;
pub mod meter;
pub mod mutate;

pub mod cluster;
pub mod disk;
pub mod frames;
pub mod message_sets;
pub mod messages;
pub mod recovery;
pub mod requests;
pub mod seeds;
pub mod settings;
pub mod stateful;
pub mod targets;

#[path = "../../protocol/tests/messages/sample.rs"]
pub(crate) mod sample;
#[path = "../../protocol/tests/messages/samples.rs"]
#[rustfmt::skip]
pub(crate) mod samples;

use std::time::Duration;

/// What one input may hold at its peak, in bytes from Rust's allocator.
#[derive(Clone, Copy, Debug)]
pub enum Memory {
    /// Sixteen bytes for each byte of input, and 64 KiB.
    Input,
    /// So many bytes for each byte of input, and 64 KiB: formats that only we and the operator write.
    PerByte(usize),
    /// This many, whatever the input: the target's output cap and its working memory.
    Fixed(usize),
}

impl Memory {
    /// The allowance for an input of `len` bytes.
    #[must_use]
    pub fn allowed_bytes(self, len: usize) -> usize {
        match self {
            Memory::Input => 16 * len + 64 * 1024,
            Memory::PerByte(bytes) => bytes * len + 64 * 1024,
            Memory::Fixed(bytes) => bytes,
        }
    }
}

/// One parser under test.
pub struct Target {
    /// What the command line calls it.
    pub name: &'static str,
    /// Must return for any bytes; panics where an invariant does not hold.
    pub fuzz: fn(&[u8]),
    /// Inputs worth damaging.
    pub seeds: fn() -> Vec<Vec<u8>>,
    /// What an input may hold in memory.
    pub memory: Memory,
    /// How long an input of up to 64 KiB may take; [`check::INPUT_TIME_MAX`] where nothing is said.
    pub time: Option<Duration>,
}

impl Target {
    const fn new(name: &'static str, fuzz: fn(&[u8]), seeds: fn() -> Vec<Vec<u8>>, memory: Memory) -> Target {
        Target { name, fuzz, seeds, memory, time: None }
    }

    const fn within(self, ms: u64) -> Target {
        Target { time: Some(Duration::from_millis(ms)), ..self }
    }
}

const DECODER: Memory = Memory::Fixed(targets::DECODER_BYTES_MAX);
const SETS: Memory = Memory::Fixed(message_sets::MEMORY_BYTES_MAX);
const FRAMES: Memory = Memory::Fixed(frames::MEMORY_BYTES_MAX);
const RECOVERY: Memory = Memory::Fixed(recovery::MEMORY_BYTES_MAX);
const DUMP: Memory = Memory::Fixed(disk::DUMP_BYTES_MAX);
const IMAGE: Memory = Memory::PerByte(cluster::IMAGE_BYTES_PER_BYTE);
const GROUPS: Memory = Memory::Fixed(cluster::GROUPS_BYTES_MAX);
const CONFIG: Memory = Memory::PerByte(settings::CONFIG_BYTES_PER_BYTE);
const NODE: Memory = Memory::Fixed(stateful::MEMORY_BYTES_MAX);
const INPUT: Memory = Memory::Input;

/// Every target. To add one, add its line.
#[rustfmt::skip]
pub const TARGETS: &[Target] = &[
    // From the network.
    Target::new("frame_header", frames::stream, seeds::streams_of_frames, FRAMES),
    Target::new("frame_quic", frames::quic, seeds::streams_of_frames, FRAMES),
    Target::new("request_header", targets::request_header, seeds::requests, INPUT),
    Target::new("request", targets::request, seeds::requests, INPUT),
    Target::new("large_produce", targets::large_produce, seeds::large_produces, INPUT),
    Target::new("message", messages::message, messages::seeds, INPUT),
    Target::new("response_header", targets::response_header, seeds::response_headers, INPUT),
    Target::new("record_batch", targets::record_batch, seeds::batches, DECODER),
    // A produced set is tried five times, three of them compressed.
    Target::new("message_set", message_sets::produced, message_sets::sets, SETS).within(100),
    Target::new("message_set_down", message_sets::fetched, message_sets::choices, SETS).within(50),
    Target::new("control_record", targets::control_record, seeds::control_records, INPUT),
    Target::new("crc", targets::crc, seeds::batches, INPUT),
    Target::new("compression", targets::compression, seeds::plains, DECODER),
    Target::new("gzip", targets::gzip, seeds::gzip, DECODER),
    Target::new("snappy", targets::snappy, seeds::snappy, DECODER),
    Target::new("lz4", targets::lz4, seeds::lz4, DECODER),
    Target::new("zstd", targets::zstd, seeds::zstd, DECODER),
    Target::new("subscription", cluster::subscription, cluster::subscriptions, INPUT),
    Target::new("config_value", cluster::config, cluster::configs, INPUT),
    // From logs and snapshots.
    Target::new("metadata_record", cluster::metadata_record, cluster::metadata_records, INPUT),
    Target::new("metadata_snapshot", cluster::metadata_snapshot, cluster::metadata_snapshots, IMAGE),
    Target::new("producer_snapshot", cluster::producer_snapshot, cluster::producer_snapshots, INPUT),
    Target::new("offset_record", cluster::offset_record, cluster::offset_records, INPUT),
    Target::new("group_log", cluster::group_log, cluster::group_logs, GROUPS),
    // From files.
    Target::new("recovery", recovery::folder, seeds::folders, RECOVERY),
    Target::new("segment_step", disk::step, disk::steps, INPUT),
    Target::new("index_file", disk::index, disk::indexes, INPUT),
    Target::new("checkpoint_file", disk::checkpoint, disk::checkpoints, INPUT),
    Target::new("snapshot_file", disk::snapshot, disk::snapshots, INPUT),
    Target::new("seal_file", disk::seal, disk::seals, INPUT),
    Target::new("verify", disk::verified, disk::data_folders, RECOVERY),
    Target::new("text_file", disk::text, disk::texts, INPUT),
    Target::new("file_name", disk::name, disk::names, INPUT),
    Target::new("dump_log", disk::dumped, disk::dumps, DUMP),
    // Every entry is written again, six bytes for each character, and read once more.
    Target::new("properties", settings::parse, settings::files, INPUT).within(100),
    // Each unknown key is compared with all known ones. The file is the operator's, so that this need not be cheap.
    Target::new("config_file", settings::config, settings::files, CONFIG).within(2_000),
    Target::new("meta_properties", settings::meta, settings::metas, INPUT),
    // A whole node.
    Target::new("node", stateful::script, stateful::scripts, NODE).within(1_000),
];
