//! Timers of one driver: the kernel only ever waits for the earliest.

use crate::io::Token;
use crate::time::Mono;
use std::collections::{BTreeMap, HashMap};

/// Pending timers by time, then by order of submission.
#[derive(Default)]
pub(in crate::io) struct Timers {
    pending: BTreeMap<(Mono, u64), Token>,
    /// Where in `pending` a token is; a token names one pending op.
    keys: HashMap<Token, (Mono, u64)>,
    submitted: u64,
}

impl Timers {
    pub(in crate::io) fn insert(&mut self, at: Mono, token: Token) {
        self.submitted += 1;
        self.pending.insert((at, self.submitted), token);
        self.keys.insert(token, (at, self.submitted));
    }

    /// When the earliest is due.
    pub(in crate::io) fn next(&self) -> Option<Mono> {
        self.pending.first_key_value().map(|(key, _)| key.0)
    }

    pub(in crate::io) fn pop_due(&mut self, now: Mono) -> Option<(Mono, Token)> {
        let entry = self.pending.first_entry().filter(|entry| entry.key().0 <= now)?;
        let (at, token) = (entry.key().0, entry.remove());
        self.keys.remove(&token);
        Some((at, token))
    }

    /// Takes the timer with this token out and says when it would have been due.
    pub(in crate::io) fn cancel(&mut self, token: Token) -> Option<Mono> {
        let key = self.keys.remove(&token)?;
        self.pending.remove(&key).map(|_| key.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn due_in_order_of_time_then_submission() {
        let mut timers = Timers::default();
        for (at, token) in [(20, 1), (10, 2), (20, 3), (30, 4)] {
            timers.insert(Mono(at), Token(token));
        }
        assert_eq!(timers.cancel(Token(4)), Some(Mono(30)));
        assert_eq!(timers.cancel(Token(4)), None);
        assert_eq!(timers.next(), Some(Mono(10)));
        let due: Vec<_> = std::iter::from_fn(|| timers.pop_due(Mono(20))).map(|(_, token)| token.0).collect();
        assert_eq!(due, [2, 1, 3]);
        assert_eq!(timers.next(), None);
    }
}
