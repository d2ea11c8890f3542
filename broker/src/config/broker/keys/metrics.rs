//! Keys about metrics.

use super::{BrokerKey, int, list, long, string};
use crate::config::broker::Scope::{Cluster, Fixed};
use crate::config::broker::why::METRICS;
use crate::config::value::Rule::{Any, Min};

pub(super) const KEYS: &[BrokerKey] = &[
    int("kafka.metrics.polling.interval.secs", Some("10"), Min(1), Fixed)
        .unused(METRICS, "How often the reporters of kafka.metrics.reporters are fed."),
    list("kafka.metrics.reporters", Some(""), Any, Fixed)
        .unused(METRICS, "Classes that report metrics of the older kind."),
    list("metric.reporters", Some("org.apache.kafka.common.metrics.JmxReporter"), Any, Cluster)
        .unused(METRICS, "Classes that report metrics."),
    int("metrics.num.samples", Some("2"), Min(1), Fixed).unused(METRICS, "Samples that a metric is computed from."),
    string("metrics.recording.level", Some("INFO"), Any, Fixed)
        .unused(METRICS, "Which metrics are recorded: INFO, DEBUG or TRACE."),
    long("metrics.sample.window.ms", Some("30000"), Min(1), Fixed).unused(METRICS, "Length of a sample of a metric."),
    int("telemetry.max.bytes", Some("1048576"), Min(1), Fixed)
        .unused(METRICS, "Most bytes of metrics that a client may push at a time."),
];
