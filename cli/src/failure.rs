//! Why a command ended badly, in the words that its user reads: what happened, Kafka's name for it, what to do.

use crate::client::{Error, SettingsError, Unreachable};
use crate::exit::Exit;
use std::io::{self, Write};

/// What every command returns.
pub type Outcome = Result<(), Failure>;

/// A failed command.
#[derive(Clone, Debug)]
pub struct Failure {
    /// The exit code.
    pub exit: Exit,
    /// What happened; empty when standard output has said it already.
    pub message: String,
    /// What to do about it, a line each.
    pub hints: Vec<String>,
}

impl Failure {
    /// A failure with its words.
    pub fn new(exit: Exit, message: impl Into<String>) -> Self {
        Failure { exit, message: message.into(), hints: Vec::new() }
    }

    /// The command line makes no sense.
    pub fn usage(message: impl Into<String>) -> Self {
        Failure::new(Exit::Usage, message)
    }

    /// The operation failed.
    pub fn failed(message: impl Into<String>) -> Self {
        Failure::new(Exit::Failed, message)
    }

    /// Something that was named is not there.
    pub fn not_found(message: impl Into<String>) -> Self {
        Failure::new(Exit::NotFound, message)
    }

    /// Adds a line on what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Adds "did you mean" if a known name is near.
    #[must_use]
    pub fn did_you_mean<'a>(self, got: &str, known: impl IntoIterator<Item = &'a str>) -> Self {
        match crate::suggest::nearest(got, known) {
            Some(near) => self.hint(format!("did you mean `{near}`?")),
            None => self,
        }
    }

    /// Keeps exit code and hints: the words stand on standard output, where Kafka's tool has them.
    #[must_use]
    pub fn already_said(self) -> Self {
        Failure { message: String::new(), ..self }
    }

    /// Writes it for the user.
    pub fn report(&self, err: &mut dyn Write) -> io::Result<()> {
        if !self.message.is_empty() {
            writeln!(err, "error: {}", self.message)?;
        }
        for hint in &self.hints {
            writeln!(err, "hint: {hint}")?;
        }
        err.flush()
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

/// One outcome of several: every message, a line each, under the exit code that they share; 1 if they differ.
pub fn all(failures: Vec<Failure>) -> Outcome {
    let mut failures = failures.into_iter();
    let Some(mut first) = failures.next() else { return Ok(()) };
    for failure in failures {
        first.message = format!("{}\nerror: {}", first.message, failure.message);
        first.hints.extend(failure.hints);
        if failure.exit != first.exit {
            first.exit = Exit::Failed;
        }
    }
    Err(first)
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let exit = match &error {
            Error::Unreachable(_) | Error::Lost { .. } => Exit::Unreachable,
            Error::Late { .. } => Exit::TimedOut,
            Error::UnknownBroker { .. } => Exit::NotFound,
            Error::Refused { code, .. } => Exit::from(*code),
            Error::NotServed { .. } | Error::Unreadable { .. } | Error::Unsayable { .. } => Exit::Failed,
        };
        let failure = Failure::new(exit, error.to_string());
        match error {
            Error::Unreachable(Unreachable { named_by_cluster: true, .. }) => failure.hint(
                "the cluster says that a broker is there (its advertised.listeners): the address must work from this machine",
            ),
            Error::Unreachable(_) => {
                failure.hint("is the broker running, and is this its address? see --bootstrap-server")
            }
            Error::NotServed { .. } => failure.hint("the broker is older than this tool, or cannot do this yet"),
            _ => failure,
        }
    }
}

impl From<SettingsError> for Failure {
    fn from(error: SettingsError) -> Self {
        Failure::usage(error.to_string())
    }
}

/// Only output fails like this: what commands read, they report with the file's name.
impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        // Whoever read our output has seen enough (`… | head -1`), which is no failure; Kafka's tools end with 0 too.
        if error.kind() == io::ErrorKind::BrokenPipe {
            return Failure::new(Exit::Done, "");
        }
        Failure::failed(format!("standard output: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::client::{Address, Cause};

    fn reported(failure: &Failure) -> String {
        let mut text = Vec::new();
        failure.report(&mut text).unwrap();
        String::from_utf8(text).unwrap()
    }

    #[test]
    fn what_happened_stands_before_what_to_do() {
        let failure = Failure::not_found("topic `ordrs` does not exist").did_you_mean("ordrs", ["orders", "x"]);
        assert_eq!(reported(&failure), "error: topic `ordrs` does not exist\nhint: did you mean `orders`?\n");
        assert_eq!(reported(&failure.already_said()), "hint: did you mean `orders`?\n");
    }

    #[test]
    fn an_unreachable_cluster_has_its_own_code() {
        let failure = |named_by_cluster| {
            let attempts = vec![(Address::new("a", 1), Cause::RefusedConnection)];
            Failure::from(Error::from(Unreachable { attempts, named_by_cluster }))
        };
        assert_eq!(failure(false).exit, Exit::Unreachable);
        assert!(reported(&failure(false)).contains("\n  a:1: connection refused"));
        assert!(!reported(&failure(false)).contains("advertised.listeners"));
        assert!(reported(&failure(true)).contains("advertised.listeners"));
    }

    #[test]
    fn several_failures_are_told_together() {
        let failure = all(vec![Failure::not_found("a"), Failure::not_found("b")]).unwrap_err();
        assert_eq!((failure.exit, reported(&failure).as_str()), (Exit::NotFound, "error: a\nerror: b\n"));
        let mixed = all(vec![Failure::not_found("a"), Failure::new(Exit::TimedOut, "b")]).unwrap_err();
        assert_eq!(mixed.exit, Exit::Failed);
        assert!(all(Vec::new()).is_ok());
    }

    #[test]
    fn a_reader_who_has_seen_enough_is_no_failure() {
        let failure = Failure::from(io::Error::from(io::ErrorKind::BrokenPipe));
        assert_eq!((failure.exit, reported(&failure).as_str()), (Exit::Done, ""));
    }
}
