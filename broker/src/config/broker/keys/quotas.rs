//! Keys about quotas.

use super::{BrokerKey, class, int, long};
use crate::config::broker::Scope::{Cluster, Fixed};
use crate::config::broker::why::{NO_POLICY, QUOTAS};
use crate::config::value::Rule::{Any, Min};

pub(super) const KEYS: &[BrokerKey] = &[
    int("alter.log.dirs.replication.quota.window.num", Some("11"), Min(1), Fixed)
        .unused(QUOTAS, "Samples over which copying between log directories is measured."),
    int("alter.log.dirs.replication.quota.window.size.seconds", Some("1"), Min(1), Fixed)
        .unused(QUOTAS, "Length of a sample of copying between log directories."),
    class("client.quota.callback.class", None, Any, Fixed)
        .refused(NO_POLICY, "Class that decides which quota a client has."),
    int("controller.quota.window.num", Some("11"), Min(1), Fixed)
        .unused(QUOTAS, "Samples over which changes of topics are measured."),
    int("controller.quota.window.size.seconds", Some("1"), Min(1), Fixed)
        .unused(QUOTAS, "Length of a sample of changes of topics."),
    long("follower.replication.throttled.rate", Some("9223372036854775807"), Min(0), Cluster)
        .unused(QUOTAS, "Bytes a second that throttled replicas may fetch."),
    long("leader.replication.throttled.rate", Some("9223372036854775807"), Min(0), Cluster)
        .unused(QUOTAS, "Bytes a second that leaders may send to throttled replicas."),
    int("quota.window.num", Some("11"), Min(1), Fixed)
        .unused(QUOTAS, "Samples over which the traffic of clients is measured."),
    int("quota.window.size.seconds", Some("1"), Min(1), Fixed)
        .unused(QUOTAS, "Length of a sample of the traffic of clients."),
    int("replication.quota.window.num", Some("11"), Min(1), Fixed)
        .unused(QUOTAS, "Samples over which the traffic of throttled replicas is measured."),
    int("replication.quota.window.size.seconds", Some("1"), Min(1), Fixed)
        .unused(QUOTAS, "Length of a sample of the traffic of throttled replicas."),
];
