//! What all clients share: a connection that comes and goes, and what a client may look at while it acts.

use super::process::NEVER;
use super::truth::Truth;
use super::violation::{Violation, name_of};
use super::wire::{Answer, Link};
use engine::io::sim::{Rng, SimWorld};
use engine::io::{ConnId, ListenerId};
use engine::time::Mono;
use protocol::ErrorCode;

/// How long a client waits for an answer before it gives the connection up, in milliseconds.
const PATIENCE_MS: u64 = 30_000;

/// The world as a client sees it while it acts.
pub(crate) struct Ctx<'a> {
    pub(crate) world: &'a SimWorld,
    pub(crate) listeners: &'a [ListenerId],
    pub(crate) truth: &'a mut Truth,
    pub(crate) now: Mono,
    pub(crate) wall_ms: i64,
    /// No fault any more: everything must be answered, and nothing new is begun.
    pub(crate) is_calm: bool,
    /// Since when nothing is broken, or the start.
    pub(crate) calm_since: Mono,
    /// Which start of the node this is.
    pub(crate) life: u64,
    /// The disk has failed, or been full, stuck or slow, since the node was started: storage errors have a reason.
    pub(crate) is_troubled: bool,
}

/// What there is to hear on a connection.
pub(crate) enum Heard {
    Answer(Answer),
    /// The connection is gone, and with it everything unanswered.
    Lost,
    Nothing,
}

/// A client's connection and its patience.
pub(crate) struct Remote {
    pub(crate) who: String,
    pub(crate) rng: Rng,
    link: Option<Link>,
    retry_at: Mono,
    /// Nothing arrives at the node, or comes from it, before.
    held: (Mono, Mono),
    calm_since: Mono,
}

impl Remote {
    pub(crate) fn new(who: String, rng: Rng) -> Remote {
        Remote { who, rng, link: None, retry_at: Mono(0), held: (Mono(0), Mono(0)), calm_since: Mono(0) }
    }

    pub(crate) fn conn(&self) -> Option<ConnId> {
        self.link.as_ref().map(Link::id)
    }

    pub(crate) fn link(&mut self) -> Option<&mut Link> {
        self.link.as_mut()
    }

    /// True while an answer is due.
    pub(crate) fn is_waiting(&self) -> bool {
        self.link.as_ref().is_some_and(|link| link.in_flight() > 0)
    }

    /// When something must be done although nothing is heard.
    pub(crate) fn due(&self) -> Mono {
        match &self.link {
            None => self.retry_at,
            Some(link) => link.waits_since().map_or(NEVER, |since| since.max(self.calm_since).plus_millis(PATIENCE_MS)),
        }
    }

    /// Connects if that is to be done now; true while there is a connection.
    pub(crate) fn open(&mut self, ctx: &Ctx<'_>) -> bool {
        if self.link.is_some() {
            return true;
        }
        if ctx.now < self.retry_at || ctx.listeners.is_empty() {
            return false;
        }
        let listener = ctx.listeners[self.rng.below(ctx.listeners.len() as u64) as usize];
        match ctx.world.connect(listener) {
            Ok(peer) => {
                peer.hold(self.held.0, self.held.1);
                self.link = Some(Link::new(peer));
            }
            Err(_) => self.retry_at = ctx.now.plus_millis(20 + self.rng.below(100)),
        }
        self.link.is_some()
    }

    /// The next thing that came.
    pub(crate) fn hear(&mut self, ctx: &mut Ctx<'_>) -> Result<Heard, Violation> {
        self.calm_since = ctx.calm_since;
        let Some(link) = &mut self.link else { return Ok(Heard::Nothing) };
        if let Some(answer) = link.poll(&self.who)? {
            ctx.truth.answered += 1;
            return Ok(Heard::Answer(answer));
        }
        let since = link.waits_since().map(|since| since.max(ctx.calm_since));
        let late = since.is_some_and(|since| since.plus_millis(PATIENCE_MS) <= ctx.now);
        if late && ctx.is_calm {
            let who = format!("{}, which asked for {:?}", self.who, link.waits_for());
            return Err(Violation::Stuck { who, seconds: PATIENCE_MS / 1000 });
        }
        if late {
            link.peer().reset();
        }
        if late || link.is_dead() {
            self.let_go(ctx.now);
            return Ok(Heard::Lost);
        }
        Ok(Heard::Nothing)
    }

    /// Ends the connection: politely, by breaking it, or without a word.
    pub(crate) fn hang_up(&mut self, now: Mono) {
        if let Some(link) = &self.link {
            match self.rng.below(3) {
                0 => link.peer().close(),
                1 => link.peer().reset(),
                _ => {}
            }
        }
        self.let_go(now);
    }

    fn let_go(&mut self, now: Mono) {
        self.link = None;
        self.retry_at = now.plus_millis(self.rng.below(200));
    }

    /// Nothing passes before these moments, towards the node and from it.
    pub(crate) fn hold(&mut self, to_node: Mono, to_peer: Mono) {
        self.held = (to_node, to_peer);
        if let Some(link) = &self.link {
            link.peer().hold(to_node, to_peer);
        }
    }

    /// An error code, unless there is a reason for it.
    pub(crate) fn check_code(&self, ctx: &Ctx<'_>, what: &'static str, code: i16) -> Result<(), Violation> {
        let storage = [ErrorCode::KafkaStorageError, ErrorCode::CorruptMessage, ErrorCode::UnknownServerError];
        let known = ErrorCode::try_from(code).ok();
        let busy = known == Some(ErrorCode::RequestTimedOut) && !ctx.is_calm;
        let storage = ctx.is_troubled && known.is_some_and(|known| storage.contains(&known) || known.is_retriable());
        if busy || storage { Ok(()) } else { Err(self.bad_code(what, code)) }
    }

    pub(crate) fn bad_code(&self, what: &'static str, code: i16) -> Violation {
        Violation::Code { who: self.who.clone(), what, code: name_of(code) }
    }
}
