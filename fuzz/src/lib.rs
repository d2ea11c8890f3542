//! The fuzz targets in one table. The mutator and the checks of memory and time are the runner's, in `main.rs`.

pub mod frames;
pub mod meter;
pub mod mutate;
pub mod recovery;
pub mod requests;
pub mod seeds;
pub mod targets;

/// What one input may hold at its peak, in bytes from Rust's allocator.
#[derive(Clone, Copy, Debug)]
pub enum Memory {
    /// Sixteen bytes for each byte of input, and 64 KiB.
    Input,
    /// This many, whatever the input: the target's output cap and its working memory.
    Fixed(usize),
}

impl Memory {
    /// The allowance for an input of `len` bytes.
    #[must_use]
    pub fn allowed_bytes(self, len: usize) -> usize {
        match self {
            Memory::Input => 16 * len + 64 * 1024,
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
}

const DECODER: Memory = Memory::Fixed(targets::DECODER_BYTES_MAX);
const FRAMES: Memory = Memory::Fixed(frames::MEMORY_BYTES_MAX);
const RECOVERY: Memory = Memory::Fixed(recovery::MEMORY_BYTES_MAX);

/// Every target. To add one, add its line.
#[rustfmt::skip]
pub const TARGETS: &[Target] = &[
    Target { name: "frame_header", fuzz: frames::stream, seeds: seeds::streams_of_frames, memory: FRAMES },
    Target { name: "recovery", fuzz: recovery::folder, seeds: seeds::folders, memory: RECOVERY },
    Target { name: "request_header", fuzz: targets::request_header, seeds: seeds::requests, memory: Memory::Input },
    Target { name: "request", fuzz: targets::request, seeds: seeds::requests, memory: Memory::Input },
    Target { name: "record_batch", fuzz: targets::record_batch, seeds: seeds::batches, memory: DECODER },
    Target { name: "gzip", fuzz: targets::gzip, seeds: seeds::gzip, memory: DECODER },
    Target { name: "snappy", fuzz: targets::snappy, seeds: seeds::snappy, memory: DECODER },
    Target { name: "lz4", fuzz: targets::lz4, seeds: seeds::lz4, memory: DECODER },
    Target { name: "zstd", fuzz: targets::zstd, seeds: seeds::zstd, memory: DECODER },
];
