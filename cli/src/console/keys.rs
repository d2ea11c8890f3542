//! Properties of a client, out of a file and out of options, with types.

use crate::client::Settings;
use crate::failure::Failure;
use crate::io::Io;
use crate::properties::Entry;
use std::collections::BTreeMap;
use std::str::FromStr;
use std::time::Duration;

/// Values by key; what was said last counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Keys {
    values: BTreeMap<String, String>,
}

impl Keys {
    /// The entries of a file, then options of the form `key=value` over them. Keys that every client has go to `settings`.
    pub(super) fn new(
        file: Vec<Entry>,
        options: &[String],
        settings: &mut Settings,
        known: &[&str],
        io: &mut Io<'_>,
    ) -> Result<Self, Failure> {
        let entries = pairs(options).into_iter().map(|(key, value)| Entry { line: 0, key, value }).collect();
        let (rest, notices) = settings.apply(entries, known)?;
        notices.into_iter().for_each(|notice| io.notice(notice));
        Ok(Keys { values: file.into_iter().chain(rest).map(|entry| (entry.key, entry.value)).collect() })
    }

    pub(super) fn text(&self, key: &str) -> Option<&str> {
        self.values.get(key).map(String::as_str)
    }

    /// A value of some type.
    ///
    /// # Errors
    /// A value that is not `expected`.
    pub(super) fn parsed<T: FromStr>(&self, key: &str, expected: &str) -> Result<Option<T>, Failure> {
        let Some(value) = self.text(key) else { return Ok(None) };
        let wrong = || Failure::usage(format!("{key}={value} is not usable: expected {expected}"));
        value.trim().parse().map(Some).map_err(|_| wrong())
    }

    pub(super) fn millis(&self, key: &str) -> Result<Option<Duration>, Failure> {
        Ok(self.parsed(key, "milliseconds, 0 or more")?.map(Duration::from_millis))
    }

    pub(super) fn is(&self, key: &str) -> Result<Option<bool>, Failure> {
        match self.text(key).map(|value| value.trim().to_ascii_lowercase()) {
            None => Ok(None),
            Some(value) if value == "true" => Ok(Some(true)),
            Some(value) if value == "false" => Ok(Some(false)),
            Some(value) => Err(Failure::usage(format!("{key}={value} is not usable: expected true or false"))),
        }
    }
}

/// `key=value`, where the value may be missing and may hold further equals signs.
pub(super) fn pairs(options: &[String]) -> BTreeMap<String, String> {
    let pair = |option: &String| match option.split_once('=') {
        Some((key, value)) => (key.to_owned(), value.to_owned()),
        None => (option.clone(), String::new()),
    };
    options.iter().map(pair).collect()
}

/// The properties of a reader or formatter: a file, then options over it.
pub(super) fn from_file_and_options(
    file: Option<&std::path::Path>,
    options: &[&[String]],
) -> Result<BTreeMap<String, String>, Failure> {
    let mut all: BTreeMap<String, String> = BTreeMap::new();
    if let Some(path) = file {
        all.extend(crate::client::read_file(path)?.into_iter().map(|entry| (entry.key, entry.value)));
    }
    options.iter().for_each(|options| all.extend(pairs(options)));
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_and_their_types() {
        let options = ["a=1", "b", "c=x=y", "d=TRUE", "e=never"].map(str::to_owned);
        let keys = Keys { values: pairs(&options) };
        assert_eq!((keys.text("a"), keys.text("b"), keys.text("c")), (Some("1"), Some(""), Some("x=y")));
        assert_eq!(keys.parsed::<i32>("a", "a number").expect("good"), Some(1));
        assert_eq!(keys.is("d").expect("good"), Some(true));
        assert_eq!(keys.is("zzz").expect("good"), None);
        let wrong = keys.is("e").expect_err("wrong");
        assert_eq!(wrong.message, "e=never is not usable: expected true or false");
        assert!(keys.millis("c").is_err());
    }
}
