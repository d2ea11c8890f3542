//! Keys about SASL.

use super::{BrokerKey, boolean, class, double, int, list, long, password, short, string};
use crate::config::broker::Scope::{Broker, Fixed};
use crate::config::broker::why::{NO_SASL, WITH_SASL};
use crate::config::value::Rule::{Any, Min, Range};

pub(super) const KEYS: &[BrokerKey] = &[
    int("connection.failed.authentication.delay.ms", Some("100"), Min(0), Fixed)
        .unused(WITH_SASL, "How long a connection whose client failed to prove who it is stays open."),
    long("connections.max.reauth.ms", Some("0"), Any, Fixed)
        .unused(WITH_SASL, "How long a client may stay before it must prove again who it is; 0 for ever."),
    class("sasl.client.callback.handler.class", None, Any, Fixed)
        .refused(NO_SASL, "Class that answers what SASL asks of the broker as a client."),
    list("sasl.enabled.mechanisms", Some("GSSAPI"), Any, Broker)
        .refused(NO_SASL, "SASL mechanisms that clients may use."),
    password("sasl.jaas.config", None, Any, Broker).refused(NO_SASL, "Who may log in with SASL, in the words of JAAS."),
    string("sasl.kerberos.kinit.cmd", Some("/usr/bin/kinit"), Any, Broker)
        .refused(NO_SASL, "Path of the program kinit."),
    long("sasl.kerberos.min.time.before.relogin", Some("60000"), Any, Broker)
        .refused(NO_SASL, "Shortest time between two logins with Kerberos."),
    list("sasl.kerberos.principal.to.local.rules", Some("DEFAULT"), Any, Broker)
        .refused(NO_SASL, "Rules by which principals of Kerberos become short names."),
    string("sasl.kerberos.service.name", None, Any, Broker)
        .refused(NO_SASL, "The name under which Kerberos knows the broker."),
    double("sasl.kerberos.ticket.renew.jitter", Some("0.05"), Any, Broker)
        .refused(NO_SASL, "Random part of the time at which a Kerberos ticket is renewed."),
    double("sasl.kerberos.ticket.renew.window.factor", Some("0.8"), Any, Broker)
        .refused(NO_SASL, "Part of a Kerberos ticket's life after which it is renewed."),
    class("sasl.login.callback.handler.class", None, Any, Fixed)
        .refused(NO_SASL, "Class that answers what a SASL login asks."),
    class("sasl.login.class", None, Any, Fixed).refused(NO_SASL, "Class that logs in with SASL."),
    int("sasl.login.connect.timeout.ms", None, Any, Fixed)
        .refused(NO_SASL, "How long a connection to the provider of SASL tokens may take."),
    int("sasl.login.read.timeout.ms", None, Any, Fixed)
        .refused(NO_SASL, "How long an answer of the provider of SASL tokens may take."),
    short("sasl.login.refresh.buffer.seconds", Some("300"), Any, Broker)
        .refused(NO_SASL, "Time before a SASL token's end at which it must be new."),
    short("sasl.login.refresh.min.period.seconds", Some("60"), Any, Broker)
        .refused(NO_SASL, "Shortest time between two refreshes of a SASL token."),
    double("sasl.login.refresh.window.factor", Some("0.8"), Any, Broker)
        .refused(NO_SASL, "Part of a SASL token's life after which it is refreshed."),
    double("sasl.login.refresh.window.jitter", Some("0.05"), Any, Broker)
        .refused(NO_SASL, "Random part of the time at which a SASL token is refreshed."),
    long("sasl.login.retry.backoff.max.ms", Some("10000"), Any, Fixed)
        .refused(NO_SASL, "Longest pause between two attempts to log in with SASL."),
    long("sasl.login.retry.backoff.ms", Some("100"), Any, Fixed)
        .refused(NO_SASL, "First pause between two attempts to log in with SASL."),
    string("sasl.mechanism.controller.protocol", Some("GSSAPI"), Any, Fixed)
        .refused(NO_SASL, "SASL mechanism that is spoken with controllers."),
    string("sasl.mechanism.inter.broker.protocol", Some("GSSAPI"), Any, Broker)
        .refused(NO_SASL, "SASL mechanism that brokers speak among themselves."),
    string("sasl.oauthbearer.assertion.algorithm", Some("RS256"), Any, Fixed)
        .refused(NO_SASL, "Algorithm that assertions to a provider of tokens are signed with."),
    string("sasl.oauthbearer.assertion.claim.aud", None, Any, Fixed)
        .refused(NO_SASL, "Audience that an assertion names."),
    int("sasl.oauthbearer.assertion.claim.exp.seconds", Some("300"), Range(0, 86400), Fixed)
        .refused(NO_SASL, "Seconds after which an assertion expires."),
    string("sasl.oauthbearer.assertion.claim.iss", None, Any, Fixed)
        .refused(NO_SASL, "Issuer that an assertion names."),
    boolean("sasl.oauthbearer.assertion.claim.jti.include", Some("false"), Any, Fixed)
        .refused(NO_SASL, "Whether an assertion has an id of its own."),
    int("sasl.oauthbearer.assertion.claim.nbf.seconds", Some("60"), Range(0, 3600), Fixed)
        .refused(NO_SASL, "Seconds that an assertion is valid before it was made."),
    string("sasl.oauthbearer.assertion.claim.sub", None, Any, Fixed)
        .refused(NO_SASL, "Subject that an assertion names."),
    string("sasl.oauthbearer.assertion.file", None, Any, Fixed)
        .refused(NO_SASL, "File with an assertion that is ready to be sent."),
    string("sasl.oauthbearer.assertion.private.key.file", None, Any, Fixed)
        .refused(NO_SASL, "File with the key that assertions are signed with."),
    password("sasl.oauthbearer.assertion.private.key.passphrase", None, Any, Fixed)
        .refused(NO_SASL, "Secret that opens the key of assertions."),
    string("sasl.oauthbearer.assertion.template.file", None, Any, Fixed)
        .refused(NO_SASL, "File with what every assertion claims."),
    string("sasl.oauthbearer.client.credentials.client.id", None, Any, Fixed)
        .refused(NO_SASL, "Name of the broker at the provider of OAuth tokens."),
    password("sasl.oauthbearer.client.credentials.client.secret", None, Any, Fixed)
        .refused(NO_SASL, "Secret of the broker at the provider of OAuth tokens."),
    int("sasl.oauthbearer.clock.skew.seconds", Some("30"), Any, Fixed)
        .refused(NO_SASL, "Seconds by which clocks may differ when an OAuth token is checked."),
    list("sasl.oauthbearer.expected.audience", Some(""), Any, Fixed)
        .refused(NO_SASL, "Audiences that an OAuth token must name."),
    string("sasl.oauthbearer.expected.issuer", None, Any, Fixed)
        .refused(NO_SASL, "Issuer that an OAuth token must name."),
    long("sasl.oauthbearer.jwks.endpoint.refresh.ms", Some("3600000"), Any, Fixed)
        .refused(NO_SASL, "How often the keys of the provider of OAuth tokens are fetched."),
    long("sasl.oauthbearer.jwks.endpoint.retry.backoff.max.ms", Some("10000"), Any, Fixed)
        .refused(NO_SASL, "Longest pause between two attempts to fetch the keys of OAuth tokens."),
    long("sasl.oauthbearer.jwks.endpoint.retry.backoff.ms", Some("100"), Any, Fixed)
        .refused(NO_SASL, "First pause between two attempts to fetch the keys of OAuth tokens."),
    string("sasl.oauthbearer.jwks.endpoint.url", None, Any, Fixed)
        .refused(NO_SASL, "Address of the keys that OAuth tokens are checked with."),
    class(
        "sasl.oauthbearer.jwt.retriever.class",
        Some("org.apache.kafka.common.security.oauthbearer.DefaultJwtRetriever"),
        Any,
        Fixed,
    )
    .refused(NO_SASL, "Class that fetches OAuth tokens."),
    class(
        "sasl.oauthbearer.jwt.validator.class",
        Some("org.apache.kafka.common.security.oauthbearer.DefaultJwtValidator"),
        Any,
        Fixed,
    )
    .refused(NO_SASL, "Class that checks OAuth tokens."),
    string("sasl.oauthbearer.scope", None, Any, Fixed).refused(NO_SASL, "What an OAuth token is asked for."),
    string("sasl.oauthbearer.scope.claim.name", Some("scope"), Any, Fixed)
        .refused(NO_SASL, "The claim that holds the scope of an OAuth token."),
    string("sasl.oauthbearer.sub.claim.name", Some("sub"), Any, Fixed)
        .refused(NO_SASL, "The claim that holds the subject of an OAuth token."),
    string("sasl.oauthbearer.token.endpoint.url", None, Any, Fixed)
        .refused(NO_SASL, "Address at which OAuth tokens are fetched."),
    class("sasl.server.callback.handler.class", None, Any, Fixed)
        .refused(NO_SASL, "Class that answers what SASL asks of the broker as a server."),
    int("sasl.server.max.receive.size", Some("524288"), Any, Fixed)
        .refused(NO_SASL, "Largest message of a client that logs in with SASL."),
];
