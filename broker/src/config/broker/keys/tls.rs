//! Keys about TLS.

use super::{BrokerKey, boolean, class, list, password, string};
use crate::config::broker::Scope::{Broker, Fixed};
use crate::config::broker::why::NO_TLS;
use crate::config::value::Rule::{Any, OneOf};

pub(super) const KEYS: &[BrokerKey] = &[
    string(
        "security.inter.broker.protocol",
        Some("PLAINTEXT"),
        OneOf(&["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"]),
        Fixed,
    )
    .refused(NO_TLS, "Protocol that brokers speak among themselves."),
    string("security.providers", None, Any, Fixed).refused(NO_TLS, "Classes that bring algorithms along."),
    boolean("ssl.allow.dn.changes", Some("false"), Any, Fixed)
        .refused(NO_TLS, "Whether a new certificate may name somebody else."),
    boolean("ssl.allow.san.changes", Some("false"), Any, Fixed)
        .refused(NO_TLS, "Whether a new certificate may be for other hosts."),
    list("ssl.cipher.suites", Some(""), Any, Broker).refused(NO_TLS, "Cipher suites that TLS may use."),
    string("ssl.client.auth", Some("none"), OneOf(&["required", "requested", "none"]), Broker)
        .refused(NO_TLS, "Whether clients must show a certificate: required, requested or none."),
    list("ssl.enabled.protocols", Some("TLSv1.2,TLSv1.3"), Any, Broker)
        .refused(NO_TLS, "Versions of TLS that may be used."),
    string("ssl.endpoint.identification.algorithm", Some("https"), Any, Broker)
        .refused(NO_TLS, "How is checked that a certificate is for the host it came from; empty does not."),
    class("ssl.engine.factory.class", None, Any, Broker).refused(NO_TLS, "Class that sets TLS up."),
    password("ssl.key.password", None, Any, Broker).refused(NO_TLS, "Secret that opens the private key."),
    string("ssl.keymanager.algorithm", Some("SunX509"), Any, Broker)
        .refused(NO_TLS, "Algorithm by which keys are managed."),
    password("ssl.keystore.certificate.chain", None, Any, Broker)
        .refused(NO_TLS, "The broker's certificates, as text."),
    password("ssl.keystore.key", None, Any, Broker).refused(NO_TLS, "The broker's private key, as text."),
    string("ssl.keystore.location", None, Any, Broker).refused(NO_TLS, "File with the broker's key and certificates."),
    password("ssl.keystore.password", None, Any, Broker)
        .refused(NO_TLS, "Secret that opens the file of ssl.keystore.location."),
    string("ssl.keystore.type", Some("JKS"), Any, Broker)
        .refused(NO_TLS, "Format of the file of ssl.keystore.location."),
    string("ssl.principal.mapping.rules", Some("DEFAULT"), Any, Fixed)
        .refused(NO_TLS, "Rules by which names in certificates become names of users."),
    string("ssl.protocol", Some("TLSv1.3"), Any, Broker).refused(NO_TLS, "Version of TLS that is preferred."),
    string("ssl.provider", None, Any, Broker).refused(NO_TLS, "Provider of TLS in Java."),
    string("ssl.secure.random.implementation", None, Any, Broker).refused(NO_TLS, "Source of random numbers for TLS."),
    string("ssl.trustmanager.algorithm", Some("PKIX"), Any, Broker)
        .refused(NO_TLS, "Algorithm by which certificates are trusted."),
    password("ssl.truststore.certificates", None, Any, Broker)
        .refused(NO_TLS, "Certificates that are trusted, as text."),
    string("ssl.truststore.location", None, Any, Broker).refused(NO_TLS, "File with certificates that are trusted."),
    password("ssl.truststore.password", None, Any, Broker)
        .refused(NO_TLS, "Secret that opens the file of ssl.truststore.location."),
    string("ssl.truststore.type", Some("JKS"), Any, Broker)
        .refused(NO_TLS, "Format of the file of ssl.truststore.location."),
];
