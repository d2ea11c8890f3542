//! What a client needs to know before it connects, from options and from the properties file that Kafka's tools call
//! `--command-config`.

use super::address::{self, Address, AddressError};
use crate::progress::Signs;
use crate::properties::{self, Entry, SyntaxError};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where, who, and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Addresses to try, first to last.
    pub bootstrap: Vec<Address>,
    /// What the broker's logs and quotas call us.
    pub client_id: String,
    /// How long all addresses together may take before we give up.
    pub connect_timeout: Duration,
    /// How long a request may take, retries included.
    pub request_timeout: Duration,
    /// Who hears of requests that take longer than two seconds.
    pub signs: Signs,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            bootstrap: vec![Address::new("127.0.0.1", address::DEFAULT_PORT)],
            client_id: "ringlog".to_owned(),
            connect_timeout: Duration::from_secs(3),
            request_timeout: Duration::from_secs(30),
            signs: Signs::None,
        }
    }
}

/// A key of a properties file that has no effect, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice(pub String);

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a properties file cannot be followed.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The file cannot be read.
    #[error("{}: {cause}", .path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the kernel says.
        cause: std::io::Error,
    },
    /// It is no properties file.
    #[error("{}, line {}: {error}", .path.display(), .error.line)]
    Syntax {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        error: SyntaxError,
    },
    /// A value that the key cannot have.
    #[error("{key}={value} is not usable: expected {expected}")]
    Value {
        /// The key.
        key: String,
        /// The value as it was given.
        value: String,
        /// What it should look like.
        expected: String,
    },
    /// Following the rest without this would send in the clear what was meant to be protected.
    #[error(
        "{key}={value} asks for security that this client does not have yet; only security.protocol=PLAINTEXT works"
    )]
    Security {
        /// The key.
        key: String,
        /// The value, or stars where it may be a secret.
        value: String,
    },
}

impl From<AddressError> for SettingsError {
    fn from(error: AddressError) -> Self {
        let value = match &error {
            AddressError::Empty { list } => list,
            AddressError::Port { got } | AddressError::Host { got } => got,
        };
        SettingsError::Value {
            key: "bootstrap.servers".into(),
            value: value.clone(),
            expected: "HOST:PORT[,HOST:PORT…]".into(),
        }
    }
}

/// Reads a properties file.
pub fn read_file(path: &Path) -> Result<Vec<Entry>, SettingsError> {
    let bytes = std::fs::read(path).map_err(|cause| SettingsError::File { path: path.to_owned(), cause })?;
    properties::parse(&bytes).map_err(|error| SettingsError::Syntax { path: path.to_owned(), error })
}

impl Settings {
    /// Follows the keys that every client has, later ones over earlier ones. What is left: entries whose keys are in
    /// `also_known`, for the caller, and a notice for every other.
    ///
    /// # Errors
    /// Values that cannot be used, and keys whose neglect would remove protection.
    pub fn apply(
        &mut self,
        entries: Vec<Entry>,
        also_known: &[&str],
    ) -> Result<(Vec<Entry>, Vec<Notice>), SettingsError> {
        let (mut rest, mut notices) = (Vec::new(), Vec::new());
        for entry in entries {
            if also_known.contains(&entry.key.as_str()) {
                rest.push(entry);
            } else if !self.follow(&entry)? {
                notices.push(unknown(&entry.key, also_known));
            }
        }
        Ok((rest, notices))
    }

    /// Whether the key is one of ours.
    fn follow(&mut self, entry: &Entry) -> Result<bool, SettingsError> {
        match entry.key.as_str() {
            "bootstrap.servers" => self.bootstrap = address::parse_list(&entry.value)?,
            "client.id" => self.client_id = entry.value.clone(),
            "request.timeout.ms" => self.request_timeout = millis(entry)?,
            // The longer of Kafka's two limits in time: a command gives up when the whole call has taken this long.
            "default.api.timeout.ms" => self.request_timeout = self.request_timeout.max(millis(entry)?),
            "socket.connection.setup.timeout.ms" => self.connect_timeout = millis(entry)?,
            "security.protocol" if entry.value.eq_ignore_ascii_case("PLAINTEXT") => {}
            key if is_security(key) => return Err(refuse(entry)),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// The request timeout as messages carry it.
    pub fn request_timeout_ms(&self) -> i32 {
        i32::try_from(self.request_timeout.as_millis()).unwrap_or(i32::MAX)
    }
}

fn is_security(key: &str) -> bool {
    key == "security.protocol" || key == "security.providers" || key.starts_with("ssl.") || key.starts_with("sasl.")
}

fn refuse(entry: &Entry) -> SettingsError {
    let value = if entry.key == "security.protocol" { entry.value.clone() } else { "***".to_owned() };
    SettingsError::Security { key: entry.key.clone(), value }
}

fn millis(entry: &Entry) -> Result<Duration, SettingsError> {
    let wrong = || SettingsError::Value {
        key: entry.key.clone(),
        value: entry.value.clone(),
        expected: "milliseconds, 1 or more".to_owned(),
    };
    entry.value.parse().ok().filter(|ms| *ms > 0).map(Duration::from_millis).ok_or_else(wrong)
}

/// The keys that [`Settings`] follows.
const KEYS: &[&str] = &[
    "bootstrap.servers",
    "client.id",
    "default.api.timeout.ms",
    "request.timeout.ms",
    "security.protocol",
    "socket.connection.setup.timeout.ms",
];

fn unknown(key: &str, also_known: &[&str]) -> Notice {
    let known = KEYS.iter().chain(also_known).copied();
    let hint = crate::suggest::nearest(key, known).map_or_else(String::new, |near| format!("; did you mean {near}?"));
    Notice(format!("the setting {key} has no effect here{hint}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(text: &str, also_known: &[&str]) -> Result<(Settings, Vec<Entry>, Vec<Notice>), SettingsError> {
        let mut settings = Settings::default();
        let (rest, notices) = settings.apply(properties::parse(text.as_bytes()).unwrap(), also_known)?;
        Ok((settings, rest, notices))
    }

    #[test]
    fn keys_that_are_followed() {
        let text = "bootstrap.servers=a:1,b:2\nclient.id=me\nrequest.timeout.ms=70000\nsecurity.protocol=plaintext\n\
                    socket.connection.setup.timeout.ms=500";
        let (settings, rest, notices) = applied(text, &[]).unwrap();
        assert_eq!(settings.bootstrap, [Address::new("a", 1), Address::new("b", 2)]);
        assert_eq!((settings.client_id.as_str(), settings.request_timeout_ms()), ("me", 70_000));
        assert_eq!(settings.connect_timeout, Duration::from_millis(500));
        assert!(rest.is_empty() && notices.is_empty());
    }

    #[test]
    fn keys_that_are_not() {
        let (_, rest, notices) = applied("acks=1\nclient.idd=x\nnonsense.entirely=1", &["acks"]).unwrap();
        assert_eq!(rest.iter().map(|entry| entry.key.as_str()).collect::<Vec<_>>(), ["acks"]);
        assert_eq!(notices[0].0, "the setting client.idd has no effect here; did you mean client.id?");
        assert_eq!(notices[1].0, "the setting nonsense.entirely has no effect here");
    }

    #[test]
    fn security_is_refused_and_secrets_are_not_shown() {
        for text in ["security.protocol=SASL_SSL", "ssl.truststore.location=/t", "sasl.jaas.config=password"] {
            let error = applied(text, &[]).unwrap_err();
            assert!(matches!(error, SettingsError::Security { .. }), "{text}");
            assert!(!error.to_string().contains("password"), "{error}");
        }
    }

    #[test]
    fn values_that_cannot_be_used() {
        for text in ["request.timeout.ms=0", "request.timeout.ms=soon", "bootstrap.servers=a:b", "bootstrap.servers="] {
            assert!(matches!(applied(text, &[]), Err(SettingsError::Value { .. })), "{text}");
        }
    }
}
