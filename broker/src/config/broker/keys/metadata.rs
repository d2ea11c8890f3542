//! Keys about the metadata log.

use super::{BrokerKey, int, long, string};
use crate::config::broker::Scope::Fixed;
use crate::config::broker::why::METADATA;
use crate::config::value::Rule::{Any, Min};

pub(super) const KEYS: &[BrokerKey] = &[
    string("metadata.log.dir", None, Any, Fixed)
        .unused(METADATA, "Folder of the metadata log, where it is not the first of log.dirs."),
    long("metadata.log.max.record.bytes.between.snapshots", Some("20971520"), Min(1), Fixed)
        .unused(METADATA, "Bytes of changes after which the metadata is written as a whole."),
    long("metadata.log.max.snapshot.interval.ms", Some("3600000"), Min(0), Fixed)
        .unused(METADATA, "Time after which the metadata is written as a whole."),
    int("metadata.log.segment.bytes", Some("1073741824"), Min(8_388_608), Fixed)
        .unused(METADATA, "Size of a file of the metadata log."),
    long("metadata.log.segment.ms", Some("604800000"), Any, Fixed)
        .unused(METADATA, "Age at which a file of the metadata log is closed."),
    int("metadata.max.idle.interval.ms", Some("500"), Min(0), Fixed)
        .unused(METADATA, "How often the leading controller writes something when there is nothing to write."),
    long("metadata.max.retention.bytes", Some("104857600"), Any, Fixed)
        .unused(METADATA, "Size of old metadata that is kept."),
    long("metadata.max.retention.ms", Some("604800000"), Any, Fixed).unused(METADATA, "How long old metadata is kept."),
];
