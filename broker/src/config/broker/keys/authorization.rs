//! Keys about who may do what.

use super::{BrokerKey, boolean, class, long, password, string};
use crate::config::broker::Scope::{Broker, Fixed};
use crate::config::broker::why::{NO_ACL, NO_SASL, OTHER_TOKENS, WITH_ACL};
use crate::config::value::Rule::{Any, Min};

pub(super) const KEYS: &[BrokerKey] = &[
    boolean("allow.everyone.if.no.acl.found", Some("false"), Any, Fixed)
        .unused(WITH_ACL, "Whether everybody may do what no rule is about."),
    string("authorizer.class.name", Some(""), Any, Fixed).refused(NO_ACL, "Class that decides who may do what."),
    long("delegation.token.expiry.check.interval.ms", Some("3600000"), Min(1), Fixed)
        .unused(OTHER_TOKENS, "How often is looked for delegation tokens that have expired."),
    long("delegation.token.expiry.time.ms", Some("86400000"), Min(1), Fixed)
        .unused(OTHER_TOKENS, "How long a delegation token is valid unless it is renewed."),
    long("delegation.token.max.lifetime.ms", Some("604800000"), Min(1), Fixed)
        .unused(OTHER_TOKENS, "Age up to which a delegation token can be renewed."),
    password("delegation.token.secret.key", None, Any, Fixed)
        .refused(NO_SASL, "Secret that delegation tokens are signed with."),
    class(
        "principal.builder.class",
        Some("org.apache.kafka.common.security.authenticator.DefaultKafkaPrincipalBuilder"),
        Any,
        Broker,
    )
    .refused(NO_ACL, "Class that says who a client is."),
    string("super.users", Some(""), Any, Fixed)
        .unused(WITH_ACL, "Users who may do everything, separated by semicolons."),
];
