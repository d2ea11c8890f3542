//! Whoever runs the cluster, beside its administrator: moves logs between data folders, keeps and deletes offsets of groups without
//! members, and asks everything else that can be asked. One thing at a time, each tried until it is answered; once nothing is
//! broken any more, everything is asked once again.
//!
//! `looks` are questions about the cluster and its topics, `groups` those about groups, `dirs` the moves, `ledger` the offsets.
//! Absent: topics and their configurations, which are the administrator's.

mod dirs;
mod groups;
mod ledger;
mod looks;

use self::dirs::{DirsLook, Moves};
use self::groups::GroupLook;
use self::ledger::Entry;
pub(crate) use self::ledger::Ledger;
use self::looks::Look;
use super::process::NEVER;
use super::remote::{Ctx, Heard, Remote};
use super::truth::{Part, Standing, Truth};
use super::violation::Violation;
use super::wire::{Answer, Link};
use engine::time::Mono;
use protocol::messages::find_coordinator::{FindCoordinatorRequest, FindCoordinatorResponse};
use protocol::{ApiKey, ErrorCode};

/// What an operator does.
#[derive(Clone, Debug)]
pub(crate) struct Operation {
    /// Time between two deeds, in milliseconds.
    pub(crate) gap_ms: u64,
    /// Data folders of the node.
    pub(crate) folders: usize,
    /// Asks, and looks after groups; otherwise only moves logs.
    pub(crate) asks: bool,
}

/// What is being done, until it is answered.
#[derive(Clone, Debug)]
enum Deed {
    /// Looks for a coordinator, as every client of groups does first: that also makes the topic of offsets.
    Seek,
    Move {
        part: Part,
        to: usize,
    },
    Dirs(DirsLook),
    Ledger(Entry),
    Groups(GroupLook),
    Look(Look),
}

/// What became of a deed.
enum Outcome {
    Done,
    /// It goes on with this.
    Next(Deed),
    /// It was refused with this code, for which there should be a reason, and is tried again.
    Again(&'static str, i16),
}

/// See the module.
pub(crate) struct Operator {
    pub(crate) remote: Remote,
    operation: Operation,
    deed: Option<Deed>,
    /// How often the deed was asked for.
    tries: u32,
    next_at: Mono,
    moves: Moves,
    has_sought: bool,
    /// What is to be looked at once everything is calm; none before.
    last: Option<Vec<Deed>>,
}

impl Operator {
    pub(crate) fn new(remote: Remote, operation: Operation) -> Operator {
        let has_sought = !operation.asks;
        let (deed, tries, next_at, moves, last) = (None, 0, Mono(0), Moves::default(), None);
        Operator { remote, operation, deed, tries, next_at, moves, has_sought, last }
    }

    pub(crate) fn due(&self) -> Mono {
        let next = if self.remote.is_waiting() { NEVER } else { self.next_at };
        if self.remote.conn().is_none() { next.max(self.remote.due()) } else { next.min(self.remote.due()) }
    }

    /// Everything was looked at since it is calm.
    pub(crate) fn is_settled(&self) -> bool {
        self.deed.is_none() && self.last.as_ref().is_some_and(Vec::is_empty)
    }

    /// What it is at.
    pub(crate) fn plight(&self) -> String {
        format!("at {:?}, then {:?}, with {:?}", self.deed, self.last, self.moves)
    }

    pub(crate) fn act(&mut self, ctx: &mut Ctx<'_>) -> Result<(), Violation> {
        loop {
            match self.remote.hear(ctx)? {
                Heard::Answer(answer) => self.answered(ctx, &answer)?,
                Heard::Lost => {}
                Heard::Nothing => break,
            }
        }
        if ctx.now < self.next_at || self.remote.is_waiting() || !self.remote.open(ctx) {
            return Ok(());
        }
        self.drop_what_is_gone(ctx.truth);
        if self.deed.is_none() {
            self.deed = self.choose(ctx);
            self.tries = 0;
        }
        match &mut self.deed {
            None => self.next_at = ctx.now.plus_millis(self.operation.gap_ms),
            Some(deed) => {
                self.tries += 1;
                if let Some(link) = self.remote.link() {
                    deed.ask(ctx, link);
                }
            }
        }
        Ok(())
    }

    /// Nothing can be done any more with a partition of a topic that somebody deletes.
    fn drop_what_is_gone(&mut self, truth: &mut Truth) {
        let part = match &self.deed {
            Some(Deed::Move { part, .. }) => Some(*part),
            Some(Deed::Ledger(entry)) => entry.part(),
            Some(Deed::Look(look)) => look.part(),
            _ => None,
        };
        if part.is_some_and(|part| truth.topics[part.topic].standing != Standing::Exists) {
            self.deed = None;
        }
        truth.drop_ledger_of_deleted();
    }

    fn choose(&mut self, ctx: &mut Ctx<'_>) -> Option<Deed> {
        if !self.has_sought {
            return Some(Deed::Seek);
        }
        if ctx.is_calm {
            let parts = ctx.truth.parts();
            return self.last.get_or_insert_with(|| last_looks(&self.operation, &parts)).pop();
        }
        let parts = ctx.truth.parts();
        let rng = &mut self.remote.rng;
        let part = parts.get(rng.below(parts.len().max(1) as u64) as usize).copied();
        if self.operation.folders > 1 && (!self.operation.asks || rng.below(3) == 0) {
            let to = rng.below(self.operation.folders as u64) as usize;
            return match part.filter(|part| rng.below(3) > 0 && !ctx.truth.look(*part).is_damaged) {
                Some(part) => Some(Deed::Move { part, to }),
                None => Some(Deed::Dirs(DirsLook::new(ctx.truth))),
            };
        }
        match (rng.below(10), part) {
            (0..5, Some(part)) => Some(Deed::Ledger(Entry::draw(ctx.truth, part, rng))),
            (5..7, _) => Some(Deed::Groups(GroupLook::draw(ctx.truth, rng))),
            (7, _) => Some(Deed::Dirs(DirsLook::new(ctx.truth))),
            _ => Some(Deed::Look(Look::draw(part, rng))),
        }
    }

    fn answered(&mut self, ctx: &mut Ctx<'_>, answer: &Answer) -> Result<(), Violation> {
        self.next_at = ctx.now.plus_millis(1 + self.remote.rng.below(2 * self.operation.gap_ms));
        if ctx.is_calm {
            self.next_at = ctx.now.plus_millis(1);
        }
        let Some(deed) = &mut self.deed else { return Ok(()) };
        let (who, tries) = (self.remote.who.as_str(), self.tries);
        let outcome = match deed {
            Deed::Seek => {
                let code = answer.body(who, "FindCoordinator", |reader, version| {
                    Ok(FindCoordinatorResponse::decode(reader, version)?.error_code)
                })?;
                self.has_sought = code == 0;
                if code == 0 { Outcome::Done } else { Outcome::Again("FindCoordinator", code) }
            }
            Deed::Move { part, to } => self.moves.answered(who, ctx, answer, *part, *to)?,
            Deed::Dirs(look) => self.moves.seen(who, ctx, answer, look)?,
            Deed::Ledger(entry) => entry.answered(who, ctx, answer, tries)?,
            Deed::Groups(look) => look.check(who, ctx, answer)?,
            Deed::Look(look) => look.check(who, ctx, answer)?,
        };
        match outcome {
            Outcome::Done => self.deed = None,
            Outcome::Next(deed) => (self.deed, self.tries) = (Some(deed), 0),
            Outcome::Again(what, code) => self.refused(ctx, what, code)?,
        }
        Ok(())
    }

    /// Whether there is a reason for an error code; what it was about is tried again.
    fn refused(&mut self, ctx: &mut Ctx<'_>, what: &'static str, code: i16) -> Result<(), Violation> {
        self.next_at = ctx.now.plus_millis(100);
        self.drop_what_is_gone(ctx.truth);
        if self.deed.is_none() {
            return Ok(());
        }
        let loads =
            [ErrorCode::CoordinatorLoadInProgress, ErrorCode::CoordinatorNotAvailable, ErrorCode::NotCoordinator];
        let is_early = !ctx.is_calm || ctx.now < ctx.calm_since.plus_millis(10_000);
        if is_early && loads.iter().any(|error| error.code() == code) {
            return Ok(());
        }
        self.remote.check_code(ctx, what, code)
    }
}

impl Deed {
    fn ask(&mut self, ctx: &mut Ctx<'_>, link: &mut Link) {
        match self {
            Deed::Seek => {
                let request = FindCoordinatorRequest { key: "l0".into(), key_type: 0, ..Default::default() };
                link.ask(ctx.now, ApiKey::FindCoordinator, 2, |writer| request.encode(writer, 2));
            }
            Deed::Move { part, to } => dirs::ask_move(ctx, link, *part, *to),
            Deed::Dirs(look) => look.ask(ctx, link),
            Deed::Ledger(entry) => entry.ask(ctx, link),
            Deed::Groups(look) => look.ask(ctx, link),
            Deed::Look(look) => look.ask(ctx, link),
        }
    }
}

/// Everything, once.
fn last_looks(operation: &Operation, parts: &[Part]) -> Vec<Deed> {
    let mut deeds = vec![Deed::Dirs(DirsLook::last())];
    if operation.asks {
        deeds.extend(GroupLook::all().into_iter().map(Deed::Groups));
        deeds.extend(Entry::checks().into_iter().map(Deed::Ledger));
        deeds.extend(Look::all(parts).into_iter().map(Deed::Look));
    }
    deeds
}
