//! The metadata of the cluster as every shard sees it: immutable, replaced whole.

/// Topics, brokers and settings as of one version of the metadata log.
#[derive(Clone, Debug, Default)]
pub struct MetadataImage {
    /// Offset in the metadata log that this image contains; -1 before anything was read.
    pub version: i64,
}
