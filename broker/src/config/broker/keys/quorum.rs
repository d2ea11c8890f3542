//! Keys about the controllers and how they agree.

use super::{BrokerKey, boolean, int, list};
use crate::config::broker::Scope::Fixed;
use crate::config::broker::why::QUORUM;
use crate::config::value::Rule::{Any, Min};

pub(super) const KEYS: &[BrokerKey] = &[
    list("controller.listener.names", None, Any, Fixed).unused(QUORUM, "Listeners that controllers are reached at."),
    int("controller.quorum.append.linger.ms", Some("25"), Min(0), Fixed)
        .unused(QUORUM, "How long the leading controller collects records before it writes them."),
    boolean("controller.quorum.auto.join.enable", Some("false"), Any, Fixed)
        .unused(QUORUM, "Whether a controller adds itself to the voters when it starts."),
    list("controller.quorum.bootstrap.servers", Some(""), Any, Fixed)
        .unused(QUORUM, "Addresses at which a node asks for the controllers."),
    int("controller.quorum.election.backoff.max.ms", Some("1000"), Min(0), Fixed)
        .unused(QUORUM, "Longest pause between two elections of a leading controller."),
    int("controller.quorum.election.timeout.ms", Some("1000"), Min(0), Fixed)
        .unused(QUORUM, "How long an election of a leading controller may go without a result."),
    int("controller.quorum.fetch.max.bytes", Some("1048576"), Min(1), Fixed)
        .unused(QUORUM, "Most bytes of metadata that are fetched at a time."),
    int("controller.quorum.fetch.snapshot.max.bytes", Some("1048576"), Min(1), Fixed)
        .unused(QUORUM, "Most bytes of a metadata snapshot that are fetched at a time."),
    int("controller.quorum.fetch.timeout.ms", Some("2000"), Min(0), Fixed)
        .unused(QUORUM, "How long the leading controller may be unreachable before another one is elected."),
    int("controller.quorum.request.timeout.ms", Some("2000"), Min(0), Fixed)
        .unused(QUORUM, "How long one controller waits for another's answer."),
    int("controller.quorum.retry.backoff.ms", Some("20"), Min(0), Fixed)
        .unused(QUORUM, "Pause between two requests of a controller after one that failed."),
    list("controller.quorum.voters", Some(""), Any, Fixed)
        .unused(QUORUM, "The controllers that vote, as ID@HOST:PORT."),
    int("controller.socket.timeout.ms", Some("30000"), Any, Fixed)
        .unused(QUORUM, "How long a broker waits for the controller's answer."),
    int("initial.broker.registration.timeout.ms", Some("60000"), Any, Fixed)
        .unused(QUORUM, "How long a broker tries to make itself known to the controllers before it gives up."),
];
