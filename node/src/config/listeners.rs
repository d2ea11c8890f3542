//! What `listeners` and its relatives come to: the addresses to open, and what clients are told.

use super::{ConfigError, Gathered, Notice};
use crate::listen;
use std::collections::BTreeMap;
use std::net::SocketAddr;

/// A listener to be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Its name, in upper case.
    pub name: String,
    /// Where it listens; port 0 lets the system choose.
    pub bind: SocketAddr,
    /// Host and port that clients are told, when that differs.
    pub advertised: Option<(String, u16)>,
}

/// Where a broker serves when nothing is said.
const DEFAULT: &str = "PLAINTEXT://127.0.0.1:9092";
const PROTOCOLS: [&str; 4] = ["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"];

/// `NAME://HOST:PORT`, taken apart.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Endpoint {
    name: String,
    host: String,
    port: u16,
}

/// Decides which listeners to open.
pub(super) fn plan(from: &Gathered, notices: &mut Vec<Notice>) -> Result<Vec<Listener>, ConfigError> {
    let protocols = protocol_map(from)?;
    let controllers: Vec<String> = words(from.value("controller.listener.names").unwrap_or_default());
    let advertised = advertised(from)?;
    let mut listeners: Vec<Listener> = Vec::new();
    for endpoint in endpoints(from, "listeners", DEFAULT)? {
        if controllers.contains(&endpoint.name) {
            let text = format!("{} is a controller's listener and is not opened: nodes use their own", endpoint.name);
            notices.push(from.notice("listeners", text));
            continue;
        }
        check_protocol(from, &protocols, &endpoint.name)?;
        let bind = listen::resolve(&authority(&endpoint))
            .map_err(|error| from.bad("listeners", format!("every host is an address of this machine ({error})")))?;
        let told = advertised.iter().find(|other| other.name == endpoint.name);
        let advertised = told.map(|endpoint| (endpoint.host.clone(), endpoint.port));
        let taken = |other: &Listener| other.name == endpoint.name || (other.bind == bind && bind.port() != 0);
        if listeners.iter().any(taken) {
            return Err(from.bad("listeners", "every name and every address appears once"));
        }
        listeners.push(Listener { name: endpoint.name, bind, advertised });
    }
    if listeners.is_empty() {
        return Err(from.bad("listeners", "at least one listener that is no controller's is needed"));
    }
    for other in &advertised {
        let known = listeners.iter().any(|listener| listener.name == other.name) || controllers.contains(&other.name);
        if !known {
            return Err(from.bad("advertised.listeners", format!("{} is not among the listeners", other.name)));
        }
    }
    warn_beyond_loopback(from, &listeners, notices);
    Ok(listeners)
}

fn warn_beyond_loopback(from: &Gathered, listeners: &[Listener], notices: &mut Vec<Notice>) {
    let open: Vec<String> = listeners
        .iter()
        .filter(|listener| !listener.bind.ip().is_loopback())
        .map(|listener| listener.bind.to_string())
        .collect();
    if !open.is_empty() {
        let text =
            format!("{} is reachable from other machines, without encryption or authentication", open.join(", "));
        notices.push(from.warning("listeners", text));
    }
}

fn protocol_map(from: &Gathered) -> Result<BTreeMap<String, String>, ConfigError> {
    const KEY: &str = "listener.security.protocol.map";
    let default = || PROTOCOLS.iter().map(|name| ((*name).to_owned(), (*name).to_owned())).collect();
    let Some(text) = from.value(KEY) else { return Ok(default()) };
    let mut map = BTreeMap::new();
    for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
        let pair = word.split_once(':').map(|(name, protocol)| (name.trim(), protocol.trim().to_ascii_uppercase()));
        match pair {
            Some((name, protocol)) if PROTOCOLS.contains(&protocol.as_str()) && !name.is_empty() => {
                map.insert(name.to_ascii_uppercase(), protocol);
            }
            _ => return Err(from.bad(KEY, format!("a list of NAME:PROTOCOL, with {}", PROTOCOLS.join(", ")))),
        }
    }
    Ok(map)
}

fn check_protocol(from: &Gathered, map: &BTreeMap<String, String>, name: &str) -> Result<(), ConfigError> {
    match map.get(name).map(String::as_str) {
        Some("PLAINTEXT") => Ok(()),
        Some(protocol) => Err(from.refused(
            "listeners",
            format!("{name} speaks {protocol}, which is not there yet; going on in plaintext would remove protection"),
        )),
        None => Err(from.bad("listeners", format!("{name} has no protocol in listener.security.protocol.map"))),
    }
}

fn advertised(from: &Gathered) -> Result<Vec<Endpoint>, ConfigError> {
    const KEY: &str = "advertised.listeners";
    let endpoints = endpoints(from, KEY, "")?;
    let nowhere = |host: &str| matches!(host, "" | "0.0.0.0" | "::" | "[::]");
    match endpoints.iter().find(|endpoint| nowhere(&endpoint.host)) {
        Some(endpoint) => {
            let why = format!("{} would send clients to no address at all; name a host that they reach", endpoint.name);
            Err(from.bad(KEY, why))
        }
        None => Ok(endpoints),
    }
}

fn endpoints(from: &Gathered, key: &str, default: &str) -> Result<Vec<Endpoint>, ConfigError> {
    let text = from.value(key).filter(|text| !text.is_empty()).unwrap_or(default);
    let words = text.split(',').map(str::trim).filter(|word| !word.is_empty());
    let parsed: Option<Vec<Endpoint>> = words.map(endpoint).collect();
    parsed.ok_or_else(|| from.bad(key, "a list of NAME://HOST:PORT, e.g. PLAINTEXT://127.0.0.1:9092"))
}

fn endpoint(word: &str) -> Option<Endpoint> {
    let (name, address) = word.split_once("://")?;
    let (host, port) = address.rsplit_once(':')?;
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let legal = !name.is_empty() && (bare.is_some() || !host.contains([':', '/', '[', ']']));
    let port = port.parse().ok()?;
    legal.then(|| Endpoint { name: name.to_ascii_uppercase(), host: bare.unwrap_or(host).to_owned(), port })
}

fn authority(endpoint: &Endpoint) -> String {
    let Endpoint { host, port, .. } = endpoint;
    if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") }
}

fn words(list: &str) -> Vec<String> {
    list.split(',').map(|word| word.trim().to_ascii_uppercase()).filter(|word| !word.is_empty()).collect()
}
