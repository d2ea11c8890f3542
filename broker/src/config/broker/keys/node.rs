//! Keys about the node itself and the topics that are made on it: identity, policies, defaults.

use super::{BrokerKey, boolean, class, int, list, long, string};
use crate::config::broker::Scope::{Cluster, Fixed};
use crate::config::broker::why::{NO_POLICY, NO_PROVIDERS, THREADS, UNSTABLE};
use crate::config::value::Rule::{Any, AnyOf, Min};

pub(super) const KEYS: &[BrokerKey] = &[
    class("alter.config.policy.class.name", None, Any, Fixed)
        .refused(NO_POLICY, "Class that may forbid an alteration of a configuration."),
    boolean("auto.create.topics.enable", Some("true"), Any, Fixed)
        .used("Whether asking for the metadata of an unknown topic makes it."),
    int("broker.id", Some("-1"), Any, Fixed).used("The older name of node.id."),
    string("broker.rack", None, Any, Fixed).used("Where this broker stands; clients use it to prefer near replicas."),
    list("config.providers", Some(""), Any, Cluster)
        .refused(NO_PROVIDERS, "Names of places that values of this file are to be fetched from."),
    class("create.topic.policy.class.name", None, Any, Fixed)
        .refused(NO_POLICY, "Class that may forbid the making of a topic."),
    int("default.replication.factor", Some("1"), Any, Fixed).used("Replicas of a topic whose maker did not say."),
    boolean("delete.topic.enable", Some("true"), Any, Fixed).used("Whether topics can be deleted."),
    int("node.id", None, Min(0), Fixed).used("The number of this node, unique in the cluster."),
    int("num.partitions", Some("1"), Min(1), Fixed).used("Partitions of a topic whose maker did not say."),
    int("num.recovery.threads.per.data.dir", Some("2"), Min(1), Cluster)
        .unused(THREADS, "Threads that open the logs of a folder at a start and close them at a stop."),
    int("num.replica.alter.log.dirs.threads", None, Any, Fixed)
        .unused(THREADS, "Threads that copy replicas from one log directory to another."),
    int("num.replica.fetchers", Some("1"), Min(1), Cluster)
        .unused(THREADS, "Threads that fetch from each other broker."),
    list("process.roles", None, AnyOf(&["broker", "controller"]), Fixed)
        .used("Accepted for compatibility: a node is always broker and controller."),
    long("replica.alter.log.dirs.io.max.bytes.per.second", Some("9223372036854775807"), Min(0), Cluster)
        .used("How fast replicas are copied to other log directories of this broker, in bytes a second."),
    boolean("unstable.api.versions.enable", Some("false"), Any, Fixed)
        .unused(UNSTABLE, "Whether versions of the protocol that are not final are served."),
    boolean("unstable.feature.versions.enable", Some("false"), Any, Fixed)
        .unused(UNSTABLE, "Whether versions of features that are not final can be chosen."),
];
